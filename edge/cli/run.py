"""`truelight run`: the appliance daemon, on a Pi or in a terminal."""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from edge.box import systemd
from edge.box.crash_guard import note_crash, watch_crashes
from edge.box.daemon import Daemon
from edge.box.events import Event, Reloaded, Terminated
from edge.cli import absolute, with_options
from edge.errors import TruelightError
from edge.settings import Settings, SettingsError, load_settings

FAILED = 1


def run(chosen: argparse.Namespace) -> int:
    """Run the daemon until it ends; 1 if a part of it failed."""
    camera = {"camera.kind": chosen.camera and "file", "camera.file": absolute(chosen.camera)}
    options = {
        "--panel": {"panel.kind": chosen.panel},
        "--camera": camera,
        "--inbox": {"inbox.folder": absolute(chosen.inbox)},
        "--store": {"store.folder": absolute(chosen.store)},
    }

    def load() -> Settings:
        return with_options(load_settings(chosen.config), options)

    try:
        start = load()
    except SettingsError:
        # The display shows what is wrong with them.
        start = with_options(Settings(), options)
    if start.panel.kind == "terminal" and not (sys.stdin.isatty() and sys.stdout.isatty()):
        remedy = "Start it in a terminal, or use --panel none."
        raise TruelightError("--panel terminal needs an interactive terminal.", remedy)
    with _locked(start.store_folder), _logging(start):
        watch_crashes(start.store_folder)
        daemon = Daemon(load, start)
        _post_signals(daemon.post)
        ended_well = daemon.run()
    if not ended_well:
        note_crash(start.store_folder, "A part of the program died, or a scan hung.")
    if daemon.is_late or not ended_well:
        _kill_everything(0 if ended_well else FAILED)
    return 0


@contextlib.contextmanager
def _locked(store: Path) -> Iterator[None]:
    """Hold the store's lock, so that one daemon at a time uses it.

    A disk that is full, worn out or read-only costs the lock, and not the box; under systemd any
    other fault of the folder neither.
    """

    try:
        store.mkdir(parents=True, exist_ok=True)
        lock = (store / "lock").open("a", encoding="ascii")
    except OSError as failure:
        # The box goes on without its store; a person gets the chance to name another.
        worn = failure.errno in (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO)
        if worn or "NOTIFY_SOCKET" in os.environ:
            text = "Cannot use the folder %s: %s. Clips are judged all the same."
            logging.getLogger("truelight").error(text, store, failure.strerror)
            yield
            return
        raise TruelightError(
            f"Cannot use the folder {store}: {failure.strerror}.", "Name another one with --store."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TruelightError(
                f"Truelight is already running with the folder {store}.",
                "Stop it, or name another folder with --store.",
            ) from None
        yield


@contextlib.contextmanager
def _logging(settings: Settings) -> Iterator[None]:
    """Log to a file while the terminal is the panel, else to the journal or stderr."""
    if settings.panel.kind != "terminal":
        systemd.start_log()
        yield
        return
    file = settings.store_folder / "truelight.log"
    systemd.start_log(file)
    # Libraries write to descriptor 2: into the file, too.
    before = os.dup(2)
    with file.open("a", encoding="utf-8") as log:
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _post_signals(post: Callable[[Event], None]) -> None:
    """Post an event for each signal from now on."""

    def post_signal(number: int, _: object) -> None:
        post(Reloaded() if number == signal.SIGHUP else Terminated())

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, post_signal)


def _kill_everything(status: int) -> NoReturn:
    """End without waiting for threads that hang; kill the child processes first."""
    tasks = Path("/proc/self/task").iterdir()
    texts = [(task / "children").read_text(encoding="ascii") for task in tasks]
    # No other thread runs from here on, so none sees its child die and draws conclusions.
    for child in [int(child) for text in texts for child in text.split()]:
        with contextlib.suppress(OSError):
            os.killpg(child, signal.SIGKILL)
    os._exit(status)
