"""Measures a bundle on labelled clips or crops, under every condition that is asked for.

A clip is scanned once for all conditions that one scan can answer: with a second opinion, the
first model's own answer is known as well; the largest number of first frames answers for the
smaller ones. Clips as they are are scanned with each by itself, for the time and the memory.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from edge.errors import TruelightError
from export.data.folders import StageProgress
from export.data.recompress import JPEGS, VERSION, UnreadableError
from export.evaluate.records import PLAIN, Condition, Prediction
from export.evaluate.scans import (
    Recompress,
    Row,
    labelled_rows,
    labels_of,
    peak_memory,
    prediction,
    recompressed,
    reset_peak_memory,
    score_crops,
)

if TYPE_CHECKING:
    from edge.scan.model.bundle import Bundle
    from export.evaluate.frame_counts import Answers, MeasuringScanner

Changes = Mapping[str, object]
"""Settings that differ from the machine's."""
Keep = Callable[[Sequence[Prediction]], None]
"""Called with all predictions so far."""

ALONE: Final[Changes] = {"second_opinion.ask": "never"}
NOT_NOTED: Final = "2"
"""The version of recompression of tables that do not name it."""
NO_HEAT: Final[Changes] = {"scan.heat": False}


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
    open_scanner: Callable[[Changes], MeasuringScanner],
    folder: Path,
    conditions: Conditions,
    report: StageProgress,
    keep: Keep,
    known: Sequence[Prediction] = (),
) -> list[Prediction]:
    """Scan the clips of a folder as they are, then under every condition.

    `open_scanner` opens the deployed scanner with some settings changed; `keep` is called after
    each clip. `known` are predictions of an earlier run: what the same models said of the same
    clips under the same settings is not measured again.

    Raises TruelightError if the table is missing or names a clip that is not there.
    """
    run = _Run(folder, report, keep, known)
    with ExitStack() as stack:
        made = conditions.cache or Path(stack.enter_context(TemporaryDirectory("-truelight")))
        with open_scanner(ALONE) as scanner:
            run.begin(scanner)
            run.scan(_as_is(scanner, PLAIN))
            if conditions.second is None:
                run.scan(*_others(scanner, conditions, made))
        if conditions.second is not None:
            with open_scanner(conditions.second) as scanner:
                run.begin(scanner)
                run.scan(_as_is(scanner, Condition(second=True)))
                run.scan(*_others(scanner, conditions, made))
    return run.predictions


def measure_crops(
    bundle: Bundle,
    folder: Path,
    share: float,
    conditions: Conditions,
    report: StageProgress,
    keep: Keep,
) -> list[Prediction]:
    """Score the crops of a folder as they are, then recompressed; `keep` as `measure_clips`.

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


@dataclass(frozen=True)
class _Scan:
    """What one scan of each clip answers."""

    name: str
    """For people."""
    scanner: MeasuringScanner
    conditions: Sequence[Condition]
    answers: Callable[[Path], Mapping[Condition, Answers]]
    """A clip's answers under each of these, without a second opinion."""
    recompress: Recompress = field(default=lambda clip: clip)
    both: bool = True
    """Whether the first model's own answer counts as well as that with a second opinion."""

    @property
    def asked(self) -> tuple[Condition, ...]:
        """All conditions that are measured."""
        second = [each.model_copy(update={"second": True}) for each in self.conditions]
        alone = [*self.conditions] if self.both else []
        return (*alone, *(second if self.scanner.has_second else []))


def _as_is(scanner: MeasuringScanner, condition: Condition) -> _Scan:
    """Clips as they are, without or with a second opinion: as the box does, with all it costs."""
    name = "with a second opinion" if condition.second else "as they are"
    answers, both = partial(_answers, scanner, PLAIN), not condition.second
    return _Scan(name, scanner, (PLAIN,), answers, both=both)


def _others(scanner: MeasuringScanner, conditions: Conditions, made: Path) -> Iterator[_Scan]:
    """Recompressed clips, then numbers of frames."""
    models = " by both models" if scanner.has_second else ""
    quick = scanner.changed(NO_HEAT)
    for way in conditions.compressions:
        of, how = recompressed(way, made, scanner.sampling)
        yield _Scan(of.compression + models, quick, (of,), partial(_answers, quick, of), how)
    if conditions.spread:
        yield from _spread(quick, conditions.frames, models)
    elif conditions.frames:
        name = f"first {max(conditions.frames)} frames and fewer{models}"
        asked = {count: Condition(frames=count) for count in conditions.frames}
        yield _Scan(name, quick, [*asked.values()], partial(_by_frames, quick, asked))


def _spread(scanner: MeasuringScanner, counts: Sequence[int], models: str) -> Iterator[_Scan]:
    """As many windows as come nearest to each number, at least one: other frames for each."""
    for count in counts:
        windows = max(1, round(count / scanner.manifest.window.frames))
        spread = scanner.changed({"scan.windows": windows})
        of = Condition(frames=count, spread=True)
        name = f"spread {count} frames{models}"
        yield _Scan(name, scanner, (of,), partial(_answers, spread, of))


def _answers(scanner: MeasuringScanner, of: Condition, clip: Path) -> dict[Condition, Answers]:
    return {of: scanner.answers(clip)}


def _by_frames(
    scanner: MeasuringScanner, asked: Mapping[int, Condition], clip: Path
) -> dict[Condition, Answers]:
    return {asked[n]: found for n, found in scanner.by_frames(clip, [*asked]).items()}


class _Run:
    """The predictions of a run, in the order of conditions and clips."""

    def __init__(
        self, folder: Path, report: StageProgress, keep: Keep, known: Sequence[Prediction]
    ) -> None:
        self._folder = folder
        self._rows = labelled_rows(folder)
        self._report = report
        self._keep = keep
        self._sha256 = cache(partial(_sha256, folder))
        self._known = {
            (p.condition, p.file): p
            for p in known
            if p.sha256 and p.sha256 == self._sha256(p.file) and _is_of_this_version(p)
        }
        self._found: dict[tuple[Condition, str], Prediction] = {}
        self._asked: list[Condition] = []
        self._keep_again = 0.0

    @property
    def predictions(self) -> list[Prediction]:
        """Those that were asked for."""
        keys = ((condition, row["file"]) for condition in self._asked for row in self._rows)
        return [self._found[key] for key in keys if key in self._found]

    def begin(self, scanner: MeasuringScanner) -> None:
        """Forget what other models said, or these under other settings."""
        first, both = scanner.identity(second=False), scanner.identity(second=True)
        self._known = {
            key: p
            for key, p in self._known.items()
            if (
                p.scored_by == both
                if p.condition.second and scanner.has_second
                else p.scored_by.startswith(first)
            )
        }

    def scan(self, *scans: _Scan) -> None:
        """Scan all clips for each of these, but for those whose answers are known."""
        try:
            for scan in scans:
                self._asked += scan.asked
                for done, row in enumerate(self._rows):
                    self._report(scan.name, done, len(self._rows))
                    path = self._folder / row["file"]
                    if not path.is_file():
                        raise TruelightError(f"{path} is missing.", "labels.tsv names it.")
                    if not self._recall(scan, row):
                        self._measure(scan, row, path)
                        self._keep_now_and_then()
        finally:
            self._keep([*self.predictions, *self._unused()])

    def _keep_now_and_then(self) -> None:
        """Keep what is found, in a twentieth of the time at most: the whole table is written."""
        began = time.monotonic()
        if began >= self._keep_again:
            self._keep([*self.predictions, *self._unused()])
            self._keep_again = began + 20 * (time.monotonic() - began)

    def _recall(self, scan: _Scan, row: Row) -> bool:
        """Take what is known of a clip; whether that is everything."""
        found = {}
        for condition in scan.asked:
            before = self._known.get((condition, row["file"]))
            if before is None:
                return False
            found[condition, row["file"]] = before.model_copy(update=labels_of(row))
        self._found |= found
        return True

    def _measure(self, scan: _Scan, row: Row, path: Path) -> None:
        reset_peak_memory()
        try:
            clip = scan.recompress(path)
            reset_peak_memory()  # the encoder's memory does not count
            answers = scan.answers(clip)
        except UnreadableError as failure:
            answers = dict.fromkeys(scan.conditions, scan.scanner.unreadable_answers(path, failure))
        memory, sha256 = peak_memory(), self._sha256(row["file"])
        for condition in scan.asked:
            of = answers[condition.model_copy(update={"second": False})]
            alone = scan.scanner.has_second and not condition.second
            finding = of.alone if alone else of.together
            made = prediction(row, condition, finding, of.portraits)
            # Of an answer that a scan for another one gave as well, no time is known.
            whole = not alone and (condition.frames is None or condition.spread)
            cost = {"seconds": finding.seconds.get("total"), "memory": memory} if whole else {}
            by = scan.scanner.identity(second=condition.second)
            way = _recompressed_by(condition)
            update = {**cost, "sha256": sha256, "scored_by": by, "recompressed_by": way}
            self._found[condition, row["file"]] = made.model_copy(update=update)

    def _unused(self) -> list[Prediction]:
        """What is known beyond the predictions so far: it stays in the table."""
        return [p for key, p in self._known.items() if key not in self._found]


def _recompressed_by(condition: Condition) -> str:
    return "" if condition.compression == PLAIN.compression else str(VERSION)


def _is_of_this_version(known: Prediction) -> bool:
    """Whether the clip would be recompressed today as it was when it was scored."""
    by = _recompressed_by(known.condition)
    return not by or (known.recompressed_by or NOT_NOTED) == by


def _sha256(folder: Path, file: str) -> str:
    path = folder / file
    if not path.is_file():
        return ""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
