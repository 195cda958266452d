"""Truelight beside the published pipeline and other face finders, on the same clips and frames.

    pip install dlib-bin facenet-pytorch --no-deps      # what is missing is left out
    python benchmarks/compare.py [--folder build/clips] [--prepare] [--write] [--mediapipe PYTHON]

The published pipeline as its programs do it: the first 20 frames, dlib's HOG detector at upsample 1
over whole frames, the first face it names, 112 px, PyTorch in float32. Every program runs in a
process of its own and is measured there once it is loaded ("warm"), or from the start of the
process to its end. With `--write` the tables and the plot go into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FRAMES = 20
CLIPS = {"404p, 1 face": (1, "404p"), "1080p, 1 face": (1, "1080p"), "1080p, 4 faces": (4, "1080p"),
         "1080p, no face": (0, "1080p"), "4K, 1 face": (1, "4K")}  # fmt: skip
PLANNED = 40
"""Frames that a scan looks at in 10 s: 5 windows of 8."""
FEW = 3
"""Frames for the slow programs where the clip is not one of the first two; scaled to 20."""


# ---- Workers: each in a process of its own; they print one line of JSON


def first_frames(clip: str, count: int) -> list[Any]:
    """The first frames as BGR, read with OpenCV."""
    import cv2

    video = cv2.VideoCapture(clip)
    return [frame for more, frame in (video.read() for _ in range(count)) if more]


def timed(work: Callable[[], object], runs: int) -> float:
    """Median seconds."""
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def work_published(clip: str, frames: int, runs: int) -> dict[str, float]:
    """Warm: everything loaded, the network built."""
    import dlib
    import numpy as np
    import torch
    from PIL import Image

    from export.train.network import PublishedNetwork, normalise

    network, find = PublishedNetwork().eval(), dlib.get_frontal_face_detector()

    def judge() -> None:
        crops = []
        for frame in first_frames(clip, frames):
            faces = find(frame, 1)
            if faces:
                left, top = max(0, faces[0].left()), max(0, faces[0].top())
                face = frame[top : faces[0].bottom(), left : faces[0].right()]
            small = Image.fromarray(face if faces else frame).resize(
                (112, 112), Image.Resampling.BILINEAR
            )
            crops.append(np.asarray(small))
        with torch.inference_mode():
            network(normalise(torch.from_numpy(np.stack(crops)))[None], "last")

    found = first_frames(clip, frames)
    faces = timed(lambda: [find(frame, 1) for frame in found], 1) / frames
    warm = timed(judge, runs) * FRAMES / frames
    return {"faces_ms": 1000 * faces, "warm_seconds": warm}


def work_mtcnn(clip: str, frames: int, runs: int) -> dict[str, float]:
    """facenet-pytorch's MTCNN as it is delivered, all faces."""
    import torch
    from facenet_pytorch import MTCNN

    torch.set_grad_enabled(False)
    find, found = MTCNN(keep_all=True), [f[..., ::-1].copy() for f in first_frames(clip, frames)]
    find.detect(found[0])
    return {"faces_ms": 1000 * timed(lambda: [find.detect(f) for f in found], 1) / frames}


def work_mediapipe(clip: str, frames: int, runs: int) -> dict[str, float]:
    """MediaPipe's own library, full range, whole frames only."""
    import mediapipe

    found = [f[..., ::-1].copy() for f in first_frames(clip, frames)]
    find = mediapipe.solutions.face_detection.FaceDetection(model_selection=1)
    find.process(found[0])
    return {"faces_ms": 1000 * timed(lambda: [find.process(f) for f in found], runs) / frames}


def work_truelight(clip: str, frames: int, runs: int) -> dict[str, float]:
    """Warm: the same 20 frames; finding faces as in a scan of the whole clip."""
    from edge.scan.faces import search
    from edge.scan.scanner import Scanner
    from edge.settings import load_settings

    settings = load_settings().changed("benchmark", {"second_opinion.ask": "never"})
    answers: dict[str, float] = {}
    first = settings.changed("benchmark", {"scan.first": frames})
    with Scanner(first) as scanner:
        scanner.wait()
        scanner.scan(Path(clip))
        answers["warm_seconds"] = timed(lambda: scanner.scan(Path(clip)), runs)
    every = search.FULL_EVERY
    for name, full_every in (("faces_ms", every), ("faces_full_ms", 1)):
        search.FULL_EVERY = full_every
        with Scanner(settings) as scanner:
            scanner.wait()
            findings = [scanner.scan(Path(clip)) for _ in range(runs)]
        answers[name] = statistics.median(1000 * f.seconds["faces"] / PLANNED for f in findings)
    return answers


WORKERS = {
    "published": work_published, "mtcnn": work_mtcnn,
    "mediapipe": work_mediapipe, "truelight": work_truelight,
}  # fmt: skip


# ---- The comparison


def ask(worker: str, clip: Path, frames: int, runs: int, python: str) -> dict[str, float]:
    """Run a worker; empty if its packages are not installed."""
    command = [python, str(Path(__file__)), "--worker", worker, str(clip)]
    command += ["--frames", str(frames), "--runs", str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    if done.returncode:
        print(f"{worker} is left out: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return {}
    answers: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answers


def environment() -> dict[str, str]:
    """With this checkout on the path."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def from_start(command: Sequence[str], runs: int) -> float:
    """Median seconds from the start of a process to its end."""

    def run() -> object:
        return subprocess.run(command, check=True, capture_output=True, env=environment())

    return timed(run, runs)


def scan(clip: Path, *options: str) -> list[str]:
    """The command that judges a whole clip."""
    return [sys.executable, "-m", "edge.cli.main", "scan", "--json", *options, str(clip)]


def compare(clips: dict[str, Path], mediapipe: str, runs: int) -> dict[str, Any]:
    """All figures by clip."""
    rows: dict[str, Any] = {}
    for name, clip in clips.items():
        usual = name in list(CLIPS)[:2]
        print(f"{name} ...", file=sys.stderr, flush=True)
        frames = FRAMES if usual else FEW
        row: dict[str, Any] = {"truelight": ask("truelight", clip, FRAMES, runs, sys.executable)}
        row["mediapipe"] = ask("mediapipe", clip, FRAMES, runs, mediapipe)
        row["mtcnn"] = ask("mtcnn", clip, frames, 1, sys.executable)
        row["published"] = ask("published", clip, frames, 1, sys.executable)
        row["whole"] = from_start(scan(clip, "--second", "never"), runs)
        row["whole_second"] = from_start(scan(clip, "--second", "always"), max(1, runs - 2))
        if usual:
            script = str(ROOT / "benchmarks" / "published_pipeline.py")
            row["published_start"] = from_start(
                [sys.executable, script, "--published", str(clip)], 1
            )
        rows[name] = row
    return rows


def main() -> None:
    """Compare, prepare the clips, or work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "clips")
    parser.add_argument("--prepare", action="store_true", help="make the clips, and end")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--mediapipe", default=str(ROOT / ".venv-mediapipe" / "bin" / "python"))
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    parser.add_argument("--out", type=Path, help="keep the figures as JSON")
    parser.add_argument("--only", default="", metavar="TEXT", help="clips whose name has TEXT")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--frames", type=int, default=FRAMES, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        worker, clip = chosen.worker
        print(json.dumps(WORKERS[worker](clip, chosen.frames, chosen.runs)))
        return
    sys.path.insert(0, str(ROOT))
    from benchmarks.made_clips import make

    clips = {
        name: make(chosen.folder, *made) for name, made in CLIPS.items() if chosen.only in name
    }
    if chosen.prepare:
        return
    from benchmarks.compared_tables import feature_speeds, tables, write

    figures = {"rows": compare(clips, chosen.mediapipe, chosen.runs), "features": feature_speeds()}
    if chosen.out:
        chosen.out.write_text(json.dumps(figures, indent=1))
    print("\n".join(tables(figures)))
    if chosen.write:
        write(figures)


if __name__ == "__main__":
    main()
