"""Searching a clip: faces that are too small for one look at the whole frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from stage import Actor, Way, detector, shoot, stand, walk, wall

from edge.scan.faces.detector import Detection
from edge.scan.faces.search import FaceSearch
from edge.scan.frames import Frame, overlap

FULL_HD = (1920, 1080)
TIMES = [index / 10 for index in range(10)]


class Counting:
    """The real detector, and how often it was asked."""

    def __init__(self) -> None:
        self.looks = 0
        self.close_looks = 0

    def detect(self, pixels: np.ndarray) -> list[Detection]:
        self.looks += 1
        return detector().detect(pixels)

    def detect_close(self, pixels: np.ndarray) -> list[Detection]:
        self.close_looks += 1
        return detector().detect_close(pixels)


def far(name: str) -> Actor:
    """A face of 80 px in 1080 lines: 8 px as the network sees the whole frame."""
    return Actor(name, walk((500, 400), (900, 600), 0, 1), 80)


@pytest.mark.parametrize("name", ["obama", "biden", "collins"])
def test_a_small_face_is_found_and_its_box_is_exact(name: str) -> None:
    actor = far(name)
    search = FaceSearch(detector())
    for frame in shoot([actor], TIMES, FULL_HD):
        (found,) = search.detect(frame)

        assert actor.distance(frame.time, found) < 0.12
        assert found.box.width == pytest.approx(80, rel=0.12)


def test_faces_at_the_seams_and_corners_are_found_once() -> None:
    places = [(300, 200), (840, 500), (1080, 800), (1850, 150), (70, 1000)]
    actors = [Actor("obama", stand(*place), 90) for place in places]

    (frame,) = shoot(actors, [0.0], FULL_HD)
    found = FaceSearch(detector()).detect(frame)

    assert len(found) == len(places)
    assert all(min(actor.distance(0, face) for face in found) < 0.15 for actor in actors)


def counted(frames: Sequence[Frame]) -> list[tuple[int, int]]:
    """Looks at whole frames or parts, and around a known face, frame by frame."""
    counting = Counting()
    search = FaceSearch(counting)
    looks = []
    for frame in frames:
        before = counting.looks, counting.close_looks
        search.detect(frame)
        looks.append((counting.looks - before[0], counting.close_looks - before[1]))
    return looks


def test_a_known_face_is_looked_for_around_its_place_and_in_full_at_intervals() -> None:
    frames = shoot([Actor("biden", stand(640, 400), 250)], TIMES[:9])

    first, *later = counted(frames)

    assert first[0] > 1, "in parts as well"
    assert later[:7] == [(0, 1), (0, 1), (0, 1), (1, 0), (0, 1), (0, 1), (0, 1)]
    assert later[7][0] > 1, "every eighth frame in parts"


def test_a_crowd_of_large_faces_is_searched_in_full() -> None:
    """One look at the frame costs less than three around faces."""
    actors = [Actor("obama", stand(250 + 350 * n, 400), 180) for n in range(3)]

    looks = counted(shoot(actors, TIMES[:4]))

    assert looks[1:] == [(1, 0)] * 3


def test_another_scene_is_searched_in_full() -> None:
    frames = shoot([Actor("biden", stand(640, 400), 250)], TIMES[:3])
    frames[2] = Frame(2, 0, 0.2, 255 - frames[2].pixels)

    assert counted(frames)[2][0] > 1


@pytest.mark.parametrize("way", [walk((300, 400), (980, 400), 0, 0.9), stand(640, 400)])
def test_a_face_is_found_again_where_a_full_search_finds_it(way: Way) -> None:
    """Its box spans the same part of the face: the model was fitted to such crops."""
    search = FaceSearch(detector())
    for frame in shoot([Actor("obama", way, 180)], TIMES):
        (found,) = search.detect(frame)
        (full,) = FaceSearch(detector()).detect(frame)
        assert overlap(found.box, full.box) > 0.85
        assert abs(found.roll - full.roll) < 8


def test_a_face_that_leaves_is_gone_and_one_that_comes_is_found_soon() -> None:
    here, there = Actor("obama", stand(300, 400), 180), Actor("biden", stand(900, 400), 180)
    frames = [*shoot([here], TIMES[:2]), *shoot([], TIMES[2:4]), *shoot([there], TIMES[4:8])]
    frames = [Frame(n, 0, frame.time, frame.pixels) for n, frame in enumerate(frames)]
    search = FaceSearch(detector())

    found = [len(search.detect(frame)) for frame in frames]

    assert found == [1, 1, 0, 0, 1, 1, 1, 1]


def test_a_second_face_that_comes_is_found_within_a_second() -> None:
    here, there = Actor("obama", stand(300, 400), 180), Actor("biden", stand(900, 400), 180)
    quarters = [index / 4 for index in range(8)]
    frames = [*shoot([here], quarters[:1]), *shoot([here, there], quarters[1:])]
    search = FaceSearch(detector())

    found = [len(search.detect(Frame(n, 0, f.time, f.pixels))) for n, f in enumerate(frames)]

    assert found == [1, 1, 1, 1, 2, 2, 2, 2]


def test_a_window_begins_with_a_search_by_parts() -> None:
    wanderer = far("biden")
    search = FaceSearch(detector())
    frames = [Frame(0, 0, 0.0, wall(FULL_HD)), Frame(1, 0, 0.1, wall(FULL_HD))]
    frames += shoot([wanderer], [9.0], FULL_HD, window=lambda _: 1)

    found = [search.detect(frame) for frame in frames]

    assert [len(faces) for faces in found] == [0, 0, 1]


def test_a_small_face_hidden_for_some_frames_is_looked_for_where_it_was() -> None:
    actor = Actor("obama", stand(1500, 800), 66)
    frames = shoot([actor], TIMES[:6], FULL_HD)
    frames[2:5] = [Frame(index, 0, index / 10, wall(FULL_HD)) for index in (2, 3, 4)]
    assert detector().detect(frames[5].pixels) == [], "too small for one look"

    search = FaceSearch(detector())
    found = [len(search.detect(frame)) for frame in frames]

    assert found == [1, 1, 0, 0, 0, 1]


def test_only_the_largest_are_kept() -> None:
    actors = [Actor("obama", stand(250 + 260 * n, 400), 90 + 20 * n) for n in range(4)]

    (frame,) = shoot(actors, [0.0])
    found = FaceSearch(detector(), most=2).detect(frame)

    assert [min(actors, key=lambda a: a.distance(0, face)).side for face in found] == [150, 130]


def test_faces_that_score_too_little_are_left_out() -> None:
    (frame,) = shoot([Actor("obama", stand(640, 350), 200)], [0.0])
    (found,) = FaceSearch(detector()).detect(frame)

    assert len(FaceSearch(detector(), least_score=found.score - 0.01).detect(frame)) == 1
    assert FaceSearch(detector(), least_score=found.score + 0.01).detect(frame) == []


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (900, 2), (17, 13)])
def test_odd_sizes_are_searched(size: tuple[int, int]) -> None:
    blank = np.zeros((size[1], size[0], 3), np.uint8)

    assert FaceSearch(detector()).detect(Frame(0, 0, 0.0, blank)) == []


def test_a_frame_of_any_shape_has_few_parts() -> None:
    """1 x 65535 had 81,919 parts, and stopped the box for half an hour."""
    for shape in ((1, 65535), (65535, 1), (16, 65535), (32, 32000), (64, 8192), (1000, 16000)):
        counting = Counting()
        FaceSearch(counting).detect(Frame(0, 0, 0.0, np.zeros((*shape, 3), np.uint8)))
        assert counting.looks <= 24, shape


def test_a_crowd_costs_few_looks() -> None:
    """However many faces a frame has, only the largest are detected again."""

    class Crowd(Counting):
        def detect(self, pixels: np.ndarray) -> list[Detection]:
            self.looks += 1
            (face,) = detector().detect(seen.pixels)
            return [face.moved(n % 50 * 30, n // 50 * 30) for n in range(1000)]

    (seen,) = shoot([Actor("obama", stand(640, 350), 200)], [0.0])
    crowd = Crowd()
    assert len(FaceSearch(crowd).detect(seen)) == 8
    assert crowd.looks <= 24
