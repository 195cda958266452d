"""From the logits of labelled clips to a probability: logistic regression (Platt 1999).

Weights are never negative. A normal prior draws each towards its part of 1 per standard deviation
of its logit, as if every source were one observation, so that a small set of clips does not turn a
weak score into certainty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from export.metrics import Floats

PRIOR_SPREAD = 2.5  # of the weights' normal prior (weakly informative: Gelman and others 2008)
LEAST_SPREAD = 1e-2  # of a logit; one that spreads less carries no information
LEAST_WEIGHT = 1e-3  # per standard deviation; a bundle's scale must be above 0


def regress(
    logits: Floats, fakes: NDArray[np.bool_], mass: Floats, sources: int
) -> tuple[Floats, float]:
    """The weights [k] of logits [n, k] and the offset; `mass` [n] weighs the clips, 1 in all."""
    mean = mass @ logits
    spread = np.maximum(np.sqrt(mass @ (logits - mean) ** 2), LEAST_SPREAD)
    standard = np.hstack([(logits - mean) / spread, np.ones((len(logits), 1))])
    inputs = logits.shape[1]

    def loss(w: Floats) -> tuple[float, Floats]:
        log_odds, pull = standard @ w, np.append(w[:inputs] - 1.0 / inputs, 0.0)
        strength = 1.0 / (PRIOR_SPREAD**2 * sources)
        value = (
            mass @ (np.logaddexp(0.0, log_odds) - fakes * log_odds) + strength * (pull @ pull) / 2
        )
        slope = standard.T @ (mass * (np.exp(-np.logaddexp(0.0, -log_odds)) - fakes))
        return float(value), slope + strength * pull

    start = np.append(np.full(inputs, 1.0 / inputs), 0.0)
    bounds = [(LEAST_WEIGHT if inputs == 1 else 0.0, None)] * inputs + [(None, None)]
    options = {"ftol": 1e-15, "gtol": 1e-9}
    w = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    weights = w[:inputs] / spread
    return weights, float(w[inputs] - mean @ weights)
