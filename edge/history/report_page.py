"""The report's page: what it says of clips and models, in words; its templates and style sheet.

The page of the box uses both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING, Protocol

from edge.finding import Face, Verdict, verdict_of
from edge.history.reader import Entry
from edge.language import N_, _, counted, current, decimal, minute, translated
from edge.text import (
    both_opinions,
    clock,
    model_text,
    one_line,
    other_parts,
    part_text,
    percent,
    probability_text,
    shortcomings,
    verdict_text,
)

if TYPE_CHECKING:
    import jinja2

WORST_FIRST = (Verdict.FAKE, Verdict.UNSURE, Verdict.UNREADABLE, Verdict.REAL, Verdict.NO_FACE)

# ---- Clips


def worst_first(entries: Sequence[Entry]) -> list[Entry]:
    """Entries by verdict, then by probability, the most suspicious first."""

    def order(entry: Entry) -> tuple[int, float, int]:
        probability = entry.finding.fake_probability
        rank = WORST_FIRST.index(entry.finding.verdict)
        return rank, 1.0 if probability is None else -probability, entry.id

    return sorted(entries, key=order)


def faces_worst_first(faces: Sequence[Face]) -> list[Face]:
    """Faces that count before those that do not, the most suspicious first."""
    return sorted(
        faces, key=lambda face: (not face.counted, -(face.fake_probability or 0.0), face.id)
    )


def display_names(paths: Sequence[str]) -> dict[str, str]:
    """Names to show: the paths without the folder that they have in common."""
    folders = {str(PurePath(path).parent) for path in paths}
    try:
        common = os.path.commonpath(folders) if folders else ""
    except ValueError:  # some are absolute and others are not
        common = ""
    return {path: one_line(os.path.relpath(path, common) if common else path) for path in paths}


def facts(entry: Entry) -> Iterator[tuple[str, str]]:
    """The file and how it was judged."""
    finding, clip = entry.finding, entry.finding.clip
    if clip:
        codec = [clip.codec] * (clip.codec != clip.container)
        words = [clip.container, *codec, f"{clip.width} x {clip.height}"]
        if clip.kind == "video":
            words += [clock(clip.seconds), _frame_rate(clip.frame_rate)]
        if finding.parts:
            words.append(_("with {parts}").format(parts=other_parts(finding)))
        yield _("File"), ", ".join(words)
        frames = counted(
            "{number} frame with a face", "{number} frames with a face", finding.frames_scored
        )
        decoded = _("{number} decoded").format(number=finding.frames_read)
        yield _("Examined"), f"{frames}, {decoded}"
    text = _("{time} UTC in {seconds} s, by {model}")
    if "total" not in finding.seconds:
        text = _("{time} UTC, by {model}")
    yield (
        _("Judged"),
        text.format(
            time=minute(entry.judged),
            seconds=decimal(f"{finding.seconds.get('total', 0):.1f}"),
            model=model_text(finding.model, version=True),
        ),
    )
    if second := finding.second_opinion:
        model = model_text(second.model, version=True)
        crops = counted("{number} crop", "{number} crops", second.crops)
        yield _("Second opinion"), f"{model}, {crops}, {decimal(f'{second.seconds:.1f}')} s"
    yield "SHA-256", finding.sha256 or _("not known: the file could not be read")


def _frame_rate(rate: float) -> str:
    return _("{rate} frames per second").format(rate=decimal(f"{rate:.3g}"))


# ---- The model


class Figure(Protocol):
    """A measured share with its 95 % interval, and the data it was measured on."""

    name: str
    value: float
    low: float | None
    high: float | None
    data: str


class ModelSummary(Protocol):
    """What the report says about a model; a bundle's manifest has it."""

    name: str
    version: str
    licence: str
    summary: str

    @property
    def figures(self) -> Sequence[Figure]: ...  # noqa: D102


HEADLINES = {
    "AUC": N_(
        "Given a real clip and a fake one, it ranks the fake higher in {share} of 100 cases; "
        "guessing would give 50."
    ),
    "false positive rate": N_("Of 100 real clips it wrongly called {share} FAKE."),
    "false negative rate": N_("Of 100 fake clips it wrongly called {share} REAL."),
    "UNSURE": N_("Of 100 clips it was UNSURE about {share}."),
}
"""The figures that sum a model up, each as a sentence."""

_PATTERN = re.compile(
    r"(?P<name>AUC|false alarms|false positive rate|missed|false negative rate|UNSURE)"
    r"( \([^)]*\))?(, share)?(, (the |this )?(?P<asked>model alone|first model alone|alone"
    r"|both models|with a second opinion))?(, share)?"
)
_ALIASES = {"false alarms": "false positive rate", "missed": "false negative rate"}
"""Names in the bundles that were exported before these terms were used."""


def headline_rows(figures: Sequence[Figure]) -> list[tuple[str, dict[str, Figure]]]:
    """The headline figures by the data they were measured on, and by which models were asked."""
    rows: dict[tuple[str, str], dict[str, Figure]] = {}
    for figure in figures:
        if match := _PATTERN.fullmatch(figure.name):
            asked = match["asked"] or ""
            asked = "" if asked in ("alone", "model alone") else asked
            name = _ALIASES.get(match["name"], match["name"])
            rows.setdefault((figure.data, asked), {})[name] = figure
    return [(f"{data}, {asked}" if asked else data, row) for (data, asked), row in rows.items()]


def accuracy(figures: Sequence[Figure]) -> list[tuple[str, list[str]]]:
    """Sentences about a model's accuracy, by the data it was measured on."""
    return [
        (
            one_line(data),
            [
                _(text).format(share=_hundred(row[name]))
                for name, text in HEADLINES.items()
                if name in row
            ],
        )
        for data, row in headline_rows(figures)
        if "AUC" in row
    ]


def _hundred(figure: Figure) -> str:
    """How many of a hundred, with the interval: "66 (55 to 81)"."""
    low, high = figure.low, figure.high
    value = f"{100 * figure.value:.0f}"
    if low is None or high is None or low == high:
        return value
    return _("{value} ({low} to {high})").format(
        value=value, low=f"{100 * low:.0f}", high=f"{100 * high:.0f}"
    )


MOST_FACES = 8
"""Faces shown per clip; the others are counted."""


@cache
def environment(packages: Sequence[str] = ("edge.history",)) -> jinja2.Environment:
    """An environment with the templates of these packages; those of earlier ones go first."""
    import jinja2

    loaders = [jinja2.PackageLoader(package) for package in packages]
    made = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.ChoiceLoader(loaders),
        auto_reload=False,
    )
    made.globals |= {
        function.__name__: function
        for function in (
            *(
                both_opinions,
                clock,
                counted,
                translated,
                facts,
                faces_worst_first,
                one_line,
                percent,
            ),
            *(part_text, probability_text, shortcomings, verdict_text),
        )
    } | {"most_faces": MOST_FACES, "_": _, "language": current}
    made.filters |= {
        "unbroken": _unbroken,
        "breakable": _breakable,
        "range": lambda probability, thresholds: verdict_of(probability, thresholds).lower(),
        "width": lambda share: f"{100 * min(1.0, max(0.0, share)):.2f}%",
    }
    return made


@cache
def style_sheet() -> str:
    """The report's style sheet."""
    file = files("edge.history") / "templates" / "report.css"
    return file.read_text(encoding="utf-8")


def _unbroken(text: str) -> str:
    """Keep a number and its % on one line."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _breakable(name: str) -> str:
    """Allow a long name to break where its parts meet."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([/_])", r"\1<wbr>", str(escape(name))))
