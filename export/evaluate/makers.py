"""Leave one maker out: how well are the fakes of a maker found by a head that never saw them?

With a maker's fakes, the real images published with them are left out of training, everything
else that shows the same sources (such as blends of them), and half of all other sources, in turns.
The test is what was left out. A maker's AUC is the mean of two: its fakes against its own reals,
and against the reals of other cameras. The unit is the clip, and all sources weigh the same.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import TruelightError
from export.data.folders import read_folder
from export.data.gather import NOBODY
from export.metrics import Floats, bootstrap_interval, bootstrap_weights, weighted_auc

Flags = NDArray[np.bool_]
HALVES = (0, 1)
CAMERA_PARTS = 10
"""Left-out heads for cameras: more parts leave each of them more cameras to learn from."""
DRAWS = 400

Fit = Callable[[Flags], Floats]
"""From the faces to learn from, [n], to logits of all faces, [n]."""


@dataclass(frozen=True)
class LabelledFace:
    """A crop, and what leaving makers out needs to know of it."""

    fake: bool
    source: str
    maker: str
    """Who made the fake, or published it together with this real image; else `NOBODY`."""
    clip: str
    """Crops of one clip are scored together."""
    camera: str = ""
    """What it was taken with, or the data set, where that is known."""
    pair: str = ""
    """Shared by a fake and a real that were treated alike, if that is known."""
    derived: bool = False
    """Whether it was made of an image of another set, as a blend is."""


def read_faces(folders: Sequence[Path]) -> dict[str, LabelledFace]:
    """The faces of folders that `gather` and `vary` wrote, by key.

    A folder without the column `with` has one maker, named like the folder.
    """
    faces = {}
    for folder in folders:
        examples = {example.key: example for example in read_folder(folder.resolve())}
        name = folder.resolve().name
        with (folder / "labels.tsv").open(newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t"):
                key = f"{name}/{row['file']}"
                example = examples[key]
                clip = f"{name}/{row.get('clip') or row['file']}"
                maker = row.get("with") or name
                derived = "with" not in row
                pair = f"{name}/{row['pair']}" if row.get("pair") else ""
                faces[key] = LabelledFace(
                    example.fake,
                    example.source,
                    maker,
                    clip,
                    camera=row.get("camera") or "",
                    pair=pair,
                    derived=derived,
                )
    return faces


def half_of(source: str) -> int:
    """The half of the sources that one belongs to, by its hash."""
    return hashlib.sha256(source.encode()).digest()[9] % 2


def _part_of(camera: str) -> int:
    return int.from_bytes(hashlib.sha256(camera.encode()).digest()[:4], "big") % CAMERA_PARTS


@dataclass(frozen=True)
class MakerResult:
    """Left-out logits of a maker's test, by clip."""

    maker: str
    fakes: Flags
    own: Flags
    """Whether the clip is of the maker's set; the others are reals of other cameras."""
    logits: Floats
    sources: list[str]

    def auc(self, weights: Floats | None = None) -> Floats:
        """The mean of `auc_own` and `auc_others` under weights [..., n] of the clips.

        If either is undefined, it is the other.
        """
        parts = [self._auc(part, weights) for part in (self.own, ~self.own)]
        defined = [part for part in parts if not np.isnan(part).all()]
        if not defined:
            return parts[0]
        return np.asarray(np.nanmean(np.stack(defined), axis=0))

    @property
    def auc_own(self) -> float:
        """Against reals published with the fakes; NaN without."""
        return float(self._auc(self.own, None))

    @property
    def auc_others(self) -> float:
        """Against reals of other cameras; NaN without."""
        return float(self._auc(~self.own, None))

    def interval(self) -> tuple[float, float]:
        """95 % interval of `auc`, by bootstrap over sources."""
        return bootstrap_interval(self.sources, self.auc, DRAWS)

    @property
    def fake_sources(self) -> int:
        """Sources of fakes."""
        return len({s for s, fake in zip(self.sources, self.fakes, strict=True) if fake})

    def _auc(self, part: Flags, weights: Floats | None) -> Floats:
        keys = list(zip(self.fakes.tolist(), self.own.tolist(), self.sources, strict=True))
        counts = Counter(keys)
        equal = np.array([1.0 / counts[key] for key in keys])
        drawn = equal if weights is None else equal * weights
        return weighted_auc(self.fakes, self.logits, drawn * (self.fakes | part))


def mean_gain(
    results: Sequence[MakerResult], before: Sequence[MakerResult]
) -> tuple[float, float, float]:
    """The mean over makers of how much higher the AUC is, with its 95 % interval.

    Both are of the same makers and clips, and are compared on the same draws of sources.
    """
    pairs = list(zip(results, before, strict=True))
    gains = [float(one.auc() - other.auc()) for one, other in pairs]
    draws = [
        np.concatenate([one.auc(w) - other.auc(w) for w in bootstrap_weights(one.sources, DRAWS)])
        for one, other in pairs
    ]
    low, high = np.percentile(np.nanmean(np.stack(draws), axis=0), [2.5, 97.5])
    return float(np.mean(gains)), float(low), float(high)


def groups_of(faces: Sequence[LabelledFace]) -> tuple[dict[str, int], list[Flags]]:
    """The group of each source, and of each group the faces that show nothing of it.

    A source that makers published belongs to these makers, any other to a tenth of the cameras.
    """
    homes = _homes(faces)
    cameras = {face.source: face.camera or face.source for face in reversed(faces)}
    keys = {
        source: tuple(sorted(homes[source])) or (_part_of(camera),)
        for source, camera in cameras.items()
    }
    order = sorted(set(keys.values()), key=str)
    parts = [
        np.array([face.maker not in key and not set(key) & {*keys[face.source]} for face in faces])
        for key in order
    ]
    return {source: order.index(key) for source, key in keys.items()}, parts


def leave_makers_out(faces: Sequence[LabelledFace], fit: Fit) -> list[MakerResult]:
    """Score every maker's fakes by heads that saw nothing of its set.

    Raises TruelightError if there are fewer than two makers of fakes.
    """
    makers = sorted({face.maker for face in faces if face.fake})
    if len(makers) < 2:
        raise TruelightError(
            "Fakes of at least two makers are needed.",
            "Gather them with truelight-export gather, which names makers.",
        )
    homes = _homes(faces)
    half = np.array([half_of(face.source) for face in faces])
    stray = np.array([not homes[face.source] for face in faces])
    nobody = np.array([face.maker == NOBODY for face in faces])
    results = []
    for maker in makers:
        own = np.array([face.maker == maker for face in faces])
        related = np.array([maker in homes[face.source] for face in faces])
        clips: dict[tuple[str, bool], _Clip] = {}
        for part in HALVES:
            logits = fit(~(own | related | (stray & (half == part))))
            for at in np.flatnonzero(own | (nobody & (half == part))).tolist():
                face = faces[at]
                first = _Clip(face.fake, bool(own[at]), face.source)
                clips.setdefault((face.clip, face.fake), first).logits.append(float(logits[at]))
        found = list(clips.values())
        results.append(
            MakerResult(
                maker,
                np.array([clip.fake for clip in found]),
                np.array([clip.own for clip in found]),
                np.array([np.mean(clip.logits) for clip in found]),
                [clip.source for clip in found],
            )
        )
    return results


def _homes(faces: Sequence[LabelledFace]) -> Mapping[str, set[str]]:
    """By source, the makers whose sets it is in."""
    homes: dict[str, set[str]] = defaultdict(set)
    for face in faces:
        if face.maker != NOBODY and not face.derived:
            homes[face.source].add(face.maker)
    return homes


@dataclass
class _Clip:
    fake: bool
    own: bool
    source: str
    logits: list[float] = field(default_factory=list)


def maker_weights(faces: Sequence[LabelledFace], power: float) -> Floats:
    """Training weights [n] of sum 1: both labels weigh the same.

    Within a label a maker's set weighs its number of sources to `power`, its sources weigh the
    same: a maker with a thousand pictures of one person must not outvote one with thirty of thirty.
    """
    keys = [(face.fake, face.maker, face.source) for face in faces]
    images = Counter(keys)
    sources: dict[tuple[bool, str], set[str]] = defaultdict(set)
    for fake, maker, source in keys:
        sources[fake, maker].add(source)
    weights = np.array(
        [
            len(sources[fake, maker]) ** (power - 1) / images[fake, maker, source]
            for fake, maker, source in keys
        ]
    )
    fakes = np.array([face.fake for face in faces])
    for label in (False, True):
        if (fakes == label).any():
            weights[fakes == label] /= 2 * weights[fakes == label].sum()
    return weights
