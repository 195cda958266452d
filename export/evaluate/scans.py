"""Scans labelled clips and scores labelled crops, under every condition that is asked for."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.errors import TruelightError
from edge.finding import Finding, verdict_of
from edge.scan.frames import Pixels
from edge.scan.media.sampling import Sampling
from edge.scan.scanner import ScanResult
from export.data.augment import CENTRE_CROP, jpeg
from export.data.folders import Example, Image, Progress, held_out, read_folder
from export.data.recompress import RECOMPRESSIONS, UnreadableError, recompress
from export.evaluate.records import PLAIN, Condition, Prediction
from export.evaluate.views import view_of

if TYPE_CHECKING:
    from edge.scan.model.bundle import Bundle
    from edge.scan.scanner import Scanner

Changes = Mapping[str, object]
"""Settings that differ from the machine's."""
Row = Mapping[str, str]
Recompress = Callable[[Path], Path]
"""From a clip to the recompressed one."""

CROPS_AT_ONCE = 32


def recompressed(way: str, made: Path, sampling: Sampling) -> tuple[Condition, Recompress]:
    """The condition of clips recompressed in a way, a key of `RECOMPRESSIONS`, and how.

    They are kept in the folder `made`. A scan that takes other frames than `sampling` may see less.
    """
    how = RECOMPRESSIONS[way]
    make = partial(recompress, how=how, folder=made, sampling=sampling)
    return Condition(compression=how.name), make


def scan_clips(
    scanner: Scanner,
    folder: Path,
    progress: Progress,
    condition: Condition = PLAIN,
    recompress: Recompress | None = None,
) -> list[Prediction]:
    """Scan every clip that the folder's labels.tsv names, or what `recompress` makes of it.

    `condition` is recorded with each; the scanner's settings must fit it.

    Raises TruelightError if the table is missing or names a clip that is not there.
    """
    rows = labelled_rows(folder)
    predictions = []
    for done, row in enumerate(rows):
        progress(done, len(rows))
        path = folder / row["file"]
        if not path.is_file():
            raise TruelightError(f"{path} is missing.", "labels.tsv names it.")
        reset_peak_memory()
        found = _scan(scanner, path, recompress)
        finding = found.finding
        made = prediction(row, condition, finding, found.portraits)
        kept = {"finding": finding, "seconds": finding.seconds.get("total")}
        predictions.append(made.model_copy(update={**kept, "memory": peak_memory()}))
    return predictions


def prediction(
    row: Row, condition: Condition, finding: Finding, portraits: Mapping[int, Pixels]
) -> Prediction:
    """What a finding on a labelled clip says; `portraits` are of its faces, by id."""
    return Prediction(
        **labels_of(row),
        verdict=finding.verdict,
        probability=finding.fake_probability,
        logit=deciding_logit(finding),
        condition=condition,
        asked=finding.second_opinion is not None,
        looked_at=finding.frames_scored,
        view=view_of(finding, portraits),
    )


def score_crops(
    bundle: Bundle,
    folder: Path,
    share: float,
    progress: Progress,
    condition: Condition = PLAIN,
    quality: int | None = None,
) -> list[Prediction]:
    """Score the crops of a folder, each as a window that repeats it.

    With `quality` every picture is first compressed to JPEG of that quality, at its own size.
    """
    both = zip(labelled_rows(folder), read_folder(folder), strict=True)
    chosen = [(row, picture) for row, picture in both if held_out(picture.source, share)]
    manifest = bundle.manifest
    predictions: list[Prediction] = []
    for at in range(0, len(chosen), CROPS_AT_ONCE):
        progress(at, len(chosen))
        part = chosen[at : at + CROPS_AT_ONCE]
        crops = [_crop(picture, manifest.input.side, quality) for _, picture in part]
        features = bundle.features(np.stack(crops))
        windows = np.repeat(features[:, None], manifest.window.frames, axis=1)
        for (row, _), logit in zip(part, bundle.sequence(windows).tolist(), strict=True):
            probability = manifest.calibration.probability(logit)
            predictions.append(
                Prediction(
                    **labels_of(row),
                    verdict=verdict_of(probability, manifest.thresholds),
                    probability=probability,
                    logit=logit,
                    condition=condition,
                    looked_at=1,
                )
            )
    return predictions


def deciding_logit(finding: Finding) -> float | None:
    """The largest mean window logit among the faces that count; None if none does."""
    means = [
        fmean(window.logit for window in face.windows)
        for face in finding.faces
        if face.counted and face.windows
    ]
    return max(means, default=None)


def _scan(scanner: Scanner, path: Path, recompress: Recompress | None) -> ScanResult:
    if recompress is None:
        return scanner.scan_with_pictures(path)
    try:
        recompressed = recompress(path)
    except UnreadableError as failure:
        return ScanResult(scanner.unreadable(path, failure.message))
    reset_peak_memory()  # the encoder's memory does not count
    return scanner.scan_with_pictures(recompressed)


def _crop(example: Example, side: int, quality: int | None) -> Image:
    pixels = example.read()
    if quality is not None:
        pixels = jpeg(pixels, quality)
    return CENTRE_CROP.apply(pixels, example.margin, side)


def labels_of(row: Row) -> dict[str, Any]:
    """The columns of labels.tsv that a prediction keeps; a dash is nothing."""
    labels: dict[str, Any] = {name: row[name] for name in ("file", "source")}
    labels["fake"] = row["label"] == "FAKE"
    for name in ("method", "dataset", "pair"):
        if row.get(name) not in (None, "", "-"):
            labels[name] = row[name]
    return labels


def labelled_rows(folder: Path) -> list[dict[str, str]]:
    """The rows of its labels.tsv. Raises TruelightError if that cannot be used."""
    read_folder(folder)  # refuses a table that is not one
    with (folder / "labels.tsv").open(newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def reset_peak_memory() -> None:
    """Restart the count of `peak_memory`. Linux; elsewhere nothing happens."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory() -> float | None:
    """The process's peak memory since then, MB; None where the system does not report it."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 / 1e6 if found else None
