"""From crops to logits, parallel to the face pipeline: a thread of its own runs the network.

Crops are batched across faces and frames. They are kept until their features exist, the features
until their window is scored, so memory does not grow with the clip.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

from edge.finding import WindowScore
from edge.scan.frames import Crops, Floats, Pixels
from edge.scan.model.bundle_info import BATCH
from edge.scan.model.manifest import Manifest

if TYPE_CHECKING:
    from edge.scan.model.bundle import Bundle

AHEAD = 4
"""Batches that may wait for the network before the face pipeline waits for it."""
_SIGN_SECONDS = 2.0
"""Between signs of life while the network is waited for: a model of others may take long."""


@dataclass
class _Batch:
    """Crops for one run of the network; `features` is set once they are submitted."""

    crops: list[Pixels] = field(default_factory=list)
    features: Future[Floats] | None = None


@dataclass(frozen=True)
class _Sample:
    """One crop: its frame within the window, and where its features will be."""

    frame: int
    batch: _Batch
    row: int


@dataclass
class _Window:
    """A window of all faces."""

    number: int
    times: list[float] = field(default_factory=list)
    tracks: dict[int, list[_Sample]] = field(default_factory=dict)


class Inference:
    """The scores of one clip's faces. A context manager: leaving it drops what still waits."""

    def __init__(
        self,
        bundle: Callable[[], Bundle],
        manifest: Manifest,
        waiting: Callable[[], None] = lambda: None,
    ) -> None:
        """`bundle` may block while the model is still being loaded; `manifest` is the bundle's.

        `waiting` is called now and then while the network is waited for; it may raise `Cancelled`.
        """
        self._waiting = waiting
        self._bundle = bundle
        self._manifest = manifest
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="features")
        self._batch = _Batch()
        self._submitted: deque[Future[Floats]] = deque()
        self._windows: deque[_Window] = deque()
        self._scores: dict[int, list[WindowScore]] = defaultdict(list)
        self._brief: dict[int, list[WindowScore]] = defaultdict(list)
        self.seconds = {"features": 0.0, "sequence": 0.0}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def add(self, window: int, time: float, crops: Mapping[int, Pixels]) -> None:
        """Add one frame of a window: its time in seconds and its crops by track.

        Frames without a face are added too. Blocks while the network is far behind.
        """
        if not self._windows or self._windows[-1].number != window:
            self._windows.append(_Window(window))
            # The last full window may still be in the network; the one before it hardly is.
            if len(self._windows) > 2:
                self._score(self._windows.popleft())
        filling = self._windows[-1]
        for track, crop in crops.items():
            sample = _Sample(len(filling.times), self._batch, len(self._batch.crops))
            filling.tracks.setdefault(track, []).append(sample)
            self._batch.crops.append(crop)
            if len(self._batch.crops) == BATCH:
                self._submit()
        filling.times.append(time)
        while len(self._windows) > 1 and self._has_features(self._windows[0]):
            self._score(self._windows.popleft())

    def probability_so_far(self) -> float | None:
        """The highest probability of FAKE of a face, by its windows so far; None before one."""
        means = [sum(s.logit for s in scores) / len(scores) for scores in self._scores.values()]
        return self._manifest.calibration.probability(max(means)) if means else None

    def finish(self) -> dict[int, tuple[WindowScore, ...]]:
        """The scores of every face's windows by track, in the order of time.

        Windows that show the face in fewer than half of their frames are left out if the face has
        others.
        """
        while self._windows:
            self._score(self._windows.popleft())
        return {track: tuple(scores) for track, scores in (self._brief | self._scores).items()}

    def _submit(self) -> None:
        """Have the network run the batch; wait if too many are waiting."""
        batch, self._batch = self._batch, _Batch()
        crops, batch.crops = np.stack(batch.crops), []
        batch.features = self._pool.submit(self._run, crops)
        self._submitted.append(batch.features)
        if len(self._submitted) > AHEAD:
            self._answer(self._submitted.popleft())

    def _answer(self, features: Future[Floats]) -> Floats:
        while not wait([features], _SIGN_SECONDS).done:
            self._waiting()
        return features.result()

    def _run(self, crops: Crops) -> Floats:
        bundle = self._bundle()
        start = time.perf_counter()
        features = bundle.features(crops)
        self.seconds["features"] += time.perf_counter() - start
        return features

    def _score(self, window: _Window) -> None:
        """Score a full window, for each face in it."""
        if not window.tracks:
            return
        self._waiting()
        bundle, shape = self._bundle(), self._manifest.window
        faces = []
        for samples in window.tracks.values():
            found = [sample.frame for sample in samples]
            rows = [self._features(sample) for sample in samples]
            slots = fill_window(window.times, found, shape.frames, 1 / shape.rate)
            faces.append(np.stack([rows[slot] for slot in slots]))
        start = time.perf_counter()
        logits = bundle.sequence(np.stack(faces))
        self.seconds["sequence"] += time.perf_counter() - start
        for (track, samples), logit in zip(window.tracks.items(), map(float, logits), strict=True):
            score = WindowScore(
                start=window.times[samples[0].frame],
                end=window.times[samples[-1].frame],
                logit=logit,
                fake_probability=self._manifest.calibration.probability(logit),
            )
            steady = is_long_enough(len(samples), len(window.times))
            (self._scores if steady else self._brief)[track].append(score)

    def _has_features(self, window: _Window) -> bool:
        """Whether a full window can be scored without waiting for the network."""
        batches = (sample.batch for samples in window.tracks.values() for sample in samples)
        return all(batch.features is not None and batch.features.done() for batch in batches)

    def _features(self, sample: _Sample) -> Floats:
        """The features of one crop, as soon as they exist."""
        if sample.batch is self._batch:
            self._submit()
        assert sample.batch.features is not None, "every batch but the current one is submitted"
        return np.asarray(self._answer(sample.batch.features)[sample.row])


def fill_window(times: Sequence[float], found: Sequence[int], slots: int, step: float) -> list[int]:
    """Which crop fills each slot of a window.

    Args:
        times: of the window's frames in seconds, ascending; at least one.
        found: the frames in which the face was found, as positions in `times`, ascending; at
            least one.
        slots: number of frames that the network needs.
        step: the time from slot to slot in seconds.

    Returns:
        `slots` positions in `found`. Of two crops equally near, the earlier one is taken.
    """
    return [
        min(range(len(found)), key=lambda crop: abs(times[found[crop]] - wanted))
        for wanted in slot_times(times, slots, step)
    ]


def slot_times(times: Sequence[float], slots: int, step: float) -> list[float]:
    """The times of a window's slots, seconds.

    In a short clip, time runs back and forth: a jump could look like a forgery to the network.
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
