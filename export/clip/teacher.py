"""A CLIP encoder as a teacher: its features cached on disk, or computed for every batch.

A cache is a folder of `teacher.json` and shards (`.npz`): `names` str [n] (FOLDER/FILE of
labels.tsv), `features` float16 [n, D] and, on request, those of the mirrored images as `mirrored`.
The images of a shard depend on their names alone and shards are written atomically, so an
interrupted run continues. The online teacher sees the student's augmented images, only larger:
that costs more than cached features, but no image occurs twice.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from edge.atomic_write import atomic_write
from edge.errors import TruelightError
from edge.scan.model.bundle import open_graph
from export.clip.adapter import Adapter, Norms, hash_of
from export.clip.graph import Encoder, Tap, features_graph, read_taps
from export.clip.vit import Vit
from export.data.augment import CENTRE_CROP
from export.data.folders import Example, Image, Progress, read_folder
from export.train.batches import Batch, PhaseKind
from export.train.distillation import LABEL_WEIGHT, Targets, TargetSource
from export.train.network import best_device, bf16_is_fast

METADATA = "teacher.json"
SHARDS = "[0-9]*.npz"
SHARD = 512  # images
BATCH = 8  # images; a batch shares its dynamic ranges, so it is always the same eight

Features = NDArray[np.float16]


class CacheMetadata(BaseModel):
    """`teacher.json`: how the features were made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tower: str  # SHA-256 of the encoder's file
    taps: str
    side: int
    extent: float
    mirrored: bool
    norms: str = ""
    """`hash_of` the layer norms; empty if they are the encoder's own."""


@dataclass(frozen=True)
class FeatureCache:
    """Row i belongs to the example with the key `names[i]`."""

    names: list[str]
    matrix: Features
    metadata: CacheMetadata
    mirrored: Features | None = None

    @property
    def taps(self) -> tuple[Tap, ...]:
        """What the columns are."""
        return read_taps(self.metadata.taps)


def load_features(folder: Path) -> FeatureCache:
    """Read a folder of `cache_features`. Raises TruelightError if it has none or is damaged."""
    metadata = _metadata(folder)
    names: list[str] = []
    parts: list[Features] = []
    mirrored: list[Features] = []
    for shard in sorted(folder.glob(SHARDS)):
        try:
            with np.load(shard, allow_pickle=False) as kept:
                names += kept["names"].tolist()
                parts.append(kept["features"])
                if metadata is not None and metadata.mirrored:
                    mirrored.append(kept["mirrored"])
        except (OSError, ValueError, KeyError) as failure:
            raise TruelightError(f"{shard} is not a shard of features: {failure}.") from None
    if metadata is None or not names:
        raise TruelightError(
            f"{folder} holds no features.", "Cache them with truelight-export teach."
        )
    both = np.concatenate(mirrored) if mirrored else None
    return FeatureCache(names, np.concatenate(parts), metadata, both)


def cache_features(
    folders: Sequence[Path],
    encoder: Encoder,
    taps: Sequence[Tap],
    out: Path,
    progress: Progress,
    mirrored: bool = False,
    norms: Norms | None = None,
) -> int:
    """Compute the features that `out` lacks of the folders' images; returns how many it has then.

    `norms` replace the encoder's.

    Raises TruelightError if a folder is wrong, two images have one key, or `out` holds features of
    another encoder or other taps.
    """
    metadata = CacheMetadata(
        tower=encoder.sha256,
        taps=",".join(map(str, taps)),
        side=encoder.side,
        extent=CENTRE_CROP.extent,
        mirrored=mirrored,
        norms=hash_of(norms or {}),
    )
    examples = _examples(folders)
    out.mkdir(parents=True, exist_ok=True)
    if (before := _metadata(out)) is None:
        atomic_write(out / METADATA, metadata.model_dump_json(indent=1) + "\n")
    elif before != metadata:
        raise TruelightError(
            f"{out} holds features of another encoder, other norms or taps.", "Name another --out."
        )
    known = set(load_features(out).names) if any(out.glob(SHARDS)) else set()
    # Ordered by hash, so that every part is a random sample.
    order = sorted(examples.keys() - known, key=lambda key: hashlib.sha256(key.encode()).digest())
    extractor = _Extractor(encoder, taps, mirrored, norms)
    shards = len(list(out.glob(SHARDS)))
    for number, begin in enumerate(range(0, len(order), SHARD), start=shards):
        part = order[begin : begin + SHARD]
        arrays: dict[str, Any] = extractor.features(
            [examples[key] for key in part],
            lambda done, begin=begin: progress(begin + done, len(order)),  # type: ignore[misc]
        )
        archive = io.BytesIO()
        np.savez(archive, names=np.array(part), **arrays)
        atomic_write(out / f"{number:05d}.npz", archive.getvalue())
    return len(known) + len(order)


def _examples(folders: Sequence[Path]) -> dict[str, Example]:
    """The folders' examples by key."""
    found: dict[str, Example] = {}
    for folder in folders:
        for example in read_folder(folder.resolve(), unlabelled=True):
            if found.setdefault(example.key, example).path != example.path:
                raise TruelightError(
                    f"{example.key} is in two folders of the same name.", "Rename one of them."
                )
    return found


def _metadata(folder: Path) -> CacheMetadata | None:
    try:
        return CacheMetadata.model_validate_json((folder / METADATA).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as failure:
        raise TruelightError(f"{folder / METADATA} cannot be read: {failure}.") from None


class _Extractor:
    """An encoder in ONNX Runtime; images are read while it computes."""

    def __init__(
        self, encoder: Encoder, taps: Sequence[Tap], mirrored: bool, norms: Norms | None
    ) -> None:
        file = encoder.path.resolve()
        graph = features_graph(encoder, taps, file.name, norms)
        self._session = open_graph(graph, 0, file.name, file.parent)
        self._side = encoder.side
        self._views = {"features": CENTRE_CROP}
        if mirrored:
            self._views["mirrored"] = replace(CENTRE_CROP, flip=True)

    def features(
        self, examples: Sequence[Example], progress: Callable[[int], None]
    ) -> dict[str, Features]:
        """float16 [n, D] of each view."""
        parts: dict[str, list[Features]] = {view: [] for view in self._views}
        for done, views in enumerate(self._read(examples)):
            progress(done * BATCH)
            for view, crops in views.items():
                (features,) = self._session.run(["features"], {"crops": crops})
                parts[view].append(np.asarray(features, np.float16))
        return {view: np.concatenate(part) for view, part in parts.items()}

    def _read(self, examples: Sequence[Example]) -> Iterator[dict[str, Image]]:
        """Batches of crops uint8 [n, side, side, 3] RGB, read one ahead."""
        batches = [examples[at : at + BATCH] for at in range(0, len(examples), BATCH)]
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="images") as pool:
            reading = pool.submit(self._crops, batches[0])
            for batch in batches[1:]:
                ready = reading.result()
                reading = pool.submit(self._crops, batch)
                yield ready
            yield reading.result()

    def _crops(self, batch: Sequence[Example]) -> dict[str, Image]:
        images = [(example.read(), example.margin) for example in batch]
        return {
            view: np.stack([crop.apply(*image, self._side) for image in images])
            for view, crop in self._views.items()
        }


class OnlineTeacher(TargetSource):
    """An adapted encoder that sees every batch."""

    kind: PhaseKind = "online_teacher"

    def __init__(self, encoder: Encoder, adapter: Adapter) -> None:
        """Load the encoder to the best device. Raises TruelightError if the adapter mismatches."""
        super().__init__()
        device = best_device()
        vit = Vit(encoder, adapter.taps, torch.bfloat16 if bf16_is_fast() else torch.float32)
        vit.load_norms({name: torch.from_numpy(norm) for name, norm in adapter.norms.items()})
        self._vit = vit.to(device)
        self._weight = torch.from_numpy(adapter.weight).to(device)
        self._bias = adapter.bias
        self.side, self.width = vit.side, vit.width
        digest = hashlib.sha256(adapter.encoder.encode())
        for part in (*adapter.norms.values(), adapter.weight):
            digest.update(part.tobytes())
        self.name = digest.hexdigest()

    def prepare(self, sample: Callable[[], Iterable[Batch]]) -> None:
        """Measure `scale`, unless it was restored with the run."""
        if self.scale:
            return
        features = vit_features(self._vit, sample())
        logits = features @ self._weight + self._bias
        self.scale = {
            "mean": features.mean(0),
            "spread": features.std(0) + 1e-6,
            "logit": logits.std() + 1e-6,
        }

    @torch.no_grad()
    def targets(self, batch: Batch) -> Targets:
        """Targets of crops uint8 [n, side, side, 3]; the logit's zero stays the decision's."""
        with torch.autocast(self._weight.device.type, enabled=False):
            features = self._vit(batch.crops.to(self._weight.device))
            logits = features @ self._weight + self._bias
        standard = (features - self.scale["mean"]) / self.scale["spread"]
        return Targets(standard, logits / self.scale["logit"], torch.arange(len(logits)))

    def label_weight(self, progress: float) -> float:
        """Rises to 1."""
        return LABEL_WEIGHT + (1 - LABEL_WEIGHT) * progress


@torch.no_grad()
def vit_features(
    vit: Vit, batches: Iterable[Batch], show: Callable[[int], None] = lambda _: None
) -> Tensor:
    """float32 [n, D] of all crops, on the encoder's device; `show` gets the batches done."""
    parts: list[Tensor] = []
    for batch in batches:
        parts.append(vit(batch.crops.to(vit.mean.device)))
        show(len(parts))
    return torch.cat(parts)
