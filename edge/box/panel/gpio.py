"""The panel on a Pi's header: a push button, two lamps, a small display."""

from __future__ import annotations

import logging
import threading
import time
import warnings
from typing import TYPE_CHECKING

from edge.box.panel.button import Presses
from edge.box.panel.lamps import lit, pattern
from edge.box.panel.panel import PATIENCE, Button, Display, Lamps, PaintedPanel, Painter, Post
from edge.box.views import Kind, Scene, Trouble
from edge.settings import Settings
from edge.settings_schema import ButtonSettings, LampSettings

if TYPE_CHECKING:
    from gpiozero import LED

_log = logging.getLogger(__name__)


class PushButton:
    """A push button from its pin to ground.

    Bounce and holding are told apart here, the same with every back end of gpiozero: some of
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
            for event in self._presses.saw(self._device.is_pressed, time.monotonic()):
                self._post(event)


class Leds:
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
        """Light them or not."""
        for lamp, is_lit in ((self._green, green), (self._red, red)):
            self._set(lamp, is_lit)

    def close(self) -> None:
        """Let go of them; they go dark."""
        self._green.close()
        self._red.close()

    @staticmethod
    def _set(lamp: LED, is_lit: bool) -> None:
        if lamp.is_lit != is_lit:
            lamp.value = is_lit


def open_hardware(settings: Settings, post: Post) -> PaintedPanel:
    """The panel on the header, or as much of it as there is."""
    parts: list[Button | Lamps | Display] = []
    painters: list[Painter] = []
    troubles: tuple[Trouble, ...] = ()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            parts.append(PushButton(settings.button, post))
            leds = Leds(settings.lamps)
            parts.append(leds)
            painters.append(_lamp_painter(leds))
        except Exception as failure:  # Back ends raise what they like; none of it stops the box.
            reasons = [str(warning.message) for warning in told]
            _log.warning("No button, no lamps: %s", "; ".join([str(failure), *reasons]))
            troubles = (_unknown_board(failure),)
    if settings.display.driver != "none":
        from edge.box.panel.display import Oled

        oled = Oled(settings.display)
        parts.append(oled)
        painters.append(_display_painter(oled))
    return PaintedPanel(painters, parts, troubles)


def _lamp_painter(leds: Lamps) -> Painter:
    def paint(scene: Scene, seconds: float) -> None:
        leds.show(*lit(pattern(scene.view), seconds))

    return Painter("lamps", paint, lambda scene: pattern(scene.view))


def _display_painter(display: Display) -> Painter:
    from edge.box.panel.screens import draw, subject

    def paint(scene: Scene, seconds: float) -> None:
        display.show(draw(scene, seconds), scene.brightness)

    return Painter("display", paint, lambda scene: subject(scene.view))


def _unknown_board(failure: Exception) -> Trouble:
    from gpiozero import BadPinFactory, PinUnknownPi

    # A back end that does not know the board is passed over; in the end there is none left.
    is_unknown = isinstance(failure, PinUnknownPi | BadPinFactory)
    return Trouble(
        Kind.UNKNOWN_BOARD,
        "Board not known: no button, no lamps" if is_unknown else "Button and lamps do not answer",
        "Use a Raspberry Pi 4 or 5." if is_unknown else "Run: sudo truelight doctor",
    )
