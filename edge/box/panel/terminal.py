"""The panel in a terminal: the display's points, both lamps, keys for the button.

It writes only the lines that changed, so that it works over ssh and serial lines, at any size.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import sys
import termios
import textwrap
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge.box.events import Event, Held, HeldLong, Pressed, Terminated
from edge.box.panel import PATIENCE, PaintedPanel, Painter, Post
from edge.box.views import Brightness, Scene, drawn
from edge.box.views.canvas import Canvas, Mask
from edge.errors import TruelightError
from edge.language import N_, _, speaking, translated
from edge.settings import Settings

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The alternate screen, no cursor, no wrapping of lines."""
LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
KEY_EVENTS: Mapping[str, Event] = {
    " ": Pressed(),
    "\r": Pressed(),
    "\n": Pressed(),
    "h": Held(),
    "s": HeldLong(),
    "q": Terminated(),
    "\x03": Terminated(),
}
REDRAW = "\x0c"
"""Ctrl-L: draw everything again, in case something else has written there."""


class Terminal:
    """A terminal that is read key by key, painted line by line, and restored in the end.

    `note` is the last line. Raises TruelightError: input or output is not a terminal.
    """

    def __init__(self, post: Post, note: str) -> None:
        source, sink = sys.__stdin__, sys.__stdout__
        if not (source and sink and source.isatty() and sink.isatty()):
            raise TruelightError(
                "`--panel terminal` needs an interactive terminal.",
                "Run it in one, or with --panel none.",
            )
        self._in, self._out = source.fileno(), sink.fileno()
        self._post = post
        self._note = note
        self._before: list[Any] = termios.tcgetattr(self._in)
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._is_closed = False
        self._wake, self._woken = os.pipe()
        self._take_over()
        self._reader = threading.Thread(target=self._read, name="panel-keys", daemon=True)
        self._reader.start()

    def paint(self, scene: Scene, seconds: float) -> None:
        """Write what changed since the last time."""
        width, height = os.get_terminal_size(self._out)
        lines = layout(scene, seconds, width, height, self._note)
        with self._lock:
            if self._is_closed:
                return
            self._write(changes(self._lines, lines))
            self._lines = lines

    def close(self) -> None:
        """Restore the terminal. May be called again."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._write(LEAVE)
        atexit.unregister(self.close)
        os.write(self._woken, b"x")
        if threading.current_thread() is not self._reader:
            self._reader.join(PATIENCE)
        with contextlib.suppress(termios.error):  # The terminal may be gone.
            termios.tcsetattr(self._in, termios.TCSADRAIN, self._before)

    def _take_over(self) -> None:
        atexit.register(self.close)
        now = termios.tcgetattr(self._in)
        now[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG)
        now[6][termios.VMIN], now[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._in, termios.TCSADRAIN, now)
        self._write(ENTER)

    def _read(self) -> None:
        while True:
            ready, _, _ = select.select([self._in, self._wake], [], [])
            if self._wake in ready:
                return
            try:
                typed = os.read(self._in, 64)
            except OSError:
                typed = b""
            if not typed:
                self._post(Terminated())
                return
            # What begins with an escape is an arrow or another key without a meaning here.
            for key in "" if typed.startswith(b"\x1b") else typed.decode("ascii", "ignore"):
                self._press(key.lower())

    def _press(self, key: str) -> None:
        if key in KEY_EVENTS:
            self._post(KEY_EVENTS[key])
        elif key == REDRAW:
            with self._lock:
                self._lines = []

    def _write(self, text: str) -> None:
        data = text.encode()
        with contextlib.suppress(OSError):  # It is gone; reading from it fails, too.
            while data:
                data = data[os.write(self._out, data) :]


def open_terminal(settings: Settings, post: Post) -> PaintedPanel:
    """The panel in this process's terminal. Raises TruelightError: there is none."""
    with speaking(settings.language.display):
        note = _("Drop files into {folder} to judge them.").format(folder=settings.inbox_folder)
    terminal = Terminal(post, note)
    painter = Painter("terminal", terminal.paint, lambda scene: scene.view.subject)
    return PaintedPanel([painter], [terminal])


KEY_HINTS = (
    *(N_("space: press"), N_("h: hold 2 s"), N_("s: hold 6 s (shut down)"), N_("q: quit")),
)
BRIGHT, FAINT, GREEN, RED, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[1;32m", "\x1b[1;31m", "\x1b[0m"
_BRAILLE = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""What each point of a Braille character adds to its code point, 4 rows of 2."""


def changes(before: list[str], lines: list[str]) -> str:
    """What to write so that `lines` stand where those `before` did: only the ones that differ."""
    clears = len(lines) != len(before)
    text = "\x1b[2J" if clears else ""
    for row, line in enumerate(lines):
        if clears or line != before[row]:
            text += f"\x1b[{row + 1};1H{line}\x1b[0m\x1b[K"
    return text


def layout(scene: Scene, seconds: float, width: int, height: int, note: str = "") -> list[str]:
    """Display, lamps, keys and a `note` in at most `width` columns and `height` lines.

    The points are drawn as half blocks, as Braille where there is less room, and where there is no
    room for that either, as the words on the display.
    """
    canvas = drawn(scene, seconds, Canvas())
    with speaking(scene.language):
        below = [*_lamps(scene, seconds, width), *_keys(width)]
    below += [FAINT + line for line in _wrapped(note, width)] if note else []
    room = height - len(below)
    points = np.asarray(canvas.image(), np.bool_)
    for rows in (_half_blocks(points), _braille(points)):
        if len(rows[0]) + 2 <= width and len(rows) + 2 <= room:
            above = _framed(rows, scene.brightness)
            break
    else:
        with speaking(scene.language):
            above = _words(canvas, scene.brightness, width)[: max(0, room)]
    return [*above, *below][: max(1, height)]


def _half_blocks(points: Mask) -> list[str]:
    """Two points a character, one above the other."""
    upper, lower = points[::2], points[1::2]
    return ["".join(" ▀▄█"[at] for at in row) for row in upper + 2 * lower]


def _braille(points: Mask) -> list[str]:
    """Eight points a character."""
    high, wide = points.shape
    tiles = points.reshape(high // 4, 4, wide // 2, 2).swapaxes(1, 2)
    numbers = (tiles * _BRAILLE).sum(axis=(2, 3))
    return ["".join(chr(0x2800 + int(number)) for number in row) for row in numbers]


def _framed(rows: Sequence[str], brightness: Brightness) -> list[str]:
    wide = len(rows[0])
    inside = [" " * wide] * len(rows) if brightness is Brightness.OFF else rows
    ink = FAINT if brightness is Brightness.DIM else BRIGHT
    return [
        f"{FAINT}╭{'─' * wide}╮{PLAIN}",
        *(f"{FAINT}│{PLAIN}{ink}{row}{PLAIN}{FAINT}│{PLAIN}" for row in inside),
        f"{FAINT}╰{'─' * wide}╯{PLAIN}",
    ]


def _words(canvas: Canvas, brightness: Brightness, width: int) -> list[str]:
    words = [_("(the display is off)")] if brightness is Brightness.OFF else canvas.words
    return [line for text in words for line in _wrapped(text, width)]


def _lamps(scene: Scene, seconds: float, width: int) -> list[str]:
    """Both lamps as they are now, and their pattern in words."""
    what = scene.view.lamps
    green, red = what.lit(seconds)
    lamps = " ".join(
        f"{colour}● {name.upper()}{PLAIN}" if is_lit else f"{FAINT}○ {name}{PLAIN}"
        for name, colour, is_lit in ((_("green"), GREEN, green), (_("red"), RED, red))
    )
    return [
        lamps if width >= 13 else "",
        *(FAINT + line for line in _wrapped(translated(what.words), width)),
    ]


def _keys(width: int) -> list[str]:
    whole = [_(key).replace(" ", "\N{NO-BREAK SPACE}") for key in KEY_HINTS]
    return [FAINT + line for line in _wrapped("  ".join(whole), width)]


def _wrapped(text: str, width: int) -> list[str]:
    lines = textwrap.wrap(text, max(1, width)) or [""]
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
