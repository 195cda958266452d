"""Photographs of people, shown as nobody looks: nothing is said of them that was not measured."""

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


def test_a_face_enlarged_from_few_pixels_is_not_called_real(
    scanner: Scanner, tmp_path: Path
) -> None:
    for name in PEOPLE:
        height, width = photo(name).shape[:2]
        small = cv2.resize(photo(name), (width // 12, height // 12), interpolation=cv2.INTER_AREA)
        finding = scanned(scanner, tmp_path, cv2.resize(small, (width, height)))
        assert finding.verdict in {Verdict.UNSURE, Verdict.NO_FACE}
