"""What people touch and see. A panel shows scenes and posts what its button tells."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from edge.box.events import Event
from edge.box.views import Brightness, Scene, Trouble

if TYPE_CHECKING:
    from PIL import Image

Post = Callable[[Event], None]
"""Takes what a panel's button tells: `Pressed`, `Held`, `HeldLong`; `Terminated` of a terminal."""

BEAT = 0.125
"""Seconds from one picture to the next, while nothing new is to be shown."""
PATIENCE = 2.0
"""Seconds that closing waits for a thread that hangs at its device."""
_log = logging.getLogger(__name__)


class Button(Protocol):
    """Posts what people do with it until it is closed."""

    def close(self) -> None:
        """Post nothing more. May be called again."""
        ...


class Lamps(Protocol):
    """Two lamps."""

    def show(self, green: bool, red: bool) -> None:
        """Light them or not."""
        ...

    def close(self) -> None:
        """Let go of them. May be called again."""
        ...


class Display(Protocol):
    """128 x 64 points."""

    def show(self, image: Image.Image, brightness: Brightness) -> None:
        """Show a picture of mode "1". A display that is not there is no error."""
        ...

    def close(self) -> None:
        """Let go of it; the picture stays. May be called again."""
        ...


class Panel(Protocol):
    """Shows scenes, posts what people do."""

    def show(self, scene: Scene) -> None:
        """Show this from now on. Never blocks; the newest wins."""
        ...

    def troubles(self) -> tuple[Trouble, ...]:
        """What is wrong with the panel itself."""
        ...

    def close(self) -> None:
        """End its threads. The last scene stays on a display; a terminal is restored."""
        ...


class Painter:
    """A thread that paints the newest scene: at once when it changes, and every beat after.

    `paint` gets the scene and the seconds since its subject began: scenes whose `subject` is equal
    go on from each other, so that what blinks or scrolls is not set back.
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
        """Seconds to the next beat, counted from the subject's beginning: lamps keep time."""
        if self._scene is None:
            return None
        return BEAT - (time.monotonic() - self._began) % BEAT

    def _try_to_paint(self, scene: Scene) -> None:
        # What cannot be painted must not end the thread: the next scene may be painted again.
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
        parts: Sequence[Button | Lamps | Display],
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
        """End the threads, let go of the parts."""
        for part in (*self._painters, *self._parts):
            part.close()
