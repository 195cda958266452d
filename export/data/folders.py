"""Labelled folders, and the random draws that training makes from them.

A folder has a tab-separated `labels.tsv` with a header. The columns `file`, `label` (REAL or FAKE)
and `source` are required. `margin` (1 if absent) is how many times wider the image is than the
crop that a scan would cut. Only the feature cache and distillation accept empty labels.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ValidationError, ValidationInfo

from edge.errors import TruelightError

Image = NDArray[np.uint8]
Landmarks = NDArray[np.float32]  # [468, 2], in pixels or as shares of an image's side

Progress = Callable[[int, int], None]  # called with the number of steps done and of all steps
StageProgress = Callable[[str, int, int], None]  # as `Progress`, with the name of the stage first


@dataclass(frozen=True)
class Example:
    """One row of a labels.tsv: a face crop or a clip."""

    path: Path
    fake: bool
    source: str
    margin: float = 1.0
    key: str = ""  # FOLDER/FILE, which identifies the example in the feature cache
    labelled: bool = True

    @property
    def folder(self) -> str:
        """The name of the folder."""
        return self.key.partition("/")[0]

    def read(self) -> Image:
        """Read the image as uint8 [h, w, 3] RGB."""
        image = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        if image is None:
            raise TruelightError(f"{self.path} is not an image.", "Remove it from labels.tsv.")
        return np.asarray(image[..., ::-1], dtype=np.uint8)


@dataclass(frozen=True)
class TrainingData:
    """Examples and what training knows about them."""

    examples: Sequence[Example]
    landmarks: Mapping[str, Landmarks]
    """Of real images that can be blended, by path, as shares of the side."""
    feature_rows: Mapping[str, int]  # rows of the feature cache, by the examples' keys
    weights: Mapping[str, float]  # sampling weights of a folder's sources, by folder, if not 1

    @property
    def blendable(self) -> list[Example]:
        """Real images with landmarks."""
        return [
            one
            for one in self.examples
            if one.labelled and not one.fake and str(one.path) in self.landmarks
        ]

    def fingerprint(self) -> str:
        """A hash of the examples, cached features and weights; independent of the location."""
        parts = sorted(
            f"{e.key} {e.fake} {e.source} {str(e.path) in self.landmarks} "
            f"{e.key in self.feature_rows}"
            for e in self.examples
        )
        parts += [f"{name} {weight}" for name, weight in sorted(self.weights.items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def read_folder(folder: Path, unlabelled: bool = False) -> list[Example]:
    """Read a folder's labels.tsv; rows with an empty label are accepted only if `unlabelled`.

    Raises TruelightError if the table is missing, lacks a column or holds another label.
    """
    allowed = ("REAL", "FAKE", "") if unlabelled else ("REAL", "FAKE")
    table = folder / "labels.tsv"
    if not table.is_file():
        raise TruelightError(
            f"{folder} has no labels.tsv.", "It needs the columns file, label and source."
        )
    with table.open(newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t")
        missing = {"file", "label", "source"} - set(rows.fieldnames or ())
        if missing:
            raise TruelightError(f"{table} lacks the column {', '.join(sorted(missing))}.")
        examples = []
        for row in rows:
            if row["label"] not in allowed:
                raise TruelightError(
                    f"{table} has the label {row['label']!r} for {row['file']}.",
                    "Use REAL or FAKE.",
                )
            examples.append(
                Example(
                    path=folder / row["file"],
                    fake=row["label"] == "FAKE",
                    source=row["source"],
                    margin=float(row.get("margin") or 1.0),
                    key=f"{folder.resolve().name}/{row['file']}",
                    labelled=bool(row["label"]),
                )
            )
    if not examples:
        raise TruelightError(f"{table} lists no files.")
    return examples


def held_out(source: str, share: float) -> bool:
    """Whether a source is held out for validation, by its hash: the same in every run."""
    digest = hashlib.sha256(source.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < share


def split(examples: Iterable[Example], share: float) -> tuple[list[Example], list[Example]]:
    """Split into training and validation examples; no source is in both."""
    parts: tuple[list[Example], list[Example]] = [], []
    for example in examples:
        parts[held_out(example.source, share)].append(example)
    return parts


def one_each(examples: Sequence[Example], limit: int) -> list[Example]:
    """One real and one fake of each source that has both, at most `limit` examples."""
    pairs = PairSampler(examples).groups[: limit // 2]
    return [example for reals, fakes in pairs for example in (reals[0], fakes[0])]


class PairSampler:
    """Draws a source of a folder, then one of its reals and one of its fakes.

    Sources are drawn in proportion to the weight of their folder, 1 if `weights` does not name it.
    Examples of two folders form no pair, since their files may be encoded differently.
    """

    def __init__(
        self, examples: Sequence[Example], weights: Mapping[str, float] | None = None
    ) -> None:
        groups: dict[tuple[str, str], tuple[list[Example], list[Example]]]
        groups = defaultdict(lambda: ([], []))
        for example in examples:
            if example.labelled:
                groups[example.source, example.folder][example.fake].append(example)
        self.groups = [group for _, group in sorted(groups.items()) if group[0] and group[1]]
        self._shares = _shares([reals[0].folder for reals, _ in self.groups], weights or {})

    def draw(self, rng: np.random.Generator) -> tuple[Example, Example]:
        """A (real, fake) pair of one random source."""
        reals, fakes = self.groups[rng.choice(len(self.groups), p=self._shares)]
        return reals[rng.integers(len(reals))], fakes[rng.integers(len(fakes))]


class ExampleSampler:
    """Draws a source of a folder, then one of its examples, whatever the label."""

    def __init__(
        self, examples: Sequence[Example], weights: Mapping[str, float] | None = None
    ) -> None:
        groups: dict[tuple[str, str], list[Example]] = defaultdict(list)
        for example in examples:
            groups[example.folder, example.source].append(example)
        self.groups = [group for _, group in sorted(groups.items())]
        self._shares = _shares([group[0].folder for group in self.groups], weights or {})

    def draw(self, rng: np.random.Generator) -> Example:
        """A random example of a random source."""
        group = self.groups[rng.choice(len(self.groups), p=self._shares)]
        return group[rng.integers(len(group))]


def _shares(folders: Sequence[str], weights: Mapping[str, float]) -> NDArray[np.float64]:
    """The probability of each group of examples, by the weight of its folder."""
    values = np.array([weights.get(folder, 1.0) for folder in folders])
    return np.asarray(values / values.sum() if len(values) else values)


# ---- Recipes: YAML files that name folders


def _beside_recipe(path: Path, info: ValidationInfo) -> Path:
    assert isinstance(info.context, Path), "the recipe's folder"
    return info.context / path


RecipePath = Annotated[Path, AfterValidator(_beside_recipe)]
"""A path relative to the recipe's folder, which is the validation's context."""

AnyRecipe = TypeVar("AnyRecipe", bound=BaseModel)


def read_recipe(file: Path, kind: type[AnyRecipe]) -> AnyRecipe:
    """Read a recipe; its `RecipePath`s are relative to its folder.

    Raises TruelightError if it cannot be read or a value is not allowed.
    """
    import yaml

    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
        return kind.model_validate(values, context=file.parent)
    except OSError as failure:
        raise TruelightError(f"{file} cannot be read: {failure.strerror}.") from None
    except yaml.YAMLError as failure:
        raise TruelightError(f"{file} is not YAML: {failure}.") from None
    except ValidationError as failure:
        error = failure.errors()[0]
        where = ".".join(str(part) for part in error["loc"]) or "the recipe"
        raise TruelightError(f"{file}: {where}: {error['msg']}.") from None
