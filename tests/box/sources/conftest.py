"""Sticks, as real as this machine allows."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import volume


@cache
def kinds() -> list[str]:
    return ["stand-in", "loop"] if volume.can_loop() else ["stand-in"]


# Named in the report's header, so that nobody takes it for done where it was not.
collect_ignore = [] if volume.can_loop() else ["test_loop.py"]


def pytest_report_header() -> str:
    return f"sticks: {', '.join(kinds())}; left out: {', '.join(collect_ignore) or 'nothing'}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "stick" in metafunc.fixturenames:
        metafunc.parametrize("stick", kinds(), indirect=True)


@pytest.fixture
def stick(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[volume.Stick]:
    """A stick with things on it; on a loop device too, where there is one to be had."""
    make = volume.real if request.param == "loop" else volume.stand_in
    with make(tmp_path) as stick:
        yield stick
