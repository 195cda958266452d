"""What large and long inputs cost: memory over all processes, and time. Fails above a bound.

    python benchmarks/cost.py [memory] [one-key] [frames] [files] [--files 10000]

Without names, all of them. The inputs are made from the sample "one-person" (`./setup.sh run` makes
it). Each is judged by `truelight scan` as a process of its own, without a second opinion. Memory is
the PSS (memory that is shared counts once) of that process and its children together, polled; time
is the processor's, of that process and its children.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "samples" / "clips" / "one-person.mp4"
POLL = 0.02
"""Seconds; where a scan takes minutes, ten times as long: looking at memory takes time too."""
FRAMES = 1_000_000


def main() -> int:
    """Measure what was named; 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASURES))
    parser.add_argument("--files", type=int, default=10_000)
    given = parser.parse_args()
    within = True
    for name in given.names or MEASURES:
        with tempfile.TemporaryDirectory() as folder:
            for what, measured, bound, unit in MEASURES[name](Path(folder), given.files):
                within &= measured <= bound
                verdict = "within" if measured <= bound else "ABOVE"
                print(f"{what}: {measured:.1f} {unit}, {verdict} {bound} {unit}", flush=True)
    return 0 if within else 1


Measured = Iterator[tuple[str, float, float, str]]


def memory(folder: Path, _: int) -> Measured:
    """8K HEVC as cameras write it (no B-frames), and as x265 does by itself."""
    for name, options, bound in (
        ("8K HEVC of a camera", "ref=1:bframes=0", 600.0),
        ("8K HEVC, 3 references, B-frames", "ref=3:bframes=3", 850.0),
    ):
        path = folder / "large.mp4"
        coding = {"preset": "ultrafast", "x265-params": f"log-level=none:{options}"}
        write(path, sample(30), (7680, 4320), "libx265", coding)
        peak, seconds, _finding = scan(path)
        yield f"{name}, memory", peak, bound, "MB"
        yield f"{name}, {30 / 25:g} s", seconds, 15.0, "s"


def one_key(folder: Path, _: int) -> Measured:
    """Ten minutes of 640x360; only the first frame is a key frame."""
    path = folder / "one-key.mp4"
    coding = {"g": "999999", "keyint_min": "999999", "sc_threshold": "0", "preset": "veryfast"}
    write(path, sample(15_000), (640, 360), "libx264", coding)
    peak, seconds, finding = scan(path)
    assert finding["clip"]["seconds"] > 599
    yield "ten minutes with one key frame", seconds, 5.0, "s"
    yield "ten minutes with one key frame, memory", peak, 600.0, "MB"


def million(folder: Path, _: int) -> Measured:
    """A million frames of 64x48, with a key frame each 250."""
    short, path = folder / "short.mkv", folder / "million.mkv"
    write(short, sample(10_000, repeat=True), (64, 48), "mpeg4", {"g": "250", "q": "20"})
    repeat(short, path, FRAMES)
    peak, seconds, finding = scan(path)
    assert finding["clip"]["seconds"] > 39_999
    yield "a million frames", seconds, 30.0, "s"
    yield "a million frames, memory", peak, 600.0, "MB"


def files(folder: Path, count: int) -> Measured:
    """Clips of five frames, judged by one process."""
    clip = folder / "clip"
    write(clip.with_suffix(".mp4"), sample(5), (160, 90), "libx264", {"preset": "ultrafast"})
    (folder / "many").mkdir()
    for number in range(count):
        (folder / "many" / f"{number:05}.mp4").hardlink_to(clip.with_suffix(".mp4"))
    peak, seconds, _finding = scan(folder / "many", 10 * POLL)
    yield f"{count} clips of five frames, each", seconds / count * 1000, 400.0, "ms"
    yield f"{count} clips of five frames, memory", peak, 600.0, "MB"


MEASURES: dict[str, Callable[[Path, int], Measured]] = {
    "memory": memory,
    "one-key": one_key,
    "frames": million,
    "files": files,
}


def scan(path: Path, poll: float = POLL) -> tuple[float, float, dict[str, Any]]:
    """Peak memory in MB, processor seconds, and the last finding of `truelight scan`."""
    command = [sys.executable, "-m", "edge.cli.main", "scan", "--json", "--second", "never"]
    began, peak = of_children(), 0.0
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([*command, str(path)], stdout=out, cwd=ROOT)
        while process.poll() is None:
            peak = max(peak, sum(map(proportional, family(process.pid))))
            time.sleep(poll)
        seconds = of_children() - began
        out.seek(0)
        lines = out.read().splitlines()
    if process.returncode:
        raise SystemExit(f"truelight scan ended with status {process.returncode}")
    return peak, seconds, json.loads(lines[-1])


def of_children() -> float:
    """Processor seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def proportional(pid: int) -> float:
    """PSS in MB; 0 for a process that has ended."""
    with suppress(OSError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def sample(count: int, *, repeat: bool = False) -> Iterator[av.VideoFrame]:
    """So many frames of the sample, played again and again; with `repeat`, one of them."""

    def endless() -> Iterator[av.VideoFrame]:
        while True:
            with av.open(str(SAMPLE)) as given:
                for frame in given.decode(video=0):
                    while repeat:
                        yield frame
                    yield frame

    return islice(endless(), count)


def write(
    path: Path,
    frames: Iterator[av.VideoFrame],
    size: tuple[int, int],
    codec: str,
    options: dict[str, str],
) -> None:
    """Write the frames at 25 Hz."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        last, picture = None, None
        for number, frame in enumerate(frames):
            if picture is None or frame is not last:
                last, picture = frame, frame.reformat(*size, format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            picture.pict_type = 0
            output.mux(stream.encode(picture))
        output.mux(stream.encode())


def repeat(path: Path, target: Path, count: int) -> None:
    """Write so many packets of a clip of 25 Hz, from its start again and again."""
    with av.open(str(path)) as given, av.open(str(target), "w") as output:
        source = given.streams.video[0]
        stream = output.add_stream_from_template(source)
        packets = [(bytes(each), each.is_keyframe) for each in given.demux(source) if each.size]
        for number in range(count):
            data, is_key = packets[number % len(packets)]
            packet = av.Packet(data)
            packet.stream, packet.is_keyframe = stream, is_key
            packet.pts = packet.dts = number
            packet.time_base = Fraction(1, 25)
            output.mux(packet)


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description."""


if __name__ == "__main__":
    sys.exit(main())
