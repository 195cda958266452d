"""Clips whose faces are too small, too dark, too blurred or seen too briefly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bundles import write_bundle
from clips import write_clip
from frontdoor import run
from redpale import PALE, RATE, RED, hang, moving, photograph, tinted, wall

from edge.scan.model.manifest import QualityLimits


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that takes red faces for fake, if they are good enough."""
    quality = QualityLimits(face_px=48, light=25, sharpness=20, seconds=0.5)
    return write_bundle(tmp_path_factory.mktemp("models") / "limited", quality=quality)


def scanned(bundle: Path, clip: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("scan", "--json", "--bundle", bundle, clip).stdout)
    return found


def film(path: Path, still: np.ndarray, frames: int = 15) -> Path:
    return write_clip(path, moving(still, frames), rate=RATE, options={"crf": "12"})


def hung(photo: np.ndarray) -> np.ndarray:
    still = wall()
    hang(still, photo, 300)
    return still


def worse(how: str) -> np.ndarray:
    person = tinted(photograph("obama"), RED)
    if how == "faces-too-small":
        return hung(cv2.resize(person, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA))
    if how == "too-dark":
        return hung((person * 0.2).astype(np.uint8))
    if how == "too-blurred":
        return np.asarray(cv2.GaussianBlur(hung(person), (0, 0), 4), np.uint8)
    return hung(person)


@pytest.mark.parametrize(
    ("how", "measure", "said"),
    [
        ("faces-too-small", "face_px", "pixels wide; the minimum is 48"),
        ("too-dark", "light", "the minimum is 25"),
        ("too-blurred", "sharpness", "the minimum is 20"),
    ],
)
def test_a_face_that_is_not_good_enough_leaves_it_unsure_and_says_why(
    limited: Path, tmp_path: Path, how: str, measure: str, said: str
) -> None:
    good = scanned(limited, film(tmp_path / "good.mp4", worse("not at all")))
    assert good["verdict"] == "FAKE"
    bad = scanned(limited, film(tmp_path / "bad.mp4", worse(how)))
    assert (bad["verdict"], bad["fake_probability"]) == ("UNSURE", None)
    (reason,) = bad["reasons"]
    assert reason["code"] == how
    assert said in reason["text"]
    (face,) = bad["faces"]
    assert not face["counted"]
    assert face["quality"][measure] < good["faces"][0]["quality"][measure]
    ran = run("scan", "--bundle", limited, tmp_path / "bad.mp4")
    assert reason["text"] in " ".join(ran.stdout.split())


def test_a_glimpse_of_a_face_leaves_it_unsure(limited: Path, tmp_path: Path) -> None:
    still, nobody = worse("not at all"), wall()
    frames = [still] * 3 + [nobody] * 17
    found = scanned(limited, write_clip(tmp_path / "glimpse.mp4", iter(frames), rate=RATE))
    assert found["verdict"] == "UNSURE"
    assert [reason["code"] for reason in found["reasons"]] == ["seen-too-briefly"]


def test_a_good_face_beside_a_bad_one_decides_alone(limited: Path, tmp_path: Path) -> None:
    still = worse("too-dark")
    hang(still, tinted(photograph("obama"), PALE), 790)
    found = scanned(limited, film(tmp_path / "two.mp4", still))
    assert found["verdict"] == "REAL"
    assert sorted(face["counted"] for face in found["faces"]) == [False, True]
    dark = next(face for face in found["faces"] if not face["counted"])
    assert [reason["code"] for reason in dark["reasons"]] == ["too-dark"]
