"""A box to live with for a day: the real daemon, a panel that remembers, and who is around it."""

from __future__ import annotations

import json
import shutil
import threading
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import yaml
from recording_panel import RecordingPanel
from waiting import until

from edge.box.daemon import Daemon
from edge.box.events import Event, Terminated
from edge.box.health import HealthReading, HealthWatch, Throttled
from edge.box.systemd import RuntimePaths
from edge.box.views import STEP, View
from edge.box.views.status import Trouble, TroubleKind
from edge.settings import Settings, load_settings

Wanted = TypeVar("Wanted")

WELL = HealthReading(celsius=48.0, throttled=Throttled(0), free_megabytes=20_000)


@dataclass
class House:
    """The box, what is around it, and what can be done to it."""

    folder: Path
    bundle: Path
    settings: dict[str, dict[str, object]]
    panel: RecordingPanel = field(default_factory=RecordingPanel)
    reading: HealthReading = WELL
    ended: bool | None = None
    _seen: int = 0

    def move_in(self) -> None:
        """Make the folders that systemd would make, and start the daemon."""
        self.run = self.folder / "run"
        for name in ("sticks", "reports", "power", "web"):
            (self.run / name).mkdir(parents=True)
        self.store = self.folder / "store"
        self.configure()
        self._before = set(threading.enumerate())
        self.move_in_again()

    def move_in_again(self) -> None:
        """Start the daemon, as systemd does when it has ended."""
        self.daemon = Daemon(
            self._load,
            self._load(),
            paths=RuntimePaths(self.run),
            open_panel=lambda *_: self.panel,
            open_health=partial(HealthWatch, interval=0.05, read=lambda _: self.reading),
        )
        self.thread = threading.Thread(target=self._live)
        self.thread.start()

    def move_out(self) -> None:
        """End the daemon, if it has not ended."""
        self.daemon.post(Terminated())
        self.thread.join(60)

    def threads(self) -> set[threading.Thread]:
        """Those that the daemon has started and that go on."""
        return set(threading.enumerate()) - self._before

    def _load(self) -> Settings:
        return load_settings(self.folder / "settings.yaml")

    def _live(self) -> None:
        self.ended = self.daemon.run()

    # ---- What people do

    def happens(self, event: Event) -> None:
        """The button, or the system."""
        self.daemon.post(event)

    def configure(self, **sections: dict[str, object]) -> None:
        """Write the settings, with some of them changed."""
        file = self.folder / "settings.yaml"
        file.write_text(yaml.safe_dump(self.settings | sections), encoding="utf-8")

    def feels(self, **changes: Any) -> None:
        """The machine gets hot, its disk gets full."""
        self.reading = replace(self.reading, **changes)

    def plug(self, device: str, name: str, *clips: Path) -> Path:
        """Plug in a stick with these clips: what root does then."""
        mounted = self.run / "sticks" / device
        mounted.mkdir()
        for clip in clips:
            shutil.copy(clip, mounted)
        facts: dict[str, object] = {"name": name, "device": f"/dev/{device}", "filesystem": "vfat"}
        facts |= {"error": None, "remedy": None, "plugged": time.monotonic_ns()}
        part = mounted.with_suffix(".part")
        part.write_text(json.dumps(facts))
        part.rename(mounted.with_suffix(".json"))
        return mounted

    def pull(self, mounted: Path) -> None:
        """Pull it out: its status and what was mounted are gone."""
        mounted.with_suffix(".json").unlink()
        shutil.rmtree(mounted)

    def take_report(self, mounted: Path) -> None:
        """Wait for a report and put it onto the stick, as root does."""
        box = self.run / "reports" / mounted.name
        until((box / "ready").exists, 60, lambda: "no report came")
        for name in ("TRUELIGHT-REPORT.html", "truelight-report.json"):
            shutil.copy(box / name, mounted)
        (box / "ready").unlink()
        part = box / "result.part"
        part.write_text("written\nThe report is on the stick. Safe to remove.\n")
        part.rename(box / "result")

    # ---- What people see

    def sees(self, view_of: type[Wanted], seconds: float = 60.0, **like: object) -> Wanted:
        """Wait for a view of this kind with such attributes, after all that was seen before."""

        def found() -> Wanted | None:
            shown = self.panel.shown
            for number in range(self._seen, len(shown)):
                view = shown[number][1].view
                if isinstance(view, view_of) and all(
                    getattr(view, name) == value for name, value in like.items()
                ):
                    self._seen = number
                    return view
            return None

        def otherwise() -> str:
            return f"no {view_of.__name__} {like}, but {self.panel.scene}"

        view = until(found, seconds, otherwise)
        assert view is not None
        return view

    def sees_trouble(self, kind: TroubleKind) -> Trouble:
        return self.sees(Trouble, kind=kind)

    def views(self, since: int = 0) -> list[type[View]]:
        """The kinds of views since a moment, each once as long as it stood."""
        kinds = [type(scene.view) for _, scene in self.panel.shown[since:]]
        return [kind for kind, last in zip(kinds, [None, *kinds], strict=False) if kind != last]

    @property
    def moment(self) -> int:
        """For `views`: from the view that was seen last on."""
        return self._seen

    def lamps(self, steps: int) -> tuple[str, str]:
        """What the green and the red lamp do, since the view that was seen last: `#.#.`.

        For a view that stands until something happens.
        """
        pattern = self.panel.shown[self._seen][1].view.lamps
        levels = [pattern.lit((step + 0.5) * STEP) for step in range(steps)]
        green, red = zip(*levels, strict=True)
        return _drawn(green), _drawn(red)


def _drawn(levels: tuple[bool, ...]) -> str:
    return "".join("#" if lit else "." for lit in levels)
