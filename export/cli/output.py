"""Figures as tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from export.evaluate.figures import Figures, Group, Interval

if TYPE_CHECKING:
    from export.train.curve import Moment
    from export.train.run import Tell


def show(console: Console, measured: Figures) -> None:
    """The figures as tables."""
    m = measured
    console.print(
        f"{m.clips} clips ({m.reals} real, {m.fakes} fake) of {m.sources} sources", style="bold"
    )
    table = Table("figure", "value", "95 % interval over sources", box=None, header_style="dim")
    for row in _rows(m):
        table.add_row(*row)
    console.print(table)
    if len(m.by_compression) > 1:
        console.print(_by("compression", m.by_compression))
    if m.by_frames:
        console.print(_by("frames", m.by_frames))
    if m.second_opinion:
        second = m.second_opinion
        console.print(f"A second opinion was asked for {_percent(second.asked)} of the clips.")
        console.print(_by("judged", (second.alone, second.together)))
        for part in (second.alone, second.together):
            cost = f"{part.name}: {part.seconds:.2f} s a clip" if part.seconds else part.name
            console.print(cost + (f", {part.memory:.0f} MB at most" if part.memory else ""))
    for name, groups in (("data set", m.by_dataset), ("method", m.by_method)):
        if groups:
            console.print(_by(name, groups))
    console.print(_by("source", m.by_source))


def _rows(m: Figures) -> Iterator[tuple[str, str, str]]:
    yield "AUC", f"{m.auc:.3f}", _interval(m.auc_interval)
    yield "AUC, sources weigh the same", f"{m.auc_sources:.3f}", _interval(m.auc_sources_interval)
    yield "accuracy, if forced at 50 %", _percent(m.accuracy), _interval(m.accuracy_interval)
    if m.accuracy_when_decided is not None:
        yield "accuracy where decided", _percent(m.accuracy_when_decided), ""
    alarms = _interval(m.false_alarms_interval)
    yield "false alarms (FAKE of a real)", _percent(m.false_alarms), alarms
    yield "missed (REAL of a fake)", _percent(m.missed), _interval(m.missed_interval)
    for share, found in m.at_false_alarms.items():
        within = _interval(m.at_false_alarms_interval[share])
        yield f"fakes found at {100 * float(share):g} % false alarms", _percent(found), within
    if m.pairs.above is not None:
        name = f"above their own original ({m.pairs.pairs} fakes)"
        yield name, _percent(m.pairs.above), _interval(m.pairs.above_interval)
    yield "decided", _percent(m.decided), ""
    yield "UNSURE", _percent(m.unsure), ""
    yield "NO_FACE", _percent(m.no_face), ""
    yield "UNREADABLE", _percent(m.unreadable), ""
    yield "calibration error", f"{m.calibration_error:.3f}", ""
    yield "Brier score", f"{m.brier:.3f}", ""


def _by(name: str, groups: Sequence[Group]) -> Table:
    table = Table(
        name, "reals", "fakes", "AUC", "accuracy", "mean fake probability", "right", "wrong",
        "unsure", box=None, header_style="dim",
    )  # fmt: skip
    for g in groups:
        shares = ("" if s is None else _percent(s) for s in (g.accuracy, g.mean_probability))
        table.add_row(
            g.name, str(g.reals), str(g.fakes), "" if g.auc is None else f"{g.auc:.2f}", *shares,
            str(g.right), str(g.wrong), str(g.unsure),
        )  # fmt: skip
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _interval(both: Interval | None) -> str:
    return "" if both is None else f"{both[0]:.3f} to {both[1]:.3f}"


class StepBar:
    """One bar, as a context manager; `at` moves it."""

    def __init__(self, console: Console, name: str) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(name, total=None, note="")

    def at(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` is done."""
        self._progress.update(self._task, completed=done, total=total, note=note)

    def __enter__(self) -> StepBar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()


@contextmanager
def bars(console: Console) -> Iterator[Tell]:
    """One bar after another, each for what is being done."""
    with ExitStack() as stack:
        open_bars: dict[str, StepBar] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in open_bars:
                stack.pop_all().close()
                open_bars.clear()
                open_bars[what] = stack.enter_context(StepBar(console, what))
            open_bars[what].at(done, total)

        yield tell


def row(moment: Moment) -> str:
    """A validation in a line."""
    scores = "  ".join(
        f"{name} {score.auc:.3f} (pairs {score.pairs:.3f})" for name, score in moment.scores.items()
    )
    return (
        f"step {moment.step}/{moment.steps}  {moment.kind} {moment.side} px  "
        f"loss {moment.losses['loss']:.3f}  AUC {scores}  "
        f"{moment.minutes:.0f} min, {moment.minutes_left:.0f} to go"
    )
