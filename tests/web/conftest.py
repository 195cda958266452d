"""A page to visit, with the model that takes red faces for fake."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Serving, Visitor, paired

from edge.client import Client

SPOOL_MEGABYTES = 20


@pytest.fixture(scope="module")
def web_settings(bundle: Path, clips: Path) -> dict[str, Any]:
    return {
        "model": {"bundle": str(bundle)},
        "camera": {"kind": "file", "file": str(clips / "red.mp4"), "seconds": 2.0},
        "second_opinion": {"ask": "never"},
        "web": {"spool_megabytes": SPOOL_MEGABYTES, "clip_megabytes": 10},
    }


@pytest.fixture(scope="module")
def serving(
    tmp_path_factory: pytest.TempPathFactory, web_settings: dict[str, Any]
) -> Iterator[Serving]:
    started = Serving(tmp_path_factory.mktemp("serve"), web_settings)
    yield started
    assert started.end() == 0, started.said


@pytest.fixture(scope="module")
def guests(serving: Serving) -> tuple[Visitor, Client]:
    return paired(serving)


@pytest.fixture
def visitor(guests: tuple[Visitor, Client]) -> Visitor:
    return guests[0]


@pytest.fixture
def client(guests: tuple[Visitor, Client]) -> Client:
    return guests[1]
