"""Figures of what was judged, against values computed by hand and against their definitions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edge.errors import TruelightError
from edge.finding import Thresholds, Verdict, verdict_of
from export.evaluate.card_figures import card_figures
from export.evaluate.figures import Figures, Group
from export.evaluate.records import Condition, FaceView, Prediction, read_scores, write_scores
from export.evaluate.summary import figures
from export.evaluate.views import typology_angle

NUMBER = itertools.count()


def clip(
    label: str, probability: float | None, source: str = "s", method: str = "-", **more: object
) -> Prediction:
    """A clip judged with thresholds 0.3 and 0.7."""
    verdict = Verdict.NO_FACE
    if probability is not None:
        verdict = verdict_of(probability, Thresholds(real=0.3, fake=0.7))
    values = {"file": f"{next(NUMBER)}.mp4", "fake": label == "FAKE", "source": source, **more}
    return Prediction(
        method=method,
        verdict=verdict,
        probability=probability,
        **values,  # type: ignore[arg-type]
    )


def changed(p: Prediction, **changes: object) -> Prediction:
    return p.model_copy(update=changes)


@pytest.fixture
def few() -> list[Prediction]:
    """Six clips of three sources, one of them without a face."""
    return [
        clip("REAL", 0.1, "a", file="a.mp4", dataset="one"),
        clip("FAKE", 0.8, "a", "swap", pair="a.mp4", dataset="one"),
        clip("FAKE", 0.1, "a", "mouth", pair="a.mp4", dataset="one"),
        clip("REAL", 0.9, "b", file="b.mp4", dataset="two"),
        clip("FAKE", 0.6, "b", "swap", pair="b.mp4", dataset="two"),
        clip("REAL", None, "c", dataset="two"),
    ]


def group(groups: Sequence[Group], name: str) -> Group:
    return next(each for each in groups if each.name == name)


def test_the_whole_by_hand(few: list[Prediction]) -> None:
    m = figures(few)
    assert (m.clips, m.reals, m.fakes, m.sources) == (6, 3, 3, 3)
    # Fakes 0.8, 0.1, 0.6 against reals 0.1, 0.9: above, equal, above; below, below, below.
    assert m.auc == pytest.approx(2.5 / 6)
    # Of source a two fakes weigh a half each, of b one weighs a whole one.
    assert m.auc_sources == pytest.approx((0.5 * 1 + 0.5 * 0.5 + 1 * 1) / 4)
    assert m.accuracy == pytest.approx(3 / 5)
    assert m.brier == pytest.approx((0.01 + 0.04 + 0.81 + 0.81 + 0.16) / 5)
    assert (m.false_alarms, m.missed) == pytest.approx((1 / 3, 1 / 3))
    assert (m.unsure, m.no_face) == pytest.approx((1 / 6, 1 / 6))
    assert m.unreadable == 0
    assert m.decided == pytest.approx(4 / 6)
    assert m.accuracy_when_decided == 0.5
    assert m.at_false_alarms == {"0.01": 0.0, "0.05": 0.0}, "a real stands above all fakes"
    assert sum(each.count for each in m.reliability) == 5


def test_fakes_beside_their_own_originals(few: list[Prediction]) -> None:
    pairs = figures(few).pairs
    assert pairs.pairs == 3
    assert pairs.above == pytest.approx((1 + 0.5 + 0) / 3)
    # Without names the reals of the same source are meant; a source without reals has none.
    nameless = [changed(j, pair="") for j in few] + [clip("FAKE", 0.5, "lonely")]
    assert figures(nameless).pairs.pairs == 3
    more = [*nameless, clip("REAL", 0.7, "a")]
    assert figures(more).pairs.above == pytest.approx((1 + 0.25 + 0) / 3)


def test_groups_by_hand(few: list[Prediction]) -> None:
    m = figures(few)
    assert [each.name for each in m.by_method] == ["(real)", "mouth", "swap"]
    swap = group(m.by_method, "swap")
    assert (swap.reals, swap.fakes) == (0, 2)
    assert swap.auc == pytest.approx(2 / 4)
    assert (swap.right, swap.wrong, swap.unsure, swap.missed) == (1, 0, 1, 0.0)
    assert group(m.by_method, "mouth").auc == pytest.approx(0.25)
    assert group(m.by_method, "mouth").auc_same_sources == 0.5
    assert [each.name for each in m.by_source] == ["a", "b", "c"]
    assert group(m.by_source, "b").auc == 0.0
    assert group(m.by_source, "c").auc is None
    assert group(m.by_dataset, "one").auc == pytest.approx(0.75)
    assert group(m.by_dataset, "two").no_face == 1


def under(judged: Sequence[Prediction], change: float, **condition: object) -> list[Prediction]:
    """The same clips under another condition, their probabilities moved towards 0.5."""
    made = Condition(**condition)  # type: ignore[arg-type]
    return [
        changed(j, condition=made, probability=change)
        if j.fake and j.probability is not None
        else changed(j, condition=made)
        for j in judged
    ]


def test_conditions_are_kept_apart(few: list[Prediction]) -> None:
    worse = under(few, 0.05, compression="h264 crf 40")
    short = [changed(j, looked_at=9) for j in under(few, 0.95, frames=10)]
    both = [
        changed(j, asked=j.fake, seconds=3.0, memory=500.0) for j in under(few, 0.95, second=True)
    ]
    plain = [changed(j, seconds=1.0, memory=200.0) for j in few]
    m = figures([*plain, *worse, *short, *both])
    assert m.model_dump(exclude=LATER) == figures(plain).model_dump(exclude=LATER)
    assert [way.name for way in m.by_compression] == ["as is", "h264 crf 40"]
    assert m.by_compression[0].auc_loss is None
    assert m.by_compression[1].auc == 0.0
    assert m.by_compression[1].auc_loss == pytest.approx(m.auc)
    (frames,) = m.by_frames
    assert (frames.name, frames.frames, frames.looked_at, frames.auc) == ("first 10", 10, 9.0, 1.0)
    second = m.second_opinion
    assert second is not None
    assert (second.asked, second.seconds_when_asked) == (0.5, 3.0)
    assert second.alone.auc == pytest.approx(m.auc)
    assert second.together.auc == 1.0
    assert (second.alone.seconds, second.alone.memory) == (1.0, 200.0)
    assert (second.together.seconds, second.together.memory) == (3.0, 500.0)
    assert (second.by_compression, second.by_frames) == ((), ())
    low, high = second.together.false_alarms_interval or (1.0, 0.0)
    assert low <= (second.together.false_alarms or 0.0) <= high


def test_conditions_are_measured_with_a_second_opinion_as_well(few: list[Prediction]) -> None:
    both = under(few, 0.95, second=True)
    worse = under(few, 0.05, second=True, compression="h264 crf 40")
    short = under(few, 0.95, second=True, frames=10)
    m = figures([*few, *both, *worse, *short])
    assert (len(m.by_compression), m.by_frames) == (1, ())
    second = m.second_opinion
    assert second is not None
    assert [way.name for way in second.by_compression] == ["as is", "h264 crf 40"]
    assert [way.auc for way in second.by_compression] == [1.0, 0.0]
    assert second.by_compression[1].auc_loss == 1.0
    assert second.by_compression[1].missed_interval is not None
    assert [frames.auc for frames in second.by_frames] == [1.0]
    assert [each.name for each in second.by_method] == ["(real)", "mouth", "swap"]
    assert group(second.by_method, "swap").missed_interval is not None
    assert group(second.by_dataset, "two").false_alarms_interval is not None
    card = {figure.name: figure for figure in card_figures(m, "few", "command")}
    for name in (
        "false positive rate, h264 crf 40, with a second opinion",
        "false negative rate, first 10 frames judged, with a second opinion",
        "false negative rate, swap, 2 fake, with a second opinion",
        "false positive rate, data set two, 2 real, with a second opinion",
        "UNSURE, with a second opinion, share",
    ):
        assert card[name].low is not None, name
        assert card[name].high is not None


LATER = {"by_compression", "by_frames", "by_view", "second_opinion"}


def test_clips_whose_faces_are_seen_alike_are_measured_together(few: list[Prediction]) -> None:
    small = FaceView(face_px=60, light=100, sharpness=300, roll=2, skin=50)
    large = FaceView(face_px=300, light=140, sharpness=30, roll=9)
    views = [small, large, small, large, large, None]
    seen = [changed(p, view=view) for p, view in zip(few, views, strict=True)]
    m = figures(seen)
    names = [each.name for each in m.by_view]
    assert names[:2] == ["faces up to 80 px", "faces above 250 px"]
    assert [name for name in names if "skin" in name] == ["apparent skin light (ITA above 41)"]
    first, second = m.by_view[:2]
    assert (first.reals, first.fakes, first.false_alarms, first.missed) == (1, 1, 0.0, 1.0)
    assert (second.reals, second.fakes, second.false_alarms, second.auc) == (1, 2, 1.0, 0.0)
    # With a second opinion its verdicts count.
    unsure = {"condition": Condition(second=True), "verdict": Verdict.UNSURE}
    both = [*seen, *(changed(p, **unsure) for p in seen)]
    assert figures(both).by_view[1].false_alarms == 0.0
    card = {figure.name for figure in card_figures(m, "few", "command")}
    assert "false positive rate, faces above 250 px, 1 real" in card
    assert "false negative rate, faces above 250 px, 2 fake" in card


def test_the_angle_tells_light_skin_from_dark() -> None:
    light = np.full((160, 160, 3), (230, 190, 160), np.uint8)
    assert typology_angle(light) > 41
    assert typology_angle(light // 3) < 10


def test_a_compression_that_hides_faces_is_compared_on_what_both_have(
    few: list[Prediction],
) -> None:
    unseen = [
        changed(
            j,
            condition=Condition(compression="small"),
            probability=None if j.file == "b.mp4" else j.probability,
        )
        for j in few
    ]
    small = figures([*few, *unseen]).by_compression[1]
    assert (small.scored, small.auc_loss) == (4, 0.0)
    assert small.auc == pytest.approx(2.5 / 3)


def test_one_class_alone_gives_no_figures() -> None:
    with pytest.raises(TruelightError, match="both needed"):
        figures([clip("REAL", 0.5), clip("FAKE", None)])


def test_scores_come_back_from_their_table(few: list[Prediction], tmp_path: Path) -> None:
    made = [changed(j, logit=0.125, looked_at=7, seconds=1.5, memory=321.0) for j in few]
    view = FaceView(face_px=60.5, light=100, sharpness=300, roll=2, skin=-12.5)
    made[0] = changed(made[0], view=view)
    judged = [*made, *under(made, 0.123456789, compression="jpeg 40"), *under(made, 0.5, frames=20)]
    judged += under(made, 0.5, second=True)
    write_scores(tmp_path / "one.tsv", judged[:10])
    write_scores(tmp_path / "two.tsv", judged[10:])
    assert read_scores([tmp_path / "one.tsv", tmp_path / "two.tsv"]) == judged
    (tmp_path / "bad.tsv").write_text("file\tlabel\nx.mp4\tREAL\n")
    for name in ("bad.tsv", "none.tsv"):
        with pytest.raises(TruelightError, match=name):
            read_scores([tmp_path / name])


def test_a_card_has_what_matters(few: list[Prediction]) -> None:
    m: Figures = figures([*few, *under(few, 0.05, compression="half size")])
    made = {figure.name: figure for figure in card_figures(m, "few clips", "evaluate")}
    assert made["AUC"].value == m.auc
    assert made["AUC, half size"].value == 0.0
    assert made["AUC, swap against all reals"].value == pytest.approx(0.5)
    assert made["fakes scored above their own original"].value == pytest.approx(0.5)
    assert {figure.data for figure in made.values()} == {"few clips: 3 real, 3 fake, 3 sources"}
    many = [*few, *(clip("FAKE", 0.5, "a", f"method {n}") for n in range(40))]
    card = {figure.name for figure in card_figures(figures(many), "", "")}
    assert "AUC, swap against all reals" in card
    assert sum("against all reals" in name for name in card) == 16, "forty would fill the card"
    assert "false positive rate, data set two, 2 real" in card
    cameras = [*few, *(clip("REAL", 0.5, "a", dataset=f"camera {n}") for n in range(40))]
    card = {figure.name for figure in card_figures(figures(cameras), "", "")}
    assert "false positive rate, data set two, 2 real" in card, "the largest are there"
    assert sum("false positive rate, data set" in name for name in card) == 16


def test_intervals_know_how_many_sources_there_are() -> None:
    rng = np.random.default_rng(0)
    drawn = [
        clip("FAKE" if n % 2 else "REAL", float(rng.beta(2 + n % 2, 3 - n % 2)), f"s{n}")
        for n in range(200)
    ]
    many = figures(drawn)
    few = figures([changed(j, source=f"s{n // 20}") for n, j in enumerate(drawn)])
    assert many.auc == few.auc
    for m in (many, few):
        assert m.auc_interval[0] < m.auc < m.auc_interval[1]
        assert m.missed_interval[0] <= m.missed <= m.missed_interval[1]
        for share, found in m.at_false_alarms.items():
            low, high = m.at_false_alarms_interval[share]
            assert low <= found <= high
