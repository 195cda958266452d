"""The panel on a Pi's header: a push button, two lamps, a small display."""

from __future__ import annotations

import logging
import threading
import time
import warnings

from edge.box.events import Held, HeldLong, Pressed
from edge.box.panel import PATIENCE, PaintedPanel, Painter, Part, Post
from edge.box.views import draw
from edge.box.views.status import Trouble, TroubleKind
from edge.language import N_
from edge.settings import Settings
from edge.settings_schema import ButtonSettings, LampSettings

_log = logging.getLogger(__name__)


class Presses:
    """Turns the levels of one contact into events. Pure: levels and times go in.

    A press counts when the button is released, unless it was held by then. A change counts at
    once, and what comes within the bounce time after it is ignored. A button that is down from the
    beginning (stuck, or a wire at ground) means nothing until it comes up.
    """

    def __init__(self, settings: ButtonSettings, down: bool) -> None:
        self._bounce = settings.bounce
        self._steps = (
            (settings.hold, Held()),
            (max(settings.hold, settings.long_hold), HeldLong()),
        )
        self._down = down
        self._since = self._settled = 0.0
        self._posted = len(self._steps) if down else 0

    def update(self, down: bool, now: float) -> list[Pressed | Held | HeldLong]:
        """What follows from the contact being down, or not, at `now` (seconds)."""
        events: list[Pressed | Held | HeldLong] = []
        if self._down:
            while self._posted < len(self._steps) and now >= self._next_step():
                events.append(self._steps[self._posted][1])
                self._posted += 1
        if down != self._down and now >= self._settled:
            if self._down and not self._posted:
                events.append(Pressed())
            self._down, self._settled = down, now + self._bounce
            if down:
                self._since, self._posted = now, 0
        return events

    def due(self, now: float) -> float | None:
        """Seconds until the contact must be read again, changed or not; None for never."""
        times = [self._settled] if now < self._settled else []
        if self._down and self._posted < len(self._steps):
            times.append(self._next_step())
        return max(0.0, min(times) - now) if times else None

    def _next_step(self) -> float:
        return self._since + self._steps[self._posted][0]


class PushButton:
    """A push button from its pin to ground.

    Bounce and holding are handled by `Presses`, the same with every back end of gpiozero: some of
    them lose the release that comes within the bounce time, some know no bounce time at all.
    """

    def __init__(self, settings: ButtonSettings, post: Post) -> None:
        from gpiozero import Button

        self._device = Button(settings.pin, pull_up=True, bounce_time=None)
        self._presses = Presses(settings, self._device.is_pressed)
        self._post = post
        self._changed = threading.Event()
        self._is_closing = False
        self._device.when_pressed = self._device.when_released = self._changed.set
        self._thread = threading.Thread(target=self._watch, name="panel-button", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Post nothing more."""
        self._is_closing = True
        self._changed.set()
        self._thread.join(PATIENCE)
        self._device.close()

    def _watch(self) -> None:
        while True:
            self._changed.wait(self._presses.due(time.monotonic()))
            self._changed.clear()
            if self._is_closing:
                return
            for event in self._presses.update(self._device.is_pressed, time.monotonic()):
                self._post(event)


class LedLamps:
    """Two light-emitting diodes."""

    def __init__(self, settings: LampSettings) -> None:
        from gpiozero import LED

        self._green = LED(settings.green, active_high=settings.active_high)
        try:
            self._red = LED(settings.red, active_high=settings.active_high)
        except BaseException:
            self._green.close()
            raise

    def show(self, green: bool, red: bool) -> None:
        """Switch each on or off."""
        for lamp, is_lit in ((self._green, green), (self._red, red)):
            if lamp.is_lit != is_lit:
                lamp.value = is_lit

    def close(self) -> None:
        """Release them; they go dark."""
        self._green.close()
        self._red.close()


def open_hardware(settings: Settings, post: Post) -> PaintedPanel:
    """The panel on the header, or as much of it as there is."""
    parts: list[Part] = []
    painters: list[Painter] = []
    troubles: tuple[Trouble, ...] = ()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            parts.append(PushButton(settings.button, post))
            leds = LedLamps(settings.lamps)
            parts.append(leds)
            painters.append(
                Painter(
                    "lamps",
                    lambda scene, seconds: leds.show(*scene.view.lamps.lit(seconds)),
                    lambda scene: scene.view.lamps,
                )
            )
        except Exception as failure:  # Back ends raise anything; none of it stops the box.
            reasons = "; ".join([str(failure), *(str(warning.message) for warning in caught)])
            _log.warning("No button, no lamps: %s", reasons)
            troubles = (unknown_board(failure),)
    if settings.display.driver != "none":
        from edge.box.panel.display import Oled

        oled = Oled(settings.display)
        parts.append(oled)
        painters.append(
            Painter(
                "display",
                lambda scene, seconds: oled.show(draw(scene, seconds), scene.brightness),
                lambda scene: scene.view.subject,
            )
        )
    return PaintedPanel(painters, parts, troubles)


def unknown_board(failure: Exception) -> Trouble:
    """What is shown when button and lamps cannot be opened."""
    from gpiozero import BadPinFactory, PinUnknownPi

    # A back end that does not know the board is skipped; in the end there is none left.
    if isinstance(failure, PinUnknownPi | BadPinFactory):
        message, remedy = (
            N_("Unknown board: no button, no lamps."),
            N_("Use a Raspberry Pi 4 or 5."),
        )
    else:
        message, remedy = N_("Button and lamps do not answer."), N_("Run: sudo truelight doctor")
    return Trouble(TroubleKind.UNKNOWN_BOARD, message, remedy)
