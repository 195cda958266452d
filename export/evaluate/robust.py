"""A linear head that answers alike on a real clip and on recompressions of it.

Strong compression makes real faces look swapped: it moves their features in directions that a head
learned to call FAKE. Here the head's weight w0 is changed to the w that minimises

    (w - w0)' C (w - w0) + strength * mean of (w' d)^2

over the changes d that recompression made to the features of real clips. C is the covariance of
the features of many faces, so that on other faces the logits change as little as possible. It is
solved in closed form (the Woodbury identity), and needs no labels but those of reals.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from edge.errors import TruelightError
from edge.finding import Face
from export.clip.adapter import Adapter, LeftOutHeads, hash_of
from export.clip.teacher import FeatureCache
from export.data.folders import Progress
from export.evaluate.ensemble import RecordedClip, scan_recorded
from export.evaluate.records import AS_IS
from export.evaluate.second_opinion import SecondOpinionRequest, write_draft
from export.metrics import Floats

STRENGTH = 1.0
"""From 0.1 to 100, left-out cameras gave the same figures."""
RIDGE = 0.1
"""Added to the covariance's diagonal, as a share of it."""
FOLDS = 10
"""Of the sources: each is measured by a head that did not learn from it."""


@dataclass(frozen=True)
class Changes:
    """What recompression does to the features of real clips."""

    changes: Floats
    """[n, D]"""
    sources: Sequence[str]
    plain: Floats
    """[m, D]: of all clips as they are."""


def measure_changes(
    request: SecondOpinionRequest, ways: Sequence[str], progress: Progress
) -> Changes:
    """Scan the request's clips with its head, as they are and recompressed in these ways.

    Raises TruelightError if there is no real clip with a face, or something cannot be used.
    """
    with TemporaryDirectory() as folder:
        second = write_draft(request, Path(folder))
        workshop = Path(folder) / "scans"
        scanned = scan_recorded(request.first, second, request.clips, workshop, progress, ways)
    features = {
        (p.file, p.condition.compression): (p, found)
        for p, known in scanned
        if (found := _main_face(RecordedClip(p, known))) is not None
    }
    plain = {file: found for (file, way), (_, found) in features.items() if way == AS_IS}
    changed = [
        (p.source, found - plain[file])
        for (file, way), (p, found) in features.items()
        if way != AS_IS and not p.fake and file in plain
    ]
    if not changed:
        raise TruelightError(f"{request.clips} has no real clip with a face, recompressed.")
    return Changes(
        np.stack([each for _, each in changed]),
        [source for source, _ in changed],
        np.stack(list(plain.values())),
    )


def _main_face(clip: RecordedClip) -> Floats | None:
    """The mean features [D] of the face that is seen most."""
    finding = clip.prediction.finding
    faces = [face for face in finding.faces if face.id in clip.features] if finding else []
    if not faces:
        return None

    def seen(face: Face) -> float:
        return face.frames * face.quality.face_px

    return np.asarray(clip.features[max(faces, key=seen).id].mean(0), np.float64)


def covariance_of(caches: Sequence[FeatureCache], head: Adapter) -> Floats:
    """Of the cached features, [D, D].

    Raises TruelightError if they are not those of the head.
    """
    for cache in caches:
        known = (cache.metadata.tower, cache.taps, cache.metadata.norms)
        if known != (head.encoder, head.taps, hash_of(head.norms)):
            raise TruelightError(
                "The features were made with another tower, other taps or layer norms.",
                "Give robust and teach the same file with --tuned.",
            )
    features = np.concatenate([cache.matrix for cache in caches]).astype(np.float64)
    covariance: Floats = np.cov(features, rowvar=False, bias=True)
    return covariance


def steady_weight(
    weight: NDArray[np.floating],
    covariance: Floats,
    changes: Floats,
    strength: float = STRENGTH,
) -> Floats:
    """The weight [D] nearest to the given one whose logits hardly move by `changes` [n, D]."""
    return _steadied(weight, _solved(covariance, changes), changes, strength)


def _solved(covariance: Floats, changes: Floats) -> Floats:
    """C^-1 d of every change, [D, n]."""
    ridge = np.diag(RIDGE * np.diag(covariance) + 1e-9)
    return np.asarray(np.linalg.solve(covariance + ridge, changes.T), np.float64)


def _steadied(
    weight: NDArray[np.floating], solved: Floats, changes: Floats, strength: float
) -> Floats:
    count = len(changes)
    inner = np.eye(count) * count / strength + changes @ solved
    return np.asarray(weight - solved @ np.linalg.solve(inner, changes @ weight), np.float64)


def robust_head(
    head: Adapter, covariance: Floats, measured: Changes, strength: float = STRENGTH
) -> Adapter:
    """The head, steadied, with heads that saw nothing of a tenth of the sources each.

    Its mean logit on the clips as they are stays.

    Raises TruelightError if it has left-out heads already: they would have to be steadied too.
    """
    if head.left_out is not None:
        raise TruelightError(
            "The head was fitted with sources left out.", "Steady the head that tune wrote."
        )
    solved = _solved(covariance, measured.changes)
    mean = measured.plain.mean(0)
    old = np.asarray(head.weight, np.float64)
    folds = {source: zlib.crc32(source.encode()) % FOLDS for source in measured.sources}
    rows = np.array([folds[source] for source in measured.sources])

    def fitted(part: NDArray[np.bool_]) -> tuple[NDArray[np.float32], float]:
        weight = _steadied(old, solved[:, part], measured.changes[part], strength)
        return weight.astype(np.float32), float(head.bias + mean @ (old - weight))

    weight, bias = fitted(np.ones(len(rows), bool))
    rest = [fitted(rows != fold) for fold in range(FOLDS)]
    left_out = LeftOutHeads(
        folds,
        np.stack([each for each, _ in rest]),
        np.array([each for _, each in rest], np.float32),
    )
    return replace(head, weight=weight, bias=bias, left_out=left_out)
