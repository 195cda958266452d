"""A panel that nobody sees: for a box without one, and for looking at what would be shown."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from edge.box.panel.lamps import lit, pattern
from edge.box.views import Scene, Trouble

if TYPE_CHECKING:
    from PIL import Image


class VirtualPanel:
    """Keeps the last `most` scenes that differed (None: all), each with when it came."""

    def __init__(self, most: int | None = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._lock = threading.Lock()
        self._shown: deque[tuple[float, Scene]] = deque(maxlen=most)

    @property
    def shown(self) -> list[tuple[float, Scene]]:
        """Scenes, each with the seconds since the panel was made; the newest is the last."""
        with self._lock:
            return list(self._shown)

    @property
    def scene(self) -> Scene | None:
        """What is shown now."""
        with self._lock:
            return self._shown[-1][1] if self._shown else None

    def show(self, scene: Scene) -> None:
        """Keep this."""
        with self._lock:
            if not self._shown or self._shown[-1][1] != scene:
                self._shown.append((self._clock() - self._start, scene))

    def troubles(self) -> tuple[Trouble, ...]:
        """Nothing can be wrong with it."""
        return ()

    def close(self) -> None:
        """Nothing to let go of."""

    def lamps(self, at: float) -> tuple[bool, bool]:
        """Whether green and red were lit `at` seconds after the panel was made."""
        before = [(began, pattern(scene.view)) for began, scene in self.shown if began <= at]
        if not before:
            return False, False
        now = before[-1][1]
        began = at
        for start, earlier in reversed(before):
            if earlier != now:
                break
            began = start
        return lit(now, at - began)

    def picture(self) -> Image.Image | None:
        """What a display would show now, as its screen begins."""
        from edge.box.panel.screens import draw

        scene = self.scene
        return None if scene is None else draw(scene, 0.0)
