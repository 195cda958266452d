"""Pixels have the colours and the shape that a player shows, whatever the file says of them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pillow_heif
import pytest
from clips import CARD, card, cards, write_animated_webp, write_clip
from decoding import FOUR_HERTZ, is_card, look, numbers
from PIL import Image
from test_formats import TO_2020, hlg, pq

from edge.scan.media.client import open_clip
from edge.scan.media.protocol import ClipError, Fault

Array = np.ndarray[Any, Any]


def ramps() -> Array:
    """Gamma-2.4 values of BT.709, float `[240, 320, 3]`: greys, skin and colours from dark up."""
    ramp = np.linspace(0.06, 0.98, 320)
    rows = np.array([(1, 1, 1), (1, 0.75, 0.6), (0.5, 0.7, 1.0), (0.6, 1.0, 0.5), (1, 0.4, 0.4)])
    return np.repeat(ramp[None, :, None] * rows[:, None, :], 48, axis=0)


def light_2020() -> Array:
    return np.asarray(np.clip(ramps() ** 2.4 @ TO_2020.T, 0, None))


def assert_same(pixels: Array, mean: float = 1.5, most: float = 8) -> None:
    difference = np.abs(pixels.astype(float) - ramps() * 255)
    assert difference.mean() < mean
    assert np.percentile(difference, 99) < most


def write_planes(path: Path, planes: Array, matrix: int, transfer: int, primaries: int) -> Path:
    """One frame of 12 bits, limited range: luma and two differences of colour about 0."""
    luma, *chroma = np.moveaxis(planes, 2, 0)
    stored = [256 + 3504 * luma, *(2048 + 3584 * part for part in chroma)]
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv444p12le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = primaries, transfer, matrix
        context.color_range = 1
        frame = av.VideoFrame(320, 240, "yuv444p12le")
        for plane, values in zip(frame.planes, stored, strict=True):
            rows = np.zeros((240, plane.line_size // 2), "<u2")
            rows[:, :320] = np.round(values)
            plane.update(rows.tobytes())
        frame.colorspace, frame.color_range = matrix, 1
        frame.color_primaries, frame.color_trc = primaries, transfer
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        output.mux([*stream.encode(frame), *stream.encode()])
    return path


def ictcp(encode: Callable[[Array], Array], weights: list[list[int]]) -> Array:
    """BT.2100, tables 7 and 8."""
    lms = np.array([[1688, 2146, 262], [683, 2951, 462], [99, 309, 3688]]) / 4096
    return np.asarray(encode(light_2020() @ lms.T) @ np.array(weights).T / 4096)


def hlg_scene(lms: Array) -> Array:
    """The scene's light by BT.2100's system gamma of 1.2 on a display of 1000 cd/m2."""
    luma = (light_2020() @ [0.2627, 0.6780, 0.0593])[..., None] * 0.203
    scene = lms * 0.203 * luma ** (1 / 1.2 - 1)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.asarray(np.where(scene <= 1 / 12, np.sqrt(3 * scene), high))


def constant_luminance() -> Array:
    """BT.2020, table 4: a luma of light."""

    def code(light: Array) -> Array:
        return np.where(light < 0.018, 4.5 * light, 1.0993 * light**0.45 - 0.0993)

    signal = light_2020() ** (1 / 2.4)
    scene = np.where(signal < 0.081, signal / 4.5, ((signal + 0.0993) / 1.0993) ** (1 / 0.45))
    luma = code(scene @ [0.2627, 0.6780, 0.0593])
    blue, red = signal[..., 2] - luma, signal[..., 0] - luma
    blue /= np.where(blue <= 0, 1.9404, 1.5816)
    red /= np.where(red <= 0, 1.7184, 0.9936)
    return np.stack([luma, blue, red], axis=2)


def ycgco() -> Array:
    return np.asarray(ramps() @ np.array([[1, 2, 1], [-1, 2, -1], [2, 0, -2]]).T / 4)


PQ_WEIGHTS = [[2048, 2048, 0], [6610, -13613, 7003], [17933, -17390, -543]]
HLG_WEIGHTS = [[2048, 2048, 0], [3625, -7465, 3840], [9500, -9212, -288]]
MATRICES: dict[str, tuple[Callable[[], Array], int, int, int]] = {
    "ICtCp, PQ": (lambda: ictcp(pq, PQ_WEIGHTS), 14, 16, 9),
    "ICtCp, HLG": (lambda: ictcp(hlg_scene, HLG_WEIGHTS), 14, 18, 9),
    "BT.2020, constant luminance": (constant_luminance, 10, 14, 9),
    "YCgCo": (ycgco, 8, 1, 1),
}


@pytest.mark.parametrize("name", MATRICES)
def test_matrices_that_the_converter_does_not_know(tmp_path: Path, name: str) -> None:
    planes, *tags = MATRICES[name]
    path = write_planes(tmp_path / "planes.mkv", planes(), *tags)
    assert_same(look(path)[1][0][2])


@pytest.mark.parametrize("transfer", [9, 10], ids=["logarithmic 100", "logarithmic 316"])
def test_logarithmic_light(tmp_path: Path, transfer: int) -> None:
    decades = {9: 2.0, 10: 2.5}[transfer]
    values = np.clip(1 + np.log10(np.maximum(ramps() ** 2.4, 1e-9)) / decades, 0, 1)
    weights = np.array([0.2126, 0.7152, 0.0722])
    luma = values @ weights
    planes = np.stack([luma, (values[..., 2] - luma) / 1.8556, (values[..., 0] - luma) / 1.5748], 2)
    path = write_planes(tmp_path / "log.mkv", planes, 1, transfer, 1)
    pixels = look(path)[1][0][2]
    bright = ramps().min(axis=2) > 0.2  # what is darker has no code
    assert np.abs(pixels.astype(float) - ramps() * 255)[bright].mean() < 2


# ---- Stills


def hdr_still(path: Path, transfer: int) -> Path:
    values = pq(light_2020()) if transfer == 16 else hlg(light_2020())
    deep = np.round(np.clip(values, 0, 1) * 65535).astype("<u2")
    if path.suffix == ".heic":
        picture = pillow_heif.from_bytes(mode="RGB;16", size=(320, 240), data=deep.tobytes())
        tags = {"color_primaries": 9, "transfer_characteristics": transfer}
        picture.save(path, quality=-1, chroma=444, matrix_coefficients=9, **tags)
        return path
    Image.fromarray(np.round(deep / 257).astype(np.uint8)).save(path, quality=100)
    data = path.read_bytes()
    if path.suffix == ".png":
        chunk = b"cICP" + bytes([9, transfer, 0, 1])
        checked = struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        path.write_bytes(data[:33] + checked + data[33:])
    else:
        place = data.index(b"nclx") + 4
        path.write_bytes(data[:place] + struct.pack(">HH", 9, transfer) + data[place + 4 :])
    return path


@pytest.mark.parametrize("transfer", [16, 18], ids=["PQ", "HLG"])
@pytest.mark.parametrize("kind", ["heic", "avif", "png"])
def test_hdr_stills_give_the_pixels_of_their_sdr_twins(
    tmp_path: Path, kind: str, transfer: int
) -> None:
    path = hdr_still(tmp_path / f"hdr.{kind}", transfer)
    assert_same(look(path)[1][0][2], mean=3, most=14)


def test_lossless_jpeg_is_named(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    frame = struct.pack(">BBHBHHB", 0xFF, 0xC3, 11, 8, 24, 32, 1) + bytes((1, 0x11, 0))
    path.write_bytes(b"\xff\xd8" + frame + bytes(200))
    with pytest.raises(ClipError) as caught:
        look(path)
    assert caught.value.fault is Fault.UNSUPPORTED
    assert "Lossless JPEG" in caught.value.message


# ---- Changes within a clip


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def test_frames_of_another_shape_are_not_stretched(tmp_path: Path) -> None:
    wide = write_clip(tmp_path / "wide.ts", 25)
    high = write_clip(tmp_path / "high.ts", cards(25, 240, 320))
    reader, seen = look(joined(tmp_path / "both.ts", wide, high))
    assert (reader.width, reader.height) == (320, 240)
    last = seen[-1][2]
    assert is_card(seen[0][2])
    assert last[:, :68].max() < 40  # black
    assert last[:, -68:].max() < 40
    assert np.abs(last[120, 160].astype(int) - CARD).max() < 8
    assert last[20, 90].min() > 230  # the marker, a quarter of the picture's own width


def test_pixels_that_change_their_shape(tmp_path: Path) -> None:
    square = write_clip(tmp_path / "square.ts", 25)
    wide = write_clip(tmp_path / "wide.ts", cards(25, 160, 240), aspect=Fraction(2))
    reader, seen = look(joined(tmp_path / "both.ts", square, wide))
    assert (reader.width, reader.height) == (320, 240)
    assert all(is_card(pixels, 10) for *_, pixels in seen)


def hdr_part(path: Path) -> Path:
    """HDR10: the card in PQ."""
    light = np.clip((card() / 255) ** 2.4 @ TO_2020.T, 0, None)
    values = np.round(np.clip(pq(light), 0, 1) * 65535).astype(np.uint16)
    return write_hevc(path, values, 9, 16, 9)


def write_hevc(path: Path, values: Array, primaries: int, transfer: int, matrix: int) -> Path:
    with av.open(str(path), "w") as output:
        tags = f"colorprim={primaries}:transfer={transfer}:colormatrix={matrix}"
        options = {"x265-params": f"log-level=none:qp=8:{tags}", "preset": "ultrafast"}
        stream: Any = output.add_stream("libx265", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p10le"
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(values, format="rgb48le")
            frame = frame.reformat(format="yuv420p10le", dst_colorspace=matrix, dst_color_range=1)
            frame.color_primaries, frame.color_trc = primaries, transfer
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def test_light_that_changes_to_hdr(tmp_path: Path) -> None:
    plain = write_hevc(tmp_path / "sdr.ts", card().astype(np.uint16) * 257, 1, 1, 1)
    path = joined(tmp_path / "both.ts", plain, hdr_part(tmp_path / "hdr.ts"))
    seen = look(path)[1]
    assert len(seen) >= 6
    assert all(is_card(pixels, 8) for *_, pixels in seen)


# ---- Cut short


def test_a_transport_stream_behind_junk(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "v.ts", 25)
    path.write_bytes(bytes(range(250)) * 3 + path.read_bytes())
    assert numbers(look(path)[1])[0] == 0


@pytest.mark.parametrize("kind", ["gif", "apng"])
def test_a_moving_picture_that_is_cut_short_is_damaged(tmp_path: Path, kind: str) -> None:
    pix_fmt = {"gif": "rgb8", "apng": "rgb24"}[kind]
    path = write_clip(tmp_path / f"v.{kind}", 30, codec=kind, pix_fmt=pix_fmt)
    assert not look(path)[0].damaged
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    reader, seen = look(path)
    assert reader.damaged
    assert seen


def test_a_gif_without_its_trailer_is_whole(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "v.gif", 10, codec="gif", pix_fmt="rgb8")
    path.write_bytes(path.read_bytes().removesuffix(b";"))
    assert not look(path)[0].damaged


def test_a_still_gif_that_is_cut_short_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "v.gif"
    Image.effect_noise((200, 150), 90).save(path)
    assert not look(path)[0].damaged
    path.write_bytes(path.read_bytes()[:9000])
    assert look(path)[0].damaged


def test_subtitles_beside_the_pictures_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        texts: Any = output.add_mux_stream("subrip")
        for number, pixels in enumerate(cards(25)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels))
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        text = av.Packet(b"Hello")
        text.stream, text.time_base = texts, Fraction(1, 1000)
        text.pts = text.dts = 0
        text.duration = 900
        output.mux(text)
        output.mux(stream.encode())
    # The decoder process may import nothing once it is confined.
    with open_clip(path, FOUR_HERTZ) as opened:
        assert len(list(opened.frames())) >= 4


def test_moving_webp_keeps_its_colours(tmp_path: Path) -> None:
    path = write_animated_webp(tmp_path / "v.webp", list(cards(5)))
    assert all(is_card(pixels, 10) for *_, pixels in look(path)[1])
