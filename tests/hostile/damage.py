"""Damages a valid file: the same seed gives the same damage."""

import random
import struct
import zlib
from collections.abc import Callable

from hostile.structure import chunks, elements, parts, places, some

NUMBERS = (
    *(0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 60000, 1 << 24),
    *(1 << 28, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF),
)


def truncated(data: bytes, kind: str, chance: random.Random) -> bytes:
    """Cut off anywhere."""
    return data[: chance.randrange(len(data))]


def flipped(data: bytes, kind: str, chance: random.Random) -> bytes:
    """Bits changed, many or few."""
    out = bytearray(data)
    for _ in range(max(1, int(len(data) * 10 ** -chance.uniform(1.5, 4.5)))):
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def spoilt_header(data: bytes, kind: str, chance: random.Random) -> bytes:
    """Extreme numbers written over the beginning."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(min(len(out), chance.choice([32, 128, 1024, 8192])))
        size = chance.choice([1, 2, 4, 8])
        value = chance.choice(NUMBERS) & ((1 << 8 * size) - 1)
        out[at : at + size] = value.to_bytes(size, chance.choice(["big", "little"]))
    return bytes(out[: len(data)])


def lied(data: bytes, kind: str, chance: random.Random) -> bytes:
    """Sizes and counts that are wrong."""
    out = bytearray(data)
    if kind == "mkv":
        found = list(elements(data))
        for at, id_length, length, size in chance.sample(found, min(len(found), 3)):
            largest = (1 << 7 * length) - 1
            value = chance.choice([0, 1, size - 1, size + 1, size * 2, largest, largest - 1])
            coded = (value % (largest + 1)) | 1 << 7 * length
            out[at + id_length : at + id_length + length] = coded.to_bytes(length, "big")
        return bytes(out)
    fitting = [place for place in places(kind, data) if place[0] + 4 <= len(data)]
    for at, form in some(chance, fitting, 4):
        (old,) = struct.unpack_from(form, out, at)
        value = chance.choice([*NUMBERS, old - 1, old + 1, old * 2, old // 2, old - 8, old ^ 0x80])
        struct.pack_into(form, out, at, value & ((1 << 8 * struct.calcsize(form)) - 1))
    return with_checksums(bytes(out)) if kind == "png" else bytes(out)


def edited(data: bytes, kind: str, chance: random.Random) -> bytes:
    """A part dropped, repeated, moved, filled with noise or zeros."""
    found = parts(kind, data)
    if not found:
        return flipped(data, kind, chance)
    (at, size), (to, _) = chance.choice(found), chance.choice(found)
    part, before, after = data[at : at + size], data[:at], data[at + size :]
    return chance.choice(
        [
            before + after,
            before + part * chance.choice([2, 3, 50]) + after,
            data[:to] + part + data[to:],
            data[: at + 8] + chance.randbytes(max(0, size - 8)) + after,
            data[: at + 8] + bytes(max(0, size - 8)) + after,
        ]
    )


DAMAGES: tuple[Callable[[bytes, str, random.Random], bytes], ...] = (
    *(truncated, flipped, flipped, spoilt_header, lied, lied, edited),
)


def with_checksums(data: bytes) -> bytes:
    """Give every chunk of a PNG its checksum, so that the damage gets past it."""
    out = bytearray(data[:8])
    for at, size, name in chunks(data, ">", 8, 4):
        if at + 12 + size > len(data):
            return bytes(out + data[at:])
        body = data[at + 8 : at + 8 + size]
        checksum = struct.pack(">I", zlib.crc32(name + body))
        out += struct.pack(">I", size) + name + body + checksum
    return bytes(out)
