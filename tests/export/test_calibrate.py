"""Fits against simulated clips whose errors are known."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clips import write_image
from frontdoor import run
from redpale import PALE, RED, hang, photograph, tinted, wall

from edge.errors import TruelightError
from edge.finding import Verdict
from edge.scan.model.bundle import load_bundle
from export.cli.main import main
from export.evaluate.calibrate import fit
from export.evaluate.card_figures import fit_figures
from export.evaluate.samples import Sample
from export.metrics import at_most


def drawn(seed: int, sources: int, apart: float, clips: int = 1, inputs: int = 1) -> list[Sample]:
    """Normal logits; classes `apart` in the first input, sources differ as much as clips do."""
    rng = np.random.default_rng(seed)
    part = []
    for fake in (False, True):
        for source in range(sources):
            lean = rng.normal(0, 0.7)
            for _ in range(clips):
                logits = rng.normal(lean, 0.7, inputs)
                logits[0] += apart / 2 if fake else -apart / 2
                part.append(Sample(fake, f"{fake}{source}", tuple(map(float, logits))))
    return part


def share(said: Sequence[bool]) -> float:
    return sum(said) / len(said)


def test_unseen_clips_are_wrongly_judged_as_seldom_as_was_measured() -> None:
    found = fit(drawn(0, 150, 2.0), 0.05)
    unseen = drawn(1, 4000, 2.0)
    reals, fakes = [s for s in unseen if not s.fake], [s for s in unseen if s.fake]
    alarms = share([found.rule.verdict(s.logits) is Verdict.FAKE for s in reals])
    missed = share([found.rule.verdict(s.logits) is Verdict.REAL for s in fakes])
    assert found.fake.wrong <= 0.05
    assert found.real.wrong <= 0.05
    assert found.fake.wrong_at_most < 0.11
    # Within what 150 sources a class can tell of 5 % (two standard errors: 3.6 %).
    assert 0.014 < alarms < 0.086
    assert 0.014 < missed < 0.086
    right = share([found.rule.verdict(s.logits) is Verdict.FAKE for s in fakes])
    assert found.fake.right == pytest.approx(right, abs=0.1)


def test_the_probability_is_the_true_one() -> None:
    """Normal classes of variance 1 and means -1 and 1: the log-odds are 2 * logit."""
    rng = np.random.default_rng(2)
    part = [
        Sample(fake, f"{i % 40}", (float(rng.normal(side)),))
        for fake, side in ((False, -1.0), (True, 1.0))
        for i in range(4000)
    ]
    rule = fit(part, 0.05).rule
    assert rule.weights[0] == pytest.approx(2.0, rel=0.1)
    assert rule.offset == pytest.approx(0.0, abs=0.1)


def test_the_rates_hold_under_each_condition_by_itself() -> None:
    """Compression moves every logit towards FAKE."""
    plain = drawn(4, 100, 2.5)
    worse = [replace(s, logits=(s.logits[0] + 1.0,), condition="worse") for s in plain]
    found = fit([*plain, *worse], 0.05)
    alarms = share([found.rule.verdict(s.logits) is Verdict.FAKE for s in worse if not s.fake])
    assert 0 < alarms <= 0.05
    assert found.fake.wrong < found.others["worse"].fake.wrong <= 0.05
    assert found.clips == found.others["worse"].clips == 200
    # A rule that never saw the worse clips does not hold for them.
    naive = fit(plain, 0.05).rule
    assert share([naive.verdict(s.logits) is Verdict.FAKE for s in worse if not s.fake]) > 0.1


def test_every_rate_is_recorded_with_its_interval() -> None:
    plain = drawn(4, 60, 2.5)
    worse = [replace(s, condition="worse") for s in plain if s.fake][:30]
    found = fit([*plain, *worse], 0.05)
    figures = {figure.name: figure for figure in fit_figures(found, "clips", models="alone")}
    wide = {}
    for figure in figures.values():
        assert figure.low is not None, figure.name
        assert figure.high is not None
        assert figure.low - 1e-9 <= figure.value <= figure.high + 1e-9
        wide[figure.name] = figure.high - figure.low
    assert wide["UNSURE, worse, share, alone"] > wide["UNSURE, share, alone"], "of 30 clips"
    assert "false positive rate (real clips called FAKE), worse, alone" not in figures, "no reals"


def test_errors_made_before_count_among_all_clips_of_the_class() -> None:
    """Fakes that were already called FAKE are not called REAL: more of the others may be."""
    part = drawn(5, 100, 1.5)
    fakes = [s for s in part if s.fake]
    known = {id(s) for s in sorted(fakes, key=lambda s: -s.logits[0])[:40]}
    split = [replace(s, decided=Verdict.FAKE) if id(s) in known else s for s in part]
    before, after = fit(part, 0.05), fit(split, 0.05)
    assert before.real.right > 0
    assert after.real.right >= before.real.right - 0.02
    assert after.real.wrong <= 0.05


def test_two_logits_weigh_by_their_information() -> None:
    """Independent normal logits: the log-odds are the sum of each one's own."""
    rng = np.random.default_rng(3)
    part = [
        Sample(fake, f"{i % 40}", (rng.normal(side), rng.normal(0.5 * side), rng.normal(-side)))
        for fake, side in ((False, -0.5), (True, 0.5))
        for i in range(4000)
    ]
    rule = fit(part, 0.05).rule
    assert rule.weights[0] == pytest.approx(1.0, abs=0.1)
    assert rule.weights[1] == pytest.approx(0.5, abs=0.1)
    assert rule.weights[2] == 0.0, "what tells the wrong way round tells nothing"
    probability = rule.probability((0.3, -0.2, 9.0))
    lean = 0.3 * rule.weights[0] - 0.2 * rule.weights[1] + rule.offset
    assert probability == pytest.approx(1 / (1 + math.exp(-lean)))


def test_a_source_with_many_clips_weighs_no_more_than_another() -> None:
    part = drawn(4, 12, 2.0)
    crowd = [s for s in part if s.source == "True0"] * 40
    once, often = fit(part, 0.05).rule, fit([*part, *crowd], 0.05).rule
    assert often.weights == pytest.approx(once.weights)
    assert often.offset == pytest.approx(once.offset)


@pytest.mark.parametrize("seed", range(8))
def test_left_out_sources_keep_to_the_error_however_few_they_are(seed: int) -> None:
    found = fit(drawn(seed, 15, 1.5, clips=3), 0.05)
    for word in (found.fake, found.real):
        assert word.wrong <= 0.05
        assert word.wrong_sources <= 0.05
    assert found.rule.thresholds.real <= 0.5 <= found.rule.thresholds.fake


def test_a_source_unlike_the_others_moves_the_threshold_out() -> None:
    """A real that scores like the worst fake, alone of its source: in-sample it is known."""
    part = drawn(5, 15, 4.0)
    strange = [*part, Sample(False, "strange", (3.0,)), Sample(False, "as strange", (3.1,))]
    usual, careful = fit(part, 0.05), fit(strange, 0.05)
    assert careful.rule.thresholds.fake > usual.rule.thresholds.fake
    assert careful.fake.wrong_sources <= 0.05
    assert careful.fake.right < usual.fake.right


def test_a_verdict_without_information_is_not_given() -> None:
    """Fakes that score as the reals do or lower: nothing above tells a fake."""
    rng = np.random.default_rng(6)
    part = [Sample(False, f"r{i}", (float(rng.normal()),)) for i in range(40)]
    part += [Sample(True, f"f{i}", (float(rng.uniform(-0.5, 0.5)),)) for i in range(40)]
    found = fit(part, 0.05)
    assert found.rule.thresholds.fake == 1.0
    assert found.rule.verdict((50.0,)) is not Verdict.FAKE
    assert (found.fake.wrong, found.fake.right) == (0.0, 0.0)
    assert Verdict.FAKE not in found.verdicts


def test_classes_that_cannot_be_separated_are_left_undecided() -> None:
    assert fit(drawn(7, 60, 0.0), 0.05).unsure > 0.85


def test_what_was_decided_before_counts_against_the_error() -> None:
    part = drawn(8, 40, 2.5, inputs=2)
    reals = [i for i, s in enumerate(part) if not s.fake]

    def after(errors: int) -> list[Sample]:
        wrong = set(reals[:errors])
        return [
            Sample(s.fake, s.source, s.logits, Verdict.FAKE if i in wrong else None)
            for i, s in enumerate(part)
        ]

    free, spent, over = (fit(after(errors), 0.05) for errors in (0, 2, 3))
    assert free.fake.wrong > 0
    assert spent.fake.wrong == pytest.approx(2 / 40), "what was said before, and no more"
    assert spent.rule.thresholds.fake > free.rule.thresholds.fake
    assert over.rule.thresholds.fake == 1.0
    assert over.real.right > 0, "the other word is not touched"


def test_the_bound_follows_the_rule_of_three() -> None:
    assert at_most(0, 60) == pytest.approx(3 / 60, rel=0.05)
    assert at_most(0, 58) > 0.05 > at_most(0, 59)
    # The definition: this number of errors or fewer occurs once in twenty times.
    rate, trials = at_most(2, 27), 27
    seen = sum(math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(3))
    assert seen == pytest.approx(0.05)
    assert at_most(4, 4) == 1.0
    assert at_most(0, 0) == 1.0


def test_one_source_is_too_few() -> None:
    part = [Sample(True, "a", (1.0,)), Sample(True, "b", (1.0,)), Sample(False, "c", (0.0,))]
    with pytest.raises(TruelightError, match="reals"):
        fit(part, 0.05)


def test_a_bundle_that_cannot_separate_these_clips_says_so_and_is_unsure(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every person is there as REAL and as FAKE, in the same colour."""
    mine, clips = tmp_path / "red", tmp_path / "clips"
    shutil.copytree(bundle, mine)
    clips.mkdir()
    rows = ["file\tlabel\tsource"]
    for number in range(8):
        picture = wall()
        hang(picture, tinted(photograph("obama"), RED if number % 4 < 2 else PALE), 100)
        write_image(clips / f"{number}.png", picture)
        rows.append(f"{number}.png\t{('REAL', 'FAKE')[number % 2]}\t{number // 2}")
    (clips / "labels.tsv").write_text("\n".join(rows) + "\n")
    assert main(["calibrate", str(mine), str(clips)]) == 0
    output = capsys.readouterr().out
    assert "REAL: never" in output
    assert "FAKE: never" in output
    assert "False positive rate 0.0% (0.0% to 49.0%) of 4 clips" in output
    thresholds = load_bundle(mine).manifest.thresholds
    assert (thresholds.real, thresholds.fake) == (0.0, 1.0)
    card = (mine / "CARD.md").read_text()
    assert "REAL never, FAKE never" in card
    assert "| false positive rate, every source weighing the same | 0 | 0 to 0.527 |" in card
    found = json.loads(run("scan", "--json", "--bundle", mine, clips / "1.png").stdout)
    assert (found["verdict"], found["reasons"][0]["code"]) == ("UNSURE", "between-thresholds")


def test_an_error_that_is_no_share_is_refused(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", str(bundle), str(tmp_path), "--error", "5"]) == 2
    assert "5 is not between 0 and 0.5" in capsys.readouterr().err
