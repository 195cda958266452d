"""What people touch and see, and the camera. Tried through the box's own parts."""

from __future__ import annotations

import queue
import warnings
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING

from edge.doctor.context import AGAIN, Check, Patient, State
from edge.errors import TruelightError

if TYPE_CHECKING:
    from PIL import Image

PATIENCE = 15.0
"""Seconds in which the button is to be pressed."""
WIRES = "See that its wires sit where docs/install.md says."
_BLINKS, _BLINK = 3, 0.4

Examine = Callable[[Patient], Check]


def on_the_header(name: str, *settings: str) -> Callable[[Examine], Examine]:
    """A check of a part that the box has to itself, and that a machine may well not have."""

    def decorate(examine: Examine) -> Examine:
        @wraps(examine)
        def checked(patient: Patient) -> Check:
            kind = patient.settings.panel.kind
            if name != "camera" and kind != "hardware":
                return Check(name, State.ABSENT, f"Not wanted: panel.kind is {kind}.")
            if not patient.wants(*settings):
                return Check(name, State.ABSENT, "Not tried: this machine is no Raspberry Pi.")
            if patient.how_to_end:
                remedy = f"{patient.how_to_end}; truelight doctor --only {name}"
                return Check(name, State.ABSENT, "Not tried: the box runs and has it.", remedy)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # gpiozero tells of every back end that it tries
                return examine(patient)

        return checked

    return decorate


@on_the_header("lamps", "lamps.green", "lamps.red")
def check_lamps(patient: Patient) -> Check:
    """Light the green lamp and the red one in turn."""
    from edge.box.panel.hardware import LedLamps

    pins = f"GPIO {patient.settings.lamps.green} and {patient.settings.lamps.red}"
    try:
        lamps = LedLamps(patient.settings.lamps)
    except Exception as failure:  # its back ends raise what they like
        return _unreachable("lamps", pins, failure)
    try:
        patient.person.asked("Look at the lamps: green and red light in turn.")
        for turn in range(2 * _BLINKS):
            lamps.show(green=turn % 2 == 0, red=turn % 2 == 1)
            patient.pause(_BLINK)
    finally:
        lamps.close()
    seen = patient.person.confirms("Did green and red light in turn?")
    if seen is None:
        return Check("lamps", State.OK, f"{pins} were switched; nobody was asked what lit.")
    if not seen:
        return Check("lamps", State.FAILURE, f"{pins} were switched and did not light.", WIRES)
    return Check("lamps", State.OK, f"Green and red light, at {pins}.")


def _unreachable(name: str, pins: str, failure: Exception) -> Check:
    from gpiozero import BadPinFactory

    sentence = f"{pins} cannot be reached: {str(failure).rstrip('.!') or type(failure).__name__}."
    return Check(name, State.FAILURE, sentence, AGAIN if isinstance(failure, BadPinFactory) else "")


@on_the_header("display", "display.driver", "display.bus", "display.address")
def check_display(patient: Patient) -> Check:
    """Show a test picture."""
    from edge.box.panel.display import Oled
    from edge.box.views import Brightness

    wanted = patient.settings.display
    if wanted.driver == "none":
        return Check("display", State.ABSENT, "Not wanted: display.driver is none.")
    where = f"{wanted.driver} at {wanted.address:#x} on I2C bus {wanted.bus}"
    if not (patient.root / f"dev/i2c-{wanted.bus}").exists():
        remedy = "Switch it on: sudo raspi-config nonint do_i2c 0, then restart the machine."
        return Check("display", State.WARNING, f"There is no I2C bus {wanted.bus}.", remedy)
    if problem := _no_answer(wanted.bus, wanted.address):
        return Check("display", State.WARNING, f"No {where}: {problem}.", WIRES)
    display = Oled(wanted)
    try:
        display.show(test_picture(), Brightness.FULL)
        seen = patient.person.confirms("Does the display show a frame, and words in it?")
    finally:
        display.close()
    if seen is None:
        return Check("display", State.OK, f"{where} was given a picture; nobody was asked.")
    if not seen:
        remedy = "If its picture is torn or moved aside, set display.driver to the other one."
        return Check("display", State.FAILURE, f"{where} shows no test picture.", remedy)
    return Check("display", State.OK, f"{where} shows its test picture.")


def _no_answer(bus: int, address: int) -> str:
    """Why nobody answers at an address of an I2C bus; empty if somebody does."""
    from luma.core.error import Error
    from luma.core.interface.serial import i2c

    from edge.box.panel.display import NOTHING

    try:
        link = i2c(port=bus, address=address)
        try:
            link.command(NOTHING)
        finally:
            link.cleanup()
    except (Error, OSError) as failure:
        return str(failure).rstrip(".") or type(failure).__name__
    return ""


@on_the_header("button", "button.pin")
def check_button(patient: Patient) -> Check:
    """Wait for a press; without anybody to press it, see that it is up."""
    from gpiozero import Button

    from edge.box.events import Event, Pressed
    from edge.box.panel.hardware import PushButton

    pin = f"GPIO {patient.settings.button.pin}"
    try:
        contact = Button(patient.settings.button.pin, pull_up=True)
        down = contact.is_pressed
        contact.close()
        if down:
            return Check("button", State.FAILURE, f"{pin} is down all the time.", WIRES)
        events: queue.Queue[Event] = queue.Queue()
        button = PushButton(patient.settings.button, events.put)
    except Exception as failure:  # its back ends raise what they like
        return _unreachable("button", pin, failure)
    try:
        if not patient.person.asked(f"Press the button, within {PATIENCE:.0f} seconds."):
            return Check("button", State.OK, f"{pin} is up; nobody was asked to press it.")
        event = events.get(timeout=PATIENCE)
    except queue.Empty:
        return Check("button", State.FAILURE, f"No press was seen at {pin}.", WIRES)
    finally:
        button.close()
    held = "" if isinstance(event, Pressed) else ", and held"
    return Check("button", State.OK, f"It was pressed{held}, at {pin}.")


@on_the_header("camera", "camera.kind", "camera.file")
def check_camera(patient: Patient) -> Check:
    """Take a frame."""
    from edge.box.sources.camera import open_camera

    kind = patient.settings.camera.kind
    if kind == "none":
        return Check("camera", State.ABSENT, "Not wanted: camera.kind is none.")
    try:
        camera = open_camera(patient.settings)
        try:
            camera.open()
            frame = camera.frame()
        finally:
            camera.close()
    except TruelightError as failure:
        return Check("camera", State.FAILURE, failure.message, failure.remedy)
    height, width = frame.shape[:2]
    light = float(frame.mean())
    sentence = f"It gave a frame of {width} x {height}"
    if light < 4:
        return Check("camera", State.WARNING, f"{sentence}, all black.", "Is something before it?")
    return Check("camera", State.OK, f"{sentence}, {_lightness(light)}.")


def _lightness(mean: float) -> str:
    """A mean of 0 to 255 in words."""
    return "dark" if mean < 40 else "bright" if mean > 215 else "well lit"


def test_picture() -> Image.Image:
    """128 x 64, mode "1": a frame along the edge, words, and a fine pattern at the bottom."""
    from edge.box.views.canvas import HEIGHT, WIDTH, Canvas

    canvas = Canvas()
    canvas.fill(0, 0, WIDTH, HEIGHT)
    canvas.fill(1, 1, WIDTH - 2, HEIGHT - 2, lit=False)
    canvas.centred("Truelight", 8, times=2)
    canvas.centred("This side up", 32)
    canvas.points[46:-4, 4 : WIDTH - 4 : 2] = True
    return canvas.image()
