"""What a report says of each clip, in the words and numbers that its page shows. Pure.

Places within a plot are per cent of its width and height, so that it can be drawn at any size.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath

from edge.finding import Clip, Face, Finding, ReasonCode, Thresholds, Verdict, verdict_of
from edge.history.reader import Entry
from edge.text import clock, one_line, percent

WORST_FIRST = (
    Verdict.FAKE,
    Verdict.UNSURE,
    Verdict.UNREADABLE,
    Verdict.REAL,
    Verdict.NO_FACE,
)

MOST_FACES = 8
"""Of a clip; the others are counted."""

Encode = Callable[[bytes], str]
"""Makes a picture (JPEG) an address."""

_SHORTCOMINGS = {
    ReasonCode.FACES_TOO_SMALL: "too small",
    ReasonCode.TOO_DARK: "too dark",
    ReasonCode.TOO_BLURRED: "too blurred",
    ReasonCode.SEEN_TOO_BRIEFLY: "seen too briefly",
}


@dataclass(frozen=True)
class Scale:
    """A probability between the thresholds, as per cent of the way from 0 to 1."""

    real: float
    fake: float
    at: float
    real_said: str
    fake_said: str
    told: str

    @classmethod
    def of(cls, thresholds: Thresholds, probability: float) -> Scale:
        """The scale of a bundle with a probability on it."""
        real, fake = percent(thresholds.real), percent(thresholds.fake)
        told = f"Fake with a probability of {percent(probability)}."
        told += f" REAL is said up to {real}, FAKE from {fake}."
        parts = (_part(thresholds.real), _part(thresholds.fake), _part(probability))
        return cls(*parts, real, fake, told)


@dataclass(frozen=True)
class Stroke:
    """A line within a plot, per cent from the left and from the top."""

    x1: float
    y1: float
    x2: float
    y2: float
    lean: str = ""
    """`fake`, `unsure` or `real`: where a window's score lies; empty between windows."""


@dataclass(frozen=True)
class Plot:
    """A face's score over time: a stroke for each window, and what joins them."""

    windows: tuple[Stroke, ...]
    joins: tuple[Stroke, ...]
    real: float
    fake: float
    marks: tuple[str, ...]
    told: str


@dataclass(frozen=True)
class FacePage:
    """One face of a clip."""

    number: int
    portrait: str
    heat: str
    """Where the network looked; empty if nobody knows."""
    said: str
    lean: str
    counted: bool
    facts: str
    both: str
    """What each model said, if two were asked."""
    why: str
    plot: Plot | None


@dataclass(frozen=True)
class ClipPage:
    """One clip."""

    anchor: str
    name: str
    verdict: Verdict
    probability: str
    scale: Scale | None
    reasons: tuple[str, ...]
    faces: tuple[FacePage, ...]
    more_faces: int
    heat: bool
    """Whether a face has a heat map."""
    facts: tuple[tuple[str, str], ...]


def clip_pages(entries: Sequence[Entry], encode: Encode) -> list[ClipPage]:
    """A page for each entry, the worst first."""
    called = names([entry.finding.path for entry in entries])
    return [
        _clip(f"clip-{number}", entry, called, encode)
        for number, entry in enumerate(worst_first(entries), start=1)
    ]


def worst_first(entries: Sequence[Entry]) -> list[Entry]:
    """Entries in the order in which people want to know of them."""
    return sorted(entries, key=_badness)


def _badness(entry: Entry) -> tuple[int, float, int]:
    probability = entry.finding.fake_probability
    worst = WORST_FIRST.index(entry.finding.verdict)
    return worst, 1.0 if probability is None else -probability, entry.id


def _clip(anchor: str, entry: Entry, called: Mapping[str, str], encode: Encode) -> ClipPage:
    finding = entry.finding
    faces = sorted(
        finding.faces, key=lambda face: (not face.counted, -(face.fake_probability or 0.0), face.id)
    )
    said = finding.fake_probability
    return ClipPage(
        anchor=anchor,
        name=called[finding.path],
        verdict=finding.verdict,
        probability="" if said is None else percent(said),
        scale=None if said is None else Scale.of(finding.thresholds, said),
        reasons=tuple(one_line(reason.text) for reason in finding.reasons),
        faces=tuple(_face(face, entry, encode) for face in faces[:MOST_FACES]),
        more_faces=max(0, len(faces) - MOST_FACES),
        heat=any(face.id in entry.heat for face in faces[:MOST_FACES]),
        facts=tuple(_facts(entry)),
    )


def _face(face: Face, entry: Entry, encode: Encode) -> FacePage:
    finding = entry.finding
    said = face.fake_probability
    video = finding.clip is not None and finding.clip.kind == "video"
    facts = f"{face.quality.face_px:.0f} px wide"
    if video:
        facts = f"seen {clock(face.first_second)} to {clock(face.last_second)}, {facts}"
    return FacePage(
        number=face.id,
        portrait=encode(entry.portraits[face.id]) if face.id in entry.portraits else "",
        heat=encode(entry.heat[face.id]) if face.id in entry.heat else "",
        said="not scored" if said is None else percent(said),
        lean="" if said is None else _lean(said, finding.thresholds),
        counted=face.counted,
        facts=facts,
        both=_both(face, finding),
        why=", ".join(_SHORTCOMINGS.get(reason.code, reason.code) for reason in face.reasons),
        plot=_plot(face, finding) if video and face.windows else None,
    )


def _both(face: Face, finding: Finding) -> str:
    asked = finding.second_opinion
    views = {view.id: view for view in asked.faces} if asked else {}
    if asked is None or face.id not in views:
        return ""
    view = views[face.id]
    told = (finding.model.name, view.probability_before), (asked.model.name, view.fake_probability)
    return ", ".join(f"{one_line(name)} {percent(said)}" for name, said in told)


def _plot(face: Face, finding: Finding) -> Plot:
    length = max(finding.clip.seconds if finding.clip else 0.0, face.last_second, 0.001)
    thresholds = finding.window_thresholds
    windows = []
    for window in face.windows:
        height = 100 - _part(window.fake_probability)
        start, end = (_part(time / length) for time in (window.start, window.end))
        lean = _lean(window.fake_probability, thresholds)
        windows.append(Stroke(start, height, end, height, lean))
    joins = [
        Stroke(before.x2, before.y2, after.x1, after.y1) for before, after in pairwise(windows)
    ]
    scores = [window.fake_probability for window in face.windows]
    low, high = percent(min(scores)), percent(max(scores))
    count = len(scores)
    told = (
        f"Score of face {face.id} over time, in one window: {high}."
        if count == 1
        else f"Score of face {face.id} over time, in {count} windows: from {low} to {high}."
    )
    return Plot(
        windows=tuple(windows),
        joins=tuple(joins),
        real=100 - _part(thresholds.real),
        fake=100 - _part(thresholds.fake),
        marks=tuple(clock(length * part) for part in ((0, 0.5, 1) if length >= 4 else (0, 1))),
        told=told,
    )


def _facts(entry: Entry) -> list[tuple[str, str]]:
    """What must be known of the file and of how it was judged."""
    finding = entry.finding
    facts = []
    if finding.clip:
        facts.append(("File", _container(finding.clip)))
        frames = f"{finding.frames_scored} frame{'s' * (finding.frames_scored != 1)} with a face"
        facts.append(("Looked at", f"{frames}, {finding.frames_read} decoded"))
    model = f"{finding.model.name} {finding.model.version}"
    seconds = f"in {finding.seconds['total']:.1f} s" if "total" in finding.seconds else ""
    judged = f"{entry.judged:%Y-%m-%d %H:%M} UTC {seconds}".strip()
    facts.append(("Judged", f"{judged}, by {one_line(model)}"))
    if asked := finding.second_opinion:
        crops = f"{asked.crops} crop{'s' * (asked.crops != 1)}"
        model = one_line(f"{asked.model.name} {asked.model.version}")
        facts.append(("Also asked", f"{model}, on {crops}, for {asked.seconds:.1f} s of that"))
    facts.append(("SHA-256", finding.sha256 or "not known: the file could not be read"))
    return facts


def _container(clip: Clip) -> str:
    facts = [clip.container, f"{clip.width} x {clip.height}"]
    if clip.codec != clip.container:
        facts.insert(1, clip.codec)
    if clip.kind == "video":
        facts.append(clock(clip.seconds))
        facts.append(f"{clip.frame_rate:.3g} frames a second")
    return ", ".join(facts)


def names(paths: Sequence[str]) -> dict[str, str]:
    """What clips are called: their paths from the folder on that holds them all, fit to show."""
    folders = {str(PurePath(path).parent) for path in paths}
    try:
        common = os.path.commonpath(folders) if folders else ""
    except ValueError:  # some are absolute and others are not
        common = ""
    return {path: one_line(os.path.relpath(path, common) if common else path) for path in paths}


def _part(share: float) -> float:
    """Per cent, as a drawing needs it."""
    return round(100 * min(1.0, max(0.0, share)), 2)


def _lean(probability: float, thresholds: Thresholds) -> str:
    return verdict_of(probability, thresholds).lower()
