"""Windows of real clips, cut as the box cuts them, for the head over windows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from edge.scan.faces.crops import CropSpec, cut
from edge.scan.faces.detector import FaceDetector, Pixels
from edge.scan.faces.search import FaceSearch
from edge.scan.media.client import ClipError, open_clip
from edge.scan.media.sampling import Sampling
from edge.scan.model.inference import fill_window, is_long_enough
from export.data.augment import Treatment, draw
from export.data.blends import STEADY, Flicker, blend_of, to_blend
from export.data.folders import Image, Material, Pairs, Picture, read_folder


@dataclass(frozen=True)
class ClipWindows:
    """Windows of labelled clips; the unit of truth is the source."""

    crops: Image
    """uint8 [n, T, side, side, 3] RGB."""
    fakes: tuple[bool, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Looking:
    """How clips are looked at: as the bundle will have it."""

    spec: CropSpec
    frames: int
    rate: float  # Hz
    most: int = 6  # windows of a clip

    @property
    def sampling(self) -> Sampling:
        """For the decoder."""
        return Sampling(self.frames, self.rate, self.most)


def windows_of(
    folder: Path,
    looking: Looking,
    detector: Callable[[], FaceDetector],
    cache: Path,
    progress: Callable[[int, int], None],
) -> ClipWindows:
    """Windows of the largest face in the clips that a folder's labels.tsv names.

    Kept in `cache` (.npz) and read from there where it was made of the same clips in the same way.
    Clips that cannot be read or show no face have none.
    """
    clips = read_folder(folder)
    key = hashlib.sha256(repr((looking, [(c.key, c.fake, c.source) for c in clips])).encode())
    if cache.is_file():
        with np.load(cache) as kept:
            if str(kept["key"]) == key.hexdigest():
                return ClipWindows(
                    kept["crops"], tuple(kept["fakes"].tolist()), tuple(kept["sources"].tolist())
                )
    found: list[Image] = []
    fakes: list[bool] = []
    sources: list[str] = []
    ready = detector()
    for done, clip in enumerate(clips):
        progress(done, len(clips))
        for window in _windows(clip, looking, ready):
            found.append(window)
            fakes.append(clip.fake)
            sources.append(clip.source)
    side = looking.spec.side
    crops = np.stack(found) if found else np.zeros((0, looking.frames, side, side, 3), np.uint8)
    cache.parent.mkdir(parents=True, exist_ok=True)
    unfinished = cache.with_suffix(".part.npz")
    np.savez(unfinished, key=key.hexdigest(), crops=crops, fakes=fakes, sources=sources)
    unfinished.replace(cache)
    return ClipWindows(crops, tuple(fakes), tuple(sources))


def _windows(clip: Picture, looking: Looking, detector: FaceDetector) -> Iterator[Image]:
    """The windows of one clip in which its largest face was seen long enough."""
    search = FaceSearch(detector)
    number, times, seen = -1, list[float](), dict[int, Pixels]()
    try:
        with open_clip(clip.path, looking.sampling) as opened:
            for frame in opened.frames():
                if frame.window != number:
                    yield from _filled(times, seen, looking)
                    number, times, seen = frame.window, [], {}
                if faces := search.look(frame):
                    seen[len(times)] = cut(frame.pixels, faces[0].box, looking.spec).pixels
                times.append(frame.time)
    except ClipError:
        return
    yield from _filled(times, seen, looking)


def _filled(times: list[float], seen: dict[int, Pixels], looking: Looking) -> Iterator[Image]:
    """A window's slots, where the face was found in enough of its frames."""
    if seen and is_long_enough(len(seen), len(times)):
        crops = list(seen.values())
        slots = fill_window(times, list(seen), looking.frames, 1 / looking.rate)
        yield np.stack([crops[slot] for slot in slots])


CALM = 0.3  # share of blends that do not flicker: they must be seen, too


@dataclass(frozen=True)
class Windows:
    """Draws pairs of windows; every draw is a function of its number and the seed."""

    material: Material
    frames: int
    side: int
    seed: int

    @cached_property
    def _pairs(self) -> Pairs:
        return Pairs(self.material.pictures, self.material.weights)

    @cached_property
    def _blendable(self) -> list[Picture]:
        return self.material.blendable

    def pair(self, number: int) -> tuple[Image, Image, str]:
        """A real and a fake window, uint8 [frames, side, side, 3] RGB each, and their source.

        Odd numbers are labelled pairs of one source, even ones are self-blends; where there is
        nothing to make the one kind of, all are of the other.
        """
        rng = np.random.default_rng((self.seed, number))
        camera = _camera(draw(rng), self.frames, rng)
        if self._pairs.by_source and (number % 2 or not self._blendable):
            real, fake = self._pairs.draw(rng)
            room = min(real.margin, fake.margin)
            return self._film(camera, real, room), self._film(camera, fake, room), real.source
        return self._blend(camera, rng)

    def _film(self, camera: Sequence[Treatment], picture: Picture, room: float) -> Image:
        image = picture.read()
        return np.stack(
            [moment.apply(image, picture.margin, self.side, room) for moment in camera]
        )  # fmt: skip

    def _blend(
        self, camera: Sequence[Treatment], rng: np.random.Generator
    ) -> tuple[Image, Image, str]:
        picture = self._blendable[int(rng.integers(len(self._blendable)))]
        image, points = to_blend(picture, self.material.landmarks[str(picture.path)], self.side)
        blend = blend_of(image, points, 0.0, rng)
        reals, fakes = [], []
        for moment, flicker in zip(camera, _flickers(self.frames, rng), strict=True):
            reals.append(moment.apply(blend.target, picture.margin, self.side))
            fakes.append(moment.apply(blend.fake(flicker), picture.margin, self.side))
        return np.stack(reals), np.stack(fakes), picture.source


def _flickers(frames: int, rng: np.random.Generator) -> list[Flicker]:
    """How a window's blend changes from frame to frame."""
    if rng.random() < CALM:
        return [STEADY] * frames
    mask, colour, strength = rng.uniform(0.0, 1.0, size=3)
    return [
        Flicker(
            amount=float(1.0 - strength * rng.uniform(0.0, 0.6)),
            shift=(float(mask * rng.normal(0, 0.012)), float(mask * rng.normal(0, 0.012))),
            growth=float(1.0 + mask * rng.normal(0, 0.03)),
            tint=(
                float(colour * rng.normal(0, 6)),
                float(colour * rng.normal(0, 6)),
                float(colour * rng.normal(0, 6)),
            ),
        )
        for _ in range(frames)
    ]


def _camera(start: Treatment, frames: int, rng: np.random.Generator) -> list[Treatment]:
    """A treatment a frame: drift and tremble around the first, compression anew each time."""
    drift = rng.normal(0.0, 0.004, size=3)
    wander = np.cumsum(rng.normal(0.0, 1.5, frames))
    camera = []
    for t in range(frames):
        tremble = rng.normal(0.0, 0.004, size=3)
        contrast, brightness, gamma = start.light
        x, y, zoom = drift * t + tremble
        camera.append(
            replace(
                start,
                centre=(start.centre[0] + float(x), start.centre[1] + float(y)),
                extent=float(np.clip(start.extent + zoom, 0.8, 1.05)),
                light=(contrast, brightness + float(wander[t]), gamma),
                noise_seed=int(rng.integers(2**31)),
                crf=start.crf and int(np.clip(start.crf + rng.integers(-3, 4), 15, 45)),
                qualities=tuple(
                    int(np.clip(q + rng.integers(-8, 9), 25, 98)) for q in start.qualities
                ),
            )
        )
    return camera
