"""`CARD.md`: what a bundle is, for people."""

from __future__ import annotations

from pathlib import Path

import jinja2

from edge.scan.model.manifest import Manifest, MeasuredFigure

ABOUT = "<!-- about -->"
NOTHING_STATED = "Nothing is stated about its training and its limits."


def card(manifest: Manifest, about: str) -> str:
    """The card: the maker's text, how the bundle is used, and its figures by data."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=False,  # Markdown
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["form"] = format
    environment.filters["cell"] = lambda text: text.replace("|", "/")
    tables: dict[str, list[MeasuredFigure]] = {}
    for figure in manifest.figures:
        tables.setdefault(figure.data, []).append(figure)
    return environment.get_template("card.md").render(
        m=manifest,
        about=about.strip() or NOTHING_STATED,
        tables=list(tables.items()),
        commands=list(dict.fromkeys(f.command for f in manifest.figures if f.command)),
    )


def about_of(text: str) -> str:
    """The maker's text in a card."""
    parts = text.split(ABOUT)
    return parts[1] if len(parts) == 3 else ""
