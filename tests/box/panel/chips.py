"""The chips behind the display, as they understand what comes over the bus."""

import errno
from typing import Any

import numpy as np
import numpy.typing as npt

# How many values follow a command; none for all others.
_FOLLOWING = {
    "ssd1306": {
        **{0x20: 1, 0x21: 2, 0x22: 2, 0x81: 1, 0x8D: 1, 0xA8: 1},
        **{0xD3: 1, 0xD5: 1, 0xD9: 1, 0xDA: 1, 0xDB: 1},
    },
    "sh1106": {0x81: 1, 0xA8: 1, 0xAD: 1, 0xD3: 1, 0xD5: 1, 0xD9: 1, 0xDA: 1, 0xDB: 1},
}


class Chip:
    """An SSD1306 or SH1106 with its memory of 8 pages; unplugged, it does not answer."""

    def __init__(self, name: str, address: int = 0x3C) -> None:
        self.name, self.address = name, address
        self.is_there = True
        self.frames = 0
        self.log: list[bytes] = []
        self.reset()

    def reset(self) -> None:
        """As it is when power comes: off, and not set up."""
        self.memory = np.zeros((8, 132), np.uint8)
        self.is_on = self.has_power = False
        self.contrast = 0x7F
        self.columns, self.pages = (0, 127), (0, 7)
        self.column = self.page = 0

    def take(self, address: int, message: bytes) -> None:
        if not self.is_there or address != self.address:
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        self.log.append(message)
        kind, body = message[0], message[1:]
        if kind == 0x40:
            for byte in body:
                self._store(byte)
            self.frames += 1
        else:
            assert kind == 0x00
            self._obey(list(body))

    def picture(self) -> npt.NDArray[np.bool_]:
        """The points that are lit, `[64, 128]`."""
        left = 2 if self.name == "sh1106" else 0
        pages = self.memory[:, left : left + 128]
        bits = np.unpackbits(pages[:, None], axis=1, bitorder="little")
        lit: npt.NDArray[np.bool_] = bits.reshape(64, 128).astype(np.bool_)
        return lit if self.is_on and self.has_power else np.zeros_like(lit)

    def _store(self, byte: int) -> None:
        self.memory[self.page, self.column] = byte
        self.column += 1
        if self.name == "ssd1306" and self.column > self.columns[1]:
            self.column = self.columns[0]
            self.page = self.page + 1 if self.page < self.pages[1] else self.pages[0]

    def _obey(self, body: list[int]) -> None:
        while body:
            command, *body = body
            count = _FOLLOWING[self.name].get(command, 0)
            values, body = body[:count], body[count:]
            if command in (0xAE, 0xAF):
                self.is_on = command == 0xAF
            elif command == 0x81:
                self.contrast = values[0]
            elif command == 0xA8:
                self.has_power = True  # set up: nobody sends this but to begin
            elif self.name == "ssd1306" and command == 0x21:
                self.columns, self.column = (values[0], values[1]), values[0]
            elif self.name == "ssd1306" and command == 0x22:
                self.pages, self.page = (values[0], values[1]), values[0]
            elif self.name == "sh1106":
                self._move(command)

    def _move(self, command: int) -> None:
        if command & 0xF8 == 0xB0:
            self.page = command & 7
        elif command & 0xF0 == 0x00:
            self.column = (self.column & 0xF0) | (command & 0x0F)
        elif command & 0xF0 == 0x10:
            self.column = (self.column & 0x0F) | ((command & 0x0F) << 4)


class Bus:
    """Stands where smbus2's does; takes blocks and I2C_RDWR, which luma needs."""

    def __init__(self, chip: Chip) -> None:
        self.chip, self.is_open = chip, True

    def write_i2c_block_data(self, address: int, register: int, data: list[int]) -> None:
        assert self.is_open and len(data) <= 32
        self.chip.take(address, bytes([register, *data]))

    def i2c_rdwr(self, *messages: Any) -> None:
        assert self.is_open
        for message in messages:
            self.chip.take(message.addr, bytes(list(message)))

    def close(self) -> None:
        self.is_open = False


class Wires:
    """Every bus that was opened; the chip hangs on number 1."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.opened: list[Bus] = []

    def __call__(self, number: int) -> Bus:
        if number != 1:
            raise FileNotFoundError(errno.ENOENT, "No such file", f"/dev/i2c-{number}")
        self.opened.append(Bus(self.chip))
        return self.opened[-1]
