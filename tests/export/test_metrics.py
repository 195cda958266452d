"""Figures of merit against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from export.metrics import (
    auc,
    auc_interval,
    bootstrap_interval,
    calibration_error,
    reliability,
    roc,
    true_positives_at,
    weighted_auc,
    weighted_mean,
    wilson,
)

scored = st.lists(
    st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=12
)
"""Label, score and weight of a few files, with many equal scores."""


def test_auc_is_the_chance_that_a_fake_scores_above_a_real() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 60), rng.integers(0, 9, 60) / 9
    fakes, reals = scores[labels == 1], scores[labels == 0]
    pairs = [(f > r) + 0.5 * (f == r) for f in fakes for r in reals]
    assert auc(labels, scores) == pytest.approx(np.mean(pairs))
    assert weighted_auc(labels, scores, np.ones(60)) == pytest.approx(np.mean(pairs))
    assert math.isnan(auc([1, 1], [0.2, 0.3]))


def test_fewer_sources_give_a_wider_interval() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 200)
    scores = labels + rng.normal(0, 1.5, 400)
    many = auc_interval(labels, scores, [str(i) for i in range(400)], draws=300)
    few = auc_interval(labels, scores, [str(i % 5) for i in range(400)], draws=300)
    lumps = np.repeat(rng.normal(0, 3, 8), 50)
    lumped = auc_interval(labels, scores + lumps, [str(i // 50) for i in range(400)], draws=300)
    assert many[0] < auc(labels, scores) < many[1]
    assert lumped[1] - lumped[0] > 2 * (many[1] - many[0])
    assert few[0] < auc(labels, scores) < few[1]


def test_overconfidence_raises_the_calibration_error() -> None:
    rng = np.random.default_rng(2)
    p = rng.uniform(0, 1, 4000)
    labels = rng.uniform(0, 1, 4000) < p
    assert calibration_error(labels, p) < 0.03
    assert calibration_error(labels, np.where(p > 0.5, 0.99, 0.01)) > 0.2


@given(scored)
@settings(deadline=None)
def test_a_weight_of_k_equals_k_copies(drawn: list[tuple[bool, int, int]]) -> None:
    labels, scores, weights = (np.array(column) for column in zip(*drawn, strict=True))
    again = np.repeat(labels, weights), np.repeat(scores, weights)
    for share in (0.0, 0.3):
        few = true_positives_at(share, labels, scores, weights)
        assert few == pytest.approx(true_positives_at(share, *again), nan_ok=True)
    assert weighted_auc(labels, scores, weights) == pytest.approx(auc(*again), nan_ok=True)
    both = weighted_auc(labels, scores, np.stack([weights, np.ones(len(labels))]))
    assert both == pytest.approx([auc(*again), auc(labels, scores)], nan_ok=True)


@given(scored)
@settings(deadline=None)
def test_the_auc_is_that_of_scikit_learn(drawn: list[tuple[bool, int, int]]) -> None:
    labels, scores, weights = (np.array(column) for column in zip(*drawn, strict=True))
    if all((weights * (labels == label)).sum() for label in (0, 1)):
        expected = roc_auc_score(labels, scores, sample_weight=weights)
        assert weighted_auc(labels, scores, weights) == pytest.approx(expected)


@given(scored)
@settings(deadline=None)
def test_negated_scores_and_labels_keep_the_auc(drawn: list[tuple[bool, int, int]]) -> None:
    labels, scores, _ = (np.array(column) for column in zip(*drawn, strict=True))
    assert auc(~labels, -scores) == pytest.approx(auc(labels, scores), nan_ok=True)


def test_roc_of_a_small_example() -> None:
    labels, scores = [0, 0, 1, 1, 1], [0.2, 0.6, 0.6, 0.9, 0.1]
    false, true = roc(labels, scores)
    assert false.tolist() == pytest.approx([0, 0, 1 / 2, 1, 1])
    assert true.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3, 1])
    assert true_positives_at(0.01, labels, scores) == pytest.approx(1 / 3)
    assert true_positives_at(0.5, labels, scores) == pytest.approx(2 / 3)


def test_the_bootstrap_draws_sources() -> None:
    values, sources = np.array([0.0, 0.0, 1.0, 1.0, 1.0]), ["a", "a", "b", "b", "b"]
    low, high = bootstrap_interval(
        sources, lambda weights: weighted_mean(values, weights), draws=400
    )
    assert (low, high) == (0.0, 1.0), "a, a or b, b are drawn half of the time"
    assert math.isnan(bootstrap_interval([], lambda weights: weights.sum(axis=-1))[0])
    again = bootstrap_interval(sources, lambda w: weighted_mean(values, w), draws=400)
    assert again == (low, high)


def test_bins_have_equal_counts() -> None:
    p = np.linspace(0, 1, 40)
    bins = reliability(p > 0.5, p, 4)
    assert [each.count for each in bins] == [10] * 4
    assert [each.fakes for each in bins] == [0, 0, 1, 1]
    assert all(each.low <= each.probability <= each.high for each in bins)


def test_wilson_intervals() -> None:
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
