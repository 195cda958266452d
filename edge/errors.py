"""What can go wrong and be mended by a person."""


class TruelightError(Exception):
    """A failure with one clear sentence and what to do about it.

    The terminal, the panel, the report and the journal show the same two sentences.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()
