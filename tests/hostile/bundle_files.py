"""Manifests and files of model bundles that a stranger made to harm who loads them.

Each kind changes a valid bundle in its folder, by chance where there is a choice.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.scan.model.manifest import (
    CARD,
    FEATURES,
    FIGURES,
    FILES,
    GOLDEN,
    MANIFEST,
    SEQUENCE,
    TOWER,
)

Kind = Callable[[Path, random.Random], object]

SECRET = "a secret beside the bundle"
"""What a file beside the bundle holds: no answer may show it."""
NUMBERS = (*(0, -1, 1, 2**31, 2**63, -(2**63), 10**300), *(1e308, -1e308, 5e-324, True))
NONSENSE: tuple[object, ...] = (None, "", "NaN", [], {}, [[]], *NUMBERS)


def exchange(bundle: Path, content: bytes, name: str) -> None:
    """Replace a file, or add one; the manifest then vouches for it."""
    (bundle / name).unlink(missing_ok=True)
    (bundle / name).write_bytes(content)
    vouch(bundle, name)


def vouch(bundle: Path, name: str) -> None:
    """Have the manifest give the hash that the file has."""
    with (bundle / name).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    edit(bundle, lambda manifest: manifest["files"].update({name: sha256}))


def edit(bundle: Path, change: Callable[[Any], object]) -> None:
    """Change the manifest in place."""
    manifest = json.loads((bundle / MANIFEST).read_text())
    change(manifest)
    (bundle / MANIFEST).write_text(json.dumps(manifest))


def saying(**said: object) -> Kind:
    """A manifest that says this; a dot in the name of a key, written `__`, goes a part deeper."""

    def change(manifest: Any) -> None:
        for where, value in said.items():
            part, keys = manifest, where.split("__")
            for key in keys[:-1]:
                part = part[key]
            part[keys[-1]] = value

    return lambda bundle, chance: edit(bundle, change)


def written(make: Callable[[bytes, random.Random], bytes]) -> Kind:
    """A manifest of these bytes, made from the valid ones."""

    def kind(bundle: Path, chance: random.Random) -> None:
        file = bundle / MANIFEST
        file.write_bytes(make(file.read_bytes(), chance))

    return kind


def flipped(old: bytes, chance: random.Random) -> bytes:
    """With some bits changed."""
    out = bytearray(old)
    for _ in range(chance.randint(1, 8)):
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def truncated(old: bytes, chance: random.Random) -> bytes:
    """Cut off anywhere."""
    return old[: chance.randrange(len(old))]


def places(part: Any) -> list[tuple[Any, Any]]:
    """Each part of a document that has keys, with each key."""
    keys = part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
    return [place for key in keys for place in [(part, key), *places(part[key])]]


def wrong_types(bundle: Path, chance: random.Random) -> None:
    """Values of other types, or out of range, anywhere."""

    def change(manifest: Any) -> None:
        for _ in range(chance.randint(1, 3)):
            part, key = chance.choice(places(manifest))
            part[key] = chance.choice(NONSENSE)

    edit(bundle, change)


def missing_key(bundle: Path, chance: random.Random) -> None:
    """A part that is not there."""

    def change(manifest: Any) -> None:
        part, key = chance.choice(places(manifest))
        del part[key]

    edit(bundle, change)


def twice(old: bytes, chance: random.Random) -> bytes:
    """The files listed twice: first the true hashes."""
    return old.rstrip()[:-1] + b', "files": {}}'


def instead(place: Callable[[Path], object]) -> Kind:
    """Something else in the place of a file, any of the bundle's."""

    def kind(bundle: Path, chance: random.Random) -> None:
        file = bundle / chance.choice([*FILES, MANIFEST])
        file.unlink()
        place(file)

    return kind


def sparse(size: int, *names: str) -> Kind:
    """Files of zeros that take no room, with the right hashes."""

    def kind(bundle: Path, chance: random.Random) -> None:
        for name in names or (chance.choice([FEATURES, SEQUENCE, GOLDEN]),):
            os.truncate(bundle / name, size)
            vouch(bundle, name)

    return kind


def figures(content: object) -> Kind:
    """Figures in a file of their own."""

    def kind(bundle: Path, chance: random.Random) -> None:
        given = content if isinstance(content, bytes) else json.dumps(content).encode()
        edit(bundle, lambda manifest: manifest.update(format=2, figures=[]))
        exchange(bundle, given, FIGURES)

    return kind


def one_bit(bundle: Path, chance: random.Random) -> None:
    """A file that differs from what was exported by one bit."""
    file = bundle / chance.choice(FILES)
    content = bytearray(file.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def without_tower(bundle: Path, chance: random.Random) -> None:
    """A kind of bundle whose weights were never fetched."""
    exchange(bundle, b"", TOWER)
    edit(bundle, lambda manifest: manifest.update(kind="tower"))
    (bundle / TOWER).unlink()


CONTROLS = "\x1b]0;x\a\x1b[2J\u202e\n"
MANIFESTS: dict[str, Kind] = {
    "manifest, empty": written(lambda old, chance: b""),
    "manifest, truncated": written(truncated),
    "manifest, bits flipped": written(flipped),
    "manifest, noise": written(lambda old, chance: chance.randbytes(5000)),
    "manifest, deep": written(lambda old, chance: b'{"a":' * 100_000),
    "manifest, too large": written(lambda old, chance: old + b" " * 4_000_000),
    "manifest, UTF-16": written(lambda old, chance: old.decode().encode("utf-16")),
    "manifest, number of 100,000 digits": written(
        lambda old, chance: old.replace(b'"frames": 8', b'"frames": ' + b"9" * 100_000)
    ),
    "manifest, infinite": written(lambda old, chance: old.replace(b"0.3", b"Infinity", 1)),
    "manifest, a key twice": written(twice),
    "manifest, wrong types": wrong_types,
    "manifest, a key missing": missing_key,
    "manifest, an unknown key": saying(**{CONTROLS: 1}),
    "manifest, texts with controls": saying(version=CONTROLS, summary=CONTROLS, licence=CONTROLS),
    "manifest, half a character": saying(summary="\ud800"),
    "manifest, name that is a path": saying(name="../../etc"),
    "manifest, files elsewhere": saying(files={"../secret.bin": "0" * 64}),
    "manifest, format 9": saying(format=9),
    "manifest, format 2 without figures": saying(format=2, figures=[]),
    "manifest, tower without its file": saying(kind="tower"),
    "manifest, slowest window": saying(window={"frames": 300, "rate": 1e-300}),
    "manifest, thresholds exchanged": saying(thresholds={"real": 0.9, "fake": 0.1}),
    "manifest, 100,000 figures": written(
        lambda old, chance: old.replace(
            b'"figures": [', b'"figures": [' + b'{"name":"a","value":1},' * 100_000
        )
    ),
    "figures, deep": figures(b"[" * 1_000_000),
    "figures, too large": figures(b" " * 4_000_001),
    "figures, a command that is not listed": figures(
        {"commands": [], "groups": [{"data": "x", "command": 2**40, "figures": []}]}
    ),
    "figures, not a number": figures(b'{"commands":["x"],"groups":[{"data":"x","command":NaN}]}'),
    "file, a pipe": instead(os.mkfifo),
    "file, a folder": instead(Path.mkdir),
    "file, missing": instead(lambda file: None),
    "file, a link to itself": instead(lambda file: file.symlink_to(file.name)),
    "file, a link to a device": instead(lambda file: file.symlink_to("/dev/zero")),
    "file, a link outside": instead(lambda file: file.symlink_to("../secret.bin")),
}
"""Those that are found, if at all, before the bundle's graphs are read."""
FILE_KINDS: dict[str, Kind] = {
    "manifest, largest calibration": saying(calibration={"scale": 1000, "offset": -1000}),
    "manifest, widest crop": saying(
        input__crop={"scale": 9.9, "shift_x": 2, "shift_y": -2, "upright_from": 0}
    ),
    "manifest, side that the graph does not take": saying(input__side=512),
    "manifest, a window of 8 hours": saying(window={"frames": 300, "rate": 0.01}),
    "manifest, longest window": saying(window={"frames": 300, "rate": 240}),
    "manifest, every face counts": saying(quality=dict.fromkeys(("face_px", "light"), 0)),
    "file, one bit": one_bit,
    "file, another's": lambda bundle, chance: exchange(
        bundle, (bundle / CARD).read_bytes(), chance.choice([FEATURES, SEQUENCE, GOLDEN])
    ),
    "file, empty": lambda bundle, chance: exchange(bundle, b"", chance.choice(FILES)),
    "file, 1 GB of zeros": sparse(1 << 30),
    "file, 2 GB of zeros": sparse(1 << 31),
    "files, three of 1 GB": sparse(1 << 30, FEATURES, SEQUENCE, GOLDEN),
    "tower, without its file": without_tower,
}
"""Those that get as far as the process of the model, or further."""
