"""The display on its bus: the bytes that go over it, and a display that comes and goes."""

import gc
import logging

import numpy as np
import pytest
from chips import Chip, Wires
from PIL import Image
from shown import SCENES

from edge.box.panel.display import ALIVE, MOVE, RETRY, Oled, shifted
from edge.box.views import Brightness, draw
from edge.settings_schema import DisplaySettings

pytestmark = pytest.mark.filterwarnings("ignore:.*getdata:DeprecationWarning")  # luma's
FULL, DIM, OFF = Brightness.FULL, Brightness.DIM, Brightness.OFF


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A display on a bus, and a clock that is set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: object) -> None:
        chosen = DisplaySettings.model_validate(settings)
        self.chip = Chip(chosen.driver)
        self.wires = Wires(self.chip)
        monkeypatch.setattr("smbus2.SMBus", self.wires)
        self.clock = Clock()
        self.oled = Oled(chosen, self.clock)

    def show(self, picture: Image.Image, brightness: Brightness = FULL, after: float = 0) -> None:
        self.clock.now += after
        self.oled.show(picture, brightness)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


FAKE, REAL = draw(SCENES["fake"], 0.0), draw(SCENES["real"], 0.0)


def points(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, np.bool_)


@pytest.mark.parametrize("driver", ["ssd1306", "sh1106"])
@pytest.mark.parametrize("name", ["fake", "countdown", "summary"])
def test_the_bytes_are_the_picture(monkeypatch: pytest.MonkeyPatch, driver: str, name: str) -> None:
    bench = Bench(monkeypatch, driver=driver)
    picture = draw(SCENES[name], 0.0)
    bench.show(picture)
    assert np.array_equal(bench.chip.picture(), points(picture))


def test_ssd1306_byte_for_byte(bench: Bench) -> None:
    """A point each in the corners, as the data sheet has them."""
    picture = Image.new("1", (128, 64))
    for place in ((0, 0), (127, 0), (0, 63), (127, 63), (5, 10)):
        picture.putpixel(place, 1)
    bench.show(picture)
    asked, set_up = bench.chip.log[:2]
    assert asked == b"\x00\xe3"
    assert set_up[:2] == b"\x00\xae" and bytes([0xA8, 0x3F]) in set_up
    assert bytes([0x8D, 0x14]) in set_up, "the charge pump makes its voltage"
    window, data = bench.chip.log[-2:]
    assert window == bytes([0x00, 0x21, 0, 127, 0x22, 0, 7])
    wanted = bytearray(1024)
    wanted[0], wanted[127] = 0x01, 0x01
    wanted[128 + 5] = 0x04
    wanted[7 * 128], wanted[7 * 128 + 127] = 0x80, 0x80
    assert data == b"\x40" + wanted


def test_upside_down(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, upside_down=True)
    bench.show(FAKE)
    assert np.array_equal(bench.chip.picture(), points(FAKE)[::-1, ::-1])


def test_absent_display_is_a_warning_and_is_found_later(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bench.chip.is_there = False
    for _ in range(50):
        bench.show(FAKE, after=0.5)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "0x3C" in caplog.text
    assert len(bench.wires.opened) <= 50 * 0.5 / RETRY + 1
    bench.chip.is_there = True
    bench.show(FAKE, after=RETRY)
    assert np.array_equal(bench.chip.picture(), points(FAKE))


def test_no_bus_at_all(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(monkeypatch, bus=7)
    bench.show(FAKE)
    assert "/dev/i2c-7" in caplog.text


def test_unplugged_and_returning(bench: Bench) -> None:
    bench.show(FAKE)
    bench.chip.is_there = False
    bench.show(REAL, after=1)
    bench.chip.reset()
    bench.chip.is_there = True
    bench.show(REAL, after=RETRY / 2)
    assert not bench.chip.picture().any(), "not looked for yet"
    bench.show(REAL, after=RETRY)
    assert np.array_equal(bench.chip.picture(), points(REAL))
    assert [bus.is_open for bus in bench.wires.opened] == [False, True]


def test_a_loss_is_noticed_while_nothing_changes(bench: Bench) -> None:
    bench.show(FAKE)
    before = bench.chip.frames
    for _ in range(8):
        bench.show(FAKE, after=ALIVE / 10)
    assert bench.chip.frames == before
    bench.show(FAKE, after=ALIVE)
    assert bench.chip.frames == before + 1


def test_power_lost_for_a_moment_is_mended_within_a_minute(bench: Bench) -> None:
    bench.show(FAKE)
    bench.chip.reset()
    bench.show(FAKE, after=2)
    assert not bench.chip.picture().any()
    bench.show(FAKE, after=MOVE)
    assert bench.chip.picture().sum() == points(FAKE).sum()


def test_returning_again_and_again_costs_no_memory(bench: Bench) -> None:
    def come_and_go(times: int) -> int:
        for _ in range(times):
            bench.chip.is_there = True
            bench.show(FAKE, after=RETRY)
            bench.chip.is_there = False
            bench.show(REAL, after=RETRY)
        gc.collect()
        return len(gc.get_objects())

    come_and_go(5)
    assert come_and_go(40) - come_and_go(5) < 100


def test_dims_and_sleeps_and_wakes(bench: Bench) -> None:
    bench.show(FAKE)
    bright = bench.chip.contrast
    bench.show(FAKE, DIM, after=1)
    assert bench.chip.contrast < bright and bench.chip.is_on
    bench.show(FAKE, OFF, after=1)
    frames = bench.chip.frames
    bench.show(REAL, OFF, after=5)
    assert not bench.chip.is_on and bench.chip.frames == frames
    bench.show(REAL, FULL, after=1)
    assert bench.chip.contrast == bright
    assert np.array_equal(bench.chip.picture(), points(REAL))


def test_the_picture_wanders_and_keeps_every_point(bench: Bench) -> None:
    seen = []
    for _ in range(9):
        bench.show(FAKE, after=MOVE)
        assert bench.chip.picture().sum() == points(FAKE).sum()
        seen.append(bench.chip.picture().tobytes())
    assert len(set(seen)) == 9
    assert np.array_equal(points(shifted(FAKE, 1, -1))[:-1, 1:], points(FAKE)[1:, :-1])


def test_closing_leaves_the_picture(bench: Bench) -> None:
    bench.show(FAKE)
    bench.oled.close()
    bench.oled.close()
    bench.show(REAL, after=RETRY)
    assert np.array_equal(bench.chip.picture(), points(FAKE))
    assert not bench.wires.opened[-1].is_open
