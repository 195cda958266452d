"""From crops to logits, beside the search for faces: a thread of its own asks the network.

Crops are batched across faces and frames. They live until their features exist, the features until
their window is judged, so memory does not grow with the clip.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge.scan.model.bundle import BATCH, Bundle
from edge.scan.verdict import WindowLogit

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

AHEAD = 4
"""How many batches may wait for the network before the search for faces waits for it."""


@dataclass
class _Batch:
    """Crops that the network sees at once; `features` is set when they are on their way."""

    crops: list[Pixels] = field(default_factory=list)
    features: Future[Floats] | None = None


@dataclass(frozen=True)
class _CropAnswer:
    """One crop: the frame of its window that it is from, and where its features will be."""

    frame: int
    batch: _Batch
    row: int


@dataclass
class _Window:
    """A window of all faces at once."""

    number: int
    times: list[float] = field(default_factory=list)
    tracks: dict[int, list[_CropAnswer]] = field(default_factory=dict)


class Inference:
    """The scores of one clip's faces. A context manager: leaving it drops what still waits."""

    def __init__(self, bundle: Callable[[], Bundle], step: float) -> None:
        """`bundle` may block while the model is still being loaded; `step` is from slot to slot."""
        self._bundle = bundle
        self._step = step
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="features")
        self._batch = _Batch()
        self._sent: deque[Future[Floats]] = deque()
        self._windows: deque[_Window] = deque()
        self._logits: dict[int, list[WindowLogit]] = {}
        self.seconds = {"features": 0.0, "sequence": 0.0}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def add(self, window: int, time: float, crops: dict[int, Pixels]) -> None:
        """Take one frame of a window: its time in seconds and the crops in it, by track.

        Every frame is told, also one without a face. Blocks while the network is far behind.
        """
        if not self._windows or self._windows[-1].number != window:
            self._windows.append(_Window(window))
            # The last full window may still be with the network; the one before it hardly is.
            if len(self._windows) > 2:
                self._judge(self._windows.popleft())
        filling = self._windows[-1]
        for track, crop in crops.items():
            sighting = _CropAnswer(len(filling.times), self._batch, len(self._batch.crops))
            filling.tracks.setdefault(track, []).append(sighting)
            self._batch.crops.append(crop)
            if len(self._batch.crops) == BATCH:
                self._send()
        filling.times.append(time)

    def finish(self) -> dict[int, list[WindowLogit]]:
        """The logits of every face's windows, in the order of time, by track."""
        while self._windows:
            self._judge(self._windows.popleft())
        return self._logits

    def _send(self) -> None:
        """Have the network see the batch; wait if too many are on their way."""
        batch, self._batch = self._batch, _Batch()
        crops, batch.crops = np.stack(batch.crops), []
        batch.features = self._pool.submit(self._ask, crops)
        self._sent.append(batch.features)
        if len(self._sent) > AHEAD:
            self._sent.popleft().result()

    def _ask(self, crops: Pixels) -> Floats:
        bundle = self._bundle()
        start = time.perf_counter()
        features = bundle.features(crops)
        self.seconds["features"] += time.perf_counter() - start
        return features

    def _judge(self, window: _Window) -> None:
        """Ask the network for a full window's logits, one for each face in it."""
        if not window.tracks:
            return
        bundle = self._bundle()
        faces = []
        for sightings in window.tracks.values():
            found = [sighting.frame for sighting in sightings]
            rows = [self._row(sighting) for sighting in sightings]
            slots = fill_window(window.times, found, bundle.window_frames, self._step)
            faces.append(np.stack([rows[slot] for slot in slots]))
        start = time.perf_counter()
        logits = bundle.sequence(np.stack(faces))
        self.seconds["sequence"] += time.perf_counter() - start
        for (track, sightings), logit in zip(window.tracks.items(), logits, strict=True):
            answer = WindowLogit(
                start=window.times[sightings[0].frame],
                end=window.times[sightings[-1].frame],
                logit=float(logit),
                steady=is_long_enough(len(sightings), len(window.times)),
            )
            self._logits.setdefault(track, []).append(answer)

    def _row(self, sighting: _CropAnswer) -> Floats:
        """The features of one crop, as soon as they exist."""
        if sighting.batch is self._batch:
            self._send()
        assert sighting.batch.features is not None, "every batch but the one in the making is sent"
        features = sighting.batch.features.result()
        return np.asarray(features[sighting.row])


def fill_window(times: Sequence[float], found: Sequence[int], slots: int, step: float) -> list[int]:
    """Which sighting stands in each slot of a window.

    Args:
        times: of the window's frames in seconds, ascending; at least one.
        found: the frames in which the face was found, as positions in `times`, ascending; at
            least one.
        slots: how many frames the network wants.
        step: the time from slot to slot in seconds.

    Returns:
        `slots` positions in `found`. Of two crops equally near, the earlier one is taken.
    """
    return [
        min(range(len(found)), key=lambda sighting: abs(times[found[sighting]] - wanted))
        for wanted in slot_times(times, slots, step)
    ]


def slot_times(times: Sequence[float], slots: int, step: float) -> list[float]:
    """The times that a window's slots stand for, seconds.

    Time turns round at the last frame and at the first, so that a short clip holds no jump which
    the network could take for a forgery.
    """
    if len(times) >= slots:
        return list(times[:slots])
    start, span = times[0], times[-1] - times[0]
    return [start + _bounced(slot * step, span) for slot in range(slots)]


def _bounced(time: float, span: float) -> float:
    """`time` going back and forth between 0 and `span`."""
    if span <= 0:
        return 0.0
    beyond = time % (2 * span)
    return min(beyond, 2 * span - beyond)


def is_long_enough(found: int, frames: int) -> bool:
    """Whether a face was found in at least half of a window's frames."""
    return 2 * found >= frames
