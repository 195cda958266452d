# What Truelight uses of libcamera's Python binding.

class Transform:
    def __init__(self, *, hflip: bool = ..., vflip: bool = ...) -> None: ...

class controls:  # noqa: N801
    class AfModeEnum:
        Continuous: int
