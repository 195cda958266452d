"""Figures of merit against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from export.evaluate import weighted_auc
from export.metrics import auc, calibration_error, interval


def test_auc_is_the_chance_that_a_fake_scores_above_a_real() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 60), rng.integers(0, 9, 60) / 9
    fakes, reals = scores[labels == 1], scores[labels == 0]
    pairs = [(f > r) + 0.5 * (f == r) for f in fakes for r in reals]
    assert auc(labels, scores) == pytest.approx(np.mean(pairs))
    assert weighted_auc(labels, scores, np.ones(60)) == pytest.approx(np.mean(pairs))
    assert math.isnan(auc([1, 1], [0.2, 0.3]))


def test_the_interval_grows_when_the_sources_are_few() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 200)
    scores = labels + rng.normal(0, 1.5, 400)
    many = interval(labels, scores, [str(i) for i in range(400)], draws=300)
    few = interval(labels, scores, [str(i % 5) for i in range(400)], draws=300)
    lumps = np.repeat(rng.normal(0, 3, 8), 50)
    lumped = interval(labels, scores + lumps, [str(i // 50) for i in range(400)], draws=300)
    assert many[0] < auc(labels, scores) < many[1]
    assert lumped[1] - lumped[0] > 2 * (many[1] - many[0])
    assert few[0] < auc(labels, scores) < few[1]


def test_calibration_error_of_honest_and_of_boastful_probabilities() -> None:
    rng = np.random.default_rng(2)
    p = rng.uniform(0, 1, 4000)
    labels = rng.uniform(0, 1, 4000) < p
    assert calibration_error(labels, p) < 0.03
    assert calibration_error(labels, np.where(p > 0.5, 0.99, 0.01)) > 0.2
