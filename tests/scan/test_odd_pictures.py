"""Photographs of people, shown as nobody looks: no verdict on them that was not measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import write_clip, write_image
from frontdoor import ROOT
from stage import photo

from edge.finding import Finding, ReasonCode, Verdict
from edge.scan.scanner import Scanner
from edge.settings import load_settings

PEOPLE = ("obama", "biden", "collins")


@pytest.fixture(scope="module")
def scanner() -> Iterator[Scanner]:
    alone = {"second_opinion.ask": "never", "model.bundle": str(ROOT / "models" / "truelight")}
    with Scanner(load_settings().changed("test", alone)) as scanner:
        yield scanner


def scanned(scanner: Scanner, folder: Path, pixels: np.ndarray) -> Finding:
    return scanner.scan(write_image(folder / "picture.png", np.ascontiguousarray(pixels)))


def reasons(finding: Finding) -> set[ReasonCode]:
    return {reason.code for reason in finding.reasons}


@pytest.mark.parametrize("name", PEOPLE)
def test_false_colours_are_named_and_not_judged(
    scanner: Scanner, tmp_path: Path, name: str
) -> None:
    assert ReasonCode.FALSE_COLOURS not in reasons(scanned(scanner, tmp_path, photo(name)))
    for false in (255 - photo(name), photo(name)[:, :, ::-1]):
        finding = scanned(scanner, tmp_path, false)
        assert finding.verdict in {Verdict.UNSURE, Verdict.NO_FACE}
    # In a negative, a tie may look like a face: exchanged colours leave the face itself.
    codes = {reason.code for face in finding.faces for reason in face.reasons}
    assert ReasonCode.FALSE_COLOURS in codes


def test_a_grey_picture_has_no_false_colours(scanner: Scanner, tmp_path: Path) -> None:
    grey = cv2.cvtColor(photo("obama"), cv2.COLOR_RGB2GRAY)
    finding = scanned(scanner, tmp_path, np.dstack([grey] * 3))
    assert ReasonCode.FALSE_COLOURS not in reasons(finding)


def test_a_photograph_held_as_a_film_is_called_a_single_picture(
    scanner: Scanner, tmp_path: Path
) -> None:
    still = cv2.resize(photo("obama"), (320, 400), interpolation=cv2.INTER_AREA)
    finding = scanner.scan(write_clip(tmp_path / "held.mp4", [still] * 75))
    assert ReasonCode.SINGLE_PICTURE in reasons(finding)


@pytest.mark.parametrize("name", PEOPLE)
def test_a_face_enlarged_from_few_pixels_is_named_and_not_judged(
    scanner: Scanner, tmp_path: Path, name: str
) -> None:
    picture = photo(name)
    as_it_is = scanned(scanner, tmp_path, picture)
    assert not reasons(as_it_is) & {ReasonCode.LOW_DETAIL, ReasonCode.TOO_NOISY}
    height, width = picture.shape[:2]
    by = max(face.quality.face_px for face in as_it_is.faces) / 30
    sides = round(width / by), round(height / by)
    small = cv2.resize(picture, sides, interpolation=cv2.INTER_AREA)
    enlarged = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    finding = scanned(scanner, tmp_path, enlarged)
    assert finding.verdict in {Verdict.UNSURE, Verdict.NO_FACE}
    assert not any(face.counted for face in finding.faces)
    codes = {reason.code for face in finding.faces for reason in face.reasons}
    assert codes <= {ReasonCode.LOW_DETAIL, ReasonCode.TOO_BLURRED, ReasonCode.FACES_TOO_SMALL}


def test_a_noisy_face_is_named_and_not_judged(scanner: Scanner, tmp_path: Path) -> None:
    picture = cv2.resize(photo("obama"), (200, 250), interpolation=cv2.INTER_AREA)
    grain = np.random.default_rng(1).normal(0, 70, picture.shape)
    finding = scanned(scanner, tmp_path, np.clip(picture + grain, 0, 255).astype(np.uint8))
    assert not any(face.counted for face in finding.faces)
