"""Clips for the benchmarks: 10 s of H.264 at 30 Hz, made from the samples, played to and fro."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples" / "clips"
RATE = 30

SIZES = {
    "404p": (718, 404),
    "480p": (854, 480),
    "1080p": (1920, 1080),
    "4K": (3840, 2160),
    "8K": (7680, 4320),
}


def make(folder: Path, faces: int, size: str, seconds: float = 10.0) -> Path:
    """The clip with 0, 1 or 4 faces, written into `folder` unless it is there."""
    out = folder / f"{size}-{faces}-faces-{seconds:g}s.mp4"
    if out.is_file():
        return out
    folder.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(".part")
    width, height = SIZES[size]
    with av.open(str(part), "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", rate=RATE, options={"crf": "23", "preset": "veryfast"}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        pictures = _endless(faces)
        for number in range(round(seconds * RATE)):
            picture = next(pictures).reformat(width, height, "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    part.rename(out)
    return out


def lengthen(clip: Path, seconds: float, folder: Path) -> Path:
    """The clip's packets again and again until it lasts so long: nothing is encoded."""
    out = folder / f"{clip.stem.rsplit('-', 1)[0]}-{seconds:g}s.mp4"
    if out.is_file():
        return out
    part = out.with_suffix(".part")
    with av.open(str(clip)) as source, av.open(str(part), "w", format="mp4") as target:
        given = source.streams.video[0]
        stream = target.add_stream_from_template(given)
        packets = [packet for packet in source.demux(given) if packet.size]
        base = given.time_base or Fraction(1, 1000)
        step = max(packet.pts or 0 for packet in packets) + (packets[-1].duration or 1)
        data = [(bytes(p), p.pts or 0, p.dts or 0, p.duration, p.is_keyframe) for p in packets]
        for turn in range(max(1, round(seconds / float(step * base)))):
            for content, pts, dts, duration, key in data:
                packet = av.Packet(content)
                packet.stream, packet.time_base = stream, base
                packet.pts, packet.dts = pts + turn * step, dts + turn * step
                packet.duration, packet.is_keyframe = duration, key
                target.mux(packet)
    part.rename(out)
    return out


def _endless(faces: int) -> Iterator[av.VideoFrame]:
    sample = SAMPLES / ("one-person.mp4" if faces else "nobody-there.webm")
    with av.open(str(sample)) as container:
        shown = list(container.decode(video=0))
    while True:
        for picture in (*shown, *reversed(shown)):
            yield _tiled(picture) if faces == 4 else picture


def _tiled(picture: av.VideoFrame) -> av.VideoFrame:
    """The picture four times, at half its size."""
    small = picture.reformat(picture.width // 2, picture.height // 2, "rgb24").to_ndarray()
    rows: Sequence[np.ndarray] = [np.hstack([small, small])] * 2
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(np.vstack(rows)), format="rgb24")
