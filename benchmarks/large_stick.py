"""What the report on a large stick takes: size of both files, time, memory.

python benchmarks/large_stick.py [--clips 5000] [--faces 8] [--windows 12]
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from edge.box.events import Batch, Ending, Origin
from edge.box.visit_log import VisitLog
from edge.finding import (
    Box,
    Clip,
    Face,
    Finding,
    Model,
    Quality,
    Reason,
    ReasonCode,
    Thresholds,
    Verdict,
    WindowScore,
)
from edge.history.report import make_report
from edge.scan.scanner import ScanResult
from edge.settings_schema import StoreSettings

SIDE = 160


def main() -> None:
    """Judge nothing: keep made-up findings as the box does, and make the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=5000)
    parser.add_argument("--faces", type=int, default=8)
    parser.add_argument("--windows", type=int, default=12)
    given = parser.parse_args()
    faces = tuple(face(number + 1, given.windows) for number in range(given.faces))
    portrait = noise()
    portraits = {each.id: portrait for each in faces}
    paths = [Path(f"/run/truelight/sticks/sda1/{number:05}.mp4") for number in range(given.clips)]
    batch = Batch(Origin.STICK, "sda1", "STICK", tuple(paths))
    with tempfile.TemporaryDirectory() as folder:
        log = VisitLog(Path(folder))
        log.open(StoreSettings())
        before, start = peak(), time.perf_counter()
        for number, path in enumerate(paths):
            verdict = Verdict.FAKE if number == 0 else Verdict.REAL
            log.add(batch, ScanResult(finding(path, verdict, faces), portraits, portraits))
        log.end(batch, Ending.COMPLETE)
        print(f"kept {given.clips} findings: {time.perf_counter() - start:.0f} s")
        between, start = peak(), time.perf_counter()
        visit, entries = log.read(batch)
        report = make_report(visit, entries, None, log.full)
        seconds = time.perf_counter() - start
        print(f"page {len(report.html.encode()) / 1e6:.1f} MB, {report.html.count('<tr>')} rows, ")
        print(f"JSON {len(report.json.encode()) / 1e6:.1f} MB; made in {seconds:.1f} s")
        print(f"memory: {between - before:.0f} MB while judging, {peak() - before:.0f} MB in all")
        log.close()


def face(number: int, windows: int) -> Face:
    """A face with that many windows."""
    return Face(
        id=number,
        first_second=0.0,
        last_second=0.8 * windows,
        frames=8 * windows,
        box=Box(x=1.2345, y=2.3456, width=99.123, height=99.123),
        quality=Quality(face_px=99.1, light=99.2, sharpness=9.3),
        counted=True,
        fake_probability=0.123456,
        windows=tuple(
            WindowScore(start=0.8 * at, end=0.8 * at + 0.7, logit=-1.23, fake_probability=0.123)
            for at in range(windows)
        ),
    )


def finding(path: Path, verdict: Verdict, faces: tuple[Face, ...]) -> Finding:
    """A finding with these faces, as if it were read from a file."""
    made = Finding(
        path=str(path),
        sha256="0" * 64,
        verdict=verdict,
        fake_probability=0.123456,
        reasons=(Reason(code=ReasonCode.BELOW_REAL_THRESHOLD, text="No face looks swapped."),),
        faces=faces,
        clip=Clip(
            kind="video",
            container="mp4",
            codec="h264",
            width=1920,
            height=1080,
            seconds=10.0,
            frame_rate=25.0,
        ),
        model=Model(name="model", version="1", sha256="0" * 64),
        thresholds=Thresholds(real=0.3, fake=0.7),
        seconds={"total": 1.0},
    )
    return Finding.model_validate_json(made.model_dump_json())


def noise() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A portrait whose JPEG is about as large as a face's: 6 kB."""
    coarse = np.random.default_rng(1).integers(0, 256, (20, 20, 3), np.uint8)
    return np.kron(coarse, np.ones((SIDE // 20, SIDE // 20, 1), np.uint8))


def peak() -> float:
    """The most memory that this process had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
