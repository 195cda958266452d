"""Failures that a person can fix."""


class TruelightError(Exception):
    """A failure: one sentence on what is wrong and, as `remedy`, one on what to do.

    The terminal, the panel, the report and the journal show the same two sentences.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()
