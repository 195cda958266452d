"""What decides nothing: few samples of a face, faces that were not followed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from bundles import beside, write_bundle, write_tower_bundle
from clips import write_clip, write_image
from redpale import PALE, RATE, RED, hang, photograph, tinted, wall

from edge.errors import TruelightError
from edge.finding import Finding, ReasonCode, Thresholds, Verdict
from edge.scan.model.bundle_info import BundleInfo, read_bundle
from edge.scan.model.manifest import QualityLimits
from edge.scan.model.second_opinion import SecondModel, find_second
from edge.scan.scanner import Scanner
from edge.settings import Settings, load_settings

LIMITS = QualityLimits(face_px=48, light=20, sharpness=1, seconds=0.0)


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle to which the shortest appearance is long enough."""
    return write_bundle(tmp_path_factory.mktemp("models") / "brief", quality=LIMITS)


def scan(bundle: Path, clip: Path, **values: object) -> Finding:
    settings = {name.replace("__", "."): value for name, value in values.items()}
    chosen = load_settings().changed("test", {"model.bundle": str(bundle)} | settings)
    with Scanner(chosen) as scanner:
        return scanner.scan(clip)


def codes(finding: Finding) -> list[ReasonCode]:
    return [reason.code for reason in finding.reasons]


def appearing(seconds: float) -> Iterator[np.ndarray]:
    """A film of 2 s; a red face appears in the last `seconds`."""
    with_face = wall()
    hang(with_face, tinted(photograph("obama"), RED), 100)
    for number in range(2 * RATE):
        yield with_face if number / RATE >= 2 - seconds - 1e-6 else wall()


def test_a_face_of_two_samples_decides_nothing(brief: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "film.mp4", appearing(0.2), rate=RATE)
    finding = scan(brief, clip)
    (face,) = finding.faces
    assert face.frames < 3
    assert (finding.verdict, finding.fake_probability) == (Verdict.UNSURE, None)
    assert codes(finding) == [ReasonCode.SEEN_TOO_BRIEFLY]
    assert finding.reasons[0].text == (
        f"The face was found in {face.frames} of 16 frames; the minimum is 3."
    )


def test_a_face_of_enough_samples_decides(brief: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "film.mp4", appearing(1.0), rate=RATE)
    assert scan(brief, clip).verdict is Verdict.FAKE


def test_a_picture_and_requested_frames_have_no_minimum(
    brief: Path, clips: Path, tmp_path: Path
) -> None:
    assert scan(brief, clips / "red.jpg").verdict is Verdict.FAKE
    assert scan(brief, clips / "red.mp4", scan__first=2).verdict is Verdict.FAKE
    many = QualityLimits(face_px=48, light=20, sharpness=1, seconds=0.0, min_samples=100)
    strict = write_bundle(tmp_path / "strict", quality=many)
    assert codes(scan(strict, clips / "red.mp4")) == [ReasonCode.SEEN_TOO_BRIEFLY]


def test_where_more_faces_are_than_are_followed_nothing_is_called_real(
    bundle: Path, tmp_path: Path
) -> None:
    two = wall()
    for name, left in (("obama", 100), ("biden", 700)):
        hang(two, tinted(photograph(name), PALE), left)
    write_image(tmp_path / "two.png", two)
    assert scan(bundle, tmp_path / "two.png").verdict is Verdict.REAL
    finding = scan(bundle, tmp_path / "two.png", faces__most=1)
    assert finding.verdict is Verdict.UNSURE
    assert ReasonCode.MORE_FACES in codes(finding)
    (reason,) = (each for each in finding.reasons if each.code is ReasonCode.MORE_FACES)
    assert reason.text.startswith("2 faces were found in one frame; only the largest was judged")


# ---- The second opinion: about whom, and for how long


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("second")
    red = write_bundle(folder / "red", thresholds=Thresholds(real=0.3, fake=0.7))
    write_tower_bundle(folder / "thorough", beside=beside(red, 6, first=0.0, second=1.0))
    return folder


def asked(models: Path, ask: str) -> Settings:
    values = {"model.folder": str(models), "model.bundle": "red", "second_opinion.ask": ask}
    return load_settings().changed("test", values)


def test_when_the_second_model_is_asked(models: Path, clips: Path) -> None:
    """`red` is sure of a red face. `auto` is the former name of `unsure`."""
    for ask, expected in {"never": False, "auto": False, "unsure": False, "always": True}.items():
        with Scanner(asked(models, ask)) as scanner:
            finding = scanner.scan(clips / "red.mp4")
        assert finding.verdict is Verdict.FAKE
        assert (finding.second_opinion is not None) is expected
        if expected:
            assert codes(finding) == [
                ReasonCode.ABOVE_FAKE_THRESHOLD,
                ReasonCode.SECOND_OPINION,
            ]
            assert "unsure" not in finding.reasons[1].text


def test_a_second_opinion_that_takes_too_long_is_given_up(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = asked(models, "unsure")
    found = find_second(settings, read_bundle(settings.bundle_folder).manifest)
    assert isinstance(found, BundleInfo)
    second = SecondModel(found, settings)
    side = found.manifest.input.side
    crops = {1: [np.zeros((side, side, 3), np.uint8)] * 8}
    assert len(second.answers(crops, lambda _: None)[1].swapped) == 8
    passed = iter(range(0, 10_000, 15))
    clock = SimpleNamespace(monotonic=lambda: next(passed))
    monkeypatch.setattr("edge.scan.model.second_opinion.time", clock)
    with pytest.raises(TruelightError, match=r"longer than 20 s \(second_opinion.seconds\)"):
        second.answers(crops, lambda _: None)
    second.close()
