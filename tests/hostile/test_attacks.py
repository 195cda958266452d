"""A few of the attacks of the commands that no other test makes: disks, clocks, swapped files."""

import os
import shutil
from pathlib import Path

import pytest
from hostile.box import Damage
from hostile.disks import tried
from hostile.renames import swapped

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("situation", ["full disk", "wrong clock"])
def test_the_box_goes_on(bundle: Path, clips: Path, tmp_path: Path, situation: str) -> None:
    if situation == "wrong clock" and not shutil.which("cc"):
        pytest.skip("there is no C compiler")
    if situation == "full disk" and os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    ends = tried(situation, tmp_path, [clips / "red.jpg"], bundle, most=1)
    assert (ends.count, ends.damage) == (1, Damage()), str(ends)
    assert ends.shown >= 2


def test_verdict_and_hash_are_of_one_content(bundle: Path, clips: Path, tmp_path: Path) -> None:
    """The same file is overwritten, and gets its old time."""
    found = swapped("overwritten", 3, tmp_path, clips, bundle)
    assert (found["wrong"], found.total()) == (0, 3)
