"""The machine that the doctor examines."""

from pathlib import Path

import pytest
from examined import write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a Pi, as far as the doctor examines it."""
    write(tmp_path / "proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    write(tmp_path / "dev/i2c-1", "")
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    return tmp_path
