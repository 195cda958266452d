"""How long a bootstrap over sources takes: export's metrics against scikit-learn.

python benchmarks/bootstrap.py [--files 93] [--sources 34]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).parents[1]))
from export.metrics import auc_interval, bootstrap_weights

DRAWS = 2000


def main() -> None:
    """Time both and show their intervals, which are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=93)
    parser.add_argument("--sources", type=int, default=34)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, args.files)
    scores = rng.normal(size=args.files) + labels
    sources = [str(number % args.sources) for number in range(args.files)]
    began = time.perf_counter()
    low, high = auc_interval(labels, scores, sources, DRAWS)
    print(f"export.metrics: {time.perf_counter() - began:.2f} s, {low:.4f} to {high:.4f}")
    began = time.perf_counter()
    parts = bootstrap_weights(sources, DRAWS)
    values = [roc_auc_score(labels, scores, sample_weight=w) for part in parts for w in part]
    low, high = np.percentile(values, [2.5, 97.5])
    print(f"scikit-learn:   {time.perf_counter() - began:.2f} s, {low:.4f} to {high:.4f}")


if __name__ == "__main__":
    main()
