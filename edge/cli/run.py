"""`truelight run`: the box, on a Pi or in a terminal."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from edge.errors import TruelightError

if TYPE_CHECKING:
    from edge.box.events import Event
    from edge.settings import Settings

FAILED = 1

EPILOG = """\
signals:
  TERM, INT  end within five seconds; nothing is lost
  HUP        read the settings anew
exit status:
  0  it was told to end
  1  a part of it failed
  2  wrong usage, or it cannot begin
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    command = commands.add_parser(
        "run",
        help="be the box: button, camera, sticks, lamps, display",
        description="Works as the box until it is told to end: judges what the camera records, "
        "what sticks bring and what is dropped into the inbox.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--panel",
        choices=("hardware", "terminal", "none"),
        help="button, lamps and display on the Pi's header, or drawn in this terminal",
    )
    command.add_argument(
        "--camera", type=Path, metavar="FILE", help="play this clip or picture as the camera"
    )
    command.add_argument(
        "--inbox", type=Path, metavar="DIR", help="judge what is dropped into this folder"
    )
    command.add_argument(
        "--store", type=Path, metavar="DIR", help="keep the history and recordings here"
    )
    command.add_argument("--config", type=Path, metavar="FILE", help="settings for this run")
    command.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Work until the end; 1 if it came since something broke."""
    from edge.settings import Settings, SettingsError, load_settings

    def load() -> Settings:
        return _with_options(load_settings(chosen.config), chosen)

    try:
        start = load()
    except SettingsError:
        # The display will say what is wrong with them.
        start = _with_options(Settings(), chosen)
    if start.panel.kind == "terminal" and not (sys.stdin.isatty() and sys.stdout.isatty()):
        remedy = "Run it in one, or add --panel none."
        raise TruelightError("The panel is to be drawn in a terminal, and this is none.", remedy)
    with _alone_in(start.store_folder), _logging(start):
        from edge.box.daemon import Daemon

        daemon = Daemon(load, start)
        _listen(daemon.post)
        in_order = daemon.run()
    if not in_order:
        _end_at_once()
    return 0


def _with_options(settings: Settings, chosen: argparse.Namespace) -> Settings:
    if chosen.panel:
        settings = settings.changed("--panel", {"panel.kind": chosen.panel})
    if chosen.camera:
        played = {"camera.kind": "file", "camera.file": str(chosen.camera.absolute())}
        settings = settings.changed("--camera", played)
    if chosen.inbox:
        settings = settings.changed("--inbox", {"inbox.folder": str(chosen.inbox.absolute())})
    if chosen.store:
        settings = settings.changed("--store", {"store.folder": str(chosen.store.absolute())})
    return settings


@contextlib.contextmanager
def _alone_in(store: Path) -> Iterator[None]:
    """Hold the store's lock; nobody else works there meanwhile."""
    import fcntl

    try:
        store.mkdir(parents=True, exist_ok=True)
        lock = (store / "lock").open("a", encoding="ascii")
    except OSError as failure:
        raise TruelightError(
            f"The store {store} cannot be used: {failure.strerror}.",
            "Name another folder with --store.",
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TruelightError(
                f"Truelight runs already, with its store in {store}.",
                "End that one, or name another folder with --store.",
            ) from None
        yield


@contextlib.contextmanager
def _logging(settings: Settings) -> Iterator[None]:
    """Send the log where it does not spoil the picture; tell more when the program is aborted."""
    import faulthandler

    from edge.box import systemd

    if settings.panel.kind != "terminal":
        systemd.start_log()
        faulthandler.enable()
        yield
        return
    file = settings.store_folder / "truelight.log"
    systemd.start_log(file)
    # What libraries write goes there too.
    before = os.dup(2)
    with file.open("a", encoding="utf-8") as log:
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _listen(post: Callable[[Event], None]) -> None:
    """Have the signals posted, from now on."""
    from edge.box.events import Reloaded, Terminated

    def posted(number: int, _: object) -> None:
        post(Reloaded() if number == signal.SIGHUP else Terminated())

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, posted)


def _end_at_once() -> NoReturn:
    """End without waiting for threads that have not come to an end; take the children along."""
    tasks = Path("/proc/self/task").iterdir()
    texts = [(task / "children").read_text(encoding="ascii") for task in tasks]
    # From here on nothing lets another thread run: none shall see its child die and judge by it.
    for child in [int(child) for text in texts for child in text.split()]:
        with contextlib.suppress(OSError):
            os.killpg(child, signal.SIGKILL)
    os._exit(FAILED)
