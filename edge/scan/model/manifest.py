"""What `bundle.json` says: everything needed to use an exported model right.

Unknown keys and values out of range are refused, so a bundle made for a later format or mended by
hand into nonsense never judges a clip.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edge.finding import Thresholds

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
Finite = Annotated[float, Field(allow_inf_nan=False)]


UNCALIBRATED = Thresholds(real=0.3, fake=0.7)


def _check_order(thresholds: Thresholds) -> None:
    if thresholds.real > thresholds.fake:
        raise ValueError("thresholds.real is above thresholds.fake")


class Part(BaseModel):
    """A part of the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CropRule(Part):
    """How the square is laid around the detector's box, in parts of the box's longer side."""

    scale: float = Field(default=1.0, gt=0.1, lt=10)
    shift_x: float = Field(default=0.0, ge=-2, le=2)
    shift_y: float = Field(default=0.0, ge=-2, le=2)


class Input(Part):
    """What the features graph is given: uint8 RGB crops."""

    side: int = Field(ge=32, le=512, description="Of a crop, pixels.")
    colour: Literal["rgb", "bgr"] = Field(
        default="rgb", description="What the network inside wants; the graph reorders by itself."
    )
    crop: CropRule = CropRule()


class Window(Part):
    """What the sequence graph is given: this many crops at this rate."""

    frames: int = Field(ge=1, le=300)
    rate: float = Field(gt=0, le=240, description="Frames a second.")


class Calibration(Part):
    """probability = sigmoid(scale * logit + offset)."""

    scale: float = Field(default=1.0, gt=0, le=1000)
    offset: float = Field(default=0.0, ge=-1000, le=1000)


class QualityLimits(Part):
    """Below any of these a face is not counted."""

    face_px: float = Field(default=48.0, ge=0, le=4096)
    light: float = Field(default=25.0, ge=0, le=255)
    sharpness: float = Field(default=10.0, ge=0, le=100_000)
    seconds: float = Field(default=0.5, ge=0, le=3600)


class EnsembleRule(Part):
    """How this bundle's answer is joined with that of the bundle it is asked beside.

    The logit of FAKE is first * z1 + second * z2 + offset, of a face's mean logits by the other
    (z1) and by this one (z2), before calibration.
    """

    name: Name = Field(description="Of the other bundle.")
    sequence: Sha256 = Field(description="Of the other's graphs: the rule holds for these alone.")
    features: Sha256
    crops: int = Field(ge=1, le=32, description="Of a face that are asked about.")
    first: Finite
    second: Finite
    offset: Finite
    thresholds: Thresholds

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.thresholds)
        return self


class GraphSettings(Part):
    """How the graphs were made."""

    group_factors: dict[str, int] = Field(
        default_factory=dict, description="By stage: groups of the 3x3 convolutions laid together."
    )
    quantization: str = Field(description="As in int8, weights per channel, calibrated by minmax.")


class MeasuredFigure(Part):
    """Something that was measured, with what it was measured on and by which command."""

    name: str
    value: Finite
    low: Finite | None = Field(default=None, description="Of the 95 % interval.")
    high: Finite | None = None
    data: str = ""
    command: str = ""


class FigureGroup(Part):
    """Figures that one command measured on one set of data."""

    data: str
    command: int = Field(ge=0, description="Index in `commands`.")
    figures: tuple[MeasuredFigure, ...]


class FigureFile(Part):
    """`figures.json`: everything that was measured, each command stored once."""

    commands: tuple[str, ...]
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


class Manifest(Part):
    """`bundle.json`. Format 1 has the figures inside, format 2 in `figures.json`."""

    format: Literal[1, 2] = 1
    name: Name
    version: str = Field(min_length=1, max_length=64)
    licence: str = Field(min_length=1)
    summary: str
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
