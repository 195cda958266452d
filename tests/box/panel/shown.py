"""Scenes to draw: what docs/screens.md shows, and what else can be on a screen."""

import importlib
import sys
from types import ModuleType

import numpy as np
from frontdoor import ROOT

from edge.box.views import MARKS, Scene
from edge.box.views.camera import CameraImage, Framing, Recording, Viewfinder
from edge.box.views.clips import BatchSummary, ClipVerdict, Judging, Stopped
from edge.box.views.status import Ready, Trouble, TroubleKind
from edge.finding import Verdict


def load_docs() -> ModuleType:
    """docs/images/screens.py, which is no module of the program."""
    folder = str(ROOT / "docs" / "images")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("screens")
    finally:
        sys.path.remove(folder)


DOCS = load_docs()
GREY = CameraImage(np.linspace(0, 255, 240 * 320).reshape(240, 320).astype(np.uint8))
LONG = "Urlaub auf Föhr, zweiter Tag, Strand mit Oma Käthe (Kopie 3).MP4"
LETTERS = "Ærøskøbing Łódź Škoda Ñandú Český ẞß Отпуск Ελλάδα 서울 映画"

GERMAN = {f"de-{row.file.removesuffix('.png')}": row.in_language("de") for row in DOCS.ROWS}

SCENES = {row.file.removesuffix(".png"): row.scene for row in DOCS.ROWS} | {
    "ready-without-camera": Scene(Ready(camera=False)),
    "ready-without-sticks": Scene(Ready(sticks=False)),
    "ready-simulated": Scene(Ready(), ("simulated-camera", "simulated-panel")),
    "ready-with-marks": Scene(Ready(), (TroubleKind.TOO_HOT, TroubleKind.UNDER_VOLTAGE)),
    "ready-with-all-marks": Scene(Ready(), tuple(MARKS)),
    "camera-opens": Scene(Viewfinder(None, Framing.NO_FACE), (TroubleKind.DISK_FULL,)),
    "viewfinder-4-to-3": Scene(Viewfinder(GREY, Framing.LIGHT), (TroubleKind.TOO_HOT,)),
    "recording-done": Scene(Recording(1.0, 0.0)),
    "working-begins": Scene(Judging(LONG, 1, 1, 0.0, None)),
    "working-camera": Scene(Judging("", 1, 1, 0.5, 3)),
    "working-so-far": Scene(Judging(LONG, 3, 5, 0.34, 34, "HOLIDAY", so_far=0.999)),
    "working-stops": Scene(Judging(LONG, 998, 1000, 1.0, 36_000, LONG, cancelling=True)),
    "real-camera": Scene(ClipVerdict(Verdict.REAL, 0.004, "", "No face looks swapped.")),
    "fake-marked": Scene(
        ClipVerdict(Verdict.FAKE, 0.999, LONG, "Face 1.", 3, 12, "S", "Safe to remove."),
        (TroubleKind.UNDER_VOLTAGE,),
    ),
    "summary-real": Scene(BatchSummary(LONG, {Verdict.REAL: 99_999}, 7, "Stick removed.")),
    "summary-nothing": Scene(BatchSummary("A", {}, 0, "")),
    "stopped-long": Scene(Stopped("Every word of a long note can be read, a page at a time. " * 2)),
    "letters": Scene(Stopped(LETTERS)),
    "trouble-long": Scene(
        Trouble(TroubleKind.MODEL_REFUSED, f"models/truelight/{LONG} is damaged", LONG * 3),
        tuple(MARKS),
    ),
}
