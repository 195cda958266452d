"""Draws docs/images/screens/*.png and the README's table of what the box shows, as it shows it.

.venv/bin/python docs/images/screens.py
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from edge.box.panel.lamps import pattern
from edge.box.panel.screens import draw, drawn
from edge.box.views import (
    Aim,
    Aiming,
    Halted,
    Judged,
    Kind,
    Picture,
    Reading,
    Ready,
    Recording,
    Scene,
    ShuttingDown,
    Starting,
    Stopped,
    Summary,
    Trouble,
    View,
    Working,
    Writing,
)
from edge.finding import Verdict

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "images" / "screens"
README = ROOT / "README.md"
BEGIN, END = "<!-- screens -->", "<!-- /screens -->"

ZOOM, BEZEL = 4, 16
DARK, LIGHT = (9, 14, 20), (190, 232, 255)


class Row(NamedTuple):
    """A line of the table: a state with its name, an example of it, and what to do."""

    state: str
    view: View
    todo: str
    marks: tuple[Kind, ...] = ()

    @property
    def file(self) -> str:
        """Its picture's name."""
        return self.state.lower().replace(" ", "-").replace(",", "") + ".png"


def somebody() -> Picture:
    """A person before a curtain, drawn: `[360, 640]`."""
    down, across = np.mgrid[0:360, 0:640].astype(np.float64)

    def within(x: float, y: float, wide: float, high: float) -> np.ndarray:
        return ((across - x) / wide) ** 2 + ((down - y) / high) ** 2 < 1

    grey = 70 + 35 * np.sin(across / 24) + down / 8
    grey[within(320, 420, 210, 160)] = 45
    grey[within(320, 290, 45, 70)] = 165
    head = within(320, 180, 82, 112)
    grey[within(320, 150, 96, 108)] = 20
    grey[head] = (215 - (across - 320) * 0.5)[head]
    grey[within(320, 60, 88, 44)] = 20
    for eye in (286, 354):
        grey[within(eye, 165, 15, 8)] = 25
        grey[within(eye, 145, 21, 5)] = 70
    grey[within(320, 200, 9, 20)] = 150
    grey[within(320, 242, 32, 8)] = 80
    return Picture(np.clip(grey, 0, 255).astype(np.uint8))


STICK = "HOLIDAY"
SEEN = somebody()
ROWS = (
    Row("Starting", Starting(), "Wait: the model is loaded and checked."),
    Row("Ready", Ready(), "Press the button to film a face, plug in a stick, or drop files."),
    Row("Viewfinder", Aiming(SEEN, Aim.CLOSER), "Do as it says; press to film at once."),
    Row("Countdown", Aiming(SEEN, Aim.GOOD, 3), "Hold still: the recording is about to begin."),
    Row("Recording", Recording(0.4, 5), "Look at the camera. Hold 2 s to cancel."),
    Row("Looking through a stick", Reading(STICK), "Leave the stick in."),
    Row(
        "Working",
        Working("Käthes Geburtstag.mp4", 3, 12, 0.34, 80, STICK, camera_next=True),
        "Wait. A press puts the camera next; hold 2 s to stop.",
    ),
    Row("Writing the report", Writing(STICK), "Leave the stick in."),
    Row(
        "Real",
        Judged(Verdict.REAL, 0.03, "interview.mp4", "No face looks swapped."),
        "Press for the next. It is a measurement, not proof.",
    ),
    Row(
        "Fake",
        Judged(Verdict.FAKE, 0.97, "interview.mp4", "Face 2 looks swapped.", 4, 12, STICK),
        "Press for the next. It is a measurement, not proof.",
    ),
    Row(
        "Unsure",
        Judged(Verdict.UNSURE, 0.55, "interview.mp4", "The answer lies in between."),
        "Film again, closer and with more light.",
    ),
    Row(
        "No face",
        Judged(Verdict.NO_FACE, None, "landscape.mp4", "No face was found."),
        "Only faces are judged.",
    ),
    Row(
        "Unreadable",
        Judged(Verdict.UNREADABLE, None, "broken.mp4", "The file ends in the middle."),
        "Copy the file anew, or save it as mp4.",
    ),
    Row(
        "Summary",
        Summary(STICK, 7, 2, 1, 1, 1, 0, "Report written. Safe to remove."),
        "Press to step through the results. The lamps show the worst.",
    ),
    Row("Stopped", Stopped("Nothing was judged. Safe to remove."), "Press to go on."),
    Row(
        "Nothing to scan",
        Trouble(Kind.NOTHING_TO_SCAN, f"No clips on {STICK}", "Put videos or pictures on it."),
        "Put clips on the stick.",
    ),
    Row(
        "Stick not readable",
        Trouble(Kind.STICK_UNREADABLE, "This stick cannot be read", "Format it as exFAT."),
        "Try another stick, or format this one as exFAT.",
    ),
    Row(
        "Stick pulled out too early",
        Trouble(Kind.STICK_PULLED, "Stick pulled out", "3 of 12 were judged. Plug in again."),
        "Plug it in again and wait for “Safe to remove”.",
    ),
    Row(
        "Camera missing",
        Trouble(Kind.CAMERA_MISSING, "The camera does not answer", "Check its cable, then press."),
        "Check the camera's cable, end other programs that use it.",
    ),
    Row(
        "Too hot",
        Trouble(Kind.TOO_HOT, "Too hot: 84 °C.", "Give it air."),
        "Give it air, or a fan.",
    ),
    Row(
        "Under-voltage",
        Trouble(Kind.UNDER_VOLTAGE, "The power is too weak.", "Use the Pi's own supply."),
        "Use the Pi's own supply and cable.",
        (Kind.TOO_HOT,),
    ),
    Row(
        "Disk full",
        Trouble(Kind.DISK_FULL, "The disk is full: 180 MB left.", "Delete old recordings."),
        "Delete recordings, or take a larger card.",
    ),
    Row(
        "Model refused",
        Trouble(Kind.MODEL_REFUSED, "features.onnx is damaged.", "Run setup.sh install again."),
        "Run `setup.sh install` again.",
    ),
    Row(
        "Settings wrong",
        Trouble(
            Kind.SETTINGS_WRONG,
            "truelight.yaml, line 3: lamps.green is 99.",
            "Allowed is a whole number from 0 to 27.",
        ),
        "Correct the line; `truelight config check` names every mistake.",
    ),
    Row(
        "Board not known",
        Trouble(
            Kind.UNKNOWN_BOARD,
            "Board not known: no button, no lamps",
            "Use a Raspberry Pi 4 or 5.",
        ),
        "Sticks and files are judged all the same. Run `sudo truelight doctor`.",
    ),
    Row("Shutting down", ShuttingDown(), "Leave the plug in."),
    Row("Halted", Halted(), "Pull the plug."),
)


def picture(row: Row) -> Image.Image:
    """The screen as an OLED shows it: enlarged, each point by itself, on black glass."""
    points = np.asarray(draw(Scene(row.view, row.marks), 0.0), np.bool_)
    one = np.zeros((ZOOM, ZOOM), np.bool_)
    one[: ZOOM - 1, : ZOOM - 1] = True
    glass = np.pad(np.kron(points, one), BEZEL)
    image = Image.fromarray(glass.astype(np.uint8), "P")
    image.putpalette([*DARK, *LIGHT])
    return image


def table() -> str:
    """The table in Markdown."""
    lines = ["| state | screen | lamps | what to do |", "| --- | --- | --- | --- |"]
    for row in ROWS:
        said = " / ".join(drawn(Scene(row.view), 0.0).words).replace('"', "'")
        shown = f'<img src="docs/images/screens/{row.file}" width="272" alt="{said}">'
        lines.append(f"| {row.state} | {shown} | {pattern(row.view).words} | {row.todo} |")
    return "\n".join(lines)


def with_table(text: str) -> str:
    """The README with the table in its place."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main() -> None:
    """Draw, write."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    for row in ROWS:
        picture(row).save(FOLDER / row.file, optimize=True, bits=1)
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
