"""The real daemon on an inbox, and what is left of its work when it ends at any moment."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Self

import yaml
from frontdoor import ROOT, command
from hostile.forked import ForkedDaemon, Forks

from edge.box.events import DELIVERED
from edge.history.database import FILE

RESULT = ".truelight.json"
REPORT = "TRUELIGHT-REPORT.html"
MOST_WAIT_SECONDS = 300.0
SUFFIXES = {".mp4", ".jpg"}
HEALTHY = {"REAL", "FAKE", "UNSURE", "NO_FACE"}
_SAID = re.compile(r"^INFO: (.*): (REAL|FAKE|UNSURE|NO_FACE|UNREADABLE)", re.MULTILINE)

Daemon = subprocess.Popen[bytes] | ForkedDaemon


@dataclass
class Damage:
    """What may never happen, counted."""

    lost: int = 0
    """Findings that were shown and are not in the history."""
    doubled: int = 0
    """Findings on a clip that had one already."""
    torn: int = 0
    """Results, reports, notes and databases that cannot be read."""
    accused: int = 0
    """Healthy clips that were called unreadable."""
    unreported: int = 0
    """Findings that no report has."""
    left: int = 0
    """Processes that outlived the daemon."""
    failed: int = 0
    """Starts after which the daemon did not work."""

    def __iadd__(self, other: Damage) -> Damage:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        return self

    def __str__(self) -> str:
        return ", ".join(f"{getattr(self, each.name)} {each.name}" for each in fields(self))


@dataclass
class Ends:
    """How often the daemon ended, the findings that were shown, and the damage."""

    count: int = 0
    shown: int = 0
    damage: Damage = field(default_factory=Damage)

    def __iadd__(self, other: Ends) -> Self:
        self.count += other.count
        self.shown += other.shown
        self.damage += other.damage
        return self

    def __str__(self) -> str:
        return f"{self.shown:,} findings shown: {self.damage}"


@dataclass
class Life:
    """One box through many ends. `disk` holds its store and its inbox, `apart` its log."""

    disk: Path
    apart: Path
    clips: list[Path]
    bundle: Path | None = None
    damage: Damage = field(default_factory=Damage)
    said: Counter[str] = field(default_factory=Counter)
    """Findings that were shown, by name of the clip."""
    rounds: int = 0
    """How often all clips were judged."""
    environment: dict[str, str] = field(default_factory=dict)
    """For the daemon, besides this process's own; a forked one loads no libraries of it."""
    forks: Forks | None = None
    """Where daemons are forked, if they are."""

    def __post_init__(self) -> None:
        self.inbox, self.store = self.disk / "inbox", self.disk / "store"
        self.log, self.config = self.apart / "log", self.apart / "settings.yaml"
        settings: dict[str, dict[str, object]] = {"camera": {"kind": "none"}}
        settings["scan"] = {"heat": True}
        if self.bundle:
            settings["model"] = {"bundle": str(self.bundle)}
        self.apart.mkdir(parents=True, exist_ok=True)
        self.config.write_text(yaml.safe_dump(settings))
        self.inbox.mkdir(parents=True)
        self.fill()

    def fill(self) -> None:
        """Put a round of clips into the inbox, and take away what is there."""
        for path in self.inbox.iterdir():
            path.unlink()
        for clip in self.clips:
            path = self.inbox / f"{self.rounds:04}-{clip.name}"
            shutil.copyfile(clip, path)
            os.utime(path, (1e9, 1e9))
        os.sync()

    def start(self, boot: str = "") -> Daemon:
        """Start the daemon; with `boot`, forked as root, in a boot of the machine
        with this id, some seconds ago."""
        runtime = {"RUNTIME_DIRECTORY": str(self.apart / "run")}
        environment = os.environ | runtime | self.environment
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC"):
            environment.pop(name, None)
        options = ("--panel", "none", "--store", self.store, "--inbox", self.inbox)
        run = ("run", *options, "--config", self.config)
        if self.forks:
            instead = self._other_boot(boot) if boot else {}
            return ForkedDaemon(self.forks, run, self.log, environment, instead)
        assert not boot, "only a forked daemon sees another boot"
        with self.log.open("wb") as log:
            return subprocess.Popen(
                command(*run),
                cwd=ROOT,
                env=environment,
                stderr=log,
                start_new_session=True,
            )

    def _other_boot(self, boot: str) -> dict[str, str]:
        (self.apart / "boot").write_text(f"{boot}\n")
        (self.apart / "uptime").write_text("5.00 5.00\n")
        places = {"boot": "/proc/sys/kernel/random/boot_id", "uptime": "/proc/uptime"}
        return {str(self.apart / name): place for name, place in places.items()}

    def children(self, process: Daemon) -> list[int]:
        """The ids of the processes that this run has started."""
        parents = [process.pid, *([self.forks.decoder_server] if self.forks else [])]
        return [child for parent in parents for child in children_of(parent)]

    def kill(self, process: Daemon) -> int:
        """Kill it; how many of its children live on."""
        children = self.children(process)
        process.kill()
        process.wait()
        return outlived(children)

    def heard(self) -> int:
        """How many findings this run has shown so far."""
        return len(_SAID.findall(self.log_text()))

    def log_text(self) -> str:
        """What this run has logged so far."""
        return self.log.read_text(errors="replace")

    def is_over(self) -> bool:
        """Whether every clip of the round has its result and was in a report."""
        results = len(list(self.inbox.glob(f"*{RESULT}")))
        return results == len(self.clips) and not self.unreported()

    def unreported(self) -> list[str]:
        """The clips of the round that are in no report: neither in this one nor in one before."""
        names = [path.name for path in self.inbox.iterdir() if path.suffix in SUFFIXES]
        query = "SELECT finding FROM entries JOIN visits ON visits.id = visit WHERE report = ?"
        before = self.names(query, DELIVERED)
        with suppress(OSError):
            report = (self.inbox / REPORT).read_text()
            return [name for name in names if name not in report and name not in before]
        return names

    def listen(self, text: str) -> None:
        """Note what a run has shown, by what it logged; call it once after each end."""
        for name, verdict in _SAID.findall(text):
            self.said[name] += 1
            self.damage.accused += verdict not in HEALTHY
        if "Traceback" in text or "damaged" in text:
            self.damage.failed += 1
            sys.stdout.write(f"{text[-2000:]}\n")

    def look(self) -> None:
        """Compare what was shown with what is kept."""
        for path in (*self.inbox.glob(f"*{RESULT}"), *self.store.glob("attempts.json")):
            try:
                json.loads(path.read_bytes())
            except ValueError:
                self.damage.torn += 1
        for path in self.inbox.glob(REPORT):
            self.damage.torn += not path.read_text().rstrip().endswith("</html>")
        kept = self._kept()
        self.damage.lost = sum((self.said - kept).values())
        self.damage.doubled = sum(count - 1 for count in kept.values())

    def _kept(self) -> Counter[str]:
        """Findings in the history, by name of the clip."""
        self.damage.torn += len(list(self.store.glob("history-damaged*")))
        if (self.store / FILE).exists():
            with closing(self.history()) as database:
                (state,) = database.execute("PRAGMA integrity_check").fetchone()
                self.damage.torn += state != "ok"
        return self.names("SELECT finding FROM entries")

    def names(self, query: str, *values: str) -> Counter[str]:
        """The names of the clips of these findings in the history."""
        if not (self.store / FILE).exists():
            return Counter()
        with closing(self.history()) as database:
            try:
                rows = database.execute(query, values).fetchall()
            except sqlite3.OperationalError:  # ended before it made the tables
                return Counter()
        return Counter(Path(json.loads(row[0])["path"]).name for row in rows)

    def history(self) -> sqlite3.Connection:
        """The history, for reading."""
        return sqlite3.connect(f"file:{self.store / FILE}?mode=ro", uri=True)


def children_of(process: int) -> list[int]:
    """The ids of the processes that the one of this id has started."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{process}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except OSError:
        pass  # it ends
    return found


def outlived(children: list[int], seconds: float = 10.0) -> int:
    """How many of these are still there after a while."""
    deadline = time.monotonic() + seconds
    while (there := sum(_runs(child) for child in children)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return there


def _runs(process: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


def run_until(process: Daemon, seconds: float) -> None:
    """Let it work for so long, less if it ends by itself."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def run_for_a_while(
    life: Life, process: Daemon, chance: random.Random, longest: float, number: int
) -> None:
    """Let it work until its end number `number`.

    Each second end comes only after a finding was shown, however busy the machine is: a clip that
    is at work whenever the program ends is rightly taken for the cause. The others come at any
    moment of the start or afterwards.
    """
    if number % 2 == 0:
        wait_for(process, lambda: life.heard() or life.is_over())
    elif chance.random() < 0.7:
        wait_for(process, lambda: life.log.stat().st_size)
    run_until(process, chance.uniform(0.0, longest))


def wait_for(process: Daemon, happened: Callable[[], object]) -> None:
    """Until it happens, or the process ends."""
    deadline = time.monotonic() + MOST_WAIT_SECONDS
    while not happened() and process.poll() is None:
        assert time.monotonic() < deadline, "the daemon does nothing"
        time.sleep(0.02)
