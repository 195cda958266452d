"""How much memory is free, and giving some back."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path
from typing import Final

MEMORY: Final = Path("/proc/meminfo")


def megabytes(key: str, file: Path = MEMORY) -> float | None:
    """A line of /proc/meminfo in MB; None if it is missing."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
        found = next(line for line in lines if line.startswith(f"{key}:"))
        return int(found.split()[1]) / 1000
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def trim_heap() -> None:
    """Have the C library return free memory.

    It would keep 30 MB after the network was loaded, and 120 after every second opinion.
    """
    with contextlib.suppress(AttributeError):  # only GNU's library has this function
        ctypes.CDLL(None).malloc_trim(0)
