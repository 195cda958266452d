"""Draws docs/images/screens/*.png, the same in de/, and docs/screens.md: what the box shows.

Every screen comes from the state machine, after the events of `stories`.

.venv/bin/python docs/images/screens.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from stories import ROWS, Row

from edge.box.views import Scene, draw, drawn
from edge.box.views.canvas import Canvas
from edge.language import ENGLISH

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "images" / "screens"
TABLE = ROOT / "docs" / "screens.md"
GERMAN = "de"
BEGIN, END = "<!-- screens -->", "<!-- /screens -->"

ZOOM, BEZEL = 4, 16
DARK, LIGHT = (9, 14, 20), (190, 232, 255)


def picture(shown: Scene) -> Image.Image:
    """The screen as an OLED shows it: enlarged, each point by itself, on black glass."""
    points = np.asarray(draw(shown, 0.0), np.bool_)
    one = np.zeros((ZOOM, ZOOM), np.bool_)
    one[: ZOOM - 1, : ZOOM - 1] = True
    glass = np.pad(np.kron(points, one), BEZEL)
    image = Image.fromarray(glass.astype(np.uint8), "P")
    image.putpalette([*DARK, *LIGHT])
    return image


def table() -> str:
    """The table in Markdown."""
    lines = ["| state | screen | in German | lamps | what to do |", f"|{' --- |' * 5}"]
    for row in ROWS:
        images = f"{_image(row, ENGLISH)} | {_image(row, GERMAN)}"
        lines.append(f"| {row.state} | {images} | {row.scene.view.lamps.words} | {row.todo} |")
    return "\n".join(lines)


def _image(row: Row, language: str) -> str:
    words = " / ".join(drawn(row.in_language(language), 0.0, Canvas()).words).replace('"', "'")
    folder = "images/screens" if language == ENGLISH else f"images/screens/{language}"
    return f'<img src="{folder}/{row.file}" width="272" alt="{words}">'


def with_table(text: str) -> str:
    """docs/screens.md with the table in its place."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main() -> None:
    """Draw, write."""
    for language, folder in ((ENGLISH, FOLDER), (GERMAN, FOLDER / GERMAN)):
        folder.mkdir(exist_ok=True)
        for old in folder.glob("*.png"):
            old.unlink()
        for row in ROWS:
            picture(row.in_language(language)).save(folder / row.file, optimize=True, bits=1)
    TABLE.write_text(with_table(TABLE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
