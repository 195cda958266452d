"""The small display: SSD1306 or SH1106, 128 x 64 points, on an I2C bus. It may come and go."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.box.panel.canvas import MARGIN, SIZE
from edge.box.views import Brightness
from edge.settings_schema import DisplaySettings

if TYPE_CHECKING:
    from PIL import Image

RETRY = 3.0
"""Seconds after which a display that is not there is looked for again."""
ALIVE = 1.0
"""A picture that stays the same is sent this often all the same: so a loss is noticed."""
MOVE = 60.0
"""Seconds until the picture is moved by a point, and the display told anew how to work."""
NOTHING = 0xE3
"""The command that does nothing: is anybody there?"""
_CONTRAST = {Brightness.FULL: 0xCF, Brightness.DIM: 0x01}
_PLACES = ((0, 0), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
_log = logging.getLogger(__name__)


class Oled:
    """A display that is shown pictures while it is there, and looked for while it is not."""

    def __init__(
        self, settings: DisplaySettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._start = clock()
        self._link = _Link(settings)
        self._device: Any = None
        self._next_try: float | None = self._start
        self._place = 0
        self._sent: tuple[bytes, float] = (b"", 0.0)
        self._brightness: Brightness | None = None
        self._is_missed = False

    def show(self, image: Image.Image, brightness: Brightness) -> None:
        """Show a picture, if the display is there."""
        now = self._clock()
        if self._next_try is not None and now < self._next_try:
            return
        try:
            if self._next_try is not None:
                self._meet()
            self._send(image, brightness, now)
        except _failures() as failure:
            self._lose(failure, now)

    def close(self) -> None:
        """Let go of the bus; the picture stays."""
        self._link.cleanup()
        self._next_try = float("inf")

    def _meet(self) -> None:
        """Open the bus and set the display up."""
        from luma.oled import device as drivers

        self._link.open()
        if self._device is None:
            driver = getattr(drivers, self._settings.driver)
            rotate = 2 if self._settings.upside_down else 0
            self._device = driver(self._link, *SIZE, rotate=rotate)
            self._device.persist = True
            self._link.learnt()
        else:
            self._link.set_up()
        _log.info("The display is there")
        self._next_try, self._is_missed = None, False
        self._brightness, self._sent = None, (b"", 0.0)

    def _lose(self, failure: Exception, now: float) -> None:
        if not self._is_missed:
            _log.warning("No display: %s. Going on without it.", failure)
        self._is_missed = True
        self._next_try = now + RETRY
        self._link.cleanup()

    def _send(self, image: Image.Image, brightness: Brightness, now: float) -> None:
        place = int((now - self._start) / MOVE)
        is_waking = self._brightness is Brightness.OFF and brightness is not Brightness.OFF
        if place != self._place or is_waking:
            # A loose wire may have cost the display its set-up without anybody noticing.
            self._link.set_up()
            self._place, self._brightness = place, None
        if brightness is not self._brightness:
            self._dim(brightness)
        moved = shifted(image, *_PLACES[place % len(_PLACES)])
        picture, sent_at = moved.tobytes(), now
        if brightness is not Brightness.OFF and (
            picture != self._sent[0] or now - self._sent[1] >= ALIVE
        ):
            self._device.display(moved)
            self._sent = (picture, sent_at)

    def _dim(self, brightness: Brightness) -> None:
        if brightness is Brightness.OFF:
            self._device.hide()
        else:
            self._device.contrast(_CONTRAST[brightness])
            self._device.show()
        self._brightness = brightness


def shifted(image: Image.Image, across: int, down: int) -> Image.Image:
    """The picture moved by at most its dark margin: nothing of it is lost."""
    from PIL import ImageChops

    assert max(abs(across), abs(down)) <= MARGIN
    return ImageChops.offset(image, across, down)


class _Link:
    """luma's way to the bus, which can be opened anew under a device that was built once.

    Building luma's device again for a display that returns would keep every one of them until the
    program ends. So the commands that set it up are learnt from the first, and said again.
    """

    def __init__(self, settings: DisplaySettings) -> None:
        self._settings = settings
        self._bus: Any = None
        self._said: list[tuple[int, ...]] = []
        self._is_learning = True

    def open(self) -> None:
        """Open the bus, and see if somebody answers."""
        from luma.core.interface.serial import i2c

        self._bus = i2c(port=self._settings.bus, address=self._settings.address)
        self._bus.command(NOTHING)
        if self._is_learning:
            self._said = []

    def learnt(self) -> None:
        """What was said until now sets the display up."""
        self._is_learning = False

    def set_up(self) -> None:
        """Say it again."""
        for command in self._said:
            self._bus.command(*command)

    def command(self, *command: int) -> None:
        """Send a command: for luma."""
        self._bus.command(*command)
        if self._is_learning:
            self._said.append(command)

    def data(self, data: list[int]) -> None:
        """Send points: for luma."""
        self._bus.data(data)

    def cleanup(self) -> None:
        """Close the bus. May be called again."""
        if self._bus is not None:
            self._bus.cleanup()
            self._bus = None


def _failures() -> tuple[type[Exception], ...]:
    from luma.core.error import Error

    return (Error, OSError)
