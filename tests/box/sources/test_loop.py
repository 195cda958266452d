"""What only a real device under a real file system shows."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import volume
from volume import Stick, contents, sha256


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Stick]:
    with volume.real(tmp_path) as stick:
        yield stick


def test_the_mount_is_for_reading_and_nothing_else(real: Stick) -> None:
    real.plug()
    assert {"ro", "nosuid", "nodev", "noexec", "nosymfollow", "noatime"} <= real.mount_options
    assert "rw" not in real.mount_options


def test_the_device_itself_takes_no_byte(real: Stick) -> None:
    real.plug()
    with pytest.raises(PermissionError), (real.dev / real.name).open("r+b", buffering=0) as device:
        device.write(b"x" * 4096)
    real.hand_over()
    assert real.report() == "written"
    assert "rw" not in real.mount_options
    assert (real.sys / real.name / "ro").read_text().strip() == "1"
    real.do("unmount")
    assert (real.sys / real.name / "ro").read_text().strip() == "0"


def test_without_a_report_no_bit_of_the_volume_changes(real: Stick, tmp_path: Path) -> None:
    image = tmp_path / "stick.img"
    before = sha256(image)
    real.plug()
    contents(real.folder)
    real.do("unmount")
    assert sha256(image) == before


def test_what_was_pulled_out_elsewhere_is_read_and_not_repaired(tmp_path: Path) -> None:
    clean, unclean, place = tmp_path / "clean.img", tmp_path / "unclean.img", tmp_path / "there"
    volume.make_ext4(clean)
    place.mkdir()
    subprocess.run(["mount", "-o", "loop", clean, place], check=True)
    volume.fill(place)
    subprocess.run(["sync", "-f", place], check=True)
    shutil.copy(clean, unclean)
    subprocess.run(["umount", place], check=True)
    before = sha256(unclean)
    with volume.looped(tmp_path, unclean) as stick:
        assert stick.plug()["error"] is None
        assert (stick.folder / "holiday" / "beach.mp4").stat().st_size == 300_000
        stick.hand_over()
        # Linux would write to it all the same.
        assert stick.report() == "failed"
        stick.do("unmount")
    assert sha256(unclean) == before


def test_a_write_protected_stick_keeps_the_report_out(tmp_path: Path) -> None:
    with volume.real(tmp_path, write_protected=True) as stick:
        before = sha256(tmp_path / "stick.img")
        stick.plug()
        stick.hand_over()
        assert stick.report() == "write-protected"
        stick.do("unmount")
        assert sha256(tmp_path / "stick.img") == before


def test_a_full_stick_keeps_the_report_out(tmp_path: Path) -> None:
    with volume.real(tmp_path) as stick:
        stick.plug()
        before = contents(stick.folder)
        stick.hand_over("x" * 9_000_000)
        assert stick.report() == "full"
        assert contents(stick.folder) == before


def test_a_stick_that_others_use_is_left_to_them(real: Stick, tmp_path: Path) -> None:
    place = Path("/run") / f"truelight-test-{os.getpid()}"
    place.mkdir()
    try:
        subprocess.run(["mount", real.dev / real.name, place], check=True)
        assert real.plug()["error"] == "The stick is in use elsewhere."
        (place / "still.txt").write_text("writable")
        subprocess.run(["umount", place], check=True)
    finally:
        place.rmdir()
