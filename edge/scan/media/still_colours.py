"""Light and colours of still pictures as those of a screen: profiles, HDR, depth, transparency.

Runs in the decoder process only.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from itertools import product

from PIL import Image, ImageChops, ImageCms, ImageFilter

from edge.scan.media.colour import SIDE, ColourSpace
from edge.scan.media.protocol import ClipError, Fault
from edge.scan.media.structure import boxes

_BACKDROP = (128, 128, 128)
_MODES = frozenset(("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK"))
_PALETTES = frozenset(("P", "PA"))
_MOST_PROFILE = 4 << 20
_SRGB = ImageCms.createProfile("sRGB")
_SAMPLE = list(product((0, 64, 128, 192, 255), repeat=3))
_ROUNDING = 3
_MOST_BOXES = 10_000


def stored_space(data: bytes) -> ColourSpace | None:
    """What a HEIF, AVIF or PNG file says of its picture's light and primaries.

    None where it says nothing, or that pixels are shown as they are stored.
    """
    named = _coding_chunk(data) if data.startswith(b"\x89PNG") else _primary_colours(data)
    space = ColourSpace(*named) if named else None
    return None if space is None or space.is_plain else space


def on_screen(image: Image.Image, space: ColourSpace | None) -> Image.Image:
    """The picture in sRGB, on grey where it is transparent; 16 bits are reduced to 8."""
    if image.mode.startswith("I;16"):
        image = image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    if image.mode not in _MODES:
        raise ClipError(Fault.PIXEL_FORMAT)
    # Of PNG the space comes before the profile, and others that name it have no profile.
    image = _in_srgb(image) if space is None else _from_space(image, space)
    if image.has_transparency_data:
        ground = Image.new("RGB", image.size, _BACKDROP)
        rgba = image.convert("RGBA")
        ground.paste(rgba, mask=rgba)
        return ground
    return image if image.mode == "RGB" else image.convert("RGB")


def _in_srgb(image: Image.Image) -> Image.Image:
    """The picture with the colours that its profile (ICC) gives them."""
    profile = image.info.get("icc_profile")
    if not profile or len(profile) > _MOST_PROFILE:
        return image
    with suppress(Exception):  # a damaged profile leaves the colours as they are stored
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if image.mode in _PALETTES:
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        if image.mode in {"RGB", "RGBA"} and _is_srgb(given):
            return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        shown = ImageCms.profileToProfile(image, given, _SRGB, outputMode=mode)
        return shown or image
    return image


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    """Whether colours stay what they are, but for rounding; what it is named says little."""
    sample = Image.new("RGB", (len(_SAMPLE), 1))
    sample.putdata(_SAMPLE)
    shown = ImageCms.profileToProfile(sample, profile, _SRGB)
    if shown is None:
        return True
    apart = ImageChops.difference(sample, shown).tobytes()
    return max(apart) <= _ROUNDING


def _from_space(image: Image.Image, space: ColourSpace) -> Image.Image:
    """The same as video: `ColourSpace.curve`, then its table."""
    mode = "RGBA" if image.has_transparency_data else "RGB"
    spread = image.convert(mode).point(space.codes() * 3 + list(range(256)) * (mode == "RGBA"))
    values = memoryview(space.table()).cast("H")
    table = ImageFilter.Color3DLUT(SIDE, [value / 65535 for value in values], target_mode=mode)
    return spread.filter(table)


def _coding_chunk(data: bytes) -> tuple[int, int] | None:
    """Primaries and transfer of a PNG (cICP, third edition)."""
    head = data[:4096].split(b"IDAT", 1)[0]
    place = head.find(b"\0\0\0\4cICP")
    return (head[place + 8], head[place + 9]) if 0 < place < len(head) - 9 else None


def _primary_colours(data: bytes) -> tuple[int, int] | None:
    """Primaries and transfer of the primary picture (ISO/IEC 23008-12).

    Other pictures of the file, such as the HDR one that a gain map gives, have their own.
    """
    parts = {name: (start, end) for name, start, end in boxes(data, *_meta(data))}
    if not {b"pitm", b"iprp"} <= parts.keys():
        return None
    place = parts[b"pitm"][0]
    primary = int.from_bytes(data[place + 4 : place + (8 if data[place] else 6)], "big")
    inner = {name: (start, end) for name, start, end in boxes(data, *parts[b"iprp"])}
    if not {b"ipco", b"ipma"} <= inner.keys():
        return None
    properties = list(boxes(data, *inner[b"ipco"]))
    for number in _associated(data[slice(*inner[b"ipma"])], primary):
        name, start, _ = properties[number - 1] if 0 < number <= len(properties) else (b"", 0, 0)
        if name == b"colr" and data[start : start + 4] == b"nclx":
            primaries = int.from_bytes(data[start + 4 : start + 6], "big")
            transfer = int.from_bytes(data[start + 6 : start + 8], "big")
            return primaries, transfer
    return None


def _meta(data: bytes) -> tuple[int, int]:
    """Where the content of the file's `meta` box begins and ends."""
    for name, start, end in boxes(data):
        if name == b"meta":
            return start + 4, end
    return 0, 0


def _associated(box: bytes, item: int) -> Iterator[int]:
    """Numbers of an item's properties, from 1, by the content of an `ipma` box."""
    if len(box) < 8:
        return
    id_bytes, wide = (4 if box[0] else 2), box[3] & 1
    place = 8
    for _ in range(min(int.from_bytes(box[4:8], "big"), _MOST_BOXES)):
        found = int.from_bytes(box[place : place + id_bytes], "big")
        place += id_bytes + 1
        if place > len(box):
            return
        count, step = box[place - 1], 1 + wide
        if found == item:
            for at in range(place, min(place + count * step, len(box)), step):
                number = int.from_bytes(box[at : at + step], "big")
                yield number & (0x7FFF if wide else 0x7F)
        place += count * step
