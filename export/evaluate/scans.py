"""Showing labelled clips or crops to a bundle, one after the other."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import cv2
import numpy as np

from edge.errors import TruelightError
from edge.finding import Finding, Verdict, verdict_of
from edge.scan.model.manifest import Manifest
from edge.scan.verdict import calibrated
from export.data.augment import PLAIN as UNTREATED
from export.data.folders import Image, Picture, held_out, read_folder
from export.data.recompress import UnreadableError
from export.evaluate.records import PLAIN, Condition, Judged, deciding_logit

if TYPE_CHECKING:
    from edge.scan.model.bundle import Bundle
    from edge.scan.scanner import Scanner

Progress = Callable[[int, int], None]
Row = Mapping[str, str]

Film = Callable[[Path], Path]
"""Gives a clip in another form: where that lies. UnreadableError if it cannot be read."""

CROPS_AT_ONCE = 32


class _Labels(TypedDict):
    file: str
    fake: bool
    source: str
    method: str
    dataset: str
    pair: str


def judge_clips(
    scanner: Scanner,
    folder: Path,
    progress: Progress,
    condition: Condition = PLAIN,
    film: Film | None = None,
) -> list[Judged]:
    """Scan every clip that the folder's labels.tsv names, or what `film` makes of it.

    `condition` is noted with each; the scanner is set up for it already.

    Raises TruelightError if the table is missing or names a clip that is not there.
    """
    rows = _rows(folder)
    judged = []
    for done, row in enumerate(rows):
        progress(done, len(rows))
        path = folder / row["file"]
        if not path.is_file():
            raise TruelightError(f"{path} is missing.", "labels.tsv names it.")
        forget_peak_memory()
        finding = _scan(scanner, path, film)
        judged.append(_of_clip(row, finding, condition, peak_memory()))
    return judged


def judge_crops(
    bundle: Bundle,
    folder: Path,
    progress: Progress,
    share: float = 1.0,
    condition: Condition = PLAIN,
    quality: int | None = None,
) -> list[Judged]:
    """Score the crops of a folder as they are: as a window of one picture that stands still.

    `share` below 1 takes only the sources that training with that validation share holds out.
    With `quality` every picture goes through JPEG of that quality first, at the size it has.
    """
    both = zip(_rows(folder), read_folder(folder), strict=True)
    chosen = [(row, picture) for row, picture in both if held_out(picture.source, share)]
    manifest = bundle.manifest
    judged: list[Judged] = []
    for at in range(0, len(chosen), CROPS_AT_ONCE):
        progress(at, len(chosen))
        part = chosen[at : at + CROPS_AT_ONCE]
        crops = [_cut(picture, manifest.input.side, quality) for _, picture in part]
        features = bundle.features(np.stack(crops))
        windows = np.repeat(features[:, None], manifest.window.frames, axis=1)
        for (row, _), logit in zip(part, bundle.sequence(windows), strict=True):
            judged.append(_of_crop(row, float(logit), manifest, condition))
    return judged


def decide(probability: float, manifest: Manifest) -> Verdict:
    """The verdict that the bundle's thresholds give one probability."""
    return verdict_of(probability, manifest.thresholds)


def forget_peak_memory() -> None:
    """Let `peak_memory` begin anew. Linux; elsewhere nothing happens."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory() -> float | None:
    """The most memory that this process held since, MB; None where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 / 1e6 if found else None


def _scan(scanner: Scanner, path: Path, film: Film | None) -> Finding:
    if film is None:
        return scanner.scan(path)
    try:
        shown = film(path)
    except UnreadableError as failure:
        return scanner.unread(path, failure.message)
    forget_peak_memory()  # what the encoder held is not the scan's
    return scanner.scan(shown)


def _cut(picture: Picture, side: int, quality: int | None) -> Image:
    pixels = picture.read()
    if quality is not None:
        way = [cv2.IMWRITE_JPEG_QUALITY, quality]
        data = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), way)[1]
        again = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert again is not None  # what was just encoded decodes
        pixels = np.asarray(again[..., ::-1], dtype=np.uint8)
    return UNTREATED.apply(pixels, picture.margin, side)


def _of_clip(row: Row, finding: Finding, condition: Condition, memory: float | None) -> Judged:
    return Judged(
        **_labels(row),
        verdict=finding.verdict,
        probability=finding.fake_probability,
        finding=finding,
        logit=deciding_logit(finding),
        condition=condition,
        asked=finding.second_opinion is not None,
        looked_at=finding.frames_scored,
        seconds=finding.seconds.get("total"),
        memory=memory,
    )


def _of_crop(row: Row, logit: float, manifest: Manifest, condition: Condition) -> Judged:
    probability = calibrated(logit, manifest)
    return Judged(
        **_labels(row),
        verdict=decide(probability, manifest),
        probability=probability,
        logit=logit,
        condition=condition,
        looked_at=1,
    )


def _labels(row: Row) -> _Labels:
    """What the table says of a file; a dash says nothing."""
    said = {name: "" if value in (None, "-") else value for name, value in row.items()}
    return {
        "file": row["file"],
        "fake": row["label"] == "FAKE",
        "source": row["source"],
        "method": said.get("method") or "-",
        "dataset": said.get("dataset", ""),
        "pair": said.get("pair", ""),
    }


def _rows(folder: Path) -> list[dict[str, str]]:
    read_folder(folder)  # refuses a table that is not one
    with (folder / "labels.tsv").open(newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))
