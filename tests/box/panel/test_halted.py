"""The last picture, as the display gets it when the system is down."""

import numpy as np
import pytest
from chips import Chip, Wires

from edge.box.panel.display import show_halted
from edge.box.views import Scene, draw
from edge.box.views.status import Halted
from edge.settings import Settings


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Chip:
    chip = Chip("ssd1306")
    monkeypatch.setattr("smbus2.SMBus", Wires(chip))
    return chip


def test_the_plug_may_be_pulled(chip: Chip) -> None:
    show_halted(Settings())
    assert np.array_equal(chip.picture(), np.asarray(draw(Scene(Halted()), 0.0), bool))


def test_a_box_without_a_display_is_no_failure(chip: Chip) -> None:
    chip.is_there = False
    show_halted(Settings())


@pytest.mark.parametrize("setting", [{"panel.kind": "none"}, {"display.driver": "none"}])
def test_a_display_that_is_not_wanted_is_not_touched(chip: Chip, setting: dict[str, str]) -> None:
    show_halted(Settings().changed("test", setting))
    assert chip.log == []
