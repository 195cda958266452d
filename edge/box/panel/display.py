"""The small display: SSD1306 or SH1106, 128 x 64 points, on an I2C bus. It may come and go.

Run as a program it shows the last image, see `main`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.box.views import Brightness, Scene, draw
from edge.box.views.canvas import MARGIN, SIZE
from edge.box.views.status import Halted
from edge.settings import Settings, SettingsError, load_settings
from edge.settings_schema import DisplaySettings

if TYPE_CHECKING:
    from PIL import Image

RETRY = 3.0
"""Seconds after which a display that is not there is looked for again."""
ALIVE = 1.0
"""An unchanged image is sent this often, so that a loss is noticed."""
MOVE = 60.0
"""Seconds until the image is moved by a point, and the display is set up again."""
NOTHING = 0xE3
"""The command that does nothing: asks whether the display answers."""
_CONTRAST = {Brightness.FULL: 0xCF, Brightness.DIM: 0x01}
_PLACES = ((0, 0), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
_log = logging.getLogger(__name__)


class Oled:
    """Shows images while the display answers, and looks for it while it does not."""

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
        """Show an image, if the display is there."""
        now = self._clock()
        if self._next_try is not None and now < self._next_try:
            return
        try:
            if self._next_try is not None:
                self._connect()
            self._send(image, brightness, now)
        except _failures() as failure:
            self._disconnect(failure, now)

    def close(self) -> None:
        """Release the bus; the image stays."""
        self._link.cleanup()
        self._next_try = float("inf")

    def _connect(self) -> None:
        """Open the bus and set the display up."""
        from luma.oled import device as drivers

        self._link.open()
        if self._device is None:
            driver = getattr(drivers, self._settings.driver)
            rotate = 2 if self._settings.upside_down else 0
            self._device = driver(self._link, *SIZE, rotate=rotate)
            self._device.persist = True
            self._link.is_recording = False
        else:
            self._link.set_up()
        _log.info("The display answers")
        self._next_try, self._is_missed = None, False
        self._brightness, self._sent = None, (b"", 0.0)

    def _disconnect(self, failure: Exception, now: float) -> None:
        if not self._is_missed:
            _log.warning("No display: %s. The box works without it.", failure)
        self._is_missed = True
        self._next_try = now + RETRY
        self._link.cleanup()

    def _send(self, image: Image.Image, brightness: Brightness, now: float) -> None:
        place = int((now - self._start) / MOVE)
        is_waking = self._brightness is Brightness.OFF and brightness is not Brightness.OFF
        if place != self._place or is_waking:
            # A loose wire may have cost the display its set-up unnoticed.
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
    """The image moved by at most its dark margin: nothing of it is lost."""
    from PIL import ImageChops

    assert max(abs(across), abs(down)) <= MARGIN
    return ImageChops.offset(image, across, down)


class _Link:
    """luma's interface to the bus, which can be reopened under a device that was built once.

    luma keeps every device until the program ends, so a display that returns must not get a new
    one. Instead the commands that set it up are recorded the first time, and sent again.
    """

    def __init__(self, settings: DisplaySettings) -> None:
        self._settings = settings
        self._bus: Any = None
        self._set_up: list[tuple[int, ...]] = []
        self.is_recording = True

    def open(self) -> None:
        """Open the bus, and check that the display answers."""
        from luma.core.interface.serial import i2c

        self._bus = i2c(port=self._settings.bus, address=self._settings.address)
        self._bus.command(NOTHING)
        if self.is_recording:
            self._set_up = []

    def set_up(self) -> None:
        """Send the recorded commands again."""
        for command in self._set_up:
            self._bus.command(*command)

    def command(self, *command: int) -> None:
        """Send a command: for luma."""
        self._bus.command(*command)
        if self.is_recording:
            self._set_up.append(command)

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


def show_halted(settings: Settings) -> None:
    """Leave the last image on the display, if there is one: the plug may be pulled."""
    if settings.panel.kind != "hardware" or settings.display.driver == "none":
        return
    display = Oled(settings.display)
    display.show(draw(Scene(Halted(), language=settings.language.display), 0.0), Brightness.FULL)
    display.close()


def main() -> None:
    """Show the last image, by this machine's settings or as shipped if these are wrong.

    `systemd/truelight-halted` runs it when the system has ended everything else and nothing is
    mounted for writing any more. The lamps are dark by then, which is their pattern for it.
    """
    try:
        settings = load_settings()
    except SettingsError:
        settings = Settings()
    show_halted(settings)


if __name__ == "__main__":
    main()
