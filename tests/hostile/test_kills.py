"""The daemon is killed at random moments: what was shown is kept, once, and no clip is blamed."""

import shutil
from pathlib import Path

import pytest
from hostile.box import Damage, Life
from hostile.kills import kills

pytestmark = pytest.mark.timeout(900)

COUNT = 10
LONGEST_SECONDS = 1.5


def test_kills_at_random_moments(bundle: Path, clips: Path, tmp_path: Path) -> None:
    few = [Path(shutil.copy(clips / name, tmp_path)) for name in ("red.jpg", "nobody.mp4")]
    life = Life(tmp_path / "disk", tmp_path / "apart", few, bundle)
    kills(life, COUNT, seed=5, longest=LONGEST_SECONDS)
    assert sum(life.said.values()) >= 2, "the last run judges what is left"
    assert life.damage == Damage(), str(life.damage)
