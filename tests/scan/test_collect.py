"""Which files are judged when folders are named."""

import os
from pathlib import Path
from typing import Any

import pytest

from edge.scan import collect as module
from edge.scan.collect import collect, media_within
from edge.skipped import MOST_NAMED, SkipReason

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64
MP4 = b"\0\0\0\x18ftypisom" + b"\0" * 64
TS = (b"G" + b"\0" * 187) * 8
HEIC = b"\0\0\0\x18ftypheic" + b"\0" * 64


def put(folder: Path, **files: bytes) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def names(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in collect([folder]).clips]


def test_folders_are_walked_in_the_order_of_names(tmp_path: Path) -> None:
    put(tmp_path, c_mp4=MP4, a_png=PNG, b__z_mp4=MP4, b__a_mp4=MP4)
    assert names(tmp_path) == ["a.png", "b/a.mp4", "b/z.mp4", "c.mp4"]


def test_content_or_name_makes_a_clip(tmp_path: Path) -> None:
    put(
        tmp_path,
        disguised_dat=MP4,
        text_mp4=b"not a clip",
        empty_MOV=b"",
        stream_ts=TS,
        script_ts=b"export const G = 1;\n" * 200,
        notes_txt=b"notes",
        phone_heic=HEIC,
        nothing_dat=b"",
    )
    assert names(tmp_path) == [
        "disguised.dat",
        "empty.MOV",
        "phone.heic",
        "stream.ts",
        "text.mp4",
    ]
    assert collect([tmp_path]).skipped.counts == {SkipReason.NOT_MEDIA: 3}


def test_what_is_named_is_judged_whatever_it_is(tmp_path: Path) -> None:
    put(tmp_path, notes_txt=b"notes")
    named = [tmp_path / "notes.txt", tmp_path / "missing.mp4"]
    assert collect(named).clips == named


def test_hidden_files_are_not_judged_but_counted(tmp_path: Path) -> None:
    (tmp_path / ".trash").mkdir()
    (tmp_path / ".trash" / "a.mp4").write_bytes(MP4)
    (tmp_path / "._a.mp4").write_bytes(MP4)
    collection = collect([tmp_path])
    assert collection.clips == []
    assert collection.skipped.counts == {SkipReason.HIDDEN: 2}


def test_a_link_to_a_folder_leads_nowhere_unless_it_is_named(tmp_path: Path) -> None:
    """A link to / made `truelight scan FOLDER` walk the machine."""
    put(tmp_path, a__clip_mp4=MP4, elsewhere__other_mp4=MP4)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a" / "file.mp4").symlink_to(tmp_path / "elsewhere" / "other.mp4")
    assert names(tmp_path / "a") == ["clip.mp4", "file.mp4"]
    assert names(tmp_path / "a" / "link") == ["other.mp4"]


def test_links_are_followed_once(tmp_path: Path) -> None:
    put(tmp_path, a__clip_mp4=MP4)
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert names(tmp_path) == ["a/clip.mp4"]


def test_a_pipe_among_the_files_does_not_stop_the_walk(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    put(tmp_path, z_mp4=MP4)
    assert names(tmp_path) == ["z.mp4"]


def test_a_folder_of_nothing_is_named(tmp_path: Path) -> None:
    put(tmp_path, full__a_mp4=MP4, empty__notes_txt=b"notes")
    empty, full = tmp_path / "empty", tmp_path / "full"
    collection = collect([empty, full])
    assert collection.empty == [empty]
    assert collection.clips == [full / "a.mp4"]


def test_a_closed_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, a_mp4=MP4, closed__b_mp4=MP4)
    scandir = os.scandir

    # Root may read everything, so the refusal is played.
    def refuse(folder: Path) -> Any:
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    collection = collect([tmp_path])
    assert collection.closed == [tmp_path / "closed"]
    assert collection.clips == [tmp_path / "a.mp4"]


def test_whatever_is_not_judged_is_counted_by_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick = tmp_path / "stick"
    put(
        stick,
        a_mp4=MP4,
        b_jxl=b"\xff\x0a" + bytes(99),
        letter_txt=b"words",
        System__x_mp4=MP4,
    )
    (stick / ".hidden.mp4").write_bytes(MP4)
    (stick / "System").rename(stick / "System Volume Information")
    (stick / "link.mp4").symlink_to(stick / "a.mp4")
    os.mkfifo(stick / "pipe.mp4")
    (stick / "TRUELIGHT-REPORT.html").write_text("ours")
    deep = stick / Path(*["d"] * 70)
    deep.mkdir(parents=True)
    put(deep, deep_mp4=MP4)
    clips, skipped = media_within(stick)
    assert [clip.name for clip in clips] == ["a.mp4", "b.jxl"]
    assert skipped.counts == {
        SkipReason.HIDDEN: 1,
        SkipReason.SYSTEM_FOLDER: 1,
        SkipReason.LINK: 1,
        SkipReason.NOT_A_FILE: 1,
        SkipReason.NOT_MEDIA: 1,
        SkipReason.TOO_DEEP: 1,
    }
    assert {Path(file.path).name for file in skipped.files} == {
        *(".hidden.mp4", "System Volume Information", "link.mp4"),
        *("pipe.mp4", "letter.txt", "d"),
    }
    monkeypatch.setattr(module, "MOST_CLIPS", 1)
    beyond = media_within(stick).skipped.counts[SkipReason.TOO_MANY]
    assert beyond == len({"b.jxl", "letter.txt", "pipe.mp4"})


def test_too_many_files_are_counted_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, **{f"{number:04}_txt": b"words" for number in range(MOST_NAMED + 50)})
    _, skipped = media_within(tmp_path)
    assert (skipped.total, len(skipped.files)) == (MOST_NAMED + 50, MOST_NAMED)
    assert skipped.sentences(named=1)[0].endswith(f"0000.txt, and {MOST_NAMED + 49} more.")
    monkeypatch.setattr(module, "MOST_ENTRIES", 100)
    _, skipped = media_within(tmp_path)
    assert skipped.counts == {SkipReason.NOT_MEDIA: 100, SkipReason.TOO_MANY: MOST_NAMED - 50}
