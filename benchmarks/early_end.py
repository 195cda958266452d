"""Could a scan end early? At the end of each window, what both models would say by then.

    python benchmarks/early_end.py CLIPS

CLIPS is a folder with clips and `labels.tsv` (columns: file, label). For some rules it prints how
many scans would end before their last window, how many verdicts that would change, and the
processor time that is saved, less what is spent on second opinions that end nothing. Every window
asks the second model, so this takes several times as long as scanning.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from edge.finding import Finding, Verdict  # noqa: E402
from edge.scan.begin import decoding_plan  # noqa: E402
from edge.scan.joint_verdict import in_doubt, reconsider  # noqa: E402
from edge.scan.loading import load_faces, load_network  # noqa: E402
from edge.scan.media.client import open_clip  # noqa: E402
from edge.scan.model.bundle_info import BundleInfo, read_bundle  # noqa: E402
from edge.scan.model.inference import Inference  # noqa: E402
from edge.scan.model.second_opinion import SecondModel, find_second  # noqa: E402
from edge.scan.tracks import ClipFaces  # noqa: E402
from edge.scan.verdict import ClipContext, judge  # noqa: E402
from edge.settings import load_settings  # noqa: E402

RULES = ((0.5, 0.67), (0.5, 0.75), (0.6, 0.75), (0.66, 0.75))
"""Probabilities of FAKE from which a scan would end as FAKE: by the first model, by both."""
LEAST_WINDOWS = 2


@dataclass(frozen=True)
class Point:
    """At the end of a window. Seconds are processor time of this process."""

    first: float
    """Probability of FAKE by the first model; 0 if no face counts yet."""
    both: float
    verdict: Verdict
    asking: float
    """Seconds that the second model took."""


@dataclass(frozen=True)
class Scan:
    """One clip."""

    points: list[Point]
    seconds: float
    """Of the whole scan, decoding included, second opinions not."""

    def ended(self, first: float, both: float) -> int | None:
        """The window after which it ends early; None if it does not."""
        for window, point in enumerate(self.points[:-1], start=1):
            if window >= LEAST_WINDOWS and point.first >= first and point.both >= both:
                return window
        return None


class Scans:
    """Scans clips with both models."""

    def __init__(self) -> None:
        self._settings = load_settings().changed(__file__, {"scan.threads": 1})
        self._info = read_bundle(self._settings.bundle_folder)
        second = find_second(self._settings, self._info.manifest)
        if not isinstance(second, BundleInfo):
            sys.exit(second.sentence)
        self._second = SecondModel(second, self._settings)
        self._faces = load_faces(self._settings, self._info, self._second)
        self._bundle = load_network(self._settings, self._info)

    def scan(self, path: Path) -> Scan:
        """Scan the first part of a file."""
        sampling, limits = decoding_plan(self._settings, self._info.manifest)
        began, asked, points = time.process_time(), 0.0, []
        with (
            open_clip(path, sampling, limits) as clip,
            Inference(lambda: self._bundle, self._info.manifest) as inference,
        ):
            faces, window = self._faces.start_clip(), 0
            for frame in clip.frames():
                if frame.window != window:
                    points.append(self._point(faces, inference))
                    asked += points[-1].asking
                    window = frame.window
                crops = {face.track: crop.pixels for face, crop in faces.add(frame)}
                inference.add(frame.window, frame.time, crops)
            points.append(self._point(faces, inference))
            asked += points[-1].asking
        seconds = time.process_time() - began - asked + clip.seconds.get("decode", 0.0)
        return Scan(points, seconds)

    def _point(self, faces: ClipFaces, inference: Inference) -> Point:
        scores, manifest = inference.finish(), self._info.manifest
        finding = Finding(
            path="",
            sha256=None,
            verdict=Verdict.UNREADABLE,
            fake_probability=None,
            reasons=(),
            model=self._info.model,
            thresholds=manifest.thresholds,
            faces=tuple(faces.tracks[face].face(windows) for face, windows in scores.items()),
        )
        finding = judge(finding, manifest, ClipContext(faces.frames, faces.step))
        first, began = finding.fake_probability or 0.0, time.process_time()
        if asked := in_doubt(finding, always=True):
            crops = {face: faces.best_crops(face) for face in asked}
            answers = self._second.answers(crops, lambda: None)
            finding = reconsider(finding, answers, self._second.info, 0.0)
        both = finding.fake_probability or 0.0
        return Point(first, both, finding.verdict, time.process_time() - began)


def summary(scans: list[Scan]) -> Iterator[str]:
    """A line for each rule."""
    windows = sum(len(scan.points) for scan in scans)
    total = sum(scan.seconds + scan.points[-1].asking for scan in scans)
    yield f"{len(scans)} clips, {windows} windows, {total:.0f} s of processor time"
    for first, both in RULES:
        ended = [(scan, at) for scan in scans if (at := scan.ended(first, both)) is not None]
        changed = sum(scan.points[-1].verdict is not Verdict.FAKE for scan, _ in ended)
        left = [(scan, len(scan.points) - at) for scan, at in ended]
        saved = sum(scan.seconds * spared / len(scan.points) for scan, spared in left)
        ending = {id(scan) for scan, _ in ended}
        early = [scan.points[LEAST_WINDOWS - 1] for scan in scans if id(scan) not in ending
                 and len(scan.points) > LEAST_WINDOWS]  # fmt: skip
        vain = sum(point.asking for point in early if point.first >= first)
        yield (
            f"first model from {first:.2f}, both from {both:.2f}: {len(ended)} end early, "
            f"{changed} of them with another verdict; {sum(n for _, n in left)} windows spared, "
            f"{saved:.1f} s saved, {vain:.1f} s spent in vain: {(saved - vain) / total:.1%}"
        )


def main() -> int:
    """Scan the clips and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, metavar="CLIPS")
    folder = parser.parse_args().clips
    with (folder / "labels.tsv").open(encoding="utf-8", newline="") as table:
        names = [row["file"] for row in csv.DictReader(table, delimiter="\t")]
    scans, done = Scans(), []
    for number, name in enumerate(names, start=1):
        print(f"{number} of {len(names)}: {name}", file=sys.stderr)
        done.append(scans.scan(folder / name))
    print(*summary(done), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
