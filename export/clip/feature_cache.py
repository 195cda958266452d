"""What a tower says of pictures, kept on disk: features that take minutes an hour's pictures.

A folder holds `teacher.json` and shards (`.npz`): `names` str [n] (a picture's key: its folder's
name and its name in labels.tsv), `features` float16 [n, D], and `mirrored` float16 [n, D] if the
pictures' mirror images were asked about as well. Which picture is in which shard hangs on the names
alone, and shards appear whole, so what was broken off goes on as if nothing had been.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from edge.atomic_write import write_whole
from edge.errors import TruelightError
from edge.scan.model.bundle import Crops, open_graph
from export.clip.graph import Tap, Tower, lay_tower, read_taps
from export.data.augment import PLAIN
from export.data.folders import Picture, held_out, read_folder

TOLD = "teacher.json"
SHARDS = "[0-9]*.npz"
SHARD = 512  # pictures
BATCH = 8  # pictures; a range is shared by a batch, so it is always the same eight

Features = NDArray[np.float16]
Progress = Callable[[int, int], None]


class Told(BaseModel):
    """`teacher.json`: whose features these are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tower: str
    taps: str
    side: int
    extent: float
    mirrored: bool


@dataclass(frozen=True)
class TeacherFeatures:
    """Cached features: row i is of the picture with the key `names[i]`."""

    names: list[str]
    matrix: Features
    told: Told
    mirrored: Features | None = None

    @property
    def taps(self) -> tuple[Tap, ...]:
        """What the columns are."""
        return read_taps(self.told.taps)


def load_features(folder: Path) -> TeacherFeatures:
    """Read what `teach` left in a folder.

    Raises TruelightError if there is nothing, or it is damaged.
    """
    told = _told(folder)
    names: list[str] = []
    parts: list[Features] = []
    mirrored: list[Features] = []
    for shard in sorted(folder.glob(SHARDS)):
        try:
            with np.load(shard, allow_pickle=False) as kept:
                names += kept["names"].tolist()
                parts.append(kept["features"])
                if told is not None and told.mirrored:
                    mirrored.append(kept["mirrored"])
        except (OSError, ValueError, KeyError) as failure:
            raise TruelightError(f"{shard} is no shard of features: {failure}.") from None
    if told is None or not names:
        raise TruelightError(
            f"{folder} holds no features.", "Cache them with truelight-export teach."
        )
    both = np.concatenate(mirrored) if mirrored else None
    return TeacherFeatures(names, np.concatenate(parts), told, both)


def teach(
    folders: Sequence[Path],
    tower: Tower,
    taps: Sequence[Tap],
    out: Path,
    progress: Progress,
    mirrored: bool = False,
) -> int:
    """Ask the tower about every picture of the folders that `out` does not know, and keep it there.

    Returns how many pictures `out` knows then. Raises TruelightError if a folder is none, two
    pictures have one key, or `out` holds another teacher's features.
    """
    told = Told(
        tower=tower.sha256,
        taps=",".join(map(str, taps)),
        side=tower.side,
        extent=PLAIN.extent,
        mirrored=mirrored,
    )
    pictures = _pictures(folders)
    out.mkdir(parents=True, exist_ok=True)
    if (before := _told(out)) is None:
        write_whole(out / TOLD, (told.model_dump_json(indent=1) + "\n").encode())
    elif before != told:
        raise TruelightError(
            f"{out} holds features of another teacher or other taps.", "Name another --out."
        )
    known = set(load_features(out).names) if any(out.glob(SHARDS)) else set()
    # By hash: any first part of it is a fair sample, and the order needs no memory.
    order = sorted(pictures.keys() - known, key=lambda key: hashlib.sha256(key.encode()).digest())
    asking = _Asking(tower, taps, mirrored)
    shard = len(list(out.glob(SHARDS)))
    for at in range(0, len(order), SHARD):
        part = [pictures[key] for key in order[at : at + SHARD]]
        arrays = asking.about(part, lambda done, at=at: progress(at + done, len(order)))  # type: ignore[misc]
        _write_shard(out / f"{shard:05d}.npz", [picture.key for picture in part], arrays)
        shard += 1
    return len(known) + len(order)


def _pictures(folders: Sequence[Path]) -> dict[str, Picture]:
    """The folders' pictures by key."""
    found: dict[str, Picture] = {}
    for folder in folders:
        for picture in read_folder(folder.resolve(), unlabelled=True):
            if found.setdefault(picture.key, picture).path != picture.path:
                raise TruelightError(
                    f"{picture.key} is in two folders of the same name.", "Rename one of them."
                )
    return found


def _told(folder: Path) -> Told | None:
    try:
        return Told.model_validate_json((folder / TOLD).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as failure:
        raise TruelightError(f"{folder / TOLD} cannot be read: {failure}.") from None


def _write_shard(file: Path, names: Sequence[str], arrays: dict[str, Features]) -> None:
    archive = io.BytesIO()
    content: dict[str, Any] = {"names": np.array(names), **arrays}
    np.savez(archive, **content)
    write_whole(file, archive.getvalue())


class _Asking:
    """A tower in ONNX Runtime; pictures are read while it works."""

    def __init__(self, tower: Tower, taps: Sequence[Tap], mirrored: bool) -> None:
        file = tower.path.resolve()
        graph = lay_tower(tower, taps, file.name)
        self._session = open_graph(graph, 0, file.name, file.parent)
        self._side = tower.side
        self._ways = {"features": PLAIN} | (
            {"mirrored": replace(PLAIN, flip=True)} if mirrored else {}
        )

    def about(
        self, pictures: Sequence[Picture], progress: Callable[[int], None]
    ) -> dict[str, Features]:
        """float16 [n, D] of each way to show the pictures."""
        answers: dict[str, list[Features]] = {way: [] for way in self._ways}
        for done, ways in enumerate(self._read(pictures)):
            progress(done * BATCH)
            for way, crops in ways.items():
                (answer,) = self._session.run(["features"], {"crops": crops})
                answers[way].append(np.asarray(answer, np.float16))
        return {way: np.concatenate(parts) for way, parts in answers.items()}

    def _read(self, pictures: Sequence[Picture]) -> Iterator[dict[str, Crops]]:
        """Batches of crops uint8 [n, side, side, 3] RGB, read one ahead."""
        batches = [pictures[at : at + BATCH] for at in range(0, len(pictures), BATCH)]
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures") as pool:
            reading = pool.submit(self._crops, batches[0])
            for batch in batches[1:]:
                ready = reading.result()
                reading = pool.submit(self._crops, batch)
                yield ready
            yield reading.result()

    def _crops(self, batch: Sequence[Picture]) -> dict[str, Crops]:
        images = [(picture.read(), picture.margin) for picture in batch]
        return {
            way: np.stack([treatment.apply(*image, self._side) for image in images])
            for way, treatment in self._ways.items()
        }


@dataclass(frozen=True)
class Lessons:
    """Rows of features `[n, D]`, labels `[n]`, and whence the pictures are."""

    features: Features
    fakes: NDArray[np.bool_]
    sources: list[str]

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def told(self) -> str:
        """How many of how many sources, in words."""
        return f"{len(self)} pictures of {len(set(self.sources))} sources"


def lessons_of(
    taught: Sequence[TeacherFeatures], folders: Sequence[Path], share: float
) -> tuple[Lessons, Lessons]:
    """What to learn from, and what is kept out: a `share` of the sources, as in training.

    Mirror images, where they are known, are learned from as well.

    Raises TruelightError if the features are of different teachers, or of no picture.
    """
    if len({_teacher(one.told) for one in taught}) > 1:
        raise TruelightError("The folders of features are not of one teacher.")
    pictures = {p.key: p for folder in folders for p in read_folder(folder.resolve())}
    # A picture that two teachers' folders know counts once.
    rows = [[(row, pictures.pop(name)) for row, name in enumerate(one.names) if name in pictures]
            for one in taught]  # fmt: skip
    made = []
    for aside in (False, True):
        parts: list[Features] = []
        fakes: list[bool] = []
        sources: list[str] = []
        for one, known in zip(taught, rows, strict=True):
            chosen = [(row, p) for row, p in known if held_out(p.source, share) is aside]
            at = [row for row, _ in chosen]
            ways = [one.matrix, None if aside else one.mirrored]
            for way in ways:
                if way is not None:
                    parts.append(way[at])
                    fakes += [p.fake for _, p in chosen]
                    sources += [p.source for _, p in chosen]
        made.append(Lessons(np.concatenate(parts), np.array(fakes, bool), sources))
    learned, kept = made
    if not len(learned):
        raise TruelightError(
            "None of the labelled pictures has features.",
            "Cache the features of the same folders: they are known by the folders' names.",
        )
    return learned, kept


def _teacher(told: Told) -> Told:
    return told.model_copy(update={"mirrored": False})
