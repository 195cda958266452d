"""From scores to a verdict and its reasons, as tables."""

import math
from dataclasses import replace

import pytest
from findings import STEP, unjudged
from findings import face as scored_face

from edge.finding import Face, Finding, ReasonCode, Thresholds, Verdict, verdict_of
from edge.scan.model.manifest import (
    FILES,
    Calibration,
    GraphSettings,
    Input,
    Manifest,
    QualityLimits,
    Window,
)
from edge.scan.verdict import ClipContext, judge, unreadable

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
WHOLE = ClipContext(frames=96, step=STEP)


def logit_of(probability: float) -> float:
    """The logit with which MANIFEST's calibration gives this probability."""
    return (math.log(probability / (1 - probability)) - 1.0) / 2.0


def face(*probabilities: float, seen: float = 10.0, **more: float) -> Face:
    """A face that is visible for `seen` seconds."""
    logits = map(logit_of, probabilities)
    return scored_face(*logits, frames=round(seen / STEP), **more)  # type: ignore[arg-type]


def judged(*faces: Face, context: ClipContext = WHOLE, manifest: Manifest = MANIFEST) -> Finding:
    return judge(unjudged(manifest, *faces), manifest, context)


def codes(finding: Finding) -> list[str]:
    return [reason.code.value for reason in finding.reasons]


def text(finding: Finding) -> str:
    return finding.reasons[0].text


def test_no_face_is_no_face() -> None:
    finding = judged()
    assert (finding.verdict, finding.fake_probability) == (Verdict.NO_FACE, None)
    assert codes(finding) == ["no-face"]


@pytest.mark.parametrize(
    ("probability", "verdict", "code", "words"),
    [
        (0.02, Verdict.REAL, "below-real-threshold", "No face looks swapped."),
        (0.299, Verdict.REAL, "below-real-threshold", "FAKE 29 %; REAL threshold: 30 %."),
        (0.301, Verdict.UNSURE, "between-thresholds", "The answer lies in between."),
        (0.55, Verdict.UNSURE, "between-thresholds", "REAL threshold: 30 %, FAKE threshold: 70 %."),
        (0.699, Verdict.UNSURE, "between-thresholds", "FAKE 69 %;"),
        (0.701, Verdict.FAKE, "above-fake-threshold", "The face looks swapped. Probability of "),
        (0.98, Verdict.FAKE, "above-fake-threshold", "FAKE 98 %; FAKE threshold: 70 %."),
    ],
)
def test_the_thresholds_decide(probability: float, verdict: Verdict, code: str, words: str) -> None:
    finding = judged(face(probability))
    assert finding.verdict is verdict
    assert codes(finding) == [code]
    assert finding.fake_probability == pytest.approx(probability)
    assert words in text(finding)


def test_the_numbers_shown_give_the_verdict_shown() -> None:
    lines = Thresholds(real=0.07, fake=0.825)
    manifest = MANIFEST.model_copy(update={"thresholds": lines})
    for probability, words in {
        0.0699: "FAKE 6 %; REAL threshold: 7 %.",
        0.0704: "FAKE 7.04 %; REAL threshold: 7.00 %, FAKE threshold: 82.50 %.",
        0.8249: "FAKE 82.4 %; REAL threshold: 7.0 %, FAKE threshold: 82.5 %.",
        0.826: "FAKE 82 %; FAKE threshold: 82 %.",
    }.items():
        assert words in text(judged(face(probability), manifest=manifest))


def test_a_model_that_never_decides_says_so() -> None:
    """Instead of an answer between thresholds that it does not have."""
    manifest = MANIFEST.model_copy(update={"thresholds": Thresholds(real=0, fake=1)})
    finding = judged(face(0.43), manifest=manifest)
    assert codes(finding) == ["between-thresholds"]
    assert text(finding) == (
        "This model alone never says REAL or FAKE: that takes a second opinion. "
        "Probability of FAKE 43 %."
    )


def test_a_face_is_its_windows_mean_logit_calibrated() -> None:
    (one,) = judged(face(0.1, 0.9, 0.9)).faces
    mean = sum(map(logit_of, (0.1, 0.9, 0.9))) / 3
    assert one.fake_probability == pytest.approx(1 / (1 + math.exp(-(2 * mean + 1))))


def test_extreme_logits_stay_probabilities() -> None:
    for logit, expected in ((-1e4, 0.0), (1e4, 1.0)):
        assert judged(scored_face(logit)).fake_probability == expected


def test_the_worst_face_that_counts_decides() -> None:
    finding = judged(face(0.1), face(0.8, number=2), face(0.99, number=3, face_px=20))
    assert finding.verdict is Verdict.FAKE
    assert finding.fake_probability == pytest.approx(0.8)
    assert [one.counted for one in finding.faces] == [True, True, False]
    assert finding.faces[2].reasons[0].code is ReasonCode.FACES_TOO_SMALL
    assert text(finding) == (
        "Face 2 looks swapped. Highest probability of FAKE 80 %; FAKE threshold: 70 %."
    )
    harmless = judged(face(0.1), face(0.99, number=2, face_px=20))
    assert text(harmless).startswith("No face that could be judged looks swapped.")
    both = judged(face(0.8), face(0.9, number=2))
    assert text(both).startswith("2 faces look swapped. Highest probability of FAKE 90 %")


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"face_px": 47.9}, "faces-too-small"),
        ({"light": 24.0}, "too-dark"),
        ({"sharpness": 9.0}, "too-blurred"),
        ({"warmth": -0.2}, "false-colours"),
        ({"fine_detail": 6.4}, "low-detail"),
        ({"fine_detail": 80.1}, "too-noisy"),
        ({"seen": 0.875}, "seen-too-briefly"),
    ],
)
def test_faces_that_are_not_good_enough_leave_it_unsure(bad: dict[str, float], code: str) -> None:
    for faces in ([face(0.99, **bad)], [face(0.99, **bad), face(0.9, number=2, **bad)]):
        finding = judged(*faces)
        assert (finding.verdict, finding.fake_probability) == (Verdict.UNSURE, None)
        assert codes(finding) == [code]
        assert not any(one.counted for one in finding.faces)


def test_a_blurred_face_is_not_called_enlarged_too() -> None:
    assert codes(judged(face(0.9, sharpness=9.0, fine_detail=3.0))) == ["too-blurred"]


def test_each_kind_of_shortcoming_is_named_once() -> None:
    finding = judged(face(0.9, light=1, seen=0.125), face(0.9, number=2, face_px=1, light=1))
    assert codes(finding) == ["faces-too-small", "too-dark", "seen-too-briefly"]


@pytest.mark.parametrize(
    ("seen", "minimum", "words"),
    [
        (0.125, 0.25, "visible for 0.1 s; the minimum is 0.25 s."),
        (0.24, 0.25, "visible for 0.2 s; the minimum is 0.25 s."),
        (0.249, 0.2501, "visible for 0.2 s; the minimum is 0.26 s."),
        (0.3, 1 / 3, "visible for 0.3 s; the minimum is 0.34 s."),
        (0.999, 1.0, "visible for 0.9 s; the minimum is 1 s."),
    ],
)
def test_a_value_that_is_too_low_is_shown_below_its_minimum(
    seen: float, minimum: float, words: str
) -> None:
    limits = MANIFEST.quality.model_copy(update={"seconds": minimum})
    manifest = MANIFEST.model_copy(update={"quality": limits})
    context = ClipContext(frames=24, step=seen / 24)
    finding = judged(scored_face(0.0, frames=24), context=context, manifest=manifest)
    assert words in text(finding)


def test_a_single_picture_gets_a_verdict_and_a_remark() -> None:
    finding = judged(face(0.9), context=ClipContext(1))
    assert finding.verdict is Verdict.FAKE
    assert codes(finding) == ["above-fake-threshold", "single-picture"]


def test_first_frames_may_be_brief_and_are_remarked() -> None:
    requested = ClipContext(20, 1 / 30, first=20)
    finding = judged(scored_face(2.0, frames=12), context=requested)
    assert codes(finding) == ["above-fake-threshold", "first-frames-only"]
    brief = judged(scored_face(2.0, frames=5), context=requested)
    assert codes(brief) == ["seen-too-briefly", "first-frames-only"]


def test_damage_is_remarked_whatever_the_verdict() -> None:
    damaged = ClipContext(96, STEP, damaged=True)
    assert codes(judged(face(0.1), context=damaged)) == ["below-real-threshold", "damaged"]
    assert codes(judged(context=damaged)) == ["no-face", "damaged"]


def test_a_probability_never_claims_certainty() -> None:
    for probability, words in ((0.9999, "over 99 %"), (0.0001, "under 1 %")):
        assert words in text(judged(face(probability)))


def test_a_threshold_at_the_end_of_the_scale_disables_its_verdict() -> None:
    never = Thresholds(real=0.0, fake=1.0)
    assert verdict_of(1.0, never) is verdict_of(0.0, never) is Verdict.UNSURE
    lines = Thresholds(real=0.1, fake=0.9)
    assert verdict_of(0.9, lines) is Verdict.FAKE
    assert verdict_of(0.1, lines) is Verdict.REAL
    assert verdict_of(0.5, lines) is Verdict.UNSURE
    manifest = MANIFEST.model_copy(update={"thresholds": never})
    shown = text(judged(face(0.9), manifest=manifest))
    assert shown.endswith("Probability of FAKE 90 %.")


def test_an_unreadable_clip_has_the_reason_and_no_faces() -> None:
    finding = unreadable(judged(face(0.9)), "It was too long.")
    assert (finding.verdict, finding.faces) == (Verdict.UNREADABLE, ())
    assert (finding.fake_probability, text(finding)) == (None, "It was too long.")


def test_a_single_picture_is_named_if_the_verdict_depends_on_it() -> None:
    film, picture = ClipContext(96, STEP), ClipContext(1)
    held = ClipContext(96, STEP, is_still=True)
    faces = (face(0.2), face(0.9, number=2).replaced(part=1))
    cases = {
        (film, film): "",
        (film, picture): "Face 2 is in a single picture: its motion could not be judged.",
        (film, held): "Face 2 is in a single picture: its motion could not be judged.",
        (held, film): "",
        (picture, film): "",
        (picture, held): "Each part shows one picture only: motion could not be judged.",
    }
    for (first, second), right in cases.items():
        context = replace(first, parts=(second,))
        texts = {reason.code: reason.text for reason in judged(*faces, context=context).reasons}
        assert texts.get(ReasonCode.SINGLE_PICTURE, "") == right
