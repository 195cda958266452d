import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from clips import (
    CARD,
    MARKER,
    card,
    cards,
    encode_image,
    number_of,
    write_animated_webp,
    write_clip,
    write_image,
    write_sound,
)

from edge.scan.media.client import open_clip
from edge.scan.media.protocol import Fault, Kind, RefusedError
from edge.scan.media.reader import Facts, Reader
from edge.scan.media.sampling import Sampling
from edge.scan.media.video import Bounds

Pixels = npt.NDArray[np.uint8]
Seen = tuple[int, float, Pixels]  # window, seconds, uint8 RGB
FOUR_HERTZ = Sampling(window_frames=8, window_rate=4.0, max_windows=5)
BOUNDS = Bounds(4096 * 2304, 10**8, 10**8)

VIDEOS = {
    "mp4": ("libx264", "yuv420p", "h264"),
    "mov": ("libx264", "yuv422p", "h264"),
    "m4v": ("mpeg4", "yuv420p", "mpeg4"),
    "mkv": ("libx265", "yuv420p10le", "hevc"),
    "webm": ("libvpx-vp9", "yuv420p", "vp9"),
    "avi": ("mpeg4", "yuv420p", "mpeg4"),
    "3gp": ("mpeg4", "yuv420p", "mpeg4"),
    "wmv": ("wmv2", "yuv420p", "wmv2"),
    "flv": ("flv", "yuv420p", "flv1"),
    "mpg": ("mpeg2video", "yuv420p", "mpeg2video"),
    "ts": ("libx264", "yuv420p", "h264"),
    "gif": ("gif", "rgb8", "gif"),
    "apng": ("apng", "rgba", "apng"),
}
QUIET = {"libx265": {"x265-params": "log-level=none"}, "libvpx-vp9": {"deadline": "realtime"}}


def look(
    path: Path, sampling: Sampling = FOUR_HERTZ, bounds: Bounds = BOUNDS
) -> tuple[Facts, list[Seen], Reader]:
    """Decode here, without a child: facts, [(window, time, pixels)], the reader."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        reader = Reader(descriptor, bounds, lambda _: None)
        height, width = reader.painter.height, reader.painter.width
        seen = []
        for choice in reader.choices(sampling):
            pixels = np.empty((height, width, 3), np.uint8)
            reader.painter.paint(choice.frame, memoryview(pixels).cast("B"))
            seen.append((choice.window, choice.time, pixels))
        return reader.facts, seen, reader
    finally:
        os.close(descriptor)


def refusal(path: Path, bounds: Bounds = BOUNDS) -> Fault:
    with pytest.raises(RefusedError) as caught:
        look(path, bounds=bounds)
    return caught.value.fault


def numbers(seen: list[Seen]) -> list[int]:
    return [number_of(pixels) for *_, pixels in seen]


def is_card(pixels: Pixels, tolerance: int = 6) -> bool:
    """Red, with the marker at the top left and nowhere else."""
    height, width = pixels.shape[:2]
    middle, marker = pixels[height // 2, width // 2], pixels[height // 8, width // 8]
    corner = pixels[height // 8, -width // 8]
    near = [
        np.abs(spot.astype(int) - wanted).max() <= tolerance
        for spot, wanted in ((middle, CARD), (marker, MARKER), (corner, CARD))
    ]
    return all(near)


@pytest.mark.parametrize("kind", VIDEOS)
def test_every_kind_of_video_is_read_by_content(tmp_path: Path, kind: str) -> None:
    codec, pix_fmt, told = VIDEOS[kind]
    path = write_clip(
        tmp_path / f"clip.{kind}", 50, codec=codec, pix_fmt=pix_fmt, options=QUIET.get(codec)
    )
    path = path.rename(tmp_path / "holiday.txt")
    with open_clip(path, FOUR_HERTZ) as opened:
        frames = [(frame.index, frame.time, frame.pixels.copy()) for frame in opened.frames()]
        clip = opened.clip
    assert (clip.kind, clip.container, clip.codec) == ("video", kind, told)
    assert (clip.width, clip.height) == (320, 240)
    assert clip.seconds == pytest.approx(2.0, abs=0.05)
    assert clip.frame_rate == pytest.approx(25.0, abs=0.1)
    assert not opened.damaged
    assert [index for index, *_ in frames] == list(range(8)) == list(range(opened.expected_frames))
    # 8-bit GIF colours are coarse; all else is near.
    assert all(is_card(pixels, 45 if kind == "gif" else 6) for *_, pixels in frames)
    assert numbers(frames) == pytest.approx([n * 6.25 for n in range(8)], abs=1)
    assert [time for _, time, _ in frames] == pytest.approx([n / 25 for n in numbers(frames)])


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "bmp", "tiff"])
def test_every_kind_of_picture_is_a_clip_of_one_frame(tmp_path: Path, kind: str) -> None:
    facts, seen, _ = look(write_image(tmp_path / f"picture.{kind}", card(321, 239)))
    assert (facts.kind, facts.seconds, facts.frame_rate) == (Kind.IMAGE, 0.0, 0.0)
    assert [(window, time) for window, time, _ in seen] == [(0, 0.0)]
    assert seen[0][2].shape == (239, 321, 3)
    assert is_card(seen[0][2])


@pytest.mark.parametrize("kind", ["gif", "png"])
def test_a_moving_format_with_one_frame_is_a_picture(tmp_path: Path, kind: str) -> None:
    codec, pix_fmt = {"gif": ("gif", "rgb8"), "png": ("apng", "rgb24")}[kind]
    container = {"gif": "gif", "png": "apng"}[kind]
    path = write_clip(tmp_path / "one", 1, codec=codec, pix_fmt=pix_fmt, container=container)
    assert look(path)[0].kind is Kind.IMAGE


def test_a_moving_webp_is_a_video(tmp_path: Path) -> None:
    facts, seen, _ = look(write_animated_webp(tmp_path / "moving.webp", list(cards(20)), 100))
    assert facts.kind is Kind.VIDEO
    assert (facts.seconds, facts.frame_rate) == pytest.approx((2.0, 10.0))
    assert numbers(seen) == pytest.approx([n * 2.5 for n in range(8)], abs=1)
    assert all(is_card(pixels) for *_, pixels in seen)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_frames_are_upright(tmp_path: Path, rotation: int, mirrored: bool) -> None:
    path = write_clip(tmp_path / "turned.mp4", 5, rotation=rotation, mirrored=mirrored)
    facts, seen, _ = look(path)
    assert (facts.width, facts.height) == (320, 240)
    assert all(is_card(pixels) for *_, pixels in seen)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright(tmp_path: Path, orientation: int) -> None:
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
    }[orientation]
    path = write_image(tmp_path / "held.jpg", stored, orientation=orientation)
    facts, seen, _ = look(path)
    assert (facts.width, facts.height) == (320, 240)
    assert is_card(seen[0][2])


def test_odd_sizes_keep_every_column(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "odd.mkv", cards(3, 321, 239), codec="ffv1", pix_fmt="yuv444p")
    facts, seen, _ = look(path)
    assert seen[0][2].shape == (facts.height, facts.width, 3) == (239, 321, 3)
    assert np.abs(seen[0][2].astype(int) - card(321, 239)).max() <= 3


@pytest.mark.parametrize(
    ("size", "colorspace", "full"),
    [
        ((320, 240), None, False),
        ((320, 240), "ITU601", False),
        ((320, 240), "ITU709", False),
        ((320, 240), "ITU601", True),
        ((320, 240), "ITU709", True),
        ((1280, 720), "ITU709", False),
    ],
)
def test_colours_follow_the_tags(
    tmp_path: Path, size: tuple[int, int], colorspace: str | None, full: bool
) -> None:
    pix_fmt = "yuvj444p" if full else "yuv444p"
    path = write_clip(
        *(tmp_path / "colour.mp4", cards(2, *size)),
        **{"pix_fmt": pix_fmt, "colorspace": colorspace, "full_range": full},
    )
    assert is_card(look(path)[1][0][2], tolerance=4)


def test_untagged_hd_is_taken_as_hd_colour(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "hd.mp4", cards(2, 1280, 720), colorspace="ITU709", tagged=False)
    assert is_card(look(path)[1][0][2], tolerance=4)


def test_pixels_are_made_square(tmp_path: Path) -> None:
    wide = write_clip(tmp_path / "wide.mp4", 2, aspect=Fraction(4, 3))
    high = write_clip(tmp_path / "high.mp4", 2, aspect=Fraction(3, 4))
    for path, size in ((wide, (427, 240)), (high, (320, 320))):
        facts, seen, _ = look(path)
        assert (facts.width, facts.height) == size
        assert is_card(seen[0][2])


def test_transparency_lies_over_grey(tmp_path: Path) -> None:
    half = np.dstack([card(), np.full((240, 320), 128, np.uint8)])
    still = write_image(tmp_path / "half.png", half)
    video = write_clip(tmp_path / "half.mov", [half, half], codec="png", pix_fmt="rgba")
    for path in (still, video):
        pixels = look(path)[1][0][2]
        assert np.abs(pixels[120, 160].astype(int) - [164, 84, 84]).max() <= 1


def test_fields_are_made_one_picture(tmp_path: Path) -> None:
    def field_pair(number: int) -> Pixels:
        pixels = np.zeros((240, 320, 3), np.uint8)
        pixels[0::2, number * 16 : number * 16 + 60] = 255
        pixels[1::2, number * 16 + 8 : number * 16 + 68] = 255
        return pixels

    def combing(seen: list[Seen]) -> float:
        return np.mean(
            [np.abs(np.diff(pixels[20:-20].astype(int), axis=0)).mean() for *_, pixels in seen]
        )

    moving = [field_pair(n) for n in range(12)]
    plain = write_clip(tmp_path / "plain.mpg", moving, codec="mpeg2video")
    fields = write_clip(
        *(tmp_path / "fields.mpg", moving),
        **{"codec": "mpeg2video", "options": {"flags": "+ildct+ilme"}, "interlaced": True},
    )
    assert combing(look(fields)[1]) < combing(look(plain)[1]) / 3


def test_large_frames_are_handed_out_smaller(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "large.mp4", cards(2, 640, 480))
    facts, seen, _ = look(path, bounds=BOUNDS._replace(frame_pixels=320 * 240))
    assert (facts.width, facts.height) == (320, 240)
    assert is_card(seen[0][2])


def test_bombs_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    huge = bytearray(encode_image(card(), "png", "rgb24"))
    huge[16:24] = (60000).to_bytes(4, "big") * 2
    (tmp_path / "bomb.png").write_bytes(huge)
    assert refusal(tmp_path / "bomb.png") is Fault.TOO_LARGE
    picture = write_image(tmp_path / "picture.png", card(640, 480))
    assert refusal(picture, BOUNDS._replace(picture_pixels=640 * 480)) is Fault.TOO_LARGE
    picture = write_image(tmp_path / "picture.jpg", card(640, 480))
    assert refusal(picture, BOUNDS._replace(picture_pixels=640 * 479)) is Fault.TOO_LARGE
    video = write_clip(tmp_path / "video.mp4", cards(2, 640, 480))
    assert refusal(video, BOUNDS._replace(video_pixels=640 * 479)) is Fault.TOO_LARGE


def test_a_variable_rate_gives_the_frames_nearest_in_time(tmp_path: Path) -> None:
    times = [0.1 * n**1.5 for n in range(20)]
    facts, seen, _ = look(write_clip(tmp_path / "variable.mkv", 20, times=times))
    slots = FOUR_HERTZ.slots(facts.seconds)
    wanted = {int(np.argmin([abs(time - slot.time) for time in times])) for slot in slots}
    assert set(numbers(seen)) == wanted
    assert [time for _, time, _ in seen] == pytest.approx(
        [times[number] for number in numbers(seen)], abs=0.002
    )


def test_the_first_frames_come_one_after_the_other(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 30)
    _, seen, reader = look(path, Sampling(8, 4.0, 5, first=20))
    assert numbers(seen) == list(range(20))
    assert [window for window, *_ in seen] == [number // 8 for number in range(20)]
    assert reader.frames_read < 30


def test_times_count_from_the_first_picture(tmp_path: Path) -> None:
    times = [5.0 + n / 25 for n in range(50)]
    for kind in ("mkv", "ts", "mp4"):
        path = write_clip(tmp_path / f"late.{kind}", 50, times=times)
        facts, seen, reader = look(path)
        assert facts.seconds == pytest.approx(2.0, abs=0.05)
        assert seen[0][1] == 0.0
        assert numbers(seen)[0] == 0
        assert seen[-1][1] == pytest.approx(1.76, abs=0.05)
        assert not reader.damaged


def long_clip(path: Path, codec: str = "libx264", count: int = 1000, gop: int = 50) -> Path:
    small = cards(count, 160, 120)
    options = {"g": str(gop), **({"preset": "ultrafast"} if codec == "libx264" else {})}
    return write_clip(path, small, rate=10, codec=codec, options=options)


@pytest.mark.parametrize(
    ("kind", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("ts", "libx264"), ("flv", "flv")]
)
def test_a_long_clip_is_not_decoded_whole(tmp_path: Path, kind: str, codec: str) -> None:
    path = long_clip(tmp_path / f"long.{kind}", codec)
    _, seen, reader = look(path, Sampling(8, 4.0, 3))
    starts = [number for (window, time, _), number in zip(seen, numbers(seen), strict=True)][::8]
    assert starts == [0, 490, 980]
    assert len(seen) == 24
    assert reader.frames_read < 500
    assert not reader.damaged


def test_a_single_key_frame_means_decoding_through(tmp_path: Path) -> None:
    path = long_clip(tmp_path / "long.ts", count=600, gop=10000)
    _, seen, reader = look(path, Sampling(8, 4.0, 3))
    assert numbers(seen)[::8] == [0, 290, 580]
    assert not reader.damaged


def test_the_length_is_measured_where_nothing_tells_it(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "stream.webm", 50, codec="libvpx-vp9", muxing={"live": "1"})
    facts, seen, _ = look(path)
    assert facts.seconds == pytest.approx(2.0, abs=0.05)
    assert len(seen) == 8


def test_a_clip_cut_in_the_middle_gives_what_is_left(tmp_path: Path) -> None:
    whole = write_clip(
        *(tmp_path / "whole.mp4", 300),
        **{"muxing": {"movflags": "faststart"}, "options": {"g": "25"}},
    ).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) * 6 // 10])
    facts, seen, reader = look(cut)
    assert reader.damaged
    assert facts.seconds == pytest.approx(12.0, abs=0.1)
    assert 12 <= len(seen) < 40
    assert numbers(seen) == [round(time * 25) for _, time, _ in seen]


def test_noise_in_the_stream_costs_little(tmp_path: Path) -> None:
    data = bytearray(long_clip(tmp_path / "clean.ts", count=300).read_bytes())
    random = np.random.default_rng(1)
    for place in random.integers(20000, len(data), 60):
        data[place] = random.integers(256)
    noisy = tmp_path / "noisy.ts"
    noisy.write_bytes(data)
    first, second = look(noisy), look(noisy)
    assert first[2].damaged
    assert len(first[1]) >= 20
    assert [seen[:2] for seen in first[1]] == [seen[:2] for seen in second[1]]


def test_what_is_no_clip_is_told_by_its_kind(tmp_path: Path) -> None:
    def holding(data: bytes) -> Path:
        path = tmp_path / "video.mp4"
        path.write_bytes(data)
        return path

    assert refusal(holding(b"not a clip\n" * 50)) is Fault.TEXT
    assert refusal(holding("läßt grüßen\n".encode("latin-1") * 50)) is Fault.TEXT
    assert refusal(holding(bytes(range(256)) * 64)) is Fault.NOT_A_CLIP
    assert refusal(holding(b"%PDF-1.7\n\0\x01\x02" + bytes(99))) is Fault.NOT_A_CLIP
    assert refusal(holding(b"\0\0\0\x1cftypheic" + bytes(99))) is Fault.STILL_FORMAT
    whole = write_clip(tmp_path / "whole.mp4", 10).read_bytes()
    assert refusal(holding(whole[: whole.index(b"moov")])) is Fault.BROKEN
    assert refusal(holding(whole[:30])) is Fault.BROKEN
    assert refusal(write_sound(tmp_path / "sound.mp3", "mp3")) is Fault.SOUND
    assert refusal(write_sound(tmp_path / "sound.mp4")) is Fault.NO_PICTURE
    assert refusal(write_sound(tmp_path / "cover.mp4", cover=card())) is Fault.NO_PICTURE


def test_sound_beside_the_pictures_does_not_matter(tmp_path: Path) -> None:
    _, seen, reader = look(write_clip(tmp_path / "loud.mp4", 50, sound="aac"))
    assert numbers(seen) == pytest.approx([n * 6.25 for n in range(8)], abs=1)
    assert not reader.damaged


def test_a_list_of_other_files_is_no_clip(tmp_path: Path) -> None:
    secret = write_clip(tmp_path / "secret.ts", 25)
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {secret}\n",
    ):
        path = tmp_path / "list.mp4"
        path.write_text(text)
        assert refusal(path) is Fault.TEXT


def test_the_same_clip_gives_the_same_pixels(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 60, options={"bf": "3"})
    once, again = look(path)[1], look(path)[1]
    assert [seen[:2] for seen in once] == [seen[:2] for seen in again]
    assert all(np.array_equal(a[2], b[2]) for a, b in zip(once, again, strict=True))
