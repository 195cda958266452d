"""Windows of real clips, cut as the box cuts them, for the head over windows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.scan.cage import ClipError, open_clip
from edge.scan.crops import CropSpec, cut
from edge.scan.faces import FaceDetector, Pixels
from edge.scan.sampling import Sampling
from edge.scan.search import FaceSearch
from edge.scan.windows import enough, fill
from export.training.data import Image, Picture, read_folder


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
    if seen and enough(len(seen), len(times)):
        crops = list(seen.values())
        slots = fill(times, list(seen), looking.frames, 1 / looking.rate)
        yield np.stack([crops[slot] for slot in slots])
