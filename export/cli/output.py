"""Figures as tables on the terminal, and progress bars."""

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

from export.evaluate.figures import Figures, Group, Interval, figure_rows

if TYPE_CHECKING:
    from export.data.folders import StageProgress
    from export.train.validation import LogEntry


def show(console: Console, m: Figures) -> None:
    """The figures as tables."""
    console.print(
        f"{m.clips} clips ({m.reals} real, {m.fakes} fake) of {m.sources} sources", style="bold"
    )
    table = Table("figure", "value", "95 % interval over sources", box=None, header_style="dim")
    for row in figure_rows(m):
        value = f"{100 * row.value:.1f} %" if row.kind == "share" else f"{row.value:.3f}"
        table.add_row(row.name, value, _interval(row.interval, row.kind))
    console.print(table)
    if len(m.by_compression) > 1:
        console.print(_groups("compression", m.by_compression))
    if m.by_frames:
        console.print(_groups("frames", m.by_frames))
    if second := m.second_opinion:
        console.print(f"A second opinion was asked for on {100 * second.asked:.1f} % of the clips.")
        console.print(_groups("judged", (second.alone, second.together)))
        for part in (second.alone, second.together):
            cost = f"{part.name}: {part.seconds:.2f} s a clip" if part.seconds else part.name
            console.print(cost + (f", peak {part.memory:.0f} MB" if part.memory else ""))
        if second.by_compression:
            console.print(_groups("compression, with it", second.by_compression))
        if second.by_frames:
            console.print(_groups("frames, with it", second.by_frames))
    for name, groups in (
        *(("data set", m.by_dataset), ("method", m.by_method)),
        ("face", m.by_view),
    ):
        if groups:
            console.print(_groups(name, groups))
    console.print(_groups("source", m.by_source))


def _groups(name: str, groups: Sequence[Group]) -> Table:
    table = Table(
        name, "reals", "fakes", "AUC", "accuracy", "mean probability", "right", "wrong",
        "unsure", box=None, header_style="dim",
    )  # fmt: skip
    for g in groups:
        shares = (
            "" if share is None else f"{100 * share:.1f} %"
            for share in (g.accuracy, g.mean_probability)
        )
        table.add_row(
            g.name, str(g.reals), str(g.fakes), "" if g.auc is None else f"{g.auc:.2f}", *shares,
            str(g.right), str(g.wrong), str(g.unsure),
        )  # fmt: skip
    return table


def _interval(ends: Interval | None, kind: str) -> str:
    if ends is None:
        return ""
    if kind == "share":
        return f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f} %"
    return f"{ends[0]:.3f} to {ends[1]:.3f}"


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

    def stage(self, stage: str, done: int, total: int) -> None:
        """The same with the name of a stage first, as `StageProgress`."""
        self.at(done, total, stage)

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
def bars(console: Console) -> Iterator[StageProgress]:
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


def row(moment: LogEntry) -> str:
    """A validation in a line."""
    scores = "  ".join(
        f"{name} {score.auc:.3f} (pairs {score.pairs:.3f})" for name, score in moment.scores.items()
    )
    return (
        f"step {moment.step}/{moment.steps}  {moment.kind} {moment.side} px  "
        f"loss {moment.losses['loss']:.3f}  AUC {scores}  "
        f"{moment.minutes:.0f} min, {moment.minutes_left:.0f} to go"
    )
