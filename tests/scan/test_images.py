"""Still pictures and moving WebP become upright RGB, or the fault says why not."""

import contextlib
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import card, cards, write_animated_webp, write_image
from decoding import LIMITS, Pixels, is_card, look, look_at_all, numbers, refusal
from PIL import Image, ImageCms

from edge.scan.media.protocol import ClipError, ClipKind, Fault

KINDS = ("jpg", "png", "webp", "bmp", "tiff")


def save(path: Path, pixels: Pixels, mode: str | None = None, **options: Any) -> Path:
    """Write uint8 RGB pixels with Pillow."""
    picture = Image.fromarray(pixels)
    picture.convert(mode or picture.mode).save(path, **options)
    return path


def test_every_kind_of_picture_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    for kind in KINDS:
        reader, seen = look(write_image(tmp_path / f"picture.{kind}", card(321, 239)))
        assert (reader.kind, reader.form.container) == (ClipKind.IMAGE, kind)
        assert (reader.seconds, reader.frame_rate, reader.frames_read) == (0.0, 0.0, 1)
        assert [(window, time) for window, time, _ in seen] == [(0, 0.0)]
        assert seen[0][2].shape == (239, 321, 3)
        assert is_card(seen[0][2])
        assert not reader.damaged


def test_pictures_are_upright(tmp_path: Path) -> None:
    upright = card(320, 240)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, 3),
    }
    for orientation, pixels in stored.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        for kind in ("jpg", "png", "webp", "tiff"):
            path = save(tmp_path / f"held.{kind}", np.ascontiguousarray(pixels), exif=exif)
            reader, seen = look(path)
            assert (reader.width, reader.height) == (320, 240), (kind, orientation)
            assert is_card(seen[0][2], tolerance=12), (kind, orientation)
            reader, seen = look(path, limits=LIMITS._replace(handed_out=160 * 120))
            assert seen[0][2].shape == (120, 160, 3), (kind, orientation)


def test_a_broken_orientation_is_ignored(tmp_path: Path) -> None:
    path = save(tmp_path / "held.jpg", card(), exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff garbage")
    assert is_card(look(path)[1][0][2], tolerance=12)


def test_pixel_formats_become_rgb(tmp_path: Path) -> None:
    grey = np.linspace(0, 65535, 320 * 240).reshape(240, 320).astype(np.uint16)
    for name in ("grey.png", "grey.tiff"):
        Image.fromarray(grey).save(tmp_path / name)
        pixels = look(tmp_path / name)[1][0][2]
        assert np.abs(pixels[:, :, 1].astype(int) - (grey >> 8)).max() <= 1
    for mode, name in (("CMYK", "card.jpg"), ("CMYK", "card.tiff"), ("P", "card.png")):
        assert is_card(look(save(tmp_path / name, card(), mode))[1][0][2], tolerance=12)
    for compression in ("jpeg", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        path = save(tmp_path / "card.tiff", card(), compression=compression)
        assert is_card(look(path)[1][0][2], tolerance=12)


def test_an_unknown_range_of_values_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((9, 9), np.float32)).save(tmp_path / "floats.tiff")
    assert refusal(tmp_path / "floats.tiff") is Fault.PIXEL_FORMAT


def test_transparency_lies_over_grey(tmp_path: Path) -> None:
    half = np.dstack([card(), np.full((240, 320), 128, np.uint8)])
    for name in ("half.png", "half.tiff", "half.webp"):
        options: dict[str, Any] = {"lossless": True} if name == "half.webp" else {}
        pixels = look(save(tmp_path / name, half, **options))[1][0][2]
        assert np.abs(pixels[120, 160].astype(int) - [164, 84, 84]).max() <= 1


def test_large_pictures_are_handed_out_smaller(tmp_path: Path) -> None:
    for kind in KINDS:
        path = save(tmp_path / f"large.{kind}", card(1283, 957))
        reader, seen = look(path, limits=LIMITS._replace(handed_out=320 * 240))
        assert reader.width * reader.height <= 320 * 240 + 320
        assert reader.width / reader.height == pytest.approx(1283 / 957, rel=0.01)
        assert is_card(seen[0][2], tolerance=12)


def test_large_pictures_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    for kind, share in (("jpg", 1), ("webp", 4), ("png", 3), ("bmp", 3), ("tiff", 3)):
        path = save(tmp_path / f"large.{kind}", card(640, 480))
        allowed = 640 * 480 * share
        assert look(path, limits=LIMITS._replace(picture=allowed))[1]
        assert refusal(path, LIMITS._replace(picture=allowed - share)) is Fault.TOO_LARGE
    huge = bytearray((tmp_path / "large.png").read_bytes())
    huge[16:24] = (60000).to_bytes(4, "big") * 2
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(huge)
    assert refusal(tmp_path / "bomb.png") is Fault.TOO_LARGE
    moving = write_animated_webp(tmp_path / "moving.webp", list(cards(2)))
    assert refusal(moving, LIMITS._replace(picture=4 * 320 * 239)) is Fault.TOO_LARGE


def test_the_sentence_names_the_size_and_the_limit(tmp_path: Path) -> None:
    path = save(tmp_path / "large.png", card(1500, 1000))
    for allowed, text in ((1_000_000, "2 megapixels; the limit for files of this kind is 1."),):
        with pytest.raises(ClipError) as caught:
            look(path, limits=LIMITS._replace(picture=3 * allowed))
        assert text in caught.value.message


def test_a_picture_cut_short_is_damaged(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)
    pixels = np.vstack([card()[:120], noise[:120]])
    for kind in ("jpg", "png", "bmp", "tiff"):
        options: dict[str, Any] = {"quality": 95} if kind == "jpg" else {}
        path = save(tmp_path / f"cut.{kind}", pixels, **options)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.7)])
        reader, seen = look(path)
        assert reader.damaged
        # A BMP is stored from the bottom to the top.
        assert kind == "bmp" or np.abs(seen[0][2][20, 20].astype(int) - 255).max() <= 6


def test_a_picture_without_data_is_refused(tmp_path: Path) -> None:
    for kind in KINDS:
        path = save(tmp_path / f"picture.{kind}", card())
        path.write_bytes(path.read_bytes()[:40])
        assert refusal(path) is Fault.BROKEN, kind


def test_garbled_pictures_are_read_or_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    seeds = [save(tmp_path / f"card.{kind}", card(64, 48)).read_bytes() for kind in KINDS]
    seeds.append(write_animated_webp(tmp_path / "moving.webp", list(cards(3, 64, 48))).read_bytes())
    outcomes = set()
    for turn in range(300):
        data = bytearray(seeds[turn % len(seeds)])
        for place in random.integers(12, min(len(data), 400), 1 + turn % 8):
            data[place] = random.integers(256)
        (tmp_path / "garbled").write_bytes(data)
        with contextlib.suppress(ClipError):
            outcomes.add(look(tmp_path / "garbled")[0].damaged)
    assert outcomes == {False, True}


# ---- Moving WebP


def test_a_moving_webp_is_a_video(tmp_path: Path) -> None:
    for width, height in ((320, 240), (241, 180)):
        frames = list(cards(20, width, height))
        path = write_animated_webp(tmp_path / "moving.webp", frames, 100)
        reader, seen = look(path)
        assert reader.kind is ClipKind.VIDEO
        assert (reader.seconds, reader.frame_rate) == pytest.approx((2.0, 10.0))
        assert numbers(seen) == pytest.approx([n * 2.5 for n in range(8)], abs=1)
        assert all(is_card(pixels) for *_, pixels in seen)
        assert not reader.damaged


def test_moving_frames_are_laid_over_each_other(tmp_path: Path) -> None:
    pictures = [Image.fromarray(card())]
    for left in (100, 200):
        picture = pictures[-1].copy()
        picture.paste((0, 0, 255), (left, 100, left + 40, 140))
        pictures.append(picture)
    path = tmp_path / "parts.webp"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=250, lossless=True)
    seen = look(path)[1]
    assert [time for _, time, _ in seen] == [0.0, 0.25, 0.5]
    for (*_, pixels), picture in zip(seen, pictures, strict=True):
        assert np.array_equal(pixels, np.asarray(picture))


def test_a_moving_format_with_one_frame_is_a_picture(tmp_path: Path) -> None:
    path = write_animated_webp(tmp_path / "one.webp", [card()])
    reader, seen = look(path)
    assert (reader.kind, reader.seconds, len(seen)) == (ClipKind.IMAGE, 0.0, 1)


def test_a_large_moving_webp_is_handed_out_smaller(tmp_path: Path) -> None:
    path = write_animated_webp(tmp_path / "large.webp", list(cards(4, 640, 480)))
    reader, seen = look(path, limits=LIMITS._replace(handed_out=320 * 240))
    assert (reader.width, reader.height) == (320, 240)
    assert all(is_card(pixels) for *_, pixels in seen)


def test_a_moving_webp_cut_short_gives_what_is_left(tmp_path: Path) -> None:
    whole = write_animated_webp(tmp_path / "whole.webp", list(cards(20)), 100).read_bytes()
    cut = tmp_path / "cut.webp"
    cut.write_bytes(whole[: len(whole) // 2])
    reader, seen = look(cut)
    assert reader.damaged
    assert reader.seconds == pytest.approx(1.0, abs=0.11)
    assert numbers(seen) == pytest.approx([round(time * 10) for _, time, _ in seen])
    noise = bytearray(whole)
    noise[len(whole) // 2 : len(whole) // 2 + 40] = bytes(40)
    cut.write_bytes(noise)
    assert look(cut)[0].damaged


def test_a_picture_with_another_behind_it_is_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(card()).save(
        buffer, "MPO", save_all=True, append_images=[Image.fromarray(card(number=1))]
    )
    (tmp_path / "stereo.jpg").write_bytes(buffer.getvalue())
    reader, seen = look(tmp_path / "stereo.jpg")
    assert (reader.kind, len(seen)) == (ClipKind.IMAGE, 1)
    assert is_card(seen[0][2], tolerance=12)


def test_colours_follow_the_profile(tmp_path: Path) -> None:
    """A profile whose red and green are exchanged, made of the one of sRGB."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {}
    for number in range(int.from_bytes(profile[128:132], "big")):
        place = 132 + 12 * number
        tags[bytes(profile[place : place + 4])] = place + 4
    red, green = (slice(tags[name], tags[name] + 8) for name in (b"rXYZ", b"gXYZ"))
    profile[red], profile[green] = profile[green], profile[red]
    plain = np.full((48, 64, 3), (200, 40, 60), np.uint8)
    path = save(tmp_path / "odd.png", plain, icc_profile=bytes(profile))
    assert np.abs(look(path)[1][0][2].astype(int) - (40, 200, 60)).max() <= 3
    picture = Image.fromarray(plain)
    for other in (picture.convert("RGBA"), picture.quantize(4)):
        other.save(tmp_path / "other.png", icc_profile=bytes(profile))
        assert np.abs(look(tmp_path / "other.png")[1][0][2].astype(int) - (40, 200, 60)).max() <= 5
    broken = save(tmp_path / "broken.png", plain, icc_profile=b"no profile")
    assert np.array_equal(look(broken)[1][0][2], plain)


def test_a_small_first_page_does_not_hide_the_others(tmp_path: Path) -> None:
    """It is no camera's raw file only because its first page claims to be a small copy."""
    path = tmp_path / "pages.tif"
    small, whole = (Image.fromarray(card(side, side * 3 // 4)) for side in (80, 320))
    whole.encoderinfo = {"tiffinfo": {254: 0}}
    small.save(path, save_all=True, append_images=[whole], tiffinfo={254: 1})
    parts, left_out = look_at_all(path)
    assert [reader.width for _, reader, _ in parts] == [80, 320]
    assert not left_out
