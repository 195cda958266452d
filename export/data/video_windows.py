"""Windows of crops to train the LSTM: from clips, as a scan cuts them, or animated from stills."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from edge.scan.faces.crops import cut
from edge.scan.faces.detector import FaceDetector
from edge.scan.faces.search import FaceSearch
from edge.scan.frames import CropSpec
from edge.scan.media.client import ClipError, open_clip
from edge.scan.media.sampling import Sampling
from edge.scan.model.inference import fill_window, is_long_enough
from export.data.augment import Augmentation, random_augmentation
from export.data.blends import STEADY, Flicker, random_blend, save_arrays
from export.data.folders import (
    Example,
    Image,
    PairSampler,
    Progress,
    TrainingData,
    read_folder,
)

STEADY_SHARE = 0.3  # of the blends; steady ones must be recognised, too


@dataclass(frozen=True)
class ClipWindows:
    """Windows of labelled clips."""

    crops: Image  # uint8 [n, T, side, side, 3] RGB
    fakes: tuple[bool, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class WindowSampling:
    """How windows are sampled from clips: as the bundle will do it."""

    spec: CropSpec
    frames: int
    rate: float  # Hz
    limit: int = 6  # windows of a clip


def clip_windows(
    folder: Path,
    sampling: WindowSampling,
    detector: Callable[[], FaceDetector],
    cache: Path,
    progress: Progress,
) -> ClipWindows:
    """Windows of the largest face in each clip of the folder's labels.tsv.

    Results are cached in `cache` (.npz) and reused for the same clips and sampling. Clips that are
    unreadable or show no face have no windows.
    """
    clips = read_folder(folder)
    key = repr((sampling, [(c.key, c.fake, c.source) for c in clips]))
    digest = hashlib.sha256(key.encode()).hexdigest()
    if cache.is_file():
        with np.load(cache) as kept:
            if str(kept["key"]) == digest:
                fakes, sources = kept["fakes"].tolist(), kept["sources"].tolist()
                return ClipWindows(kept["crops"], tuple(fakes), tuple(sources))
    windows: list[Image] = []
    labelled: list[Example] = []
    ready = detector()
    for done, clip in enumerate(clips):
        progress(done, len(clips))
        for window in _windows(clip, sampling, ready):
            windows.append(window)
            labelled.append(clip)
    side = sampling.spec.side
    crops = np.stack(windows) if windows else np.zeros((0, sampling.frames, side, side, 3), "u1")
    found = ClipWindows(
        crops, tuple(clip.fake for clip in labelled), tuple(clip.source for clip in labelled)
    )
    save_arrays(
        cache,
        key=np.array(digest),
        crops=crops,
        fakes=np.array(found.fakes, bool),
        sources=np.array(found.sources, str),
    )
    return found


def _windows(clip: Example, sampling: WindowSampling, detector: FaceDetector) -> Iterator[Image]:
    """The windows of a clip that show its largest face long enough."""
    search = FaceSearch(detector)
    number, times, crops = -1, list[float](), dict[int, Image]()
    plan = Sampling(sampling.frames, sampling.rate, sampling.limit)
    try:
        with open_clip(clip.path, plan) as opened:
            for frame in opened.frames():
                if frame.window != number:
                    yield from _filled(times, crops, sampling)
                    number, times, crops = frame.window, [], {}
                if faces := search.detect(frame):
                    face, spec = faces[0], sampling.spec
                    crops[len(times)] = cut(frame.pixels, face.box, spec, face.roll).pixels
                times.append(frame.time)
    except ClipError:
        return
    yield from _filled(times, crops, sampling)


def _filled(
    times: list[float], crops: dict[int, Image], sampling: WindowSampling
) -> Iterator[Image]:
    """The window of crops by frame number, if there are enough."""
    if crops and is_long_enough(len(crops), len(times)):
        slots = fill_window(times, list(crops), sampling.frames, 1 / sampling.rate)
        values = list(crops.values())
        yield np.stack([values[slot] for slot in slots])


@dataclass(frozen=True)
class AnimatedWindows:
    """Draws pairs of windows made of stills; each is a function of its number and the seed."""

    data: TrainingData
    frames: int
    side: int
    seed: int

    @cached_property
    def _pairs(self) -> PairSampler:
        return PairSampler(self.data.examples, self.data.weights)

    @cached_property
    def _blendable(self) -> list[Example]:
        return self.data.blendable

    def pair(self, number: int) -> tuple[Image, Image, str]:
        """A real and a fake window, uint8 [frames, side, side, 3] RGB each, and their source.

        Odd numbers are labelled pairs of one source, even ones self-blends, if there are both.
        """
        rng = np.random.default_rng((self.seed, number))
        start = random_augmentation(rng)
        augmentations = _sequence(start, self.frames, rng)
        if self._pairs.groups and (number % 2 or not self._blendable):
            real, fake = self._pairs.draw(rng)
            room = min(real.margin, fake.margin)
            windows = [
                self._window(augmentations, [one.read()] * self.frames, one.margin, room)
                for one in (real, fake)
            ]
            return windows[0], windows[1], real.source
        example = self._blendable[int(rng.integers(len(self._blendable)))]
        landmarks = self.data.landmarks[str(example.path)]
        blend = random_blend(example, landmarks, self.side, 0.0, rng)
        fakes = [blend.fake(flicker) for flicker in _flickers(self.frames, rng)]
        return (
            self._window(augmentations, [blend.target] * self.frames, example.margin),
            self._window(augmentations, fakes, example.margin),
            example.source,
        )

    def _window(
        self,
        augmentations: Sequence[Augmentation],
        images: Sequence[Image],
        margin: float,
        room: float | None = None,
    ) -> Image:
        both = zip(augmentations, images, strict=True)
        return np.stack([one.apply(image, margin, self.side, room) for one, image in both])


def _flickers(frames: int, rng: np.random.Generator) -> list[Flicker]:
    """The flicker of each frame."""
    if rng.random() < STEADY_SHARE:
        return [STEADY] * frames
    mask, colour, strength = rng.uniform(0.0, 1.0, size=3)

    def normal(sigma: float) -> float:
        return float(rng.normal(0, sigma))

    return [
        Flicker(
            amount=float(1.0 - strength * rng.uniform(0.0, 0.6)),
            shift=(mask * normal(0.012), mask * normal(0.012)),
            growth=1.0 + mask * normal(0.03),
            tint=(colour * normal(6), colour * normal(6), colour * normal(6)),
        )
        for _ in range(frames)
    ]


def _sequence(start: Augmentation, frames: int, rng: np.random.Generator) -> list[Augmentation]:
    """One augmentation per frame: camera motion and light drift, compression varies."""
    drift = rng.normal(0.0, 0.004, size=3)
    light_drift = np.cumsum(rng.normal(0.0, 1.5, frames))
    contrast, brightness, gamma = start.light
    augmentations = []
    for t in range(frames):
        x, y, zoom = drift * t + rng.normal(0.0, 0.004, size=3)
        augmentations.append(
            replace(
                start,
                centre=(start.centre[0] + float(x), start.centre[1] + float(y)),
                extent=float(np.clip(start.extent + zoom, 0.8, 1.05)),
                light=(contrast, brightness + float(light_drift[t]), gamma),
                noise_seed=int(rng.integers(2**31)),
                crf=start.crf and int(np.clip(start.crf + rng.integers(-3, 4), 15, 45)),
                qualities=tuple(
                    int(np.clip(q + rng.integers(-8, 9), 25, 98)) for q in start.qualities
                ),
            )
        )
    return augmentations
