"""The event loop: what happens goes into the appliance, what follows is carried out.

One thread steps the appliance; all the others only post events. When one of those threads dies the
program ends, for systemd to start it again: a box with half of its parts is worse than that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

from edge.box import paths as places
from edge.box import systemd
from edge.box.components import WORK_SECONDS, OpenPanel, Parts
from edge.box.events import (
    CancelScan,
    CloseCamera,
    Down,
    Effect,
    Event,
    Exit,
    Finish,
    OpenViewfinder,
    PowerOff,
    Record,
    Reload,
    Reported,
    Scan,
    Standing,
    Ticked,
)
from edge.box.machine import step
from edge.box.panel.opening import open_panel
from edge.box.present import scene, status
from edge.box.state import State
from edge.box.views import Kind, Trouble
from edge.errors import TruelightError
from edge.settings import Settings

TICK: Final = 0.25

Load = Callable[[], Settings]

_log = logging.getLogger("truelight")


class Daemon:
    """The box at work. `run` returns when it ends."""

    def __init__(self, load: Load, start: Settings, open_panel: OpenPanel = open_panel) -> None:
        """Work by what `load` gives; by `start` for as long as it says that settings are wrong."""
        self._load = load
        self._settings = start
        self._store = start.store_folder
        self._open_panel = open_panel
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._state = State(sticks=places.STICKS.is_dir())
        self._ending = self._broken = False
        self._standing: tuple[Trouble, ...] = ()
        self._said = ""
        self._next_tick = 0.0
        self._next_sign = 0.0
        self._watchdog = systemd.watchdog_seconds()

    def post(self, event: Event) -> None:
        """Let something happen. From any thread, and from a signal's handler."""
        self._events.put(event)

    def run(self) -> bool:
        """Work until the system or a person wants an end; whether it is one in good order.

        Raises:
            TruelightError: there is no such panel.
        """
        wrong = self._read_settings()
        threading.excepthook, before = self._thread_died, threading.excepthook
        self._parts = Parts(self._settings, self.post, self._open_panel)
        self._take_up(wrong)
        systemd.ready()
        try:
            while not self._ending:
                self._turn(self._next_event())
        finally:
            systemd.stopping()
            threading.excepthook = before
            ended = self._parts.close()
        return ended and not self._broken

    # ---- The loop

    def _next_event(self) -> Event:
        """What happened; a tick several times a second, however much else does."""
        left = self._next_tick - time.monotonic()
        if left > 0:
            try:
                return self._events.get(timeout=left)
            except Empty:
                pass
        self._next_tick = time.monotonic() + TICK
        return Ticked()

    def _turn(self, event: Event) -> None:
        """Let one thing happen, with all that follows."""
        now = time.monotonic()
        if isinstance(event, Reported):
            self._parts.worker.reported(event)
        self._step(event, now)
        standing = self._parts.troubles()
        if standing != self._standing:
            self._standing = standing
            self._step(Standing(standing), now)
        shown = scene(self._state, now, self._settings)
        self._parts.panel.show(shown)
        if (said := status(shown)) != self._said:
            self._said = said
            systemd.status(said)
        self._give_sign(now)

    def _step(self, event: Event, now: float) -> None:
        self._state, effects = step(self._state, event, now, self._settings)
        for effect in effects:
            self._carry_out(effect)

    def _give_sign(self, now: float) -> None:
        """Feed the watchdog, as long as what runs gets on."""
        if self._watchdog is None or now < self._next_sign:
            return
        self._next_sign = now + self._watchdog / 4
        silence = self._parts.worker.silence(now)
        if silence < self._settings.health.stuck:
            systemd.watchdog()
        else:
            _log.error("The running work has given no sign of life for %.0f s.", silence)

    # ---- Effects

    def _carry_out(self, effect: Effect) -> None:
        parts = self._parts
        match effect:
            case Scan(batch, clip):
                parts.worker.scan(batch, clip)
            case CancelScan():
                parts.worker.cancel()
            case Finish(batch, ending):
                parts.worker.finish(batch, ending)
            case OpenViewfinder():
                parts.view()
            case Record(seconds):
                parts.record(seconds)
            case CloseCamera():
                parts.close_camera()
            case Reload():
                self._reload()
            case PowerOff():
                self._power_off()
            case Exit():
                self._ending = True

    def _reload(self) -> None:
        systemd.reloading()
        wrong = self._read_settings()
        self._parts.adopt(self._settings)
        self._take_up(wrong)
        systemd.ready()

    def _power_off(self) -> None:
        """Write all that is to be written, then ask for the power to go."""
        self._parts.worker.close(WORK_SECONDS)
        if self._settings.panel.kind == "hardware":
            try:
                places.POWER_OFF.touch()
                return
            except OSError as failure:
                _log.error("The system cannot be asked to switch off: %s", failure)
        self.post(Down())

    # ---- Settings

    def _read_settings(self) -> Trouble | None:
        """Read the settings anew; if they are wrong, those of before stay and why is returned."""
        try:
            self._settings = self._at_home(self._load())
        except TruelightError as failure:
            return Trouble(Kind.SETTINGS_WRONG, failure.message, failure.remedy)
        return None

    def _at_home(self, settings: Settings) -> Settings:
        """The store stays where it is while the program runs."""
        return settings.changed("the running program", {"store.folder": str(self._store)})

    def _take_up(self, wrong: Trouble | None) -> None:
        """Have the model loaded by the settings, unless they are wrong."""
        if wrong:
            self._parts.worker.refuse(wrong)
        else:
            self._parts.worker.load(self._settings)

    def _thread_died(self, failure: threading.ExceptHookArgs) -> None:
        name = failure.thread.name if failure.thread else "?"
        trace = (failure.exc_type, failure.exc_value or failure.exc_type(), failure.exc_traceback)
        _log.critical("The thread %s died; the program ends.", name, exc_info=trace)
        self._ending = self._broken = True
