"""A progress bar for long work: how far, what is known, time left. Silent where no one looks."""

from __future__ import annotations

from collections.abc import Iterator
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

if TYPE_CHECKING:
    from export.training.course import Tell
    from export.training.curve import Moment


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
