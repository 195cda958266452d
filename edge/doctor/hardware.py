"""Checks of what people touch and see, and of the camera, through the box's own parts."""

from __future__ import annotations

import queue
import warnings
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING

from edge.doctor.context import REINSTALL, Context, Result, State

if TYPE_CHECKING:
    from PIL import Image

PATIENCE = 15.0
"""Seconds to wait for a press of the button."""
WIRING = "Check the wiring against docs/install.md."
_BLINKS, _BLINK = 3, 0.4

CheckFunction = Callable[[Context], Result]


def needs_hardware(name: str, *settings: str) -> Callable[[CheckFunction], CheckFunction]:
    """Skip a check where the part is not wanted, not expected, or in use by the daemon."""

    def decorate(check: CheckFunction) -> CheckFunction:
        @wraps(check)
        def checked(context: Context) -> Result:
            kind = context.settings.panel.kind
            if name != "camera" and kind != "hardware":
                return Result(State.ABSENT, f"Disabled: panel.kind is {kind}.")
            if not context.expects(*settings):
                sentence = "Not tried: this machine is not a Raspberry Pi."
                return Result(State.ABSENT, sentence)
            if context.stop_command:
                remedy = f"{context.stop_command}; truelight doctor --only {name}"
                return Result(State.ABSENT, "Not tried: the daemon is using it.", remedy)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # gpiozero warns about every back end it tries
                return check(context)

        return checked

    return decorate


@needs_hardware("lamps", "lamps.green", "lamps.red")
def check_lamps(context: Context) -> Result:
    """Light the green lamp and the red one in turn."""
    from edge.box.panel.hardware import LedLamps

    pins = f"GPIO {context.settings.lamps.green} and {context.settings.lamps.red}"
    try:
        lamps = LedLamps(context.settings.lamps)
    except Exception as failure:  # its back ends raise what they like
        return _unreachable(pins, failure)
    try:
        context.operator.request("Look at the lamps: green and red light up in turn.")
        for turn in range(2 * _BLINKS):
            lamps.show(green=turn % 2 == 0, red=turn % 2 == 1)
            context.pause(_BLINK)
    finally:
        lamps.close()
    seen = context.operator.confirm("Did green and red light up in turn?")
    if seen is None:
        return Result(State.OK, f"Switched {pins}; nobody confirmed the light.")
    if not seen:
        return Result(State.FAILURE, f"Switched {pins}, but they did not light up.", WIRING)
    return Result(State.OK, f"Green and red light up, on {pins}.")


def _unreachable(pins: str, failure: Exception) -> Result:
    from gpiozero import BadPinFactory

    remedy = REINSTALL if isinstance(failure, BadPinFactory) else ""
    reason = str(failure).rstrip(".!") or type(failure).__name__
    return Result(State.FAILURE, f"Cannot use {pins}: {reason}.", remedy)


@needs_hardware("display", "display.driver", "display.bus", "display.address")
def check_display(context: Context) -> Result:
    """Show a test picture."""
    from edge.box.panel.display import Oled
    from edge.box.views import Brightness

    settings = context.settings.display
    if settings.driver == "none":
        return Result(State.ABSENT, "Disabled: display.driver is none.")
    name = f"{settings.driver} at {settings.address:#x} on I2C bus {settings.bus}"
    if not (context.root / f"dev/i2c-{settings.bus}").exists():
        remedy = "Enable it: sudo raspi-config nonint do_i2c 0, then restart the machine."
        return Result(State.WARNING, f"There is no I2C bus {settings.bus}.", remedy)
    if problem := _i2c_problem(settings.bus, settings.address):
        return Result(State.WARNING, f"No {name}: {problem}.", WIRING)
    display = Oled(settings)
    try:
        display.show(test_picture(), Brightness.FULL)
        seen = context.operator.confirm("Does the display show text in a frame?")
    finally:
        display.close()
    if seen is None:
        return Result(State.OK, f"{name} received a picture; nobody confirmed it.")
    if not seen:
        remedy = "If the picture is shifted or torn, set display.driver to the other one."
        return Result(State.FAILURE, f"{name} shows no test picture.", remedy)
    return Result(State.OK, f"{name} shows its test picture.")


def _i2c_problem(bus: int, address: int) -> str:
    """Why no device answers at an address of an I2C bus; empty if one does."""
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


@needs_hardware("button", "button.pin")
def check_button(context: Context) -> Result:
    """Wait for a press; if nobody is there, check that the button is not pressed."""
    from gpiozero import Button

    from edge.box.events import Event, Pressed
    from edge.box.panel.hardware import PushButton

    pin = f"GPIO {context.settings.button.pin}"
    try:
        contact = Button(context.settings.button.pin, pull_up=True)
        stuck = contact.is_pressed
        contact.close()
        if stuck:
            return Result(State.FAILURE, f"{pin} is always pressed.", WIRING)
        events: queue.Queue[Event] = queue.Queue()
        button = PushButton(context.settings.button, events.put)
    except Exception as failure:  # its back ends raise what they like
        return _unreachable(pin, failure)
    try:
        if not context.operator.request(f"Press the button within {PATIENCE:.0f} seconds."):
            return Result(State.OK, f"{pin} is not pressed; nobody was asked to press it.")
        event = events.get(timeout=PATIENCE)
    except queue.Empty:
        return Result(State.FAILURE, f"No press on {pin}.", WIRING)
    finally:
        button.close()
    word = "Pressed" if isinstance(event, Pressed) else "Pressed and held"
    return Result(State.OK, f"{word}, on {pin}.")


@needs_hardware("camera", "camera.kind", "camera.file")
def check_camera(context: Context) -> Result:
    """Take a frame."""
    from edge.box.sources.camera import open_camera

    kind = context.settings.camera.kind
    if kind == "none":
        return Result(State.ABSENT, "Disabled: camera.kind is none.")
    camera = open_camera(context.settings)
    try:
        camera.open()
        frame = camera.frame()
    finally:
        camera.close()
    height, width = frame.shape[:2]
    brightness = float(frame.mean())
    sentence = f"Frames of {width} x {height}"
    if brightness < 4:
        remedy = "Remove the lens cap, or anything in front of the camera."
        return Result(State.WARNING, f"{sentence}, all black.", remedy)
    word = "dark" if brightness < 40 else "bright" if brightness > 215 else "well lit"
    return Result(State.OK, f"{sentence}, {word}.")


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
