"""Who is who: people who cross, hide, leave and come back, followed by what the detector finds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
from stage import Actor, Way, detector, draw, shoot, stand, walk, wall, who

from edge.finding import Box
from edge.scan.faces.detector import Detection
from edge.scan.faces.search import FaceSearch
from edge.scan.faces.tracker import Tracker
from edge.scan.frames import Frame


def always(room: int, _: float) -> int:
    return room


def follow(actors: Sequence[Actor], frames: Sequence[Frame]) -> dict[str | None, list[int]]:
    """The tracks that each person was given, in the order of time."""
    search, tracker = FaceSearch(detector()), Tracker()
    tracks = defaultdict(list)
    for frame in frames:
        for sighting in tracker.step(frame, search.detect(frame)):
            tracks[who(actors, frame.time, sighting.detection)].append(sighting.track)
    return tracks


def steps(seconds: float, rate: float) -> list[float]:
    return [index / rate for index in range(round(seconds * rate) + 1)]


def to_and_fro(start: float, middle: float, y: float) -> Way:
    """To the middle and back again within three seconds."""
    return lambda time: (start + (middle - start) * (1 - abs(time / 1.5 - 1)), y)


CROSSINGS = {
    "walking past each other": (
        Actor("obama", walk((250, 330), (1030, 330), 0.3, 2.7)),
        Actor("biden", walk((1030, 370), (250, 370), 0.3, 2.7)),
    ),
    "in suits of one kind, face before face": (
        Actor("obama2", walk((250, 360), (1030, 360), 0.3, 2.7)),
        Actor("biden", walk((1030, 360), (250, 360), 0.3, 2.7)),
    ),
    "overtaken by a nearer one": (
        Actor("coelho", walk((420, 330), (800, 330), 0.3, 2.7), 100),
        Actor("collins", walk((120, 420), (1100, 420), 0.3, 2.7), 180),
    ),
    "crosswise": (
        Actor("coelho", walk((250, 170), (1030, 520), 0.3, 2.7), 110),
        Actor("obama3", walk((250, 520), (1030, 170), 0.3, 2.7), 110),
    ),
    "meeting and turning back": (
        Actor("collins", to_and_fro(250, 610, 340)),
        Actor("biden", to_and_fro(1030, 690, 370)),
    ),
    "standing while another passes in front": (
        Actor("biden", stand(640, 350)),
        Actor("coelho", walk((150, 370), (1130, 370), 0.3, 2.7), 160),
    ),
}


@pytest.mark.parametrize("rate", [10, 4])
@pytest.mark.parametrize("crossing", CROSSINGS)
def test_people_who_cross_keep_their_tracks(crossing: str, rate: int) -> None:
    actors = CROSSINGS[crossing]

    tracks = follow(actors, shoot(actors, steps(3, rate)))

    one, other = (tracks[actor.name] for actor in actors)
    assert one[0] == one[-1] != other[0] == other[-1]
    # In the moment of meeting a face is half of each; at any other time it is its owner's.
    strays = [track for track in one if track != one[0]] + [t for t in other if t != other[0]]
    assert len(strays) <= 2


def test_twins_are_separated_by_their_movement() -> None:
    twins = [
        Actor("obama", walk((200, 260), (1080, 380), 0, 2), 110),
        Actor("obama", walk((1080, 260), (200, 380), 0, 2), 110),
    ]
    search, tracker = FaceSearch(detector()), Tracker()
    ways: dict[int, list[float]] = {}
    for frame in shoot(twins, steps(2, 5)):
        for sighting in tracker.step(frame, search.detect(frame)):
            ways.setdefault(sighting.track, []).append(sighting.detection.box.x)

    assert sorted(ways) == [1, 2]
    for way in ways.values():
        assert way in (sorted(way), sorted(way, reverse=True)), "nobody turned round"


def test_a_person_hidden_for_long_comes_back_as_the_same() -> None:
    hidden = Actor("collins", stand(640, 350), 110)
    passer = Actor(
        "obama",
        lambda time: (
            walk((150, 350), (640, 360), 0, 1.5)(time)
            if time < 4
            else walk((640, 360), (1130, 350), 4, 5.5)(time)
        ),
        200,
    )

    tracks = follow([hidden, passer], shoot([hidden, passer], steps(5.5, 4)))

    assert tracks["collins"][0] == tracks["collins"][-1] != tracks["obama"][-1]
    assert len(tracks["collins"]) < 20, "the passer stood before the other"


def test_after_a_gap_people_are_known_again_wherever_they_are() -> None:
    times = [*steps(0.7, 10), *(10 + time for time in steps(0.7, 10))]
    staying = Actor("biden", stand(1000, 350))
    moving = Actor("coelho", lambda time: (250, 300) if time < 5 else (620, 420))
    actors = [staying, moving]

    tracks = follow(actors, shoot(actors, times, window=lambda time: int(time > 5)))

    assert set(tracks["biden"]) == {tracks["biden"][0]}
    assert set(tracks["coelho"]) == {tracks["coelho"][0]} != set(tracks["biden"])


def test_after_a_gap_another_person_in_the_same_place_is_another() -> None:
    first, second = Actor("biden", stand(640, 350)), Actor("coelho", stand(640, 350))
    frames = shoot([first], steps(0.7, 10))
    later = [10 + time for time in steps(0.7, 10)]
    frames += shoot([second], later, window=lambda _: 1)

    tracks = follow([first], frames)["biden"]

    assert tracks == [1] * 8 + [2] * 8


def test_a_cut_begins_new_tracks_and_cutting_back_finds_the_old() -> None:
    # Two who look somewhat alike, in one place: what tells them apart is that all else changes.
    one, other = Actor("obama2", stand(600, 350), 200), Actor("coelho", stand(600, 350), 200)
    shots = [(one, 0, 0.0), (other, 3, 1.0), (one, 0, 2.0), (other, 3, 3.0)]
    frames = [
        frame
        for actor, room, start in shots
        for frame in shoot([actor], [start + t for t in steps(0.9, 10)], room=partial(always, room))
    ]

    tracks = follow([one], frames)["obama2"]

    assert tracks == ([1] * 10 + [2] * 10) * 2


def test_a_false_detection_takes_nothing_from_the_faces() -> None:
    person = Actor("biden", walk((300, 350), (900, 350), 0, 2))
    search, tracker = FaceSearch(detector()), Tracker()
    tracks = []
    for frame in shoot([person], steps(2, 10)):
        found = search.detect(frame)
        if frame.index in (4, 11):  # beside the face, and where it will be
            where = Box(x=560.0, y=290.0, width=120.0, height=120.0)
            found = [Detection(where, 0.9, np.zeros((6, 2), np.float32)), *found]
        tracks.append([sighting.track for sighting in tracker.step(frame, found)])

    assert [seen[-1] for seen in tracks] == [1] * 21
    assert len(tracks[4]) == 2


def test_sightings_come_in_the_order_of_the_detections() -> None:
    actors = [Actor("obama", stand(300, 350)), Actor("biden", stand(900, 350))]
    frame = Frame(0, 0, 0.0, draw(actors, 0.0, wall()))
    found = FaceSearch(detector()).detect(frame)
    assert len(found) == 2

    tracker = Tracker()
    forwards = tracker.step(frame, found)
    backwards = tracker.step(Frame(1, 0, 0.1, frame.pixels), found[::-1])

    assert [sighting.detection for sighting in backwards] == found[::-1]
    assert [s.track for s in forwards] == [1, 2]
    assert [s.track for s in backwards] == [2, 1]


def test_a_clip_is_followed_the_same_way_twice() -> None:
    actors = CROSSINGS["crosswise"]
    frames = shoot(actors, steps(3, 4))

    assert follow(actors, frames) == follow(actors, frames)
