"""Scans labelled clips and scores labelled crops, under every condition that is asked for."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edge.errors import TruelightError
from edge.finding import Finding, verdict_of
from edge.scan.scanner import ScanResult
from export.data.augment import CENTRE_CROP, jpeg
from export.data.folders import Example, Image, Progress, StageProgress, held_out, read_folder
from export.data.recompress import JPEGS, RECOMPRESSIONS, UnreadableError, recompress
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

ALONE: Final[Changes] = {"second_opinion.ask": "never"}
CROPS_AT_ONCE = 32


@dataclass(frozen=True)
class Conditions:
    """What to measure besides clips as they are."""

    compressions: Sequence[str] = ()
    """Keys of `RECOMPRESSIONS`, or of `JPEGS` for crops."""
    frames: Sequence[int] = ()
    spread: bool = False
    second: Changes | None = None
    """Settings by which a second opinion is asked for."""
    cache: Path | None = None
    """Where recompressed clips are kept and looked for."""


def measure_clips(
    open_scanner: Callable[[Changes], Scanner],
    folder: Path,
    conditions: Conditions,
    report: StageProgress,
    keep: Callable[[Sequence[Prediction]], None],
) -> list[Prediction]:
    """Scan the clips of a folder as they are, then under every condition.

    `open_scanner` opens the deployed scanner with some settings changed; `keep` is called with all
    predictions so far after each condition.

    Raises TruelightError as `scan_clips` does.
    """
    predictions: list[Prediction] = []

    def add(
        scanner: Scanner, step: str, condition: Condition, how: Recompress | None = None
    ) -> None:
        predictions.extend(scan_clips(scanner, folder, partial(report, step), condition, how))
        keep(predictions)

    def add_all(changes: Changes, *, second: bool = False) -> None:
        """As they are, recompressed, and by the number of frames."""
        models = " by both models" if second else ""
        with open_scanner(changes) as scanner:
            window = scanner.manifest.window.frames
            step = "with a second opinion" if second else "as they are"
            add(scanner, step, Condition(second=second))
            for way in conditions.compressions:
                condition, how = recompressed(way, cache)
                condition = condition.model_copy(update={"second": second})
                add(scanner, condition.compression + models, condition, how)
        for count in conditions.frames:
            # As many windows as come nearest to that number, at least one; or the first frames in
            # a row, as published systems take them.
            sampling = (
                {"scan.windows": max(1, round(count / window))}
                if conditions.spread
                else {"scan.first": count}
            )
            with open_scanner({**changes, **sampling}) as scanner:
                step = f"{'spread' if conditions.spread else 'first'} {count} frames{models}"
                asked = Condition(frames=count, spread=conditions.spread, second=second)
                add(scanner, step, asked)

    with ExitStack() as stack:
        cache = conditions.cache or Path(stack.enter_context(TemporaryDirectory("-truelight")))
        add_all(ALONE)
        if conditions.second is not None:
            add_all(conditions.second, second=True)
    return predictions


def measure_crops(
    bundle: Bundle,
    folder: Path,
    share: float,
    conditions: Conditions,
    report: StageProgress,
    keep: Callable[[Sequence[Prediction]], None],
) -> list[Prediction]:
    """Score the crops of a folder as they are, then recompressed; arguments as `measure_clips`.

    `share` below 1 takes only the sources that training with that validation share holds out.
    """
    predictions = score_crops(bundle, folder, share, partial(report, "as they are"))
    keep(predictions)
    for way in conditions.compressions:
        name, quality = JPEGS[way]
        condition = Condition(compression=name)
        predictions += score_crops(bundle, folder, share, partial(report, name), condition, quality)
        keep(predictions)
    return predictions


def recompressed(way: str, cache: Path) -> tuple[Condition, Recompress]:
    """The condition of clips recompressed in a way, a key of `RECOMPRESSIONS`, and how."""
    how = RECOMPRESSIONS[way]
    return Condition(compression=how.name), partial(recompress, how=how, folder=cache)


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
    rows = _rows(folder)
    predictions = []
    for done, row in enumerate(rows):
        progress(done, len(rows))
        path = folder / row["file"]
        if not path.is_file():
            raise TruelightError(f"{path} is missing.", "labels.tsv names it.")
        _reset_peak_memory()
        found = _scan(scanner, path, recompress)
        finding = found.finding
        predictions.append(
            Prediction(
                **_labels(row),
                verdict=finding.verdict,
                probability=finding.fake_probability,
                finding=finding,
                logit=deciding_logit(finding),
                condition=condition,
                asked=finding.second_opinion is not None,
                looked_at=finding.frames_scored,
                seconds=finding.seconds.get("total"),
                memory=_peak_memory(),
                view=view_of(finding, found.portraits),
            )
        )
    return predictions


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
    both = zip(_rows(folder), read_folder(folder), strict=True)
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
                    **_labels(row),
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
    _reset_peak_memory()  # the encoder's memory does not count
    return scanner.scan_with_pictures(recompressed)


def _crop(example: Example, side: int, quality: int | None) -> Image:
    pixels = example.read()
    if quality is not None:
        pixels = jpeg(pixels, quality)
    return CENTRE_CROP.apply(pixels, example.margin, side)


def _labels(row: Row) -> dict[str, Any]:
    """The columns of labels.tsv that a prediction keeps; a dash is nothing."""
    labels: dict[str, Any] = {name: row[name] for name in ("file", "source")}
    labels["fake"] = row["label"] == "FAKE"
    for name in ("method", "dataset", "pair"):
        if row.get(name) not in (None, "", "-"):
            labels[name] = row[name]
    return labels


def _rows(folder: Path) -> list[dict[str, str]]:
    read_folder(folder)  # refuses a table that is not one
    with (folder / "labels.tsv").open(newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def _reset_peak_memory() -> None:
    """Restart the count of `_peak_memory`. Linux; elsewhere nothing happens."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_memory() -> float | None:
    """The process's peak memory since then, MB; None where the system does not report it."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 / 1e6 if found else None
