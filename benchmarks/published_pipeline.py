"""A whole scan beside the published pipeline on the same clip, each as a process of its own.

    pip install dlib-bin
    python benchmarks/published_pipeline.py [CLIP] [--runs 3] [--frames 20]

The published pipeline as its programs do it: the first N frames, dlib's HOG detector at upsample 1
over whole frames, the first face it names, 112 px, PyTorch in fp32, network built per request. The
weights are random: they do not change the time. Without CLIP, a 10 s 1080p clip is made from the
sample "one-person" (`./setup.sh run` makes it), run through twice.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "samples" / "clips" / "one-person.mp4"


def published(clip: Path, frames: int) -> None:
    """Classify a clip as the published programs do, and print the answer."""
    import cv2
    import dlib
    import numpy as np
    import torch
    from PIL import Image

    from export.train.network import PublishedNetwork, normalise

    network = PublishedNetwork().eval()
    find = dlib.get_frontal_face_detector()
    video = cv2.VideoCapture(str(clip))
    crops = []
    for _ in range(frames):
        more, frame = video.read()
        if not more:
            break
        faces = find(frame, 1)
        if faces:
            left, top = max(0, faces[0].left()), max(0, faces[0].top())
            frame = frame[top : faces[0].bottom(), left : faces[0].right()]
        small = Image.fromarray(frame).resize((112, 112), Image.Resampling.BILINEAR)
        crops.append(np.asarray(small))
    with torch.inference_mode():
        window = normalise(torch.from_numpy(np.stack(crops)))[None]
        print(torch.softmax(network(window, "last"), 1).tolist())


def ten_seconds(folder: Path) -> Path:
    """Write a 10 s 1920x1080 H.264 clip made from the sample, played to and fro."""
    import av

    out = folder / "ten-seconds.mp4"
    with av.open(str(out), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "23"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        frames = endless_frames()
        for number in range(300):
            picture = next(frames).reformat(1920, 1080, "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return out


def endless_frames() -> Iterator[av.VideoFrame]:
    """The sample's frames, without end."""
    import av

    while True:
        with av.open(str(SAMPLE)) as container:
            yield from container.decode(video=0)


def timed(command: list[str]) -> tuple[float, str]:
    """Seconds from process start to its end, and what it printed."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return time.perf_counter() - began, done.stdout


def compare(clip: Path, runs: int, frames: int) -> None:
    """Run both in turn and print the medians."""
    ours_command = [sys.executable, "-m", "edge.cli.main", "scan", "--json", str(clip)]
    theirs_command = [sys.executable, str(Path(__file__)), "--published", str(clip)]
    theirs_command += ["--frames", str(frames)]
    ours, theirs = [], []
    timed(ours_command)  # once unmeasured, so that both find their files in memory
    for run in range(runs):
        seconds, answer = timed(ours_command)
        finding = json.loads(answer)
        ours.append(seconds)
        theirs.append(timed(theirs_command)[0])
        print(f"run {run + 1}: scan {ours[-1]:.2f} s, published {theirs[-1]:.2f} s")
    a, b = statistics.median(ours), statistics.median(theirs)
    print(
        f"{clip.name}: whole clip in {a:.2f} s ({finding['frames_scored']} frames scored, "
        f"{finding['frames_read']} read); published pipeline, first {frames} frames: {b:.2f} s; "
        f"{b / a:.1f} times faster"
    )


def main() -> None:
    """Compare, or run the published pipeline only."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path, nargs="?")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--published", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.published:
        sys.path.insert(0, str(ROOT))
        published(args.clip, args.frames)
        return
    with tempfile.TemporaryDirectory() as folder:
        clip = args.clip or ten_seconds(Path(folder))
        compare(clip.resolve(), args.runs, args.frames)


if __name__ == "__main__":
    main()
