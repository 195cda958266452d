"""`bundle.json`, the manifest of an exported model: everything that is needed to run it correctly.

Unknown keys and values out of range are refused: a bundle of a later format, or one with a wrong
edit, never judges a clip.
"""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from edge.finding import Thresholds
from edge.scan.frames import CropSpec
from edge.text import one_line

File = Literal[
    "features.onnx", "sequence.onnx", "golden.npz", "CARD.md", "tower.onnx", "figures.json"
]
FEATURES: Final = "features.onnx"
SEQUENCE: Final = "sequence.onnx"
GOLDEN: Final = "golden.npz"
CARD: Final = "CARD.md"
TOWER: Final = "tower.onnx"
FIGURES: Final = "figures.json"
FILES: tuple[File, ...] = (FEATURES, SEQUENCE, GOLDEN, CARD)
"""Every bundle has these; the kind `tower` also has `TOWER`, and format 2 has `FIGURES`."""
MANIFEST = "bundle.json"

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Words = Annotated[str, Field(max_length=2000), AfterValidator(one_line)]
"""What people read: a stranger's text cannot control their terminal."""
Finite = Annotated[float, Field(allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=-1000, le=1000)]
"""Bounded: of larger ones the sum is no number for some logits."""


UNCALIBRATED = Thresholds(real=0.3, fake=0.7)


def sigmoid(logit: float) -> float:
    """The probability of a logit."""
    # Two forms, so that neither overflows.
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))


def _check_order(thresholds: Thresholds) -> None:
    if thresholds.real > thresholds.fake:
        raise ValueError("thresholds.real is above thresholds.fake")


class ManifestPart(BaseModel):
    """A part of the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CropRule(ManifestPart):
    """The square around the detector's box, in units of the box's longer side."""

    scale: float = Field(default=1.0, gt=0.1, lt=10)
    shift_x: float = Field(default=0.0, ge=-2, le=2)
    shift_y: float = Field(default=0.0, ge=-2, le=2)
    upright_from: float = Field(
        default=30.0,
        ge=0,
        le=180,
        description="Degrees: a head that is tilted by at least this is turned upright. A model"
        " that was trained on turned crops sets it low; turning changes the answers of others.",
    )

    def spec(self, side: int) -> CropSpec:
        """The rule for crops of `side` pixels."""
        return CropSpec(side, self.scale, self.shift_x, self.shift_y, self.upright_from)


class Input(ManifestPart):
    """Input of the features graph: uint8 RGB crops."""

    side: int = Field(ge=32, le=512, description="Of a crop, pixels.")
    colour: Literal["rgb", "bgr"] = Field(
        default="rgb", description="Order inside the network; the graph converts to it."
    )
    crop: CropRule = CropRule()

    @property
    def crop_spec(self) -> CropSpec:
        """How to cut the crops."""
        return self.crop.spec(self.side)


class Window(ManifestPart):
    """Input of the sequence graph: the features of this many crops at this rate."""

    frames: int = Field(ge=1, le=300)
    rate: float = Field(ge=0.01, le=240, description="Frames a second.")


class Calibration(ManifestPart):
    """probability = sigmoid(scale * logit + offset)."""

    scale: float = Field(default=1.0, gt=0, le=1000)
    offset: float = Field(default=0.0, ge=-1000, le=1000)

    def probability(self, logit: float) -> float:
        """The calibrated probability of FAKE."""
        return sigmoid(self.scale * logit + self.offset)


class QualityLimits(ManifestPart):
    """A face below any of these does not count."""

    face_px: float = Field(default=48.0, ge=0, le=4096)
    light: float = Field(default=25.0, ge=0, le=255)
    sharpness: float = Field(default=10.0, ge=0, le=100_000)
    seconds: float = Field(default=0.5, ge=0, le=3600)
    min_samples: int = Field(
        default=3, ge=1, le=1000, description="Frames of a film that must show the face."
    )
    real_pictures: bool = Field(
        default=True,
        description="Whether a single picture may be called REAL: not by a model that misses"
        " generated faces.",
    )


class EnsembleRule(ManifestPart):
    """How this bundle, as a second opinion, is combined with a first bundle.

    The logit of FAKE is first * z1 + second * z2 + offset, with a face's mean logits by the first
    bundle (z1) and by this one (z2), before calibration.
    """

    name: Name = Field(description="Of the first bundle.")
    sequence: Sha256 = Field(description="Of the first bundle's graphs: the rule fits only these.")
    features: Sha256
    crops: int = Field(ge=1, le=32, description="Of a face that are scored.")
    first: Weight
    second: Weight
    offset: Weight
    thresholds: Thresholds
    generated: Calibration | None = Field(
        default=None,
        description="From the sequence graph's output `generated` to a probability that the face"
        " was generated whole, judged by the same thresholds; null if there is no such output.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.thresholds)
        return self

    def fits(self, first: Manifest) -> bool:
        """Whether the rule was fitted for this first bundle."""
        graphs = (first.files[FEATURES], first.files[SEQUENCE])
        return graphs == (self.features, self.sequence)

    def probability(self, first: float, second: float) -> float:
        """The probability of FAKE by both models, from a face's mean logits by each."""
        return sigmoid(self.first * first + self.second * second + self.offset)


class GraphSettings(ManifestPart):
    """How the graphs were exported."""

    group_factors: dict[str, int] = Field(
        default_factory=dict,
        description="By stage: groups of the 3x3 convolutions that were merged.",
    )
    quantization: str = Field(description="As in int8, weights per channel, calibrated by minmax.")


class MeasuredFigure(ManifestPart):
    """A measured figure, with its data and the command that measured it."""

    name: Words
    value: Finite
    low: Finite | None = Field(default=None, description="Of the 95 % interval.")
    high: Finite | None = None
    data: Words = ""
    command: Words = ""


class FigureGroup(ManifestPart):
    """Figures that one command measured on one set of data."""

    data: Words
    command: int = Field(ge=0, description="Index in `commands`.")
    figures: tuple[MeasuredFigure, ...]


class FigureFile(ManifestPart):
    """`figures.json`: everything that was measured, each command stored once."""

    commands: tuple[Words, ...]
    groups: tuple[FigureGroup, ...]

    @model_validator(mode="after")
    def _commands_exist(self) -> Self:
        if any(group.command >= len(self.commands) for group in self.groups):
            raise ValueError("a group names a command that is not listed")
        return self

    def figures(self) -> tuple[MeasuredFigure, ...]:
        """Every figure with its data and command."""
        return tuple(
            figure.model_copy(update={"data": group.data, "command": self.commands[group.command]})
            for group in self.groups
            for figure in group.figures
        )


class Manifest(ManifestPart):
    """`bundle.json`. Format 1 has the figures inside, format 2 in `figures.json`."""

    format: Literal[1, 2] = 1
    name: Name
    version: Words = Field(min_length=1, max_length=64)
    licence: Words = Field(min_length=1)
    summary: Words
    input: Input
    window: Window
    pooling: Literal["mean"] = Field(default="mean", description="Of a track's window logits.")
    calibration: Calibration = Calibration()
    thresholds: Thresholds = UNCALIBRATED
    quality: QualityLimits = QualityLimits()
    kind: Literal["truelight", "published", "tower"]
    readout: Literal["mean", "last"] | None = None
    graphs: GraphSettings
    beside: EnsembleRule | None = None
    figures: tuple[MeasuredFigure, ...] = ()
    files: dict[File, Sha256]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if missing := [name for name in FILES if name not in self.files]:
            raise ValueError(f"files has no hash of {', '.join(missing)}")
        if (self.kind == "tower") is not (TOWER in self.files):
            raise ValueError(f"files has {TOWER} if the kind is tower, and only then")
        if (self.format == 2) is not (FIGURES in self.files):
            raise ValueError(f"files has {FIGURES} if the format is 2, and only then")
        _check_order(self.thresholds)
        return self
