"""How the box ends: asked for by the button, and when one of its parts dies."""

import logging
import threading

import pytest
from house import House
from waiting import until

from edge.box.events import HeldLong, Reloaded, Terminated
from edge.box.views.status import Ready, ShuttingDown, Starting


def test_the_system_is_asked_to_switch_off(house: House) -> None:
    house.sees(Ready)
    house.configure(panel={"kind": "hardware"})
    house.happens(Reloaded())
    house.sees(Starting)
    house.sees(Ready)
    request = house.run / "power" / "off"
    assert not request.exists()
    house.happens(HeldLong())
    house.sees(ShuttingDown)
    until(request.exists)
    # All is written by now; it is for the system to end the program.
    assert house.thread.is_alive()
    house.happens(Terminated())
    house.thread.join(60)
    assert house.ended is True


def test_a_part_that_dies_takes_the_program_along(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.sees(Ready)

    def die() -> None:
        raise RuntimeError("of old age")

    with caplog.at_level(logging.CRITICAL):
        threading.Thread(target=die, name="old").start()
        house.thread.join(60)
    assert house.ended is False
    assert "The thread old died" in caplog.text
    assert "of old age" in caplog.text
