"""Draws docs/images/scan.svg: the output of `truelight scan` for the sample clips.

.venv/bin/python docs/images/make.py     (after ./setup.sh run)
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from rich.console import Console

from edge.cli.output import TextOutput
from edge.scan.scanner import Scanner
from edge.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
CLIPS = ("one-person.mp4", "two-people-crossing.mp4", "pasted-face.mp4", "too-small.mp4")
WIDTH = 90

# Rich's own frame would have the reader's browser fetch a font from elsewhere.
FRAME = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px Menlo, Consolas, "DejaVu Sans Mono", monospace;
    line-height: {line_height}px; white-space: pre; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def main() -> None:
    """Scan, record, draw."""
    os.chdir(ROOT / "samples" / "clips")
    console = Console(
        record=True, width=WIDTH, force_terminal=True, highlight=False, file=io.StringIO()
    )
    console.print(f"$ truelight scan {' '.join(CLIPS)}\n", soft_wrap=True)
    show = TextOutput(console)
    settings = load_settings()
    if bundles := sys.argv[1:]:
        settings = settings.changed(sys.argv[0], {"model.bundle": bundles[0]})
    with Scanner(settings) as scanner:
        for clip in CLIPS:
            show.finding(scanner.scan(Path(clip)))
    show.end()
    picture = console.export_svg(title="Truelight", code_format=FRAME, unique_id="truelight")
    (ROOT / "docs" / "images" / "scan.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
