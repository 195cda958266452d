"""Which files are judged when folders are named."""

import os
from pathlib import Path
from typing import Any

import pytest

from edge.scan.collect import collect

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
    assert collect([tmp_path]).skipped == 3


def test_what_is_named_is_judged_whatever_it_is(tmp_path: Path) -> None:
    put(tmp_path, notes_txt=b"notes")
    named = [tmp_path / "notes.txt", tmp_path / "missing.mp4"]
    assert collect(named).clips == named


def test_hidden_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".trash").mkdir()
    (tmp_path / ".trash" / "a.mp4").write_bytes(MP4)
    (tmp_path / "._a.mp4").write_bytes(MP4)
    collection = collect([tmp_path])
    assert (collection.clips, collection.skipped) == ([], 0)


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
