"""A second opinion: when it is asked for, what it changes, what becomes of one that fails."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundles import SLOPE, beside, write_bundle, write_tower_bundle
from waiting import until

from edge.finding import Box, Finding, Model, Quality, ReasonCode, Thresholds, Verdict
from edge.scan.model.bundle import read_manifest
from edge.scan.model.ensemble import combined, in_doubt, reconsider
from edge.scan.model.manifest import TOWER, Manifest, QualityLimits
from edge.scan.model.second_opinion import (
    Absence,
    NoSecondModel,
    SecondModel,
    SecondOpinionScan,
    find_second,
    megabytes,
)
from edge.scan.progress import Cancelled
from edge.scan.scanner import Scanner
from edge.scan.verdict import ClipContext, Judgement, TrackEvidence, WindowLogit, judge
from edge.settings import Settings, load_settings

WIDE = Thresholds(real=0.001, fake=0.9999)
"""Between these lies what `red` says of most faces."""
CROPS = 6
MODEL = Model(name="thorough", version="1", sha256="0" * 64)
CLIP = ClipContext(frames=24, seconds=3.0)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles: `red`, which is unsure of nearly all, and `thorough`, which alone decides."""
    folder = tmp_path_factory.mktemp("models")
    red = write_bundle(folder / "red", thresholds=WIDE)
    write_tower_bundle(folder / "thorough", beside=beside(red, CROPS, first=0.0, second=1.0))
    return folder


def with_second(models: Path, **said: object) -> Settings:
    """Settings with `red` first; what else is said, as second_opinion__ask."""
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


def found(settings: Settings, memory: Path = Path("/nowhere")) -> SecondModel | NoSecondModel:
    return find_second(settings, read_manifest(settings.bundle_folder)[0], memory)


def refusal(settings: Settings, memory: Path = Path("/nowhere")) -> Absence:
    nobody = found(settings, memory)
    assert isinstance(nobody, NoSecondModel)
    assert nobody.sentence.endswith(".")
    return nobody.why


def test_nobody_is_asked_for_a_reason(models: Path, tmp_path: Path) -> None:
    assert isinstance(found(with_second(models)), SecondModel)
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
    assert isinstance(someone, SecondModel) is asked
    if isinstance(someone, NoSecondModel):
        assert someone.why is Absence.MEMORY


# ---- Loaded and let go


class Stillness:
    """A clip that was looked at: its judgement by `red` and its crops."""

    def __init__(self, adviser: SecondOpinionScan, first: Manifest) -> None:
        self.judgement = judge([track(0.0)], first, CLIP)
        self.telling = adviser.telling()
        box, quality = track(0.0).box, track(0.0).quality
        for level in range(10):
            self.telling.add(1, np.full((200, 200, 3), level, np.uint8), box, quality)


def track(*logits: float, number: int = 1, face_px: float = 100) -> TrackEvidence:
    return TrackEvidence(
        id=number,
        first_second=0.0,
        last_second=3.0,
        frames=24,
        seen_seconds=3.0,
        box=Box(x=10, y=10, width=face_px, height=face_px),
        quality=Quality(face_px=face_px, light=100, sharpness=100),
        windows=tuple(WindowLogit(at, at + 1.0, logit) for at, logit in enumerate(logits)),
    )


def adviser(models: Path, memory: Path) -> tuple[SecondOpinionScan, Manifest]:
    settings = with_second(models)
    second, (first, _) = found(settings), read_manifest(settings.bundle_folder)
    assert isinstance(second, SecondModel)
    return SecondOpinionScan(second, first, settings, memory, idle=0.02), first


def test_it_is_loaded_when_needed_and_goes_when_memory_is_tight(
    models: Path, tmp_path: Path
) -> None:
    memory = tmp_path / "meminfo"
    memory.write_text("MemAvailable:  1000000 kB\n")
    asked, first = adviser(models, memory)
    clip = Stillness(asked, first)
    assert not asked.loaded
    for _ in range(2):
        memory.write_text("MemAvailable:  1000000 kB\n")
        judgement = asked.consider(clip.judgement, clip.telling, lambda: None)
        assert judgement.second_opinion is not None
        assert asked.loaded
        memory.write_text("MemAvailable:  100000 kB\n")
        until(lambda: not asked.loaded)
    judgement = asked.consider(clip.judgement, clip.telling, lambda: None)
    assert judgement.verdict is Verdict.UNSURE
    assert judgement.reasons[-1].text == (
        "There is no second opinion: only 100 MB of memory are free."
    )
    asked.close()


def test_asking_may_be_given_up(models: Path) -> None:
    asked, first = adviser(models, Path("/nowhere"))
    clip = Stillness(asked, first)

    def cancel() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        asked.consider(clip.judgement, clip.telling, cancel)
    asked.close()
    assert not asked.loaded


def test_a_face_of_which_no_crop_was_kept_leaves_the_verdict_as_it_is(models: Path) -> None:
    asked, first = adviser(models, Path("/nowhere"))
    crowd = judge([track(0.0), track(0.0, number=2)], first, CLIP)
    after = asked.consider(crowd, Stillness(asked, first).telling, lambda: None)
    assert (after.verdict, after.second_opinion) == (Verdict.UNSURE, None)
    assert after.reasons[-1].text == "There is no second opinion: there are too many faces."
    assert not asked.loaded


# ---- What it changes. Pure


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Manifest]:
    """What the two bundles say of themselves: half of the first's logit, twice the second's."""
    folder = tmp_path_factory.mktemp("pair")
    red = write_bundle(folder / "red", thresholds=WIDE)
    rule = beside(red, CROPS, first=0.5, second=2.0, offset=-1.0)
    thorough = write_tower_bundle(folder / "thorough", beside=rule)
    return read_manifest(red)[0], read_manifest(thorough)[0]


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ((3.0, 1.0), Verdict.FAKE),
        ((-2.0, -1.0), Verdict.REAL),
        ((0.5, 0.5), Verdict.UNSURE),
    ],
)
def test_the_second_answer_changes_the_verdict(
    pair: tuple[Manifest, Manifest], answers: tuple[float, float], verdict: Verdict
) -> None:
    first, second = pair
    before = judge([track(0.5, 1.5)], first, CLIP)
    assert before.verdict is Verdict.UNSURE
    after = reconsider(before, {1: answers}, first, second, MODEL, 1.25)
    lean = 0.5 * 1.0 + 2.0 * sum(answers) / 2 - 1.0
    assert after.fake_probability == pytest.approx(1 / (1 + math.exp(-lean)))
    assert (after.verdict, after.thresholds) == (verdict, Thresholds(real=0.3, fake=0.7))
    assert after.faces[0].fake_probability == after.fake_probability
    assert after.faces[0].windows == before.faces[0].windows
    opinion = after.second_opinion
    assert opinion is not None
    assert (opinion.model, opinion.seconds, opinion.crops) == (MODEL, 1.25, 2)
    assert opinion.faces[0].logit == pytest.approx(sum(answers) / 2)
    assert opinion.faces[0].probability_before == before.fake_probability


def test_the_worst_face_by_both_decides(pair: tuple[Manifest, Manifest]) -> None:
    """Here it is the one that the first took for the better."""
    first, second = pair
    small = track(3.0, number=3, face_px=10)
    before = judge([track(1.0), track(0.0, number=2), small], first, CLIP)
    assert in_doubt(before) == (1, 2)
    after = reconsider(before, {1: [-3.0], 2: [3.0]}, first, second, MODEL, 0.1)
    assert after.verdict is Verdict.FAKE
    one, two, three = (face.fake_probability for face in after.faces)
    rule = second.beside
    assert rule is not None
    assert (one, two) == (combined(1.0, -3.0, rule), combined(0.0, 3.0, rule))
    assert after.fake_probability == two
    assert three == before.faces[2].fake_probability
    assert "on 2 faces" in after.reasons[1].text


def test_only_what_lies_between_the_thresholds_is_in_doubt(
    pair: tuple[Manifest, Manifest],
) -> None:
    first, _ = pair
    unsure = judge([track(1.0)], first, CLIP)
    assert in_doubt(unsure) == (1,)
    assert in_doubt(judge([track(30.0)], first, CLIP)) == ()
    assert in_doubt(judge([track(1.0, face_px=10)], first, CLIP)) == ()
    assert in_doubt(judge([], first, CLIP)) == ()
    assert in_doubt(replace(unsure, verdict=Verdict.REAL)) == ()


def test_remarks_on_the_clip_stay(pair: tuple[Manifest, Manifest]) -> None:
    first, second = pair
    damaged = replace(CLIP, damaged=True)
    before: Judgement = judge([track(1.0)], first, damaged)
    after = reconsider(before, {1: [3.0]}, first, second, MODEL, 0.1)
    assert [reason.code for reason in after.reasons] == [
        ReasonCode.ABOVE_FAKE_THRESHOLD,
        ReasonCode.SECOND_OPINION,
        ReasonCode.DAMAGED,
    ]
