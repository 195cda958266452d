"""Videos of every kind become upright frames with true times."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import card, cards, write_clip
from decoding import FOUR_HERTZ, LIMITS, Pixels, Seen, is_card, look, numbers, refusal

from edge.scan.media import convert, video
from edge.scan.media.client import open_clip
from edge.scan.media.protocol import ClipKind, Fault
from edge.scan.media.sampling import Sampling

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


@pytest.mark.parametrize("kind", VIDEOS)
def test_every_kind_of_video_is_read_by_content(tmp_path: Path, kind: str) -> None:
    codec, pix_fmt, expected_codec = VIDEOS[kind]
    path = write_clip(
        tmp_path / f"clip.{kind}", 50, codec=codec, pix_fmt=pix_fmt, options=QUIET.get(codec)
    )
    path = path.rename(tmp_path / "holiday.txt")
    with open_clip(path, FOUR_HERTZ) as opened:
        frames = [(frame.index, frame.time, frame.pixels.copy()) for frame in opened.frames()]
        clip = opened.clip
    assert (clip.kind, clip.container, clip.codec) == ("video", kind, expected_codec)
    assert (clip.width, clip.height) == (320, 240)
    assert clip.seconds == pytest.approx(2.0, abs=0.05)
    assert clip.frame_rate == pytest.approx(25.0, abs=0.1)
    assert not opened.damaged
    assert [index for index, *_ in frames] == list(range(8)) == list(range(opened.expected_frames))
    # 8-bit GIF colours are coarse; all else is near.
    assert all(is_card(pixels, 45 if kind == "gif" else 6) for *_, pixels in frames)
    assert numbers(frames) == pytest.approx([n * 6.25 for n in range(8)], abs=1)
    assert [time for _, time, _ in frames] == pytest.approx([n / 25 for n in numbers(frames)])


@pytest.mark.parametrize("kind", ["gif", "png"])
def test_a_moving_format_with_one_frame_is_a_picture(tmp_path: Path, kind: str) -> None:
    codec, pix_fmt = {"gif": ("gif", "rgb8"), "png": ("apng", "rgb24")}[kind]
    container = {"gif": "gif", "png": "apng"}[kind]
    path = write_clip(tmp_path / "one", 1, codec=codec, pix_fmt=pix_fmt, container=container)
    assert look(path)[0].kind is ClipKind.IMAGE


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_frames_are_upright(tmp_path: Path, rotation: int, mirrored: bool) -> None:
    path = write_clip(tmp_path / "turned.mp4", 5, rotation=rotation, mirrored=mirrored)
    reader, seen = look(path)
    assert (reader.width, reader.height) == (320, 240)
    assert all(is_card(pixels) for *_, pixels in seen)


def test_odd_sizes_keep_every_column(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "odd.mkv", cards(3, 321, 239), codec="ffv1", pix_fmt="yuv444p")
    reader, seen = look(path)
    assert seen[0][2].shape == (reader.height, reader.width, 3) == (239, 321, 3)
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
        tmp_path / "colour.mp4",
        cards(2, *size),
        pix_fmt=pix_fmt,
        colorspace=colorspace,
        full_range=full,
    )
    assert is_card(look(path)[1][0][2], tolerance=4)


def test_untagged_hd_is_taken_as_hd_colour(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "hd.mp4", cards(2, 1280, 720), colorspace="ITU709", tagged=False)
    assert is_card(look(path)[1][0][2], tolerance=4)


def test_pixels_are_made_square(tmp_path: Path) -> None:
    wide = write_clip(tmp_path / "wide.mp4", 2, aspect=Fraction(4, 3))
    high = write_clip(tmp_path / "high.mp4", 2, aspect=Fraction(3, 4))
    for path, size in ((wide, (427, 240)), (high, (320, 320))):
        reader, seen = look(path)
        assert (reader.width, reader.height) == size
        assert is_card(seen[0][2])


def test_transparency_lies_over_grey(tmp_path: Path) -> None:
    half = np.dstack([card(), np.full((240, 320), 128, np.uint8)])
    path = write_clip(tmp_path / "half.mov", [half, half], codec="png", pix_fmt="rgba")
    pixels = look(path)[1][0][2]
    assert np.abs(pixels[120, 160].astype(int) - [164, 84, 84]).max() <= 1


def test_fields_are_made_one_picture(tmp_path: Path) -> None:
    def field_pair(number: int) -> Pixels:
        pixels = np.zeros((240, 320, 3), np.uint8)
        pixels[0::2, number * 16 : number * 16 + 60] = 255
        pixels[1::2, number * 16 + 8 : number * 16 + 68] = 255
        return pixels

    def roughness(seen: list[Seen]) -> float:
        return float(
            np.mean(
                [np.abs(np.diff(pixels[20:-20].astype(int), axis=0)).mean() for *_, pixels in seen]
            )
        )

    moving = [field_pair(n) for n in range(12)]
    plain = write_clip(tmp_path / "plain.mpg", moving, codec="mpeg2video")
    fields = write_clip(
        tmp_path / "fields.mpg",
        moving,
        codec="mpeg2video",
        options={"flags": "+ildct+ilme"},
        interlaced=True,
    )
    assert roughness(look(fields)[1]) < roughness(look(plain)[1]) / 3


def combing(pixels: Pixels) -> float:
    """How much lines differ from their neighbours, against the next but one."""
    lines = pixels[20:-20].astype(int)
    near = np.abs(lines[1:] - lines[:-1]).mean()
    return float(near / (np.abs(lines[2:] - lines[:-2]).mean() + 1))


def woven(count: int, height: int = 576, per_field: int = 3) -> Iterator[Pixels]:
    """A block that moves between two frames, and by `per_field` columns between their fields."""
    for number in range(count):
        pixels = np.full((height, 352, 3), 60, np.uint8)
        for field in (0, 1):
            left = 20 + 6 * number + per_field * field
            pixels[field::2, left : left + 90 : 12] = 250
            pixels[field::2, left + 1 : left + 90 : 12] = 250
        yield pixels


def test_interlacing_is_found_in_frames_that_are_not_marked(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "fields.mkv", woven(30), options={"qp": "10"})
    seen = look(path)[1]
    (raw,) = (pixels for pixels in list(woven(1)))
    assert combing(raw) > 5
    assert max(combing(pixels) for *_, pixels in seen) < 2


def pulled_down(height: int = 480) -> Iterator[Pixels]:
    """Film of 24 pictures a second as 30 frames of two fields (3:2): two of five are mixed."""
    film = list(woven(48, height, per_field=0))
    for group in range(0, 48, 4):
        a, b, c, d = film[group : group + 4]
        for top, bottom in ((a, a), (b, b), (b, c), (c, d), (d, d)):
            pixels = bottom.copy()
            pixels[0::2] = top[0::2]
            yield pixels


@pytest.mark.parametrize("marked", [False, True])
def test_telecine_is_not_combed(tmp_path: Path, marked: bool) -> None:
    frames = list(pulled_down())
    assert sum(combing(pixels) > 5 for pixels in frames) == len(frames) * 2 // 5
    path = write_clip(
        tmp_path / "film.mpg",
        frames,
        rate=Fraction(30000, 1001),
        codec="mpeg2video",
        options={"b": "8M", **({"flags": "+ildct+ilme"} if marked else {})},
        interlaced=marked,
    )
    seen = look(path, Sampling(60, 29.97, 1))[1]
    assert len(seen) >= 55
    assert max(combing(pixels) for *_, pixels in seen) < 2


def test_each_frame_says_whether_it_is_interlaced(tmp_path: Path) -> None:
    title = [np.full((240, 352, 3), 90, np.uint8)] * 12
    plain = write_clip(tmp_path / "title.ts", title, codec="mpeg2video")
    fields = write_clip(
        tmp_path / "fields.ts",
        woven(30, 240),
        codec="mpeg2video",
        options={"flags": "+ildct+ilme", "b": "4M"},
        interlaced=True,
    )
    path = tmp_path / "both.ts"
    path.write_bytes(plain.read_bytes() + fields.read_bytes())
    seen = look(path)[1]
    assert len(seen) >= 5
    assert max(combing(pixels) for *_, pixels in seen) < 2


def test_of_frames_at_any_time_only_those_near_a_wanted_one_are_examined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of 30,000 frames of a clip of 20 days was: most of its work."""
    examined = 0

    def looks_combed(frame: av.VideoFrame) -> bool:
        nonlocal examined
        examined += 1
        return convert.looks_combed(frame)

    monkeypatch.setattr(video, "looks_combed", looks_combed)
    times = [number + 0.1 * (number % 7) for number in range(50)]
    path = write_clip(tmp_path / "any.mp4", woven(50, 480), times=times, options={"qp": "10"})
    seen = look(path, Sampling(4, 1.0, 2))[1]
    assert len(seen) >= 6
    assert max(combing(pixels) for *_, pixels in seen) < 2, "they are deinterlaced"
    assert examined <= 3 * len(seen)


def test_large_frames_are_handed_out_smaller(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "large.mp4", cards(2, 640, 480))
    reader, seen = look(path, limits=LIMITS._replace(handed_out=320 * 240))
    assert (reader.width, reader.height) == (320, 240)
    assert is_card(seen[0][2])


def test_large_videos_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "video.mp4", cards(2, 640, 480))
    assert refusal(video, LIMITS._replace(video=640 * 479)) is Fault.TOO_LARGE


def test_a_variable_rate_gives_the_frames_nearest_in_time(tmp_path: Path) -> None:
    times = [0.1 * n**1.5 for n in range(20)]
    reader, seen = look(write_clip(tmp_path / "variable.mkv", 20, times=times))
    slots = FOUR_HERTZ.plan(reader.seconds)
    wanted = {int(np.argmin([abs(time - slot.time) for time in times])) for slot in slots}
    assert set(numbers(seen)) == wanted
    assert [time for _, time, _ in seen] == pytest.approx(
        [times[number] for number in numbers(seen)], abs=0.002
    )


def test_the_first_frames_come_one_after_the_other(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 30)
    reader, seen = look(path, Sampling(8, 4.0, 5, first=20))
    assert numbers(seen) == list(range(20))
    assert [window for window, *_ in seen] == [number // 8 for number in range(20)]
    assert reader.frames_read < 30


def test_times_count_from_the_first_picture(tmp_path: Path) -> None:
    times = [5.0 + n / 25 for n in range(50)]
    for kind in ("mkv", "ts", "mp4"):
        path = write_clip(tmp_path / f"late.{kind}", 50, times=times)
        reader, seen = look(path)
        assert reader.seconds == pytest.approx(2.0, abs=0.05)
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
    reader, seen = look(path, Sampling(8, 4.0, 3))
    starts = [number for (window, time, _), number in zip(seen, numbers(seen), strict=True)][::8]
    assert starts == [0, 490, 980]
    assert len(seen) == 24
    assert reader.frames_read < 500
    assert not reader.damaged


def test_a_single_key_frame_means_decoding_through(tmp_path: Path) -> None:
    path = long_clip(tmp_path / "long.ts", count=600, gop=10000)
    reader, seen = look(path, Sampling(8, 4.0, 3))
    assert numbers(seen)[::8] == [0, 290, 580]
    assert not reader.damaged


def test_the_length_is_measured_where_nothing_states_it(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "stream.webm", 50, codec="libvpx-vp9", muxing={"live": "1"})
    reader, seen = look(path)
    assert reader.seconds == pytest.approx(2.0, abs=0.05)
    assert len(seen) == 8


def test_a_clip_cut_in_the_middle_gives_what_is_left(tmp_path: Path) -> None:
    whole = write_clip(
        tmp_path / "whole.mp4",
        300,
        muxing={"movflags": "faststart"},
        options={"g": "25"},
    ).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) * 6 // 10])
    reader, seen = look(cut)
    assert reader.damaged
    assert reader.seconds == pytest.approx(12.0, abs=0.1)
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
    assert first[0].damaged
    assert len(first[1]) >= 20
    assert [seen[:2] for seen in first[1]] == [seen[:2] for seen in second[1]]


def test_sound_beside_the_pictures_does_not_matter(tmp_path: Path) -> None:
    reader, seen = look(write_clip(tmp_path / "loud.mp4", 50, sound="aac"))
    assert numbers(seen) == pytest.approx([n * 6.25 for n in range(8)], abs=1)
    assert not reader.damaged


def test_the_same_clip_gives_the_same_pixels(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 60, options={"bf": "3"})
    once, again = look(path)[1], look(path)[1]
    assert [seen[:2] for seen in once] == [seen[:2] for seen in again]
    assert all(np.array_equal(a[2], b[2]) for a, b in zip(once, again, strict=True))
