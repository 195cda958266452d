"""Clips that cost as much as they can, each with what it took.

    PYTHONPATH=tests:. python -m hostile.costs [NAME...] [--folder FOLDER]

Wall time depends on what else the machine does; processor time hardly.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from clips import write_clip, write_image
from hostile.crafted import gif, png
from hostile.kept import add_folder, do, done, folder_of
from redpale import moving, photograph
from spent import in_children, in_this_process

from edge.scan.scanner import Scanner
from edge.settings import load_settings

PART = "costs"
MOST_SECONDS = 30.0
_CYCLE = 64
"""Frames after which the numbers of H.264 frames repeat."""


def skipped_frames(path: Path, width: int, height: int, count: int, interval: Fraction) -> None:
    """H.264 of frames that change nothing, 13 bytes each, so many seconds apart."""
    encoded = io.BytesIO()
    options = {"preset": "ultrafast", "g": "100000", "bf": "0", "sc_threshold": "0"}
    with av.open(encoded, "w", format="h264") as output:
        stream: Any = output.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        frame = av.VideoFrame(width, height, "yuv420p")
        for plane in frame.planes:
            plane.update(b"\x80" * plane.buffer_size)
        for number in range(1 + _CYCLE):
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    encoded.seek(0)
    with av.open(encoded, "r", format="h264") as source, av.open(str(path), "w") as target:
        packets = [bytes(packet) for packet in source.demux() if packet.size]
        assert len(packets) == 1 + _CYCLE
        copy: Any = target.add_stream_from_template(source.streams.video[0])
        base = Fraction(1, 1000)
        copy.time_base = base
        for number in range(count):
            place = number if number <= _CYCLE else 1 + (number - 1) % _CYCLE
            packet = av.Packet(packets[place])
            packet.time_base, packet.stream = base, copy
            packet.pts = packet.dts = round(number * interval / base)
            packet.is_keyframe = number == 0
            target.mux(packet)


def crowd(width: int, height: int, side: int) -> np.ndarray:
    """A picture full of the same face: uint8 RGB."""
    import cv2

    head = photograph("obama")[:240, 140:380]
    face = cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(np.tile(face, (height // side, width // side, 1)))


def sparse(path: Path, size: int) -> None:
    """A file of zeros that takes no room."""
    path.touch()
    os.truncate(path, size)


def sparse_film(path: Path) -> None:
    """An MP4 whose media data is a hole of 10 TB."""
    box = (16).to_bytes(4, "big") + b"ftypisom" + bytes(4)
    path.write_bytes(box + (1).to_bytes(4, "big") + b"mdat" + (10 * 10**12).to_bytes(8, "big"))
    os.truncate(path, 10 * 10**12)


EXPENSIVE: dict[str, Callable[[Path], object]] = {
    "gif-6000x6000.gif": lambda path: path.write_bytes(gif(6000, 6000, 2000)),
    "gif-4000x4000.gif": lambda path: path.write_bytes(gif(4000, 4000, 2000, 10)),
    "gif-1x1-100000.gif": lambda path: path.write_bytes(gif(1, 1, 100_000)),
    "8k-5-minutes.mp4": lambda path: skipped_frames(path, 8192, 4320, 7500, Fraction(1, 25)),
    "8k-5-days.mkv": lambda path: skipped_frames(path, 8192, 4320, 7500, Fraction(60)),
    "vga-2-hours.mp4": lambda path: skipped_frames(path, 640, 480, 200_000, Fraction(1, 25)),
    "vga-20-days.mkv": lambda path: skipped_frames(path, 640, 480, 30_000, Fraction(60)),
    "sparse-10-tb.mp4": lambda path: sparse(path, 10 * 10**12),
    "sparse-film-10-tb.mp4": sparse_film,
    "1x65535.png": lambda path: path.write_bytes(png(1, 65535)),
    "65535x1.png": lambda path: path.write_bytes(png(65535, 1)),
    "32x32000.png": lambda path: path.write_bytes(png(32, 32000)),
    "800-faces.jpg": lambda path: write_image(path, crowd(6400, 5120, 200)),
    "8000-faces.jpg": lambda path: write_image(path, crowd(6400, 5120, 64)),
    "8000-faces.mp4": lambda path: write_clip(
        path, moving(crowd(4096, 2296, 34), 60), rate=10, options={"preset": "ultrafast"}
    ),
    "200-faces.mp4": lambda path: write_clip(
        path, moving(crowd(4096, 2304, 220), 60), rate=10, options={"preset": "ultrafast"}
    ),
}


@dataclass(frozen=True)
class Cost:
    """What a clip took, in seconds."""

    name: str
    wall: float
    decoder: float
    program: float
    verdict: str

    def __str__(self) -> str:
        return (
            f"{self.wall:6.1f} s, processor {self.decoder:5.1f} s in the decoder,"
            f" {self.program:5.1f} s in the program: {self.verdict}"
        )


@contextmanager
def _times() -> Iterator[list[float]]:
    before = time.monotonic(), in_children(), in_this_process()
    took: list[float] = []
    yield took
    after = time.monotonic(), in_children(), in_this_process()
    took += [end - start for start, end in zip(before, after, strict=True)]


def costs(keep: Path, names: Iterable[str]) -> None:
    """Judge these clips, with the settings of this machine, and keep what they took."""
    with tempfile.TemporaryDirectory() as folder, Scanner(load_settings()) as scanner:
        scanner.wait()

        def step(name: str) -> Cost:
            path = Path(folder, name)
            try:
                EXPENSIVE[name](path)
            except OSError as failure:
                return Cost(name, 0.0, 0.0, 0.0, f"not made, {failure.strerror}")
            with _times() as took:
                finding = scanner.scan(path)
            path.unlink()
            wall, decoder, program = took
            came = f"{finding.verdict}, {finding.reasons[-1].code}"
            return Cost(name, wall, decoder, program, came)

        do(keep, PART, names, Cost, step)


def main() -> None:
    """Print what they took; the status is 1 if one took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *EXPENSIVE])
    add_folder(parser)
    chosen = parser.parse_args()
    names = chosen.names or EXPENSIVE
    with folder_of(chosen) as folder:
        costs(folder, names)
        sys.exit(any(cost.wall > MOST_SECONDS for cost in done(folder, PART, Cost, names)))


if __name__ == "__main__":
    main()
