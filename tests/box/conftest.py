"""A daemon for a test, ended after it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon_process import Box, Start


@pytest.fixture
def start(tmp_path: Path, bundle: Path) -> Iterator[Start]:
    boxes: list[Box] = []

    def start_one(folder: Path = tmp_path, **more: Any) -> Box:
        (folder / "notify").unlink(missing_ok=True)
        boxes.append(Box(folder, bundle, **more))
        return boxes[-1]

    yield start_one
    for box in boxes:
        box.close()
