"""A panel that nobody sees: keeps every scene that was shown, and when."""

import time
from threading import Lock

from edge.box.views import Scene
from edge.box.views.status import Trouble


class RecordingPanel:
    """Scenes that differ from the one before, each with the seconds since the panel was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._lock = Lock()
        self._shown: list[tuple[float, Scene]] = []

    @property
    def shown(self) -> list[tuple[float, Scene]]:
        with self._lock:
            return list(self._shown)

    @property
    def scene(self) -> Scene | None:
        return self.shown[-1][1] if self.shown else None

    def show(self, scene: Scene) -> None:
        with self._lock:
            if not self._shown or self._shown[-1][1] != scene:
                self._shown.append((time.monotonic() - self._start, scene))

    def troubles(self) -> tuple[Trouble, ...]:
        return ()

    def close(self) -> None:
        pass
