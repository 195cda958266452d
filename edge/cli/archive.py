"""`truelight archive`: judges many clips on many workers, into Parquet files."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edge.atomic_write import atomic_write
from edge.cli import open_terminal, with_options
from edge.cli.output import open_console
from edge.errors import TruelightError
from edge.settings import Settings, load_settings
from edge.skipped import SkipReason

try:
    from distributed import Client

    from edge.archive.cluster import (
        WORKER_MEMORY,
        default_workers,
        joined_cluster,
        own_cluster,
        partition_key,
    )
    from edge.archive.listing import ArchiveFile, Listing, list_places, order, read_list
    from edge.archive.page import make_page
    from edge.archive.run import ArchiveProgress, ArchiveRun, summary
    from edge.archive.store import ArchiveStore, remaining
except ImportError as missing:
    raise TruelightError(
        f"truelight archive needs packages that are not installed ({missing.name}).",
        "Install them with: ./setup.sh archive",
    ) from None

PAGE = "report.html"
UNREADABLE = 1


def run(chosen: argparse.Namespace) -> int:
    """Judge the clips that have no row yet; 1 if some could not be read, else 0."""
    if not chosen.paths and not chosen.list and not chosen.report:
        raise TruelightError("PATH is missing.", "Name a file, a folder or an address.")

    settings = with_options(
        load_settings(chosen.config),
        {
            "--bundle": {"model.bundle": chosen.bundle},
            "--second": {"second_opinion.ask": chosen.second},
            "--heat": {"scan.heat": chosen.heat},
        },
    )
    console = open_console()
    with ArchiveStore(chosen.out, partition_key(settings)) as store:
        if chosen.again and (number := store.forget_unreadable()):
            console.print(f"Trying {number} again that could not be read.")
        places = [*chosen.paths, *(read_list(chosen.list) if chosen.list else [])]
        listing = list_places(places)
        closed = _report_listing(listing)
        files = order(remaining(listing.files, store.done()), chosen.first)
        known = len(listing.files) - len(files)
        console.print(_plan(len(files), known))
        status = _judge(chosen, settings, store, files) if files else 0
        if chosen.report:
            store.flush()
            atomic_write(chosen.out / PAGE, make_page(store))
            console.print(f"The report is {chosen.out / PAGE}.")
    return max(closed, status)


def _report_listing(listing: Listing) -> int:
    """Name on stderr what is not judged, and why; the exit status for that alone."""
    skipped = listing.skipped.result()
    for sentence in skipped.sentences():
        print(f"Not judged: {sentence}", file=sys.stderr)
    return UNREADABLE if SkipReason.UNREADABLE in skipped.counts else 0


def _plan(new: int, known: int) -> str:
    """What is about to be done, in a sentence."""
    parts = [f"{new} to judge"]
    parts += [f"{known} judged before"] * bool(known)
    return f"Clips: {', '.join(parts)}."


def _judge(
    chosen: argparse.Namespace, settings: Settings, store: ArchiveStore, files: list[ArchiveFile]
) -> int:

    console = open_console()
    with _cluster(chosen) as (client, threads):
        if client.dashboard_link:
            console.print(f"Dask's dashboard: {client.dashboard_link}")
        with _progress_bar() as listener, _remembered_interrupt() as stopped:
            work = ArchiveRun(
                client,
                store,
                with_options(settings, {"--workers": {"scan.threads": threads}}),
                own_cluster=chosen.scheduler is None,
                clip_seconds=chosen.clip_seconds,
                seconds=chosen.hours and chosen.hours * 3600,
                listener=listener,
                stopped=stopped,
            )
            try:
                progress = work.run(files)
            except KeyboardInterrupt:
                store.flush()
                console.print("Interrupted. To go on, run the same command again.")
                raise
        console.print(summary(progress))
    return UNREADABLE if progress.failed else 0


@contextmanager
def _cluster(chosen: argparse.Namespace) -> Iterator[tuple[Client, int | None]]:
    """The cluster, and how many threads a scan takes there; None: as many as the worker has."""
    if chosen.scheduler is not None:
        with joined_cluster(chosen.scheduler or None) as client:
            yield client, None
        return
    workers = chosen.workers or default_workers()
    memory = round(chosen.memory * 1e9) if chosen.memory else WORKER_MEMORY
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    with own_cluster(workers, memory, chosen.spool and str(chosen.spool)) as client:
        yield client, threads


@contextmanager
def _remembered_interrupt() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed: Python drops a KeyboardInterrupt that is raised in a `__del__`,
    and Dask's futures have one."""
    pressed = False

    def remember(number: int, frame: object) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress_bar() -> Iterator[Callable[[ArchiveProgress], None]]:
    """A bar with the rate, the time left and the failures, on a terminal; else nothing."""
    terminal = open_terminal()
    if terminal is None:
        yield lambda progress: None
        return

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failures]}"),
    )
    start = time.monotonic()
    with Progress(*columns, console=Console(file=terminal), transient=True) as bar:
        task = bar.add_task("", total=None, rate="", failures="")

        def show(progress: ArchiveProgress) -> None:
            rate = progress.done / max(1e-9, time.monotonic() - start)
            bar.update(
                task,
                total=progress.total,
                completed=progress.done,
                rate=f"{rate:.2g} clips/s" if rate < 10 else f"{rate:.0f} clips/s",
                failures=f"{progress.failed} not read" if progress.failed else "",
            )

        yield show
