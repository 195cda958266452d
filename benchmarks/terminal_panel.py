"""How much the terminal panel writes while a clip is judged: its own writer, and rich.live.

python benchmarks/terminal_panel.py

Ten seconds at eight pictures a second. Matters over ssh and serial lines.
"""

from __future__ import annotations

import io

from rich.console import Console
from rich.live import Live
from rich.text import Text

from edge.box.panel.terminal import changes, layout
from edge.box.views import Scene
from edge.box.views.clips import Judging

SECONDS, RATE = 10, 8


def main() -> None:
    """Measure both, in a small window and in a large one."""
    for width, height in ((80, 24), (140, 40)):
        pictures = [
            layout(
                Scene(Judging("clip.mp4", 3, 12, at / 800, 60 - at / RATE)),
                at / RATE,
                width,
                height,
            )
            for at in range(SECONDS * RATE)
        ]
        own = sum(
            len(changes(before, now).encode())
            for before, now in zip([[], *pictures], pictures, strict=False)
        )
        output = io.StringIO()
        console = Console(file=output, force_terminal=True, width=width, height=height)
        with Live(console=console, screen=True, auto_refresh=False) as live:
            for lines in pictures:
                live.update(Text.from_ansi("\n".join(lines)), refresh=True)
        rich = len(output.getvalue().encode())
        kilo = SECONDS * 1000
        print(f"{width} x {height}: own {own / kilo:.1f} kB/s, rich.live {rich / kilo:.1f} kB/s")


if __name__ == "__main__":
    main()
