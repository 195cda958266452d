"""What Python imports when it starts, with tests/vm in PYTHONPATH: on an emulated processor."""

import patience  # noqa: F401
