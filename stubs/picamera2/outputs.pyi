from collections.abc import Callable

class PyavOutput:
    error_callback: Callable[[Exception], None] | None
    def __init__(self, output_name: str, format: str) -> None: ...
