"""The event loop: events go into the state machine, its effects are carried out.

One thread steps the machine; all others only post events. When one of those dies the program ends,
for systemd to start it again: a box without some of its components is worse.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

from edge.box import events, systemd
from edge.box.components import WORK_SECONDS, Components, OpenHealth, OpenPanel
from edge.box.health import HealthWatch
from edge.box.machine import step
from edge.box.panel import open_panel
from edge.box.snapshot import Moment
from edge.box.state import State, scene
from edge.box.systemd import RuntimePaths
from edge.box.views.status import Trouble, TroubleKind
from edge.errors import TruelightError
from edge.language import N_
from edge.settings import Settings

TICK: Final = 0.25

Load = Callable[[], Settings]

_log = logging.getLogger("truelight")


class Daemon:
    """The box at work. `run` returns when it ends."""

    def __init__(
        self,
        load: Load,
        start: Settings,
        *,
        paths: RuntimePaths | None = None,
        open_panel: OpenPanel = open_panel,
        open_health: OpenHealth = HealthWatch,
    ) -> None:
        """Use the settings of `load`; those of `start` for as long as it finds them wrong."""
        self._load = load
        self._settings = start
        self._store = start.store_folder
        self._paths = paths or RuntimePaths()
        self._open_panel, self._open_health = open_panel, open_health
        self._events: SimpleQueue[events.Event] = SimpleQueue()
        self._state = State(sticks=self._paths.sticks.is_dir())
        self._ending = self._broken = False
        self.is_late = False
        """Whether the running scan could not be cancelled in time, and goes on after `run`."""
        self._troubles: tuple[Trouble, ...] = ()
        self._status = ""
        self._subject: tuple[object, ...] = ()
        self._subject_since = 0.0
        self._next_tick = 0.0
        self._next_watchdog = 0.0
        self._watchdog = systemd.watchdog_seconds()

    def post(self, event: events.Event) -> None:
        """Add an event to the queue. From any thread, and from a signal's handler."""
        self._events.put(event)

    def run(self) -> bool:
        """Work until the system or a person ends it; False if something broke or hung.

        Raises TruelightError: the panel cannot be opened.
        """
        wrong = self._read_settings()
        threading.excepthook, before = self._thread_died, threading.excepthook
        self._components = Components(
            self._settings, self.post, self._paths, self._open_panel, self._open_health
        )
        self._load_model(wrong)
        systemd.notify("READY=1")
        try:
            while not self._ending:
                self._turn(self._next_event())
        finally:
            systemd.notify("STOPPING=1")
            threading.excepthook = before
            hangs = self._silence() >= self._settings.health.stuck
            self.is_late = not self._components.close()
        # A busy machine may take long to cancel a scan: that alone is no fault of the clip.
        return not (self._broken or (self.is_late and hangs))

    # ---- The loop

    def _next_event(self) -> events.Event:
        """The next event; a tick several times a second, however many others there are."""
        left = self._next_tick - time.monotonic()
        if left > 0:
            try:
                return self._events.get(timeout=left)
            except Empty:
                pass
        self._next_tick = time.monotonic() + TICK
        return events.Ticked()

    def _turn(self, event: events.Event) -> None:
        """Handle one event, with all that follows."""
        now = time.monotonic()
        if isinstance(event, events.ReportDone):
            self._components.scan_worker.report_done(event)
        self._step(event, now)
        troubles = self._components.troubles()
        if troubles != self._troubles:
            self._troubles = troubles
            self._step(events.TroublesChanged(troubles), now)
        shown = scene(self._state, now, self._settings)
        self._components.panel.show(shown)
        if (subject := shown.view.subject) != self._subject:
            self._subject, self._subject_since = subject, now
        self._components.answers.publish(
            Moment(self._state, shown, self._settings, now, self._subject_since)
        )
        if (status := shown.status) != self._status:
            self._status = status
            systemd.status(status)
        self._feed_watchdog(now)

    def _step(self, event: events.Event, now: float) -> None:
        self._state, effects = step(self._state, event, now, self._settings)
        for effect in effects:
            self._carry_out(effect)

    def _feed_watchdog(self, now: float) -> None:
        """Feed the watchdog, as long as the running scan makes progress."""
        if self._watchdog is None or now < self._next_watchdog:
            return
        self._next_watchdog = now + self._watchdog / 4
        silence = self._silence()
        if silence < self._settings.health.stuck:
            systemd.notify("WATCHDOG=1")
        else:
            _log.error("The running scan has made no progress for %.0f s.", silence)

    def _silence(self) -> float:
        """Seconds since the running scan made progress."""
        return self._components.scan_worker.silence(time.monotonic())

    # ---- Effects

    def _carry_out(self, effect: events.Effect) -> None:
        components = self._components
        match effect:
            case events.Scan(batch, clip):
                components.scan_worker.scan(batch, clip)
            case events.CancelScan():
                components.scan_worker.cancel()
            case events.Finish(batch, ending):
                components.scan_worker.finish(batch, ending)
            case events.OpenViewfinder():
                components.camera.view()
            case events.Record(seconds):
                components.camera.record(seconds)
            case events.CloseCamera():
                components.camera.close()
            case events.Reload():
                self._reload()
            case events.PowerOff():
                self._power_off()
            case events.Exit():
                self._ending = True

    def _reload(self) -> None:
        systemd.reloading()
        wrong = self._read_settings()
        self._settings = self._components.adopt(self._settings)
        self._load_model(wrong)
        systemd.notify("READY=1")

    def _power_off(self) -> None:
        """Write everything that is to be written, then ask the system to switch off."""
        self._components.scan_worker.close(WORK_SECONDS)
        if self._settings.panel.kind == "hardware":
            try:
                self._paths.power_off.touch()
                return
            except OSError as failure:
                _log.error("The system cannot be asked to switch off: %s", failure)
        self.post(events.PowerMayGo())

    # ---- Settings

    def _read_settings(self) -> Trouble | None:
        """Read the settings again; if they are wrong, the ones before stay."""
        try:
            loaded = self._load()
        except TruelightError as failure:
            return Trouble.of(TroubleKind.SETTINGS_WRONG, failure)
        # The store stays where it is while the program runs.
        kept = {"store.folder": str(self._store)}
        self._settings = loaded.changed(N_("the running program"), kept)
        return None

    def _load_model(self, wrong: Trouble | None) -> None:
        """Have the model of the settings loaded, unless they are wrong."""
        if wrong:
            self._components.scan_worker.refuse(wrong)
        else:
            self._components.scan_worker.load(self._settings)

    def _thread_died(self, failure: threading.ExceptHookArgs) -> None:
        name = failure.thread.name if failure.thread else "?"
        trace = (failure.exc_type, failure.exc_value or failure.exc_type(), failure.exc_traceback)
        _log.critical("The thread %s died; the program ends.", name, exc_info=trace)
        self._ending = self._broken = True
