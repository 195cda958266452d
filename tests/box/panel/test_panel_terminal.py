"""The panel in a real terminal: a program at one end of a pty, a person at the other."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from frontdoor import ROOT
from shown import SCENES

from edge.box.panel import open_panel
from edge.box.panel.terminal import FAINT, LEAVE, layout
from edge.box.views import Brightness, Scene, draw
from edge.box.views.clips import ClipVerdict
from edge.box.views.status import Ready
from edge.errors import TruelightError
from edge.finding import Verdict
from edge.settings import Settings

# Shows a verdict, writes posted events to another descriptor, ends on a message.
PROGRAM = """
import json, os, queue, sys
from edge.box.events import Terminated
from edge.box.panel import open_panel
from edge.box.views import Scene
from edge.box.views.clips import ClipVerdict
from edge.finding import Verdict
from edge.settings import Settings

posted = queue.Queue()
panel = open_panel(Settings().changed("the test", {"panel.kind": "terminal"}), posted.put)
panel.show(Scene(ClipVerdict(Verdict.REAL, 0.25, "clip.mp4", "It is.")))
event = None
while not isinstance(event, Terminated):
    event = posted.get()
    os.write(int(sys.argv[1]), json.dumps(type(event).__name__).encode() + b"\\n")
panel.close()
"""
SCENE = Scene(ClipVerdict(Verdict.REAL, 0.25, "clip.mp4", "It is."))
CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([^\x1b]+)")


class Person:
    """Looks at the terminal, presses keys."""

    def __init__(self, columns: int, rows: int) -> None:
        self.near, far = pty.openpty()
        self.before = termios.tcgetattr(far)
        self.resize(columns, rows)
        self.posted, writing = os.pipe()
        self.program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(writing)],
            stdin=far,
            stdout=far,
            pass_fds=[writing],
            cwd=ROOT,
            start_new_session=True,
        )
        os.close(writing)
        self.far = far
        self.bytes = b""
        self.lines: dict[int, str] = {}

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.near, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self.near, keys.encode())

    def events(self, count: int) -> list[str]:
        received = b""
        while received.count(b"\n") < count:
            self.look()
            if select.select([self.posted], [], [], 0.05)[0]:
                part = os.read(self.posted, 4096)
                assert part, self.seen
                received += part
        return [json.loads(line) for line in received.splitlines()]

    def look(self) -> None:
        """Take in what was written until now."""
        while select.select([self.near], [], [], 0)[0]:
            self.bytes += os.read(self.near, 65_536)
        self.lines = screen(self.seen)

    @property
    def seen(self) -> str:
        return self.bytes.decode(errors="ignore")

    def wait_for(self, truth: Callable[[], bool]) -> None:
        end = time.monotonic() + 30
        while not truth():
            assert time.monotonic() < end, self.seen
            self.look()
            time.sleep(0.02)

    @property
    def text(self) -> str:
        return "\n".join(self.lines[row] for row in sorted(self.lines))

    def close(self) -> None:
        if self.program.poll() is None:
            self.program.kill()
        self.program.wait()
        for descriptor in (self.near, self.far, self.posted):
            os.close(descriptor)


def screen(written: str) -> dict[int, str]:
    """The lines as they stand: of control codes the panel uses only a few."""
    lines: dict[int, str] = {}
    row = 0
    for values, command, text in CONTROL.findall(written):
        if command == "J":
            lines = {}
        elif command == "H":
            row = int(values.split(";")[0])
            lines[row] = ""
        elif text:
            lines[row] = lines.get(row, "") + text
    return lines


def half_blocks(lines: list[str]) -> np.ndarray:
    """The points that lines of half blocks stand for."""
    both = np.array([[" ▀▄█".index(character) for character in line] for line in lines])
    points = np.zeros((2 * len(lines), len(lines[0])), np.bool_)
    points[::2], points[1::2] = both & 1, both & 2
    return points


def braille(lines: list[str]) -> np.ndarray:
    dots = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (3, 0), (3, 1)]
    points = np.zeros((4 * len(lines), 2 * len(lines[0])), np.bool_)
    for row, line in enumerate(lines):
        for column, character in enumerate(line):
            for bit, (down, across) in enumerate(dots):
                lit = ord(character) - 0x2800 >> bit & 1
                points[4 * row + down, 2 * column + across] = lit
    return points


def inside(person: Person) -> list[str]:
    return [line[1:-1] for line in person.lines.values() if line.startswith("│")]


@pytest.fixture
def start() -> Iterator[Callable[[int, int], Person]]:
    people: list[Person] = []

    def start(columns: int, rows: int) -> Person:
        people.append(Person(columns, rows))
        return people[-1]

    yield start
    for person in people:
        person.close()


def test_keys_are_the_button(start: Callable[[int, int], Person]) -> None:
    person = start(80, 24)
    person.wait_for(lambda: "q: quit" in person.text)
    person.type(" hs\x1b[AxS ")
    assert person.events(5) == ["Pressed", "Held", "HeldLong", "HeldLong", "Pressed"]
    person.type("q")
    assert person.events(1) == ["Terminated"]
    assert person.program.wait(30) == 0


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_picture_stands_there(start: Callable[[int, int], Person], columns: int) -> None:
    person = start(columns, 50)
    person.wait_for(lambda: "q: quit" in person.text)
    wanted = np.asarray(draw(SCENE, 0.0), np.bool_)
    assert max(map(len, person.lines.values())) <= columns
    assert "GREEN" in person.text and "red" in person.text and "green on" in person.text
    if columns == 40:
        assert {"clip.mp4", "REAL", "fake 25 %", "It is."} <= set(person.lines.values())
    elif columns == 80:
        assert np.array_equal(braille(inside(person)), wanted)
    else:
        assert np.array_equal(half_blocks(inside(person)), wanted)


def test_the_window_is_made_smaller_and_larger(start: Callable[[int, int], Person]) -> None:
    person = start(200, 50)
    person.wait_for(lambda: "q: quit" in person.text)
    person.resize(30, 10)
    person.wait_for(lambda: "REAL" in person.text and "│" not in person.text)
    assert max(map(len, person.lines.values())) <= 30 and max(person.lines) <= 10
    person.resize(100, 30)
    person.wait_for(lambda: len(inside(person)) == 16)


@pytest.mark.parametrize("end", ["q", "\x03"])
def test_the_terminal_is_as_before(start: Callable[[int, int], Person], end: str) -> None:
    person = start(80, 24)
    person.wait_for(lambda: "q: quit" in person.text)
    during = termios.tcgetattr(person.far)
    assert not during[3] & (termios.ECHO | termios.ICANON)
    assert "\x1b[?1049h" in person.seen and "\x1b[?25l" in person.seen
    person.type(end)
    assert person.events(1) == ["Terminated"]
    assert person.program.wait(30) == 0
    person.look()
    assert person.seen.endswith(LEAVE)
    assert termios.tcgetattr(person.far) == person.before


def test_the_terminal_is_as_before_even_if_nobody_closed_the_panel(
    start: Callable[[int, int], Person],
) -> None:
    person = start(80, 24)
    person.wait_for(lambda: "q: quit" in person.text)
    person.program.send_signal(signal.SIGINT)
    person.program.wait(30)
    person.look()
    assert LEAVE in person.seen
    assert termios.tcgetattr(person.far) == person.before


def test_a_terminal_that_goes_away_ends_the_program(start: Callable[[int, int], Person]) -> None:
    person = start(80, 24)
    person.wait_for(lambda: "q: quit" in person.text)
    os.close(person.far)
    os.close(person.near)
    person.near, person.far = os.openpty()
    received = b""
    while part := os.read(person.posted, 100):
        received += part
    assert b"Terminated" in received
    assert person.program.wait(30) == 0


def test_no_terminal_no_panel() -> None:
    program = PROGRAM.replace("posted.get()", "None")
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert TruelightError.__name__ in done.stderr and "interactive terminal" in done.stderr


# ---- The lines themselves


def test_lines_fit() -> None:
    for columns, rows in ((1, 1), (20, 5), (66, 21), (80, 24), (140, 40)):
        for name, scene in SCENES.items():
            lines = layout(scene, 1.0, columns, rows)
            bare = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
            assert 0 < len(bare) <= rows, (name, columns)
            assert max(map(len, bare)) <= columns, (name, columns)


def test_a_dim_display_is_faint_and_a_sleeping_one_dark() -> None:
    full, dim, off = ("".join(layout(Scene(Ready(), (), b), 0.0, 80, 24)) for b in Brightness)
    assert full != dim
    assert re.sub(r"\x1b\[[0-9;]*m", "", full) == re.sub(r"\x1b\[[0-9;]*m", "", dim)
    assert not any(0x2800 <= ord(character) < 0x2900 for character in off)
    assert "off" in "".join(layout(Scene(Ready(), (), Brightness.OFF), 0.0, 40, 24))


def test_a_note_stands_below_it_all() -> None:
    lines = layout(
        Scene(Ready()), 0.0, 40, 24, "files dropped into a folder with a name are judged"
    )
    assert [line.removeprefix(FAINT) for line in lines[-2:]] == [
        "files dropped into a folder with a name",
        "are judged",
    ]
    assert len(lines) <= 24


def test_open_panel_knows_the_kind() -> None:
    settings = Settings().changed("the test", {"panel.kind": "terminal"})
    if not (sys.__stdin__ and sys.__stdin__.isatty()):
        with pytest.raises(TruelightError):
            open_panel(settings, print)
