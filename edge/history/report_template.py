"""The templates of the report and of the page: their functions, filters and style sheet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from edge.finding import verdict_of
from edge.history.report_page import faces_worst_first, facts
from edge.language import _, counted, current, translated
from edge.text import (
    both_opinions,
    clock,
    one_line,
    part_text,
    percent,
    probability_text,
    shortcomings,
    verdict_text,
)

if TYPE_CHECKING:
    import jinja2

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
