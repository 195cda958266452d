"""A labelled clip or crop and what was said of it: the rows that every figure is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from edge.finding import Finding, Verdict

AS_IS: Final = "as is"


@dataclass(frozen=True)
class Condition:
    """How a clip was shown to the bundle."""

    compression: str = AS_IS
    frames: int | None = None
    """So many frames were asked for; None: as the box looks at a clip."""
    spread: bool = False
    """Whether those are spread over the clip; else they are its first."""
    second: bool = False
    """Whether a second opinion was to be had."""


PLAIN: Final = Condition()


@dataclass(frozen=True)
class Judged:
    """A labelled clip or crop and what the bundle said of it."""

    file: str
    fake: bool
    source: str
    method: str
    verdict: Verdict
    probability: float | None
    finding: Finding | None = None
    logit: float | None = None
    """The mean window logit of the face that decided, before calibration."""
    dataset: str = ""
    pair: str = ""
    """The file that a fake was made from, if the table tells."""
    condition: Condition = PLAIN
    asked: bool = False
    """Whether a second opinion was asked for."""
    looked_at: int = 0
    """Frames in which a face was scored."""
    seconds: float | None = None
    memory: float | None = None
    """The most that the program held in memory meanwhile, MB."""

    @property
    def right(self) -> bool:
        """Whether the verdict is the label."""
        return self.verdict is (Verdict.FAKE if self.fake else Verdict.REAL)

    @property
    def decided(self) -> bool:
        """Whether the verdict is REAL or FAKE."""
        return self.verdict in (Verdict.REAL, Verdict.FAKE)


def deciding_logit(finding: Finding) -> float | None:
    """The largest mean window logit among the faces that count; None if none does."""
    means = [
        math.fsum(window.logit for window in face.windows) / len(face.windows)
        for face in finding.faces
        if face.counted and face.windows
    ]
    return max(means, default=None)
