"""Scenes to draw: what the README shows, and what else can be on a screen."""

import importlib.util
import sys
from types import ModuleType

import numpy as np
from frontdoor import ROOT

from edge.box.views import (
    Aim,
    Aiming,
    Judged,
    Kind,
    Picture,
    Ready,
    Recording,
    Scene,
    Stopped,
    Summary,
    Trouble,
    Working,
)
from edge.finding import Verdict


def load_docs() -> ModuleType:
    """docs/images/screens.py, which is no module of the program."""
    file = ROOT / "docs" / "images" / "screens.py"
    spec = importlib.util.spec_from_file_location("docs_screens", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


DOCS = load_docs()
ALL_KINDS = tuple(Kind)
GREY = Picture(np.linspace(0, 255, 240 * 320).reshape(240, 320).astype(np.uint8))
LONG = "Urlaub auf Föhr, zweiter Tag, Strand mit Oma Käthe (Kopie 3).MP4"

SCENES = {row.file.removesuffix(".png"): Scene(row.view, row.marks) for row in DOCS.ROWS} | {
    "ready-without-camera": Scene(Ready(camera=False)),
    "ready-without-sticks": Scene(Ready(sticks=False)),
    "ready-with-marks": Scene(Ready(), (Kind.TOO_HOT, Kind.UNDER_VOLTAGE)),
    "ready-with-all-marks": Scene(Ready(), ALL_KINDS),
    "camera-opens": Scene(Aiming(None, Aim.NOBODY), (Kind.DISK_FULL,)),
    "viewfinder-4-to-3": Scene(Aiming(GREY, Aim.LIGHT), (Kind.TOO_HOT,)),
    "recording-done": Scene(Recording(1.0, 0.0)),
    "working-begins": Scene(Working(LONG, 1, 1, 0.0, None)),
    "working-camera": Scene(Working("", 1, 1, 0.5, 3)),
    "working-stops": Scene(Working(LONG, 998, 1000, 1.0, 36_000, LONG, cancelling=True)),
    "real-camera": Scene(Judged(Verdict.REAL, 0.004, "", "No face looks swapped.")),
    "fake-marked": Scene(
        Judged(Verdict.FAKE, 0.999, LONG, "Face 1.", 3, 12, "S", "Safe to remove."),
        (Kind.UNDER_VOLTAGE,),
    ),
    "summary-real": Scene(Summary(LONG, 99_999, 0, 0, 0, 0, 7, "Stick taken out")),
    "summary-nothing": Scene(Summary("A", 0, 0, 0, 0, 0, 0, "")),
    "stopped-long": Scene(Stopped("Every word of a long note can be read, a page at a time. " * 2)),
    "trouble-long": Scene(
        Trouble(Kind.MODEL_REFUSED, f"models/truelight/{LONG} is not what it was", LONG * 3),
        ALL_KINDS,
    ),
}
