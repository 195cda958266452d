"""The program and its tests on an emulated processor: with patience, and without what it lacks.

    pytest -p emulated ...         with EMULATOR=qemu-user it skips NOT_BY_QEMU_USER; with KEPT and
                                   PROGRAM results are kept (tests/vm/kept_results.py)
    emulated.py COMMAND ...        runs a command of `truelight`

What is skipped runs in a machine with a kernel of its own (tests/vm/arm64.py): a fault of the
program on arm64 shows there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from kept_results import KeptResults
from patience import SLOWER

# pytest's names of tests, or how they begin, and what the emulator lacks.
NOT_BY_QEMU_USER = {
    "tests/scan/test_sandbox.py": "it has neither seccomp filters nor Landlock",
    "tests/scan/test_process.py::test_the_decoder_holds_only_what_it_needs": (
        "it needs address space of its own and sets no limit on it"
    ),
}
BY_A_KERNEL = (
    "tests/scan/test_sandbox.py",
    "tests/scan/test_process.py",
    "tests/scan/test_confined_model.py",
    "tests/scan/test_model_unit.py",
    "tests/scan/test_images.py",
    "tests/scan/test_formats.py",
)
"""What the machine runs: besides, decoders and ONNX Runtime in the sandbox, as it is on arm64."""
KEPT = (
    KeptResults(Path(os.environ["KEPT"]), os.environ["PROGRAM"]) if "KEPT" in os.environ else None
)


def pytest_configure() -> None:
    """Wait longer for processes to end."""
    wait, communicate = subprocess.Popen.wait, subprocess.Popen.communicate

    def wait_longer(self: Any, timeout: float | None = None) -> int:
        return wait(self, timeout and timeout * SLOWER)

    def communicate_longer(self: Any, input: Any = None, timeout: float | None = None) -> Any:
        return communicate(self, input, timeout and timeout * SLOWER)

    subprocess.Popen.wait = wait_longer
    subprocess.Popen.communicate = communicate_longer


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Skip what qemu-user cannot show, and leave out what has passed."""
    import pytest

    for item in items if os.environ.get("EMULATOR") == "qemu-user" else ():
        for name, why in NOT_BY_QEMU_USER.items():
            if item.nodeid.startswith(name):
                item.add_marker(pytest.mark.skip(reason=f"qemu-user: {why}"))
    if KEPT:
        passed = KEPT.begin([item.nodeid for item in items])
        done = [item for item in items if item.nodeid in passed]
        config.hook.pytest_deselected(items=done)
        items[:] = [item for item in items if item not in done]


def pytest_collectreport(report: Any) -> None:
    """A file that cannot be read is a failure too."""
    if KEPT and report.failed:
        KEPT.add(report.nodeid, "failed", report.longreprtext)


def pytest_runtest_logreport(report: Any) -> None:
    """Keep what ended a test."""
    if KEPT and (report.when == "call" or report.outcome != "passed"):
        skipped = report.outcome == "skipped"
        why = report.longrepr[2] if skipped and report.longrepr else report.longreprtext
        KEPT.add(report.nodeid, report.outcome, why)


if __name__ == "__main__":
    from edge.cli.main import main

    sys.exit(main())
