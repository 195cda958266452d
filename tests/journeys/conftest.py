"""A house with a box in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from house import House


@pytest.fixture
def house(tmp_path: Path, bundle: Path, clips: Path) -> Iterator[House]:
    camera = {"kind": "file", "file": str(clips / "red.mp4"), "seconds": 2.0}
    settings: dict[str, dict[str, object]] = {
        "model": {"bundle": str(bundle)},
        "panel": {"kind": "none"},
        "camera": camera,
        "store": {"folder": str(tmp_path / "store")},
    }
    house = House(tmp_path, bundle, settings)
    house.move_in()
    yield house
    house.move_out()
