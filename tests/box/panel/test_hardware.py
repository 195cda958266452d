"""Button and lamps on gpiozero's simulated pins, through the panel as the box opens it."""

import logging
import queue
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from chips import Chip, Wires
from gpiozero import Device
from gpiozero.pins.mock import MockFactory
from PIL import Image

from edge.box.events import Event, Held, HeldLong, Pressed
from edge.box.panel import Panel, open_panel
from edge.box.views import Brightness, Scene, draw
from edge.box.views.clips import ClipVerdict, Judging
from edge.box.views.status import Ready, ShuttingDown, TroubleKind
from edge.finding import Verdict
from edge.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:.*getdata:DeprecationWarning")  # luma's
BUTTON, GREEN, RED = 17, 22, 27
FINGER = 0.3  # seconds that a tap lasts
SETTINGS = Settings().changed(
    "the test", {"button.hold": 1.0, "button.long_hold": 1.5, "display.driver": "none"}
)


class Box:
    """Simulated pins, and the panel on them."""

    def __init__(self, settings: Settings = SETTINGS, factory: Any = None) -> None:
        self.factory = Device.pin_factory = factory or MockFactory()
        self.posted: queue.Queue[Event] = queue.Queue()
        self.panel: Panel = open_panel(settings, self.posted.put)

    def pin(self, number: int) -> Any:
        return self.factory.pin(number)

    def contacts(self, *levels: bool) -> None:
        for down in levels:
            self.pin(BUTTON).drive_low() if down else self.pin(BUTTON).drive_high()

    def press(self, seconds: float) -> None:
        self.contacts(True)
        time.sleep(seconds)
        self.contacts(False)

    def posted_until(self, last: Event) -> list[Event]:
        """What was posted, until this came."""
        events = [self.posted.get(timeout=60)]
        while events[-1] != last:
            events.append(self.posted.get(timeout=60))
        return events


@pytest.fixture
def make() -> Iterator[Callable[..., Box]]:
    before, boxes = Device.pin_factory, []

    def make(*arguments: Any) -> Box:
        boxes.append(Box(*arguments))
        return boxes[-1]

    yield make
    for box in boxes:
        box.panel.close()
    Device.pin_factory = before


def wait_until(truth: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not truth():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_taps_are_pressed_when_the_finger_leaves(make: Callable[..., Box]) -> None:
    box = make()
    box.contacts(True)
    time.sleep(FINGER)
    assert box.posted.empty()
    box.contacts(False)
    assert box.posted.get(timeout=60) == Pressed()


def test_bouncing_contacts_press_once(make: Callable[..., Box]) -> None:
    box = make()
    for _ in range(2):
        box.contacts(True, False, True, False, True)
        time.sleep(FINGER)
        box.contacts(False, True, False, True, False)
        time.sleep(FINGER)
    box.contacts(True)
    assert box.posted_until(Held()) == [Pressed(), Pressed(), Held()]


def test_held_and_held_long_come_while_the_finger_is_down(make: Callable[..., Box]) -> None:
    box = make()
    box.contacts(True)
    assert box.posted_until(HeldLong()) == [Held(), HeldLong()]
    box.contacts(False)
    time.sleep(FINGER)
    box.press(FINGER)
    assert box.posted_until(Pressed()) == [Pressed()], "letting go after holding is no press"


def test_a_button_that_is_down_from_the_start_is_waited_for(make: Callable[..., Box]) -> None:
    factory = MockFactory()
    factory.pin(BUTTON).drive_low()
    pin = factory.pin(BUTTON)
    pin._set_pull = lambda value: setattr(pin, "_pull", value)  # the wire is stronger
    box = make(SETTINGS, factory)
    time.sleep(1.1)
    assert box.posted.empty()
    box.contacts(False)
    time.sleep(FINGER)
    box.press(FINGER)
    assert box.posted_until(Pressed()) == [Pressed()]


def test_lamps_blink_over_time(make: Callable[..., Box]) -> None:
    box = make()
    box.panel.show(Scene(Judging("a.mp4", 1, 2, 0.1, 5)))
    wait_until(lambda: len(box.pin(GREEN).states) >= 6)
    assert [state.state for state in box.pin(GREEN).states[:6]] == [0, 1, 0, 1, 0, 1]
    assert [state.state for state in box.pin(RED).states] == [0]


def test_progress_does_not_set_the_blinking_back(make: Callable[..., Box]) -> None:
    box = make()
    done = 0

    def blinked() -> bool:
        nonlocal done
        done += 1
        box.panel.show(Scene(Judging("a.mp4", 1, 2, done / 10_000, 5)))
        return len(box.pin(GREEN).states) >= 4

    wait_until(blinked)


def test_a_verdict_lights_its_lamp_at_once(make: Callable[..., Box]) -> None:
    box = make()
    box.panel.show(Scene(ClipVerdict(Verdict.REAL, 0.1, "a.mp4", "")))
    wait_until(lambda: (box.pin(GREEN).state, box.pin(RED).state) == (1, 0))
    box.panel.show(Scene(ClipVerdict(Verdict.FAKE, 0.9, "a.mp4", "")))
    wait_until(lambda: (box.pin(GREEN).state, box.pin(RED).state) == (0, 1))


def test_lamps_that_light_when_low(make: Callable[..., Box]) -> None:
    box = make(SETTINGS.changed("the test", {"lamps.active_high": False}))
    assert (box.pin(GREEN).state, box.pin(RED).state) == (1, 1)
    box.panel.show(Scene(ClipVerdict(Verdict.REAL, 0.1, "a.mp4", "")))
    wait_until(lambda: (box.pin(GREEN).state, box.pin(RED).state) == (0, 1))


@pytest.mark.parametrize("factory", ["unknown", "none"])
def test_unknown_board_is_named_and_the_display_works(
    make: Callable[..., Box],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    factory: str,
) -> None:
    chip = Chip("ssd1306")
    monkeypatch.setattr("smbus2.SMBus", Wires(chip))
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "nothing-of-the-kind")
    settings = SETTINGS.changed("the test", {"display.driver": "ssd1306"})
    box = make(settings, MockFactory(revision="beef") if factory == "unknown" else None)
    if factory == "none":
        box.panel.close()
        Device.pin_factory = None
        box.panel = open_panel(settings, box.posted.put)
    (trouble,) = box.panel.troubles()
    assert trouble.kind is TroubleKind.UNKNOWN_BOARD and trouble.remedy
    assert "No button, no lamps" in caplog.text
    box.panel.show(Scene(trouble))
    wait_until(lambda: bool(chip.picture().sum()))


def test_a_pin_in_use_is_reported_unlike_an_unknown_board(make: Callable[..., Box]) -> None:
    box = make(SETTINGS.changed("the test", {"lamps.green": BUTTON}))
    (trouble,) = box.panel.troubles()
    assert "do not answer" in trouble.message and "doctor" in trouble.remedy


def test_the_last_scene_stays_on_the_display(
    make: Callable[..., Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    chip = Chip("ssd1306")
    monkeypatch.setattr("smbus2.SMBus", Wires(chip))
    box = make(SETTINGS.changed("the test", {"display.driver": "ssd1306"}))
    box.panel.show(Scene(Ready()))
    box.panel.show(Scene(ShuttingDown(), (), Brightness.FULL))
    box.panel.close()
    box.panel.close()
    lit = chip.picture()
    still = [draw(Scene(ShuttingDown()), beat / 8).tobytes() for beat in range(8)]
    assert Image.fromarray(np.ascontiguousarray(lit)).tobytes() in still


def test_a_scene_that_cannot_be_drawn_does_not_end_the_panel(
    make: Callable[..., Box],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    chip = Chip("ssd1306")
    monkeypatch.setattr("smbus2.SMBus", Wires(chip))
    caplog.set_level(logging.ERROR)
    box = make(SETTINGS.changed("the test", {"display.driver": "ssd1306"}))
    broken: Any = ClipVerdict("nothing", 2.0, "", "")  # type: ignore[arg-type]
    box.panel.show(Scene(broken))
    wait_until(lambda: "cannot show" in caplog.text)
    box.panel.show(Scene(Ready()))
    wait_until(lambda: bool(chip.picture().sum()))
