"""One row a kind of file: what is seen of it, when, in which colours, and what is remarked.

Each input is made here. Numbers in the frames say which were seen; see `clips.card`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest
from clips import cards, write_clip
from decoding import FOUR_HERTZ, Pixels, is_card, look, look_at_all, numbers, refusal
from encrypted_files import encrypted_matroska, encrypted_mp4, scrambled, scrambled_dvd
from file_kinds import (
    Maker,
    beginning_with,
    behind,
    branded,
    changed,
    clean_aperture,
    clip,
    dahua,
    dolby_vision,
    front_lost,
    hikvision,
    long_matroska,
    motion_jpeg,
    piece,
    remuxed,
    repeated_frames,
    short_avi,
    short_flv,
    short_matroska,
    short_mp4,
    stamped_zero,
    twice,
    video_cd,
    web_camera,
    wrapped,
)
from picture_kinds import big_tiff, heif, moving_avif

from edge.finding import ReasonCode
from edge.scan.collect import collect
from edge.scan.media.client import open_clip
from edge.scan.media.formats import READ
from edge.scan.media.protocol import ClipError, ClipKind, Fault, Remark
from edge.scan.media.unsupported import UNSUPPORTED
from edge.scan.reasons import limitations

ROOT = Path(__file__).resolve().parents[2]


class Row(NamedTuple):
    """A kind of file, and what is right."""

    make: Maker
    seconds: float
    last: int = 42
    """The number of the last frame seen, about."""
    remarks: frozenset[Remark] = frozenset()
    damaged: bool = False
    tolerance: int = 8
    """Of colours."""


HEVC = {"options": {"x265-params": "log-level=none"}}
ROWS = {
    "mp4": Row(clip("v.mp4"), 2.0),
    "fragmented mp4": Row(
        clip("v.mp4", muxing={"movflags": "frag_keyframe+empty_moov"}, options={"g": "10"}), 2.0
    ),
    "mp4, header too short": Row(changed(clip("v.mp4"), short_mp4), 2.0),
    "mkv, header too short": Row(changed(clip("v.mkv"), short_matroska), 2.0),
    "mkv, header too long": Row(changed(clip("v.mkv"), long_matroska), 2.0),
    "flv, header too short": Row(changed(clip("v.flv", "flv"), short_flv), 2.0),
    "avi, header too short": Row(changed(clip("v.avi", "mpeg4"), short_avi), 2.0),
    "mkv without length": Row(clip("v.mkv", muxing={"live": "1"}), 2.0),
    "all stamps zero": Row(stamped_zero, 2.0, remarks=frozenset([Remark.COUNTED_TIMES])),
    "ts, clock wraps": Row(wrapped, 2.0),
    "joined ts": Row(twice("v.ts"), 2.0),
    "joined vob": Row(twice("v.vob", "mpeg2video"), 2.0),
    "joined mpg": Row(twice("v.mpg", "mpeg1video"), 2.0),
    "joined mkv": Row(twice("v.mkv"), 2.0),
    "joined webm": Row(twice("v.webm", "libvpx"), 2.0, tolerance=12),
    "joined mp4": Row(twice("v.mp4"), 2.0),
    "joined avi": Row(twice("v.avi", "mpeg4"), 2.0),
    "joined flv": Row(twice("v.flv", "flv"), 2.0),
    "joined h264": Row(twice("v.h264"), 2.0, remarks=frozenset([Remark.COUNTED_TIMES])),
    "h264": Row(clip("v.h264"), 2.0, remarks=frozenset([Remark.COUNTED_TIMES])),
    "hevc": Row(clip("v.hevc", "libx265", **HEVC), 2.0, remarks=frozenset([Remark.COUNTED_TIMES])),
    "m4v stream": Row(clip("v.m4v", "mpeg4", container="m4v"), 2.0),
    "m1v": Row(clip("v.m1v", "mpeg1video", container="mpeg1video"), 2.0),
    "m2v": Row(
        clip("v.m2v", "mpeg2video", container="mpeg2video"),
        2.0,
    ),
    "motion jpeg": Row(motion_jpeg, 2.0),
    "motion jpeg of a web camera": Row(web_camera, 2.0),
    "joined m4v stream": Row(twice("v.m4v", "mpeg4", container="m4v"), 2.0),
    "joined gif": Row(twice("v.gif", "gif", pix_fmt="rgb8"), 2.0, tolerance=45),
    "ivf": Row(clip("v.ivf", "libvpx"), 2.0, tolerance=12),
    "nut": Row(clip("v.nut", "mpeg4"), 2.0),
    "mxf": Row(clip("v.mxf", "mpeg2video"), 2.0),
    "dav": Row(dahua, 2.0),
    "y4m": Row(clip("v.y4m", "wrapped_avframe"), 2.0),
    "mp4 behind styp": Row(beginning_with(b"styp"), 2.0),
    "mp4 behind uuid": Row(beginning_with(b"uuid"), 2.0),
    "mp4 of brand M4A": Row(branded(b"M4A "), 2.0),
    "mpg of a recorder": Row(hikvision, 2.0),
    "video CD": Row(video_cd, 2.0, tolerance=12),
    "clean aperture": Row(clean_aperture, 2.0),
    "matroska's crop": Row(remuxed(clean_aperture, "v.mkv"), 2.0),
    "two frames": Row(lambda folder: write_clip(folder / "v.mp4", 2), 0.08, 1),
    "one frame": Row(lambda folder: write_clip(folder / "v.mp4", 1), 0.04, 0),
}


@pytest.mark.parametrize("kind", ROWS)
def test_videos_are_seen_whole(tmp_path: Path, kind: str) -> None:
    row = ROWS[kind]
    reader, seen = look(row.make(tmp_path))
    found = frozenset(remark for remark, number in reader.remarks.items() if number)
    assert reader.kind is ClipKind.VIDEO
    assert reader.seconds == pytest.approx(row.seconds, abs=0.09)
    assert numbers(seen) == sorted(numbers(seen))
    assert numbers(seen)[0] <= 1
    assert numbers(seen)[-1] == pytest.approx(row.last, abs=3 if row.last > 1 else 0)
    assert [time for _, time, _ in seen] == pytest.approx(
        [number / 25 for number in numbers(seen)], abs=0.09
    )
    assert all(is_card(pixels, row.tolerance) for *_, pixels in seen)
    assert (reader.damaged, found) == (row.damaged, row.remarks)


@pytest.mark.parametrize(
    "make",
    [
        clip("v.h264", options={"g": "5"}),
        clip("v.hevc", "libx265", options={"x265-params": "log-level=none:keyint=5"}),
        clip("v.mpg", "mpeg1video", options={"g": "5"}),
        clip("v.vob", "mpeg2video", options={"g": "5"}),
        clip("v.ts", options={"g": "5"}),
    ],
    ids=["h264", "hevc", "mpg", "vob", "ts"],
)
def test_a_stream_that_lost_its_front_is_seen_from_its_first_key_frame(
    tmp_path: Path, make: Maker
) -> None:
    _, seen = look(front_lost(make)(tmp_path))
    shown = numbers(seen)
    assert 5 < shown[0] < 30
    assert shown[-1] >= 40
    assert all(is_card(pixels, tolerance=8) for *_, pixels in seen)


def test_a_stream_whose_programme_changes_is_seen_whole(tmp_path: Path) -> None:
    """Other streams begin within the file: PyAV raised an error that ended the decoder process."""
    first = piece("a.ts", "libx264", 0, muxing={"mpegts_start_pid": "256"})
    second = piece("b.ts", "libx264", 25, muxing={"mpegts_start_pid": "768"})
    path = behind(first, second)(tmp_path)
    empty = b"G\x1f\xff\x10" + bytes(184)
    path.write_bytes(path.read_bytes() + empty * 400)
    parts, left_out = look_at_all(path)
    seen = [number for *_, frames in parts for number in numbers(frames)]
    assert seen[0] <= 1
    assert seen[-1] == pytest.approx(42, abs=7)
    assert not left_out


def test_packets_without_a_byte_do_not_end_a_clip(tmp_path: Path) -> None:
    _, seen = look(repeated_frames(tmp_path))
    assert numbers(seen)[-1] == pytest.approx(42, abs=6)


def test_a_file_of_zeros_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(bytes(200_000))
    assert refusal(tmp_path / "v.mp4") is Fault.ZEROS


@pytest.mark.parametrize("make", [encrypted_mp4, encrypted_matroska, scrambled, scrambled_dvd])
def test_encrypted_videos_are_called_so(tmp_path: Path, make: Maker) -> None:
    assert refusal(make(tmp_path)) is Fault.ENCRYPTED


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
def test_dolby_vision_for_nothing_else_is_refused(tmp_path: Path, name: str) -> None:
    make = dolby_vision if name == "v.mp4" else remuxed(dolby_vision, name)
    assert refusal(make(tmp_path)) is Fault.DOLBY_VISION


def test_a_long_film_with_one_key_frame_is_seen_to_its_end(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "v.mkv", cards(800, 160, 120), options={"g": "9999", "preset": "ultrafast"}
    )
    reader, seen = look(path)
    assert numbers(seen)[-1] > 700
    assert reader.seconds == pytest.approx(32, abs=0.1)


# ---- Stills


STILLS: dict[str, tuple[Maker, str]] = {
    "heic": (heif, "heic"),
    "BigTIFF": (big_tiff, "tiff"),
    "avif": (lambda folder: heif(folder, kind="AVIF"), "avif"),
}


@pytest.mark.parametrize("kind", STILLS)
def test_stills_are_seen(tmp_path: Path, kind: str) -> None:
    make, container = STILLS[kind]
    reader, seen = look(make(tmp_path))
    assert (reader.kind, reader.form.container, len(seen)) == (ClipKind.IMAGE, container, 1)
    assert is_card(seen[0][2], tolerance=12)
    assert not any(reader.remarks.values())


@pytest.mark.parametrize("kind", [*ROWS, *STILLS])
def test_the_confined_process_decodes_the_same(tmp_path: Path, kind: str) -> None:
    make = ROWS[kind].make if kind in ROWS else STILLS[kind][0]
    path = make(tmp_path)
    with open_clip(path, FOUR_HERTZ) as opened:
        times = [frame.time for frame in opened.frames()]
    assert times == pytest.approx([time for _, time, _ in look(path)[1]], abs=1e-5)


def test_every_brand_of_heif_is_recognised(tmp_path: Path) -> None:
    path = heif(tmp_path)
    data = bytearray(path.read_bytes())
    for brand in (b"heim", b"heis", b"hevx", b"avio", b"heif", b"mif1", b"MiHE", b"msf1"):
        data[8:12] = brand
        path.write_bytes(data)
        reader, seen = look(path)
        assert reader.form.container == "heic", brand
        assert is_card(seen[0][2], tolerance=12), brand


def test_a_moving_avif_is_a_video(tmp_path: Path) -> None:
    reader, seen = look(moving_avif(tmp_path))
    assert reader.kind is ClipKind.VIDEO
    assert reader.seconds == pytest.approx(2.0, abs=0.05)
    assert numbers(seen)[-1] == pytest.approx(9, abs=1)


# ---- Not read


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for known in UNSUPPORTED:
        for place, magic in known.beginnings:
            path.write_bytes(b"\0\0\0\x0c"[:place].ljust(place, b"\0") + magic + bytes(99))
            with pytest.raises(ClipError) as caught:
                look(path)
            assert caught.value.fault is Fault.UNSUPPORTED
            assert known.name.lower() in caught.value.message.lower()


def test_a_codec_that_is_not_read_is_named(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "v.mov", 2, codec="jpeg2000", pix_fmt="yuv444p")
    with pytest.raises(ClipError) as caught, open_clip(path, FOUR_HERTZ) as opened:
        list(opened.frames())
    assert caught.value.message == "Unsupported video codec: JPEG 2000."


def test_a_piece_of_a_stream_is_called_so(tmp_path: Path) -> None:
    muxing = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    whole = write_clip(tmp_path / "v.mp4", 50, muxing=muxing).read_bytes()
    path = tmp_path / "piece.m4s"
    path.write_bytes(whole[whole.index(b"moof") - 4 :])
    assert refusal(path) is Fault.FRAGMENT
    path.write_bytes(whole[: whole.index(b"moof") - 4])
    assert refusal(path) is Fault.FRAGMENT


def test_nothing_is_passed_over_in_silence(tmp_path: Path) -> None:
    (tmp_path / "a.jxl").write_bytes(b"\xff\x0a" + bytes(99))
    (tmp_path / "b.dat").write_bytes(b"\xff\x4f\xff\x51" + bytes(99))
    (tmp_path / "c.tga").write_bytes(bytes(range(99)))
    (tmp_path / "d.h264").write_bytes(bytes(99))
    (tmp_path / "notes.txt").write_text("notes")
    found = collect([tmp_path])
    assert [path.name for path in found.clips] == ["d.h264"]
    assert found.skipped.sentences() == (
        "3 files are not of a kind that is read: a.jxl (JPEG XL picture), b.dat (JPEG 2000 "
        "picture), c.tga (Targa picture).",
        "1 file is neither a video nor a picture: notes.txt.",
    )


def test_each_remark_is_a_reason_in_words() -> None:
    for remark in set(Remark) - {Remark.STILL}:
        for number in (1, 7000):
            (reason,) = limitations([{remark: number}])
            assert reason.code in set(ReasonCode)
            assert "{}" not in reason.text
            assert reason.text.endswith(".")


# ---- Colours


def pq(light: Pixels | np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """SMPTE ST 2084: from light, in multiples of 203 cd/m2, to values."""
    root = (np.asarray(light) * 203 / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * root) / (1 + 18.6875 * root)) ** 78.84375


def hlg(light: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """BT.2100 HLG of a display of 1000 cd/m2: from light, in multiples of 203 cd/m2, to values."""
    luma = (light @ [0.2627, 0.6780, 0.0593])[..., None] * 0.203
    scene = light * 0.203 * np.where(luma > 0, luma, 1) ** (1 / 1.2 - 1)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


@pytest.mark.parametrize(
    ("encode", "transfer", "primaries"),
    [(pq, 16, 9), (hlg, 18, 9), (np.asarray, 8, 9), (lambda light: light ** (1 / 2.4), 14, 9)],
    ids=["PQ", "HLG", "linear", "BT.2020 SDR"],
)
def test_hdr_gives_the_pixels_of_its_sdr_twin(
    tmp_path: Path, encode: Callable[[Any], Any], transfer: int, primaries: int
) -> None:
    ramp = np.linspace(0.06, 0.98, 320)
    rows = np.array([(1, 1, 1), (1, 0.75, 0.6), (0.5, 0.7, 1.0), (0.6, 1.0, 0.5), (1, 0.4, 0.4)])
    sdr = np.repeat(ramp[None, :, None] * rows[:, None, :], 48, axis=0)
    values = encode(np.clip(sdr**2.4 @ TO_2020.T, 0, None))
    wide = np.round(np.clip(values, 0, 1) * 65535).astype(np.uint16)
    path = tmp_path / "hdr.mkv"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv444p12le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = primaries, transfer, 9
        context.color_range = 1
        frame = av.VideoFrame.from_ndarray(wide, format="rgb48le")
        frame = frame.reformat(format="yuv444p12le", dst_colorspace=9, dst_color_range=1)
        frame.color_primaries, frame.color_trc = primaries, transfer
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        output.mux([*stream.encode(frame), *stream.encode()])
    pixels = look(path)[1][0][2]
    difference = np.abs(pixels.astype(float) - sdr * 255)
    assert difference.mean() < 1.5
    assert np.percentile(difference, 99) < 6


# ---- The documentation


def table() -> Iterator[str]:
    yield "| kind | names | read with |"
    yield "| --- | --- | --- |"
    for known in READ:
        by = f"FFmpeg (`{known.demuxer}`)" if known.demuxer else "Pillow"
        if known.container == "heic" and not known.demuxer:
            by = "Pillow with pillow-heif"
        yield f"| {known.name} | {names(known.endings)} | {by} |"
    yield ""
    yield "| kind that is not read | names |"
    yield "| --- | --- |"
    for unknown in UNSUPPORTED:
        yield f"| {unknown.name} | {names(unknown.endings)} |"


def names(endings: tuple[str, ...]) -> str:
    return ", ".join(f"`{ending}`" for ending in endings) or "any"


def test_the_documentation_has_the_table() -> None:
    text = (ROOT / "docs" / "formats.md").read_text()
    assert "\n".join(table()) in text
