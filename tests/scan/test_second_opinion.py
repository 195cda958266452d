"""A second opinion: when it is asked for, what it changes, what becomes of one that fails."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundles import SIDE, SLOPE, beside, write_bundle, write_tower_bundle
from findings import STEP, face, unjudged
from waiting import until

from edge.errors import TruelightError
from edge.finding import Face, Finding, ReasonCode, Thresholds, Verdict
from edge.scan.joint_verdict import in_doubt, reconsider
from edge.scan.model.bundle_info import BundleInfo, read_bundle
from edge.scan.model.manifest import TOWER, Calibration, QualityLimits
from edge.scan.model.second_opinion import (
    Absence,
    FaceAnswers,
    NoSecondModel,
    SecondModel,
    find_second,
    megabytes,
)
from edge.scan.progress import Cancelled
from edge.scan.reasons import withhold_real
from edge.scan.scanner import Scanner
from edge.scan.verdict import ClipContext, judge
from edge.settings import Settings, load_settings

WIDE = Thresholds(real=0.001, fake=0.9999)
"""Between these lies what `red` says of most faces."""
CROPS = 6
CLIP = ClipContext(frames=24, step=STEP)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles: `red`, which is unsure of nearly all, and `thorough`, which alone decides."""
    folder = tmp_path_factory.mktemp("models")
    red = write_bundle(folder / "red", thresholds=WIDE)
    write_tower_bundle(folder / "thorough", beside=beside(red, CROPS, first=0.0, second=1.0))
    return folder


def with_second(models: Path, **said: object) -> Settings:
    """Settings with `red` first; other settings as second_opinion__ask."""
    values = {name.replace("__", "."): value for name, value in said.items()}
    folder = {"model.folder": str(models), "model.bundle": "red"}
    return load_settings().changed("test", folder | values)


@pytest.fixture(scope="module")
def scanner(models: Path) -> Iterator[Scanner]:
    with Scanner(with_second(models)) as scanner:
        yield scanner


def said(finding: Finding) -> list[ReasonCode]:
    return [reason.code for reason in finding.reasons]


# ---- Through the front door


def test_a_second_opinion_decides_what_the_first_left_open(
    scanner: Scanner, models: Path, clips: Path
) -> None:
    with Scanner(with_second(models, second_opinion__ask="never")) as alone:
        before = {name: alone.scan(clips / name) for name in ("pale.mp4", "two.mp4")}
    after = {name: scanner.scan(clips / name) for name in before}
    assert [found.verdict for found in before.values()] == [Verdict.UNSURE, Verdict.FAKE]
    assert all(found.second_opinion is None for found in before.values())
    pale = after["pale.mp4"]
    assert (pale.verdict, pale.thresholds) == (Verdict.REAL, Thresholds(real=0.3, fake=0.7))
    assert said(pale) == [ReasonCode.BELOW_REAL_THRESHOLD, ReasonCode.SECOND_OPINION]
    assert pale.window_thresholds == WIDE
    asked = pale.second_opinion
    assert asked is not None
    assert (asked.model.name, asked.crops) == ("thorough", CROPS)
    assert (asked.verdict_before, asked.thresholds_before) == (Verdict.UNSURE, WIDE)
    assert asked.probability_before == before["pale.mp4"].fake_probability
    assert 0 < asked.seconds == pale.seconds["second"] < pale.seconds["total"]
    (face,) = asked.faces
    assert face.logit == pytest.approx(pale.faces[0].windows[0].logit, abs=0.1 * SLOPE)
    assert pale.fake_probability == pytest.approx(1 / (1 + math.exp(-face.logit)))


def test_a_verdict_that_stands_is_not_questioned(scanner: Scanner, clips: Path) -> None:
    """`red` is sure of a red face, and where there is none there is nobody to ask about."""
    for name, verdict in (("red.mp4", Verdict.FAKE), ("nobody.mp4", Verdict.NO_FACE)):
        finding = scanner.scan(clips / name)
        assert (finding.verdict, finding.second_opinion) == (verdict, None)
        assert "second" not in finding.seconds


def test_faces_that_are_not_good_enough_are_not_asked_about(clips: Path, tmp_path: Path) -> None:
    limits = QualityLimits(face_px=500)
    red = write_bundle(tmp_path / "red", thresholds=WIDE, quality=limits)
    write_tower_bundle(tmp_path / "thorough", beside=beside(red, CROPS, first=0.0, second=1.0))
    with Scanner(with_second(tmp_path)) as scanner:
        finding = scanner.scan(clips / "pale.mp4")
    assert (finding.verdict, finding.second_opinion) == (Verdict.UNSURE, None)
    assert said(finding) == [ReasonCode.FACES_TOO_SMALL]


def test_a_picture_has_one_crop_to_show(tmp_path: Path, clips: Path) -> None:
    unsure = Thresholds(real=0.0, fake=1.0)
    red = write_bundle(tmp_path / "red", thresholds=unsure)
    write_tower_bundle(tmp_path / "thorough", beside=beside(red, CROPS, first=0.0, second=1.0))
    with Scanner(with_second(tmp_path)) as scanner:
        finding = scanner.scan(clips / "red.jpg")
    assert finding.verdict is Verdict.FAKE
    assert finding.second_opinion is not None
    assert finding.second_opinion.crops == 1
    assert said(finding)[-1] is ReasonCode.SINGLE_PICTURE


def test_a_second_model_that_is_spoilt_costs_no_verdict(clips: Path, tmp_path: Path) -> None:
    red = write_bundle(tmp_path / "red", thresholds=WIDE)
    write_tower_bundle(tmp_path / "thorough", beside=beside(red, CROPS, first=0.0, second=1.0))
    (tmp_path / "thorough" / TOWER).write_bytes(b"something else")
    with Scanner(with_second(tmp_path)) as scanner:
        for _ in range(2):
            finding = scanner.scan(clips / "pale.mp4")
            assert (finding.verdict, finding.second_opinion) == (Verdict.UNSURE, None)
            assert said(finding) == [ReasonCode.BETWEEN_THRESHOLDS, ReasonCode.SECOND_OPINION]
            assert "tower.onnx differs" in finding.reasons[1].text


# ---- Whom to ask


def found(settings: Settings, memory: Path = Path("/nowhere")) -> BundleInfo | NoSecondModel:
    return find_second(settings, read_bundle(settings.bundle_folder).manifest, memory)


def refusal(settings: Settings, memory: Path = Path("/nowhere")) -> Absence:
    nobody = found(settings, memory)
    assert isinstance(nobody, NoSecondModel)
    assert nobody.sentence.endswith(".")
    return nobody.why


def test_nobody_is_asked_for_a_reason(models: Path, tmp_path: Path) -> None:
    assert isinstance(found(with_second(models)), BundleInfo)
    assert refusal(with_second(models, second_opinion__ask="never")) is Absence.NOT_WANTED
    assert refusal(with_second(models, second_opinion__bundle="other")) is Absence.NOT_INSTALLED
    assert refusal(with_second(models, second_opinion__bundle="red")) is Absence.NOT_WANTED
    write_bundle(tmp_path / "plain")
    plain = str(tmp_path / "plain")
    assert refusal(with_second(models, second_opinion__bundle=plain)) is Absence.UNUSABLE


def test_without_its_weights_it_is_not_installed(tmp_path: Path) -> None:
    red = write_bundle(tmp_path / "red")
    write_tower_bundle(tmp_path / "thorough", beside=beside(red, CROPS, first=0.0, second=1.0))
    (tmp_path / "thorough" / TOWER).unlink()
    nobody = found(with_second(tmp_path))
    assert isinstance(nobody, NoSecondModel)
    assert nobody.why is Absence.NOT_INSTALLED
    assert nobody.remedy.endswith("truelight models add thorough")


def test_a_rule_holds_for_the_model_that_it_was_fitted_for(tmp_path: Path) -> None:
    red = write_bundle(tmp_path / "red")
    other = beside(red, CROPS, first=0.0, second=1.0).model_copy(update={"features": "0" * 64})
    write_tower_bundle(tmp_path / "thorough", beside=other)
    assert refusal(with_second(tmp_path)) is Absence.OTHER_MODEL


@pytest.mark.parametrize(
    ("kilobytes", "ask", "asked"),
    [
        (8_245_844, "auto", True),
        (1_893_000, "auto", True),  # a Pi 4 with 2 GB: the rest is the graphics'
        (947_000, "auto", False),
        (947_000, "always", True),
    ],
)
def test_a_small_machine_is_spared(
    models: Path, tmp_path: Path, kilobytes: int, ask: str, asked: bool
) -> None:
    memory = tmp_path / "meminfo"
    memory.write_text(f"MemTotal:  {kilobytes} kB\nMemFree:  1 kB\n")
    assert megabytes("MemTotal", memory) == kilobytes / 1000
    assert megabytes("MemAvailable", memory) is None
    someone = found(with_second(models, second_opinion__ask=ask), memory)
    assert isinstance(someone, BundleInfo) is asked
    if isinstance(someone, NoSecondModel):
        assert someone.why is Absence.MEMORY


# ---- Loaded and unloaded

CROP = {1: [np.full((SIDE, SIDE, 3), level, np.uint8) for level in range(10)]}


def second_model(models: Path, memory: Path) -> SecondModel:
    settings = with_second(models)
    second = found(settings)
    assert isinstance(second, BundleInfo)
    return SecondModel(second, settings, memory, idle=0.02)


def test_it_is_loaded_when_needed_and_unloaded_when_memory_is_tight(
    models: Path, tmp_path: Path
) -> None:
    memory = tmp_path / "meminfo"
    memory.write_text("MemAvailable:  1000000 kB\n")
    second = second_model(models, memory)
    assert not second.loaded
    for _ in range(2):
        memory.write_text("MemAvailable:  1000000 kB\n")
        assert len(second.answers(CROP, lambda _: None)[1].swapped) == 10
        assert second.loaded
        memory.write_text("MemAvailable:  100000 kB\n")
        until(lambda: not second.loaded)
    with pytest.raises(TruelightError, match="only 100 MB of memory are free"):
        second.answers(CROP, lambda _: None)
    second.close()


def test_it_is_loaded_ahead_where_there_is_memory_for_both(models: Path, tmp_path: Path) -> None:
    memory = tmp_path / "meminfo"
    for available, loaded in ((799_000, False), (801_000, True)):
        memory.write_text(f"MemAvailable:  {available} kB\n")
        second = second_model(models, memory)
        second.prepare()
        assert second.loaded is loaded
        assert len(second.answers(CROP, lambda _: None)[1].swapped) == 10
        second.close()


def test_a_spoilt_model_is_refused_when_it_is_asked(tmp_path: Path) -> None:
    red = write_bundle(tmp_path / "red", thresholds=WIDE)
    write_tower_bundle(tmp_path / "thorough", beside=beside(red, CROPS, first=0.0, second=1.0))
    (tmp_path / "thorough" / TOWER).write_bytes(b"something else")
    second = second_model(tmp_path, Path("/proc/meminfo"))
    second.prepare()
    with pytest.raises(TruelightError, match=r"tower\.onnx differs"):
        second.answers(CROP, lambda _: None)
    second.close()


def test_it_can_be_cancelled(models: Path) -> None:
    second = second_model(models, Path("/nowhere"))

    def cancel(_: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        second.answers(CROP, cancel)
    second.close()
    assert not second.loaded


def test_faces_without_a_crop_leave_the_verdict_as_it_is(
    models: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a crowd, no crops are kept of those who were seen least."""
    monkeypatch.setattr("edge.scan.tracks.MOST_KEPT", 0)
    with Scanner(with_second(models)) as scanner:
        finding = scanner.scan(clips / "pale.mp4")
    assert (finding.verdict, finding.second_opinion) == (Verdict.UNSURE, None)
    assert finding.reasons[-1].text == "There is no second opinion: there are too many faces."
    assert "second" not in finding.seconds


# ---- What it changes. Pure


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[BundleInfo, BundleInfo]:
    """What the two bundles say of themselves: half of the first's logit, twice the second's."""
    folder = tmp_path_factory.mktemp("pair")
    red = write_bundle(folder / "red", thresholds=WIDE)
    rule = beside(red, CROPS, first=0.5, second=2.0, offset=-1.0)
    thorough = write_tower_bundle(folder / "thorough", beside=rule)
    return read_bundle(red), read_bundle(thorough)


def judged(first: BundleInfo, *faces: Face, context: ClipContext = CLIP) -> Finding:
    return judge(unjudged(first.manifest, *faces), first.manifest, context)


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ((3.0, 1.0), Verdict.FAKE),
        ((-2.0, -1.0), Verdict.REAL),
        ((0.5, 0.5), Verdict.UNSURE),
    ],
)
def test_the_second_answer_changes_the_verdict(
    pair: tuple[BundleInfo, BundleInfo], answers: tuple[float, float], verdict: Verdict
) -> None:
    first, second = pair
    before = judged(first, face(0.5, 1.5))
    assert before.verdict is Verdict.UNSURE
    after = reconsider(before, {1: FaceAnswers(answers)}, second, 1.25)
    lean = 0.5 * 1.0 + 2.0 * sum(answers) / 2 - 1.0
    assert after.fake_probability == pytest.approx(1 / (1 + math.exp(-lean)))
    assert (after.verdict, after.thresholds) == (verdict, Thresholds(real=0.3, fake=0.7))
    assert after.faces[0].fake_probability == after.fake_probability
    assert after.faces[0].windows == before.faces[0].windows
    opinion = after.second_opinion
    assert opinion is not None
    assert (opinion.model, opinion.seconds, opinion.crops) == (second.model, 1.25, 2)
    assert opinion.faces[0].logit == pytest.approx(sum(answers) / 2)
    assert opinion.faces[0].probability_before == before.fake_probability


def test_the_worst_face_by_both_decides(pair: tuple[BundleInfo, BundleInfo]) -> None:
    """Here it is the one that the first took for the better."""
    first, second = pair
    small = face(3.0, number=3, face_px=10)
    before = judged(first, face(1.0), face(0.0, number=2), small)
    assert in_doubt(before) == (1, 2)
    after = reconsider(before, {1: FaceAnswers([-3.0]), 2: FaceAnswers([3.0])}, second, 0.1)
    assert after.verdict is Verdict.FAKE
    one, two, three = (face.fake_probability for face in after.faces)
    rule = second.manifest.beside
    assert rule is not None
    assert (one, two) == (rule.probability(1.0, -3.0), rule.probability(0.0, 3.0))
    assert after.fake_probability == two
    assert three == before.faces[2].fake_probability
    assert "on 2 faces" in after.reasons[1].text


def test_a_generated_face_is_fake_whatever_the_swap_head_says(
    pair: tuple[BundleInfo, BundleInfo],
) -> None:
    first, second = pair
    rule = second.manifest.beside
    assert rule is not None
    asked = rule.model_copy(update={"generated": Calibration(scale=1.0, offset=0.0)})
    both = replace(second, manifest=second.manifest.model_copy(update={"beside": asked}))
    before = judged(first, face(1.0), face(0.0, number=2))
    answers = {1: FaceAnswers([-3.0], [3.0]), 2: FaceAnswers([-3.0], [-3.0])}
    after = reconsider(before, answers, both, 0.1)
    assert after.verdict is Verdict.FAKE
    assert after.fake_probability == pytest.approx(1 / (1 + math.exp(-3)))
    assert "face 1 looks generated" in after.reasons[0].text
    assert "; of being generated: 95 %" in after.reasons[1].text
    assert after.faces[1].fake_probability == pytest.approx(1 / (1 + math.exp(3)))

    swapped = reconsider(before, {**answers, 2: FaceAnswers([3.0], [-3.0])}, both, 0.1)
    assert "2 faces look swapped or generated" in swapped.reasons[0].text
    real = reconsider(before, {n: FaceAnswers([-3.0], [-3.0]) for n in (1, 2)}, both, 0.1)
    assert real.verdict is Verdict.REAL
    assert "no face looks swapped or generated" in real.reasons[0].text
    # Not enough for FAKE, too much for REAL.
    perhaps = reconsider(before, {1: FaceAnswers([-3.0], [0.0]), 2: answers[2]}, both, 0.1)
    assert perhaps.verdict is Verdict.UNSURE


def test_a_single_picture_is_not_called_real_if_the_model_forbids_it(
    pair: tuple[BundleInfo, BundleInfo],
) -> None:
    first, second = pair
    picture = ClipContext(frames=1)
    before = judged(first, face(1.0), context=picture)
    after = reconsider(before, {1: FaceAnswers([-3.0])}, second, 0.1)
    assert withhold_real(after, QualityLimits()).verdict is Verdict.REAL
    withheld = withhold_real(after, QualityLimits(real_pictures=False))
    assert withheld.verdict is Verdict.UNSURE
    assert "never called REAL" in withheld.reasons[0].text
    film = reconsider(judged(first, face(1.0)), {1: FaceAnswers([-3.0])}, second, 0.1)
    assert withhold_real(film, QualityLimits(real_pictures=False)).verdict is Verdict.REAL


def test_only_what_lies_between_the_thresholds_is_in_doubt(
    pair: tuple[BundleInfo, BundleInfo],
) -> None:
    first, _ = pair
    unsure = judged(first, face(1.0))
    assert in_doubt(unsure) == (1,)
    assert in_doubt(judged(first, face(30.0))) == ()
    assert in_doubt(judged(first, face(1.0, face_px=10))) == ()
    assert in_doubt(judged(first)) == ()
    assert in_doubt(unsure.replaced(verdict=Verdict.REAL)) == ()


def test_remarks_on_the_clip_stay(pair: tuple[BundleInfo, BundleInfo]) -> None:
    first, second = pair
    damaged = ClipContext(frames=24, step=STEP, damaged=True)
    before = judged(first, face(1.0), context=damaged)
    after = reconsider(before, {1: FaceAnswers([3.0])}, second, 0.1)
    assert [reason.code for reason in after.reasons] == [
        ReasonCode.ABOVE_FAKE_THRESHOLD,
        ReasonCode.SECOND_OPINION,
        ReasonCode.DAMAGED,
    ]
