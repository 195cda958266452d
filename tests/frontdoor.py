"""The program as people start it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

Run = Callable[..., subprocess.CompletedProcess[str]]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "edge.cli.main", *map(str, arguments)]


def run(*arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run `truelight` and wait for it; nothing it writes is a terminal."""
    options: dict[str, Any] = {"cwd": ROOT, "capture_output": True, "timeout": 120} | more
    return subprocess.run(command(*arguments), check=False, text=True, **options)
