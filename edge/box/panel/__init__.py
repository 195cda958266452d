"""What people touch and see: a panel shows scenes and posts what people do with its button."""

from __future__ import annotations

import logging
import pkgutil
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from edge.box.events import Event
from edge.box.views import Brightness, Scene
from edge.box.views.status import Trouble
from edge.settings import Settings

if TYPE_CHECKING:
    from PIL import Image

Post = Callable[[Event], None]
"""Takes what a panel's button means: `Pressed`, `Held`, `HeldLong`; `Terminated` of a terminal."""

FRAME_SECONDS: Final = 0.125
"""Seconds from one picture to the next, while nothing new is to be shown."""
PATIENCE: Final = 2.0
"""Seconds that closing waits for a thread that hangs at its device."""

KINDS: Final = {
    "hardware": "edge.box.panel.hardware:open_hardware",
    "terminal": "edge.box.panel.terminal:open_terminal",
    "none": "edge.box.panel:NoPanel",
}
"""What opens a panel, by `panel.kind`; imported when it is wanted. A new kind adds a line here."""

_log = logging.getLogger(__name__)


class Part(Protocol):
    """A button, and what `Lamps` and `Display` have in common."""

    def close(self) -> None:
        """Release it. May be called again; a display keeps its image."""


class Lamps(Part, Protocol):
    """Two lamps."""

    def show(self, green: bool, red: bool) -> None:
        """Switch each on or off."""


class Display(Part, Protocol):
    """128 x 64 points."""

    def show(self, image: Image.Image, brightness: Brightness) -> None:
        """Show an image of mode "1". A display that is not there is no error."""


class Panel(Protocol):
    """Shows scenes, posts what people do."""

    def show(self, scene: Scene) -> None:
        """Show this from now on. Never blocks; the newest wins."""

    def troubles(self) -> tuple[Trouble, ...]:
        """What is wrong with the panel itself."""

    def close(self) -> None:
        """End its threads. The last scene stays on a display; a terminal is restored."""


def open_panel(settings: Settings, post: Post) -> Panel:
    """The panel that the settings name.

    Raises TruelightError: it cannot be opened, such as a terminal where there is none.
    """
    panel: Panel = pkgutil.resolve_name(KINDS[settings.panel.kind])(settings, post)
    return panel


class Painter:
    """A thread that paints the newest scene: when it changes, and every `FRAME_SECONDS` after.

    `paint` gets the scene and the seconds since its subject began: scenes whose `subject` is equal
    go on from each other, so that what blinks or scrolls does not start again.
    """

    def __init__(
        self,
        name: str,
        paint: Callable[[Scene, float], None],
        subject: Callable[[Scene], object],
    ) -> None:
        self._paint = paint
        self._subject = subject
        self._changed = threading.Condition()
        self._scene: Scene | None = None
        self._is_new = self._is_closing = False
        self._began = 0.0
        self._now: object = None
        self._thread = threading.Thread(target=self._run, name=f"panel-{name}", daemon=True)
        self._thread.start()

    def show(self, scene: Scene) -> None:
        """Paint this from now on."""
        with self._changed:
            self._scene, self._is_new = scene, True
            self._changed.notify()

    def close(self) -> None:
        """Paint what is not painted yet, and end."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_new or self._is_closing, self._rest())
                scene, is_new, is_closing = self._scene, self._is_new, self._is_closing
                self._is_new = False
            if scene is not None and (is_new or not is_closing):
                self._try_to_paint(scene)
            if is_closing:
                return

    def _rest(self) -> float | None:
        """Seconds to the next picture, counted from the subject's beginning: lamps keep time."""
        if self._scene is None:
            return None
        return FRAME_SECONDS - (time.monotonic() - self._began) % FRAME_SECONDS

    def _try_to_paint(self, scene: Scene) -> None:
        # A scene that cannot be painted must not end the thread: the next one may be painted.
        try:
            if (subject := self._subject(scene)) != self._now:
                self._now, self._began = subject, time.monotonic()
            self._paint(scene, time.monotonic() - self._began)
        except Exception:
            _log.exception("%s cannot show %r", self._thread.name, scene.view)


class PaintedPanel:
    """A panel of painters, and of parts that are closed after them."""

    def __init__(
        self,
        painters: Sequence[Painter],
        parts: Sequence[Part],
        troubles: tuple[Trouble, ...] = (),
    ) -> None:
        self._painters = painters
        self._parts = parts
        self._troubles = troubles

    def show(self, scene: Scene) -> None:
        """Show this from now on."""
        for painter in self._painters:
            painter.show(scene)

    def troubles(self) -> tuple[Trouble, ...]:
        """What is wrong with the panel itself."""
        return self._troubles

    def close(self) -> None:
        """End the threads, release the parts."""
        for part in (*self._painters, *self._parts):
            part.close()


class NoPanel:
    """For a box that nobody sees: shows nothing."""

    def __init__(self, _: Settings, __: Post) -> None:
        """Need nothing."""

    def show(self, scene: Scene) -> None:
        """Nothing to show it on."""

    def troubles(self) -> tuple[Trouble, ...]:
        """Nothing can be wrong with it."""
        return ()

    def close(self) -> None:
        """Nothing to release."""
