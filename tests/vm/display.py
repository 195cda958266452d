"""A display for a system without one: keeps what `edge.box.panel.display` sends over the bus.

Python runs this at its start, by a line that `tests/vm/systemd.sh` puts into the environment: in
the daemon, and in the program that shows the last picture.

display.py FOLDER        writes every picture that the daemon's display kept into the folder
display.py FOLDER last   and: is what was kept when the system went down the last picture?
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

KEPT = Path("/var/tmp/display.hex")
OF_THE_DAEMON = Path("/var/lib/truelight/display.hex")
LAST, DAEMON = "edge.box.panel.display", "run"
SCALE = 4


class Bus:
    """Stands where smbus2's does."""

    def __init__(self, _number: int) -> None:
        pass

    def write_i2c_block_data(self, _address: int, register: int, values: list[int]) -> None:
        self._keep(bytes([register, *values]))

    def i2c_rdwr(self, *messages: Any) -> None:
        for message in messages:
            self._keep(bytes(list(message)))

    def close(self) -> None:
        pass

    def _keep(self, message: bytes) -> None:
        with (KEPT if LAST in sys.orig_argv else OF_THE_DAEMON).open("a") as kept:
            kept.write(message.hex() + "\n")


def write_pictures(folder: Path) -> None:
    """Every picture that the daemon showed, once, in their order."""
    import numpy as np
    from chips import Chip
    from PIL import Image

    chip, seen = Chip("ssd1306"), set[bytes]()
    for line in OF_THE_DAEMON.read_text().splitlines():
        before = chip.frames
        chip.take(chip.address, bytes.fromhex(line))
        lit = chip.picture()
        if chip.frames == before or lit.tobytes() in seen or not lit.any():
            continue
        seen.add(lit.tobytes())
        large = np.kron(lit, np.ones((SCALE, SCALE))).astype(bool)
        Image.fromarray(large).save(folder / f"{len(seen):05}.png")
    assert seen, "the daemon showed nothing"
    print(f"{len(seen)} different pictures were shown")


def check_last_picture() -> None:
    """Is the last picture on the display?"""
    import numpy as np
    from chips import Chip

    from edge.box.views import Scene, draw
    from edge.box.views.status import Halted

    chip = Chip("ssd1306")
    for line in KEPT.read_text().splitlines():
        chip.take(chip.address, bytes.fromhex(line))
    assert np.array_equal(chip.picture(), np.asarray(draw(Scene(Halted()), 0.0), bool))
    print("the last picture was sent to the display after everything else had ended")


if LAST in sys.orig_argv or sys.orig_argv[-1:] == [DAEMON]:
    import smbus2

    smbus2.SMBus = Bus
elif __name__ == "__main__":
    write_pictures(Path(sys.argv[1]))
    if sys.argv[2:] == ["last"]:
        check_last_picture()
