"""Golden vectors of model bundles that a stranger made to harm who unpacks them.

Each kind changes a valid bundle in its folder, by chance where there is a choice.
"""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hostile.bundle_files import Kind, exchange, flipped, truncated

from edge.scan.model.manifest import GOLDEN

Arrays = dict[str, np.ndarray]


def golden(change: Callable[[Arrays], object]) -> Kind:
    """The golden vector with other arrays."""

    def kind(bundle: Path, chance: random.Random) -> None:
        with np.load(bundle / GOLDEN) as archive:
            arrays = dict(archive)
        change(arrays)
        packed = io.BytesIO()
        np.savez_compressed(packed, **arrays)
        exchange(bundle, packed.getvalue(), GOLDEN)

    return kind


def archive(content: bytes, more: int = 0, count: int = 1) -> Kind:
    """A golden vector of so many parts, each of this content and so many zeros."""

    def kind(bundle: Path, chance: random.Random) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            for number in range(count):
                file.writestr(f"crops{number or ''}.npy", content + bytes(more))
        exchange(bundle, packed.getvalue(), GOLDEN)

    return kind


def array(header: str, content: bytes = b"") -> bytes:
    """An array whose header says this."""
    text = header.encode()
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + content


def claiming(shape: object, kind: str = "<f4") -> bytes:
    """An array that claims this shape."""
    return array(repr({"descr": kind, "fortran_order": False, "shape": shape}) + "\n")


def damaged(damage: Callable[[bytes, random.Random], bytes]) -> Kind:
    """The valid one with a damage for which the manifest vouches."""
    return lambda bundle, chance: exchange(
        bundle, damage((bundle / GOLDEN).read_bytes(), chance), GOLDEN
    )


def lies(old: bytes, chance: random.Random) -> bytes:
    """An archive whose list gives other sizes than its parts have."""
    out, at = bytearray(old), 0
    while (at := out.find(b"PK\1\2", at + 1)) > 0:
        size = chance.choice([0, 1, 2**31, 2**32 - 1])
        out[at + 20 : at + 28] = size.to_bytes(4, "little") * 2
    return bytes(out)


NAN, INFINITE = np.array(np.nan), np.array(np.inf)
ARRAYS: dict[str, Kind] = {
    "golden, truncated": damaged(truncated),
    "golden, bits flipped": damaged(flipped),
    "golden, sizes that lie": damaged(lies),
    "golden, noise": damaged(lambda old, chance: chance.randbytes(5000)),
    "golden, 200 MB of zeros": archive(claiming((1,)), 200_000_000),
    "golden, a claim of 4 TB": archive(claiming((1 << 40,))),
    "golden, a claim below zero": archive(claiming((-(2**62), 2))),
    "golden, a shape of words": archive(claiming("x" * 1000)),
    "golden, a deep header": archive(array("(" * 9000)),
    "golden, a header that computes": archive(array("9**9**9")),
    "golden, objects": golden(lambda arrays: arrays.update(crops=np.array([print, {}], object))),
    "golden, 50,000 parts": archive(b"", count=50_000),
    "golden, not arrays": archive(b"PK\3\4"),
    "golden, nothing in it": archive(b"", count=0),
    "golden, an array missing": golden(lambda arrays: arrays.pop("slots")),
    "golden, no crop": golden(lambda arrays: arrays.update(crops=arrays["crops"][:0])),
    "golden, slots beyond": golden(lambda arrays: arrays.update(slots=arrays["slots"] + 10**9)),
    "golden, slots of 8 GB": golden(
        lambda arrays: arrays.update(slots=np.zeros((1, 1_000_000), np.int64))
    ),
    "golden, other kinds": golden(lambda arrays: arrays.update(crops=arrays["crops"] * 1j)),
    "golden, structures": golden(
        lambda arrays: arrays.update(features=np.zeros((2, 2048), [("a", "f4"), ("b", "O")]))
    ),
    "golden, NaN": golden(lambda arrays: arrays.update(logits=arrays["logits"] * np.nan)),
    "golden, tolerance NaN": golden(lambda arrays: arrays.update(logits_tolerance=NAN)),
    "golden, tolerance infinite": golden(lambda arrays: arrays.update(features_tolerance=INFINITE)),
    "golden, tolerances": golden(lambda arrays: arrays.update(logits_tolerance=np.ones(9))),
    "golden, generated": golden(lambda arrays: arrays.update(generated=arrays["logits"])),
    "golden, other answers": golden(lambda arrays: arrays.update(logits=arrays["logits"] + 1)),
}
