"""Files that are there whole or not at all."""

from pathlib import Path

import pytest

from edge.atomic_write import PREFIX, atomic_write, delete_unfinished, publish, unfinished_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with unfinished_file(path) as half:
        half.write_text("all of it")
        assert half.suffix == ".mp4"
        assert half.name.startswith(PREFIX)
        assert not path.exists()
        publish(half, path)
    assert names(tmp_path) == ["clip.mp4"]
    assert path.read_text() == "all of it"


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    atomic_write(path, "before")
    with pytest.raises(ZeroDivisionError), unfinished_file(path) as half:
        half.write_text("half")
        raise ZeroDivisionError
    assert names(tmp_path) == ["note.json"]
    assert path.read_text() == "before"


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / "note").symlink_to(victim)
    atomic_write(tmp_path / "note", "new")
    assert victim.read_text() == "untouched"
    assert (tmp_path / "note").read_text() == "new"
    assert not (tmp_path / "note").is_symlink()


def test_others_may_read_it(tmp_path: Path) -> None:
    atomic_write(tmp_path / "note", "Grüße")
    assert (tmp_path / "note").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "note").read_text(encoding="utf-8") == "Grüße"


def test_what_a_power_cut_left_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}1.mp4").write_text("half")
    (tmp_path / ".hidden").write_text("somebody's")
    (tmp_path / "whole.mp4").write_text("whole")
    delete_unfinished(tmp_path)
    assert names(tmp_path) == [".hidden", "whole.mp4"]
