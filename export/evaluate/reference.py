"""Reference findings: what a bundle must answer to known clips, in `reference.json` beside it.

A bundle's golden vector proves its graphs; this table proves the whole way from a file to a
verdict. A wrong label order, colour order, crop or calibration moves these answers by far more
than processors differ. The idea is google/magika's: the table is not written until there are cases
on both sides of each threshold.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.atomic_write import atomic_write
from edge.errors import TruelightError
from edge.finding import Finding, Thresholds, Verdict, verdict_of
from edge.scan.scanner import Scanner
from export.convert.bundle import REFERENCE
from export.data.folders import Progress

TOLERANCE: Final = 0.25
"""How far the logit, before calibration, may be from the table. On these clips the optimised and
the plain graph differ by up to 0.05, and pixels changed by one level by 0.16."""


class ReferenceFinding(BaseModel):
    """The answer to one clip."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clip: str
    verdict: Verdict
    fake_probability: float | None


class ReferenceTable(BaseModel):
    """`reference.json`: findings by the SHA-256 of the clip."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    bundle: str
    tolerance: float
    """Of the log-odds of the probabilities."""
    findings: dict[str, ReferenceFinding]


def make_reference(scanner: Scanner, clips: Sequence[Path], progress: Progress) -> ReferenceTable:
    """Scan the clips and tabulate the findings.

    Raises TruelightError if a clip cannot be read, or if a verdict that the thresholds allow has
    no clip that is further than the tolerance from both thresholds.
    """
    findings: dict[str, ReferenceFinding] = {}
    for done, clip in enumerate(clips):
        progress(done, len(clips))
        finding = scanner.scan(clip)
        if finding.sha256 is None:
            raise TruelightError(f"{clip} cannot be read.")
        findings[finding.sha256] = ReferenceFinding(
            clip=clip.name, verdict=finding.verdict, fake_probability=finding.fake_probability
        )
    manifest = scanner.manifest
    tolerance = TOLERANCE * manifest.calibration.scale
    _require_both_sides(findings.values(), manifest.thresholds, tolerance)
    return ReferenceTable(
        bundle=f"{manifest.name} {manifest.version}", tolerance=tolerance, findings=findings
    )


def read_reference(bundle: Path) -> ReferenceTable:
    """Read the table of the bundle in the folder `bundle`.

    Raises TruelightError if there is none or it is damaged.
    """
    file = bundle / REFERENCE
    try:
        return ReferenceTable.model_validate_json(file.read_bytes())
    except OSError as failure:
        raise TruelightError(
            f"{file} cannot be read: {failure.strerror}.", "truelight-export reference writes it."
        ) from None
    except ValidationError as failure:
        raise TruelightError(f"{file} is damaged: {failure.errors()[0]['msg']}.") from None


def write_reference(bundle: Path, table: ReferenceTable) -> None:
    """Write the table into the folder `bundle`."""
    atomic_write(bundle / REFERENCE, table.model_dump_json(indent=1) + "\n")


def differences(table: ReferenceTable, findings: Iterable[Finding]) -> list[str]:
    """What differs from the table, a sentence a clip; empty if all is well."""
    found = {finding.sha256: finding for finding in findings}
    sentences = [
        f"{expected.clip} was not scanned, or its content is different."
        for sha256, expected in table.findings.items()
        if sha256 not in found
    ]
    for sha256, expected in table.findings.items():
        if sha256 in found:
            sentences += _differs(expected, found[sha256], table.tolerance)
    return sentences


def _differs(expected: ReferenceFinding, finding: Finding, tolerance: float) -> list[str]:
    before, now = expected.fake_probability, finding.fake_probability
    if before is None or now is None:
        same = before is now and expected.verdict is finding.verdict
    else:
        sure = _margin(before, finding.thresholds) > tolerance
        same = abs(_log_odds(now) - _log_odds(before)) <= tolerance
        same &= not sure or expected.verdict is finding.verdict
    if same:
        return []
    expectation, answer = (
        f"{verdict.value} ({'no probability' if p is None else f'{p:.3f}'})"
        for verdict, p in ((expected.verdict, before), (finding.verdict, now))
    )
    return [f"{expected.clip}: {answer} instead of {expectation}."]


def _require_both_sides(
    findings: Iterable[ReferenceFinding], thresholds: Thresholds, tolerance: float
) -> None:
    probabilities = [f.fake_probability for f in findings if f.fake_probability is not None]
    covered = {
        verdict_of(p, thresholds) for p in probabilities if _margin(p, thresholds) > tolerance
    }
    reachable = {verdict_of(p / 1000, thresholds) for p in range(1001)}
    if missing := reachable - covered:
        raise TruelightError(
            f"No clip is {' and none is '.join(sorted(v.value for v in missing))} by a sufficient "
            f"margin; the probabilities are {', '.join(f'{p:.3f}' for p in sorted(probabilities))} "
            f"and the thresholds {thresholds.real:g} and {thresholds.fake:g}.",
            "Add clips until each verdict has one.",
        )


def _margin(probability: float, thresholds: Thresholds) -> float:
    """Distance in log-odds from the nearest threshold in use."""
    used = [t for t in (thresholds.real, thresholds.fake) if 0 < t < 1]
    return min((abs(_log_odds(probability) - _log_odds(t)) for t in used), default=math.inf)


def _log_odds(probability: float) -> float:
    p = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(p / (1 - p))
