"""Clips that cannot be indexed in time: the rest is sampled as it goes by."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clips import cards, write_clip
from decoding import FOUR_HERTZ, look, numbers

from edge.scan.media import demuxer, timestamps
from edge.scan.media.protocol import Remark

RATE, FRAMES = 5, 1000  # 200 s


@pytest.fixture
def after_some_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first 40 s are indexed."""
    monkeypatch.setattr(timestamps, "MOST_PACKETS", 40 * RATE)


def film(folder: Path, name: str, **options: Any) -> Path:
    """Numbered cards of nearly the same size each."""
    coding = {"g": "20", "preset": "ultrafast", "qp": "20"}
    frames = cards(FRAMES, 160, 120)
    return write_clip(folder / name, frames, rate=RATE, options=coding, **options)


@pytest.mark.usefixtures("after_some_packets")
@pytest.mark.parametrize("seeking", [True, False])
@pytest.mark.parametrize("name", ["v.mkv", "v.ts", "v.avi", "v.nut", "live.mkv", "v.h264"])
def test_the_rest_is_sampled_by_its_estimated_length(
    tmp_path: Path, name: str, seeking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not seeking:
        monkeypatch.setattr(demuxer.Demuxer, "_seek_beyond", lambda *_: False)
    live = {"muxing": {"live": "1"}} if name.startswith("live") else {}
    codec = {"codec": "mpeg4"} if name.endswith((".avi", ".nut")) else {}
    reader, seen = look(film(tmp_path, name, **live, **codec))
    assert reader.seconds == pytest.approx(200, abs=60)
    assert reader.remarks[Remark.UNINDEXED] == pytest.approx(40, abs=2)
    assert not reader.damaged
    shown = numbers(seen)
    assert shown == sorted(shown)
    assert shown[-1] > 650
    assert len({window for window, *_ in seen}) == 5
    assert [time for _, time, _ in seen] == pytest.approx([n / RATE for n in shown], abs=0.3)
    assert reader.frames_read < FRAMES / 2 or name == "v.h264"


def test_a_clip_is_indexed_for_a_limited_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock: Iterator[float] = iter(range(10**6))
    monkeypatch.setattr(demuxer, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(demuxer, "INDEX_SECONDS", 40.0 * RATE)
    reader, seen = look(film(tmp_path, "v.mkv"), FOUR_HERTZ)
    assert reader.remarks[Remark.UNINDEXED] == pytest.approx(40, abs=2)
    assert numbers(seen)[-1] > 650
