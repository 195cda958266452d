"""Speed of the features graph: float32, int8, int8 with merged groups; interleaved in one run.

    python benchmarks/features.py [--side 112] [--threads 1] [--group-factors 4,4,1,1 4,2,2,1]

Random weights: speed does not depend on them. Each line is the least processor time of many rounds,
which other load on the machine disturbs little; with more threads than one it is the least time on
the clock.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import torch

from export.convert.features_graph import lay_features
from export.convert.fold import fold, regroup
from export.convert.proofs import golden_crops
from export.convert.quantize import fastest_factors, measure
from export.train.network import MEAN, STD, Trunk

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimd", "asimddp", "i8mm")


def processor() -> str:
    """The processor's name and those of its instructions that matter to int8."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    has = facts.get("flags", facts.get("Features", "")).split()
    name = facts.get("model name", platform.machine())
    return f"{name}; {' '.join(flag for flag in FLAGS if flag in has) or 'no int8 flags known'}"


def session(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    """A session as the box opens it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--side", type=int, default=112)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--group-factors", nargs="+", help="one or more; measured if not given")
    args = parser.parse_args()
    torch.manual_seed(0)
    trunk = fold(Trunk().eval(), MEAN, STD, bgr=False)
    crops = golden_crops(args.side).repeat(-(-args.batch // 4), axis=0)[: args.batch]
    candidates = [tuple(map(int, given.split(","))) for given in args.group_factors or ()]
    candidates = candidates or [fastest_factors(trunk, args.side)]
    spreads = measure(trunk, args.side, crops)
    ranges = {name: (spread.low, spread.high) for name, spread in spreads.items()}
    models = {
        "float32": lay_features(trunk, args.side),
        "int8": lay_features(trunk, args.side, ranges),
        **{
            f"int8, groups merged by {','.join(map(str, factors))}": lay_features(
                regroup(trunk, factors), args.side, ranges
            )
            for factors in candidates
        },
    }
    sessions = {
        name: session(laid.model.SerializeToString(), args.threads)
        for name, laid in models.items()
    }  # fmt: skip
    clock: Callable[[], float] = time.thread_time if args.threads == 1 else time.perf_counter
    best = dict.fromkeys(sessions, float("inf"))
    for _ in range(args.rounds):
        for name, opened in sessions.items():
            start = clock()
            opened.run(["features"], {"crops": crops})
            best[name] = min(best[name], clock() - start)
    print(processor())
    print(f"ONNX Runtime {onnxruntime.__version__}, {args.threads} threads, {args.side} px,")
    print(f"batch {args.batch}, best of {args.rounds} rounds")
    for name, seconds in best.items():
        ratio = best["float32"] / seconds
        print(f"{1000 * seconds / args.batch:8.2f} ms a crop  {ratio:5.2f} x  {name}")


if __name__ == "__main__":
    main()
