"""What else a file holds beside what players show: tracks, pages, pictures, videos behind."""

from pathlib import Path

import pytest
from clips import write_clip
from decoding import FOUR_HERTZ, is_card, look_at_all, numbers
from file_kinds import Maker, behind, joined, piece, tracks, twice
from picture_kinds import heif, motion_heic, motion_photo, moving_avif, multi_picture, tiff_pages

from edge.scan.media.client import open_clip
from edge.scan.media.parts import MOST_PARTS
from edge.scan.media.protocol import PartKind, Remark

FIRST, TRACK, PAGE = PartKind.FIRST, PartKind.TRACK, PartKind.PAGE
PICTURE, VIDEO, JOINED = PartKind.PICTURE, PartKind.VIDEO, PartKind.JOINED


def tracks_in(name: str, count: int = 2, default: int = 0, codec: str = "libx264") -> Maker:
    return lambda folder: tracks(folder / name, range(1, count + 1), default, codec)


def joined_tracks(folder: Path) -> Path:
    parts = [tracks(folder / f"{n}.mkv", (n, n + 10), frames=25) for n in (1, 2)]
    return joined(folder / "v.mkv", *parts)


# For each part its kind, its place in the file, and the first and the last number that it shows.
PARTS: dict[str, tuple[Maker, list[tuple[PartKind, int, int, int]]]] = {
    "mkv, two tracks": (tracks_in("v.mkv"), [(FIRST, 1, 1, 1), (TRACK, 2, 2, 2)]),
    "mkv, the second is shown": (
        tracks_in("v.mkv", default=1),
        [(FIRST, 1, 2, 2), (TRACK, 1, 1, 1)],
    ),
    "mp4, three tracks": (
        tracks_in("v.mp4", 3),
        [(FIRST, 1, 1, 1), (TRACK, 2, 2, 2), (TRACK, 3, 3, 3)],
    ),
    "ts, two tracks": (tracks_in("v.ts"), [(FIRST, 1, 1, 1), (TRACK, 2, 2, 2)]),
    "joined mkv, two tracks": (joined_tracks, [(FIRST, 1, 1, 2), (TRACK, 2, 11, 12)]),
    "mp4 before mkv": (
        behind(piece("a.mp4", "libx264", 0), piece("b.mkv", "libx264", 25)),
        [(FIRST, 1, 0, 24), (JOINED, 2, 25, 49)],
    ),
    "mkv before mp4": (
        behind(piece("a.mkv", "libx264", 0), piece("b.mp4", "libx264", 25)),
        [(FIRST, 1, 0, 24), (JOINED, 2, 25, 49)],
    ),
    "ts before mp4": (
        behind(piece("a.ts", "libx264", 0), piece("b.mp4", "libx264", 25)),
        [(FIRST, 1, 0, 24), (JOINED, 2, 25, 49)],
    ),
    "ts of two codecs": (
        behind(piece("a.ts", "mpeg2video", 0), piece("b.ts", "libx264", 25)),
        [(FIRST, 1, 0, 24), (JOINED, 2, 25, 49)],
    ),
    "ts of two codecs, the newer first": (
        behind(piece("a.ts", "libx264", 0), piece("b.ts", "mpeg2video", 25)),
        [(FIRST, 1, 0, 24), (JOINED, 2, 25, 49)],
    ),
    "joined wmv": (twice("v.wmv", "wmv2"), [(FIRST, 1, 0, 24), (JOINED, 2, 25, 49)]),
    "joined ivf": (twice("v.ivf", "libvpx"), [(FIRST, 1, 0, 24), (JOINED, 2, 25, 49)]),
    "joined nut": (twice("v.nut", "mpeg4"), [(FIRST, 1, 0, 24), (JOINED, 2, 25, 49)]),
    "three joined ivf": (
        behind(*(piece("v.ivf", "libvpx", start) for start in (0, 25, 50))),
        [(FIRST, 1, 0, 24), (JOINED, 2, 25, 49), (JOINED, 3, 50, 74)],
    ),
    "joined y4m": (
        behind(*(piece("v.y4m", "wrapped_avframe", start) for start in (0, 25))),
        [(FIRST, 1, 0, 24), (JOINED, 2, 25, 49)],
    ),
    "tiff, pages": (
        lambda folder: tiff_pages(folder, 3),
        [(FIRST, 1, 0, 0), (PAGE, 2, 1, 1), (PAGE, 3, 2, 2)],
    ),
    "tiff, thumbnail": (lambda folder: tiff_pages(folder, thumbnail=True), [(FIRST, 1, 0, 0)]),
    "heic, several": (
        lambda folder: heif(folder, 3),
        [(FIRST, 1, 0, 0), (PICTURE, 2, 1, 1), (PICTURE, 3, 2, 2)],
    ),
    "heic, the second is shown": (
        lambda folder: heif(folder, 3, primary_index=1),
        [(FIRST, 1, 1, 1), (PICTURE, 1, 0, 0), (PICTURE, 3, 2, 2)],
    ),
    "jpeg of several angles": (
        multi_picture,
        [(FIRST, 1, 0, 0), (PICTURE, 2, 1, 1), (PICTURE, 3, 2, 2)],
    ),
    "motion photo": (motion_photo, [(FIRST, 1, 0, 0), (VIDEO, 1, 0, 24)]),
    "motion photo, heic": (motion_heic, [(FIRST, 1, 0, 0), (VIDEO, 1, 0, 24)]),
    "moving avif": (moving_avif, [(FIRST, 1, 0, 9), (PICTURE, 1, 0, 0)]),
    "avif with a sequence": (
        lambda folder: moving_avif(folder, b"avif"),
        [(FIRST, 1, 0, 0), (VIDEO, 1, 0, 9)],
    ),
}


@pytest.mark.parametrize("kind", PARTS)
def test_every_part_of_a_file_is_seen(tmp_path: Path, kind: str) -> None:
    make, right = PARTS[kind]
    looked, left_out = look_at_all(make(tmp_path))
    assert [(part.kind, part.number) for part, *_ in looked] == [each[:2] for each in right]
    for (_, reader, seen), (*_, first, last) in zip(looked, right, strict=True):
        assert numbers(seen)[0] == pytest.approx(first, abs=0 if first == last else 1)
        assert numbers(seen)[-1] == pytest.approx(last, abs=0 if first == last else 6)
        assert all(is_card(pixels, tolerance=14) for *_, pixels in seen)
        assert not reader.damaged
    assert left_out == {}


@pytest.mark.parametrize("kind", PARTS)
def test_the_confined_process_hands_out_every_part(tmp_path: Path, kind: str) -> None:
    make, right = PARTS[kind]
    with open_clip(make(tmp_path), FOUR_HERTZ) as opened:
        frames = [len(list(opened.frames()))]
        while opened.open_next():
            frames.append(len(list(opened.frames())))
        assert len(frames) == len(right)
        assert all(frames)
        assert not opened.damaged
        assert not {remark for remark in opened.remarks if remark <= Remark.OTHER_PARTS}


def test_what_cannot_be_read_beside_the_first_part_is_counted(tmp_path: Path) -> None:
    unread = tracks_in("v.mkv", 3, codec="jpeg2000")(tmp_path)
    looked, left_out = look_at_all(unread)
    assert (len(looked), left_out) == (2, {Remark.OTHER_TRACKS: 1})
    many, left_out = look_at_all(tiff_pages(tmp_path, MOST_PARTS + 20, side=40))
    assert (len(many), left_out) == (MOST_PARTS, {Remark.OTHER_PICTURES: 20})


def test_a_broken_video_behind_a_picture_is_remarked(tmp_path: Path) -> None:
    path = motion_photo(tmp_path)
    data = path.read_bytes()
    place = data.index(b"ftyp") - 4
    path.write_bytes(data[: place + 200])
    looked, left_out = look_at_all(path)
    assert (len(looked), left_out) == (1, {Remark.VIDEO_BEHIND: 1})


def test_nothing_lies_behind_a_whole_file(tmp_path: Path) -> None:
    for name in ("v.mp4", "v.mkv", "v.ts", "v.mov"):
        path = write_clip(tmp_path / name, 25)
        path.write_bytes(path.read_bytes() + bytes(5000))
        looked, left_out = look_at_all(path)
        assert (len(looked), left_out) == (1, {}), name
        assert not looked[0][1].damaged, name
