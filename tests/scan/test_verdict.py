"""From logits to a verdict, as tables."""

import math

import pytest

from edge.finding import Box, Quality, ReasonCode, Thresholds, Verdict, verdict_of
from edge.scan.model.manifest import (
    FILES,
    Calibration,
    GraphSettings,
    Input,
    Manifest,
    QualityLimits,
    Window,
)
from edge.scan.verdict import ClipContext, Judgement, TrackEvidence, WindowLogit, judge

MANIFEST = Manifest(
    name="test",
    version="1",
    licence="Apache-2.0",
    summary="",
    input=Input(side=112),
    window=Window(frames=16, rate=8.0),
    calibration=Calibration(scale=2.0, offset=1.0),
    thresholds=Thresholds(real=0.3, fake=0.7),
    quality=QualityLimits(face_px=48, light=25, sharpness=10, seconds=1.0),
    kind="truelight",
    graphs=GraphSettings(quantization="none"),
    files=dict.fromkeys(FILES, "0" * 64),
)
WHOLE = ClipContext(frames=96, seconds=12.0)


def logit_of(probability: float) -> float:
    """The logit that MANIFEST's calibration turns into this probability."""
    return (math.log(probability / (1 - probability)) - 1.0) / 2.0


def track(
    *probabilities: float,
    number: int = 1,
    face_px: float = 100,
    light: float = 100,
    sharpness: float = 100,
    seen: float = 10.0,
    steady: tuple[bool, ...] = (),
) -> TrackEvidence:
    windows = tuple(
        WindowLogit(start, start + 2.0, logit_of(p), steady[start] if steady else True)
        for start, p in enumerate(probabilities)
    )
    return TrackEvidence(
        id=number,
        first_second=0.0,
        last_second=seen,
        frames=80,
        seen_seconds=seen,
        box=Box(x=0, y=0, width=face_px, height=face_px),
        quality=Quality(face_px=face_px, light=light, sharpness=sharpness),
        windows=windows,
    )


def codes(judgement: Judgement) -> list[str]:
    return [reason.code.value for reason in judgement.reasons]


def test_no_track_is_no_face() -> None:
    judgement = judge([], MANIFEST, WHOLE)
    assert (judgement.verdict, judgement.fake_probability) == (Verdict.NO_FACE, None)
    assert codes(judgement) == ["no-face"]


@pytest.mark.parametrize(
    ("probability", "verdict", "code"),
    [
        (0.02, Verdict.REAL, "below-real-threshold"),
        (0.299, Verdict.REAL, "below-real-threshold"),
        (0.301, Verdict.UNSURE, "between-thresholds"),
        (0.699, Verdict.UNSURE, "between-thresholds"),
        (0.701, Verdict.FAKE, "above-fake-threshold"),
        (0.98, Verdict.FAKE, "above-fake-threshold"),
    ],
)
def test_the_thresholds_decide(probability: float, verdict: Verdict, code: str) -> None:
    judgement = judge([track(probability)], MANIFEST, WHOLE)
    assert judgement.verdict is verdict
    assert codes(judgement) == [code]
    assert judgement.fake_probability == pytest.approx(probability)


def test_a_face_is_its_windows_mean_logit_calibrated() -> None:
    face = judge([track(0.1, 0.9, 0.9)], MANIFEST, WHOLE).faces[0]
    mean = sum(map(logit_of, (0.1, 0.9, 0.9))) / 3
    assert face.fake_probability == pytest.approx(1 / (1 + math.exp(-(2 * mean + 1))))
    assert [window.fake_probability for window in face.windows] == pytest.approx([0.1, 0.9, 0.9])


def test_extreme_logits_stay_probabilities() -> None:
    for logit, expected in ((-1e4, 0.0), (1e4, 1.0)):
        evidence = track(0.5)
        windows = (WindowLogit(0.0, 2.0, logit),)
        evidence = TrackEvidence(**{**vars(evidence), "windows": windows})
        assert judge([evidence], MANIFEST, WHOLE).fake_probability == expected


def test_windows_that_hardly_show_the_face_are_dropped() -> None:
    face = judge([track(0.1, 0.99, steady=(True, False))], MANIFEST, WHOLE).faces[0]
    assert face.fake_probability == pytest.approx(0.1)
    assert len(face.windows) == 1


def test_but_kept_when_there_are_no_others() -> None:
    face = judge([track(0.9, steady=(False,))], MANIFEST, WHOLE).faces[0]
    assert face.fake_probability == pytest.approx(0.9)


def test_the_worst_face_that_counts_decides() -> None:
    judgement = judge(
        [
            track(0.1, number=1),
            track(0.8, number=2),
            track(0.99, number=3, face_px=20),
        ],
        MANIFEST,
        WHOLE,
    )
    assert judgement.verdict is Verdict.FAKE
    assert judgement.fake_probability == pytest.approx(0.8)
    assert [face.counted for face in judgement.faces] == [True, True, False]
    assert "worst of 2 faces" in judgement.reasons[0].text
    assert judgement.faces[2].reasons[0].code is ReasonCode.FACES_TOO_SMALL


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"face_px": 47.9}, "faces-too-small"),
        ({"light": 24.0}, "too-dark"),
        ({"sharpness": 9.0}, "too-blurred"),
        ({"seen": 0.9}, "seen-too-briefly"),
    ],
)
def test_faces_that_are_not_good_enough_leave_it_unsure(bad: dict[str, float], code: str) -> None:
    for faces in ([track(0.99, **bad)], [track(0.99, **bad), track(0.9, number=2, **bad)]):
        judgement = judge(faces, MANIFEST, WHOLE)
        assert (judgement.verdict, judgement.fake_probability) == (Verdict.UNSURE, None)
        assert codes(judgement) == [code]
        assert not any(face.counted for face in judgement.faces)


def test_each_shortcoming_is_said_once() -> None:
    faces = [track(0.9, light=1, seen=0.1), track(0.9, number=2, face_px=1, light=1)]
    assert codes(judge(faces, MANIFEST, WHOLE)) == [
        "faces-too-small",
        "too-dark",
        "seen-too-briefly",
    ]


def test_a_measure_never_rounds_up_to_its_limit() -> None:
    text = judge([track(0.9, face_px=47.96)], MANIFEST, WHOLE).reasons[0].text
    assert "47.9 pixels" in text
    assert "48 are needed" in text


def test_a_single_picture_gets_a_verdict_and_a_remark() -> None:
    judgement = judge([track(0.9, seen=0.0)], MANIFEST, ClipContext(1, 0.0))
    assert judgement.verdict is Verdict.FAKE
    assert codes(judgement) == ["above-fake-threshold", "single-picture"]


def test_first_frames_may_be_brief_and_are_remarked() -> None:
    asked = ClipContext(20, 20 / 30, first=20)
    judgement = judge([track(0.9, seen=12 / 30)], MANIFEST, asked)
    assert codes(judgement) == ["above-fake-threshold", "first-frames-only"]
    glimpsed = judge([track(0.9, seen=5 / 30)], MANIFEST, asked)
    assert codes(glimpsed) == ["seen-too-briefly", "first-frames-only"]


def test_damage_is_remarked_whatever_the_verdict() -> None:
    damaged = ClipContext(96, 12.0, damaged=True)
    assert codes(judge([track(0.1)], MANIFEST, damaged)) == ["below-real-threshold", "damaged"]
    assert codes(judge([], MANIFEST, damaged)) == ["no-face", "damaged"]


def test_a_probability_is_never_said_to_be_certain() -> None:
    for probability, said in ((0.9999, "over 99 %"), (0.0001, "under 1 %")):
        assert said in judge([track(probability)], MANIFEST, WHOLE).reasons[0].text


def test_a_threshold_at_the_end_of_the_scale_disables_its_verdict() -> None:
    never = Thresholds(real=0.0, fake=1.0)
    assert verdict_of(1.0, never) is verdict_of(0.0, never) is Verdict.UNSURE
    lines = Thresholds(real=0.1, fake=0.9)
    assert verdict_of(0.9, lines) is Verdict.FAKE
    assert verdict_of(0.1, lines) is Verdict.REAL
    assert verdict_of(0.5, lines) is Verdict.UNSURE
