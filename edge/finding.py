"""The result of a scan: a finding and its parts.

A finding is immutable. `Finding.model_dump_json()` is the contract that `docs/finding.schema.json`
publishes: adding keys is allowed, changing the meaning of one raises `SCHEMA_VERSION`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION: Final = 1

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Verdict(StrEnum):
    """The answer for one clip in one word."""

    REAL = "REAL"
    FAKE = "FAKE"
    UNSURE = "UNSURE"
    NO_FACE = "NO_FACE"
    UNREADABLE = "UNREADABLE"


class ReasonCode(StrEnum):
    """Stable codes: other programs may depend on them."""

    ABOVE_FAKE_THRESHOLD = "above-fake-threshold"
    BELOW_REAL_THRESHOLD = "below-real-threshold"
    BETWEEN_THRESHOLDS = "between-thresholds"
    NO_FACE = "no-face"
    FACES_TOO_SMALL = "faces-too-small"
    TOO_DARK = "too-dark"
    TOO_BLURRED = "too-blurred"
    LOW_DETAIL = "low-detail"
    TOO_NOISY = "too-noisy"
    FALSE_COLOURS = "false-colours"
    SEEN_TOO_BRIEFLY = "seen-too-briefly"
    MORE_FACES = "more-faces"
    SINGLE_PICTURE = "single-picture"
    FIRST_FRAMES_ONLY = "first-frames-only"
    DAMAGED = "damaged"
    WORK_LIMIT = "work-limit"
    OTHER_TRACKS = "other-tracks"
    OTHER_PICTURES = "other-pictures"
    VIDEO_BEHIND = "video-behind"
    OTHER_PARTS = "other-parts"
    TOO_LONG = "too-long"
    COUNTED_TIMES = "counted-times"
    SECOND_OPINION = "second-opinion"
    UNREADABLE = "unreadable"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def replaced(self, **values: Any) -> Self:  # noqa: ANN401 (any field's type; checked by pydantic)
        """A copy with some fields replaced. Raises ValidationError as the constructor does."""
        return type(self)(**{**dict(self), **values})


class Reason(_Part):
    """Why a verdict was given, or a limitation of it."""

    code: ReasonCode
    text: str = Field(description="The same in plain words.")


class Box(_Part):
    """A rectangle in pixels of the upright frame; it may reach beyond the frame's edge."""

    x: float
    y: float
    width: float
    height: float


class WindowScore(_Part):
    """The network's answer for one window of a face."""

    start: float = Field(description="Time of the first crop, seconds from the clip's start.")
    end: float = Field(description="Time of the last crop, seconds.")
    logit: float = Field(description="Output of the sequence graph; positive leans to FAKE.")
    fake_probability: Probability


class Quality(_Part):
    """How well a face can be seen: the median over the frames of a track."""

    face_px: float = Field(description="Side of the face box in pixels of the clip.")
    light: float = Field(description="Mean luma of the face, 0 to 255.")
    sharpness: float = Field(description="Variance of the Laplacian of the crop's luma.")
    roll: float = Field(
        default=0.0, description="Tilt of the head, degrees from 0 (upright) to 180 (on its head)."
    )
    warmth: float = Field(
        default=0.0, description="Red less blue of the face, as a share of its mean value."
    )
    fine_detail: float | None = Field(
        default=None,
        description="Fine detail of the face for its size by coarser detail, per cent: low if it "
        "was enlarged, high if it is noisy.",
    )


class Face(_Part):
    """One person tracked through the clip and judged alone."""

    id: int = Field(description="1 is the face that appeared first.")
    first_second: float
    last_second: float
    frames: int = Field(description="Frames in which the face was found.")
    box: Box = Field(description="Where the face was, in the frame at the middle of the track.")
    quality: Quality
    part: int = Field(
        default=0, description="Where it was found: 0 is `clip`, else the place in `parts`, from 1."
    )
    counted: bool = Field(description="Whether the face was good enough for the verdict.")
    fake_probability: Probability | None = Field(
        description="Calibrated; null if not scored. By both models after a second opinion."
    )
    reasons: tuple[Reason, ...] = ()
    windows: tuple[WindowScore, ...] = ()


class Clip(_Part):
    """Properties of the container, after checks."""

    kind: Literal["video", "image"]
    container: str
    codec: str
    width: int = Field(description="Upright, pixels.")
    height: int
    seconds: float
    frame_rate: float = Field(description="Mean frames a second; 0 for an image.")


class Part(_Part):
    """Something else in the file that was scanned beside `clip`, which players show."""

    kind: Literal["track", "page", "picture", "video", "joined"] = Field(
        description="A video track, a page, another picture, a video behind a picture, or another "
        "file joined behind."
    )
    number: int = Field(description="Its place among its kind in the file, from 1.")
    clip: Clip


class Model(_Part):
    """The bundle that judged the clip."""

    name: str
    version: str
    sha256: str = Field(description="Of bundle.json, which holds the hashes of the other files.")
    shipped: bool | None = Field(
        default=None, description="Whether this very bundle is from Truelight; null if not known."
    )


class Thresholds(_Part):
    """The probabilities of FAKE at which a verdict is given."""

    real: Probability = Field(description="REAL at or below this probability; 0 disables REAL.")
    fake: Probability = Field(description="FAKE at or above this probability; 1 disables FAKE.")


def verdict_of(probability: float, thresholds: Thresholds) -> Verdict:
    """REAL, FAKE or UNSURE for a probability of FAKE.

    A threshold at the end of the scale disables its verdict: `fake` 1 never gives FAKE, `real` 0
    never gives REAL, even where a probability is rounded to 1 or 0.
    """
    if thresholds.fake <= probability and thresholds.fake < 1:
        return Verdict.FAKE
    if thresholds.real >= probability and thresholds.real > 0:
        return Verdict.REAL
    return Verdict.UNSURE


class SecondFace(_Part):
    """The second model's answer for one face."""

    id: int = Field(description="As in `faces`.")
    crops: int = Field(description="Number of crops of the face that it scored.")
    logit: float = Field(description="Mean over these crops; positive leans to FAKE.")
    fake_probability: Probability = Field(description="By the second model alone, calibrated.")
    probability_before: Probability = Field(description="By the first model alone.")
    generated_probability: Probability | None = Field(
        default=None,
        description="That the face was generated whole; the higher one of this and the probability"
        " that it was swapped decides. Null if the model does not say so.",
    )


class SecondOpinion(_Part):
    """The answer of a slower model, used where the first one is unsure, and its cost."""

    model: Model
    crops: int = Field(description="Of all faces together.")
    seconds: float = Field(
        description="Wall time, including loading the model if that was necessary."
    )
    verdict_before: Verdict = Field(description="By the first model alone.")
    probability_before: Probability = Field(description="By the first model alone.")
    thresholds_before: Thresholds = Field(
        description="The first model's, which apply to the scores of windows."
    )
    faces: tuple[SecondFace, ...] = Field(description="The faces that counted.")


class Finding(_Part):
    """The result for one clip."""

    schema_version: Literal[1] = SCHEMA_VERSION
    path: str
    sha256: str | None = Field(
        description="Of the file; null if it could not be read, or not in the time for it."
    )
    size: int | None = Field(default=None, description="Of the file, bytes.")
    modified_ns: int | None = Field(
        default=None, description="When the file was last changed, nanoseconds since 1970."
    )
    verdict: Verdict
    fake_probability: Probability | None
    reasons: tuple[Reason, ...]
    faces: tuple[Face, ...] = ()
    clip: Clip | None = None
    parts: tuple[Part, ...] = Field(
        default=(), description="What else in the file was scanned, in the order of scanning."
    )
    frames_read: int = Field(default=0, description="Frames that were decoded.")
    frames_scored: int = Field(default=0, description="Frames with at least one crop scored.")
    seconds: dict[str, float] = Field(
        default_factory=dict,
        description="Time spent by stage: open, decode, faces, features, sequence, second, heat; "
        "total is wall.",
    )
    model: Model
    thresholds: Thresholds = Field(description="Those that decided.")
    second_opinion: SecondOpinion | None = Field(
        default=None, description="Null if no second model was used."
    )

    def part_of(self, face: Face) -> Part | None:
        """The part of the file that shows a face; None: what players show."""
        return self.parts[face.part - 1] if 0 < face.part <= len(self.parts) else None

    def clip_of(self, face: Face) -> Clip | None:
        """Properties of what shows a face."""
        part = self.part_of(face)
        return part.clip if part else self.clip

    @property
    def window_thresholds(self) -> Thresholds:
        """The first model's thresholds, which apply to the scores of windows."""
        second = self.second_opinion
        return self.thresholds if second is None else second.thresholds_before
