"""What an archive costs beside its scans: planning, overhead a clip, scaling.

    python benchmarks/archive.py CLIP [--clips 40] [--tiny 100000]

Prints, for this machine:
- time and peak memory of listing `--tiny` small files and of finding which have no row;
- the share of the run's time that is not scanning, with one worker and `--clips` versions of CLIP;
- clips a second with one worker and with two, and the size of the tables a clip;
- tasks that do nothing, a second: where one scheduler saturates.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
from distributed import Client, LocalCluster, as_completed

PLAN = """
import json, resource, sys, time
from pathlib import Path
from edge.archive.listing import list_places, order
from edge.archive.store import ArchiveStore, remaining
start = time.perf_counter()
with ArchiveStore(Path(sys.argv[2]), "none") as store:
    files = order(remaining(list_places([sys.argv[1]]).files, store.done()), "recent")
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"files": len(files), "seconds": seconds, "peak_mb": peak / 1000}))
"""


def plan(number: int) -> dict[str, Any]:
    """List and plan that many tiny files, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        clips = Path(folder) / "clips"
        for at in range(number):
            path = clips / f"{at // 1000:03}" / f"{at:06}.mp4"
            if at % 1000 == 0:
                path.parent.mkdir(parents=True)
            path.write_bytes(b"tiny")
        out = str(Path(folder) / "out")
        ran = subprocess.run(
            [sys.executable, "-c", PLAN, str(clips), out], check=True, capture_output=True
        )
    planned: dict[str, Any] = json.loads(ran.stdout)
    return planned


def judge(clip: Path, number: int, workers: int) -> dict[str, float]:
    """Judge versions of a clip: bytes that follow the last box of an MP4 change nothing."""
    content = clip.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        clips, out = Path(folder) / "clips", Path(folder) / "out"
        clips.mkdir()
        for at in range(number):
            padding = (8 + at).to_bytes(4, "big") + b"free" + bytes(at)
            (clips / f"{at:04}{clip.suffix}").write_bytes(content + padding)
        command = [sys.executable, "-m", "edge.cli.main", "archive", str(clips)]
        start = time.perf_counter()
        subprocess.run([*command, "--out", str(out), "--workers", str(workers)], check=True)
        wall = time.perf_counter() - start
        table = ds.dataset(out / "findings.parquet", partitioning="hive").to_table()
        size = sum(part.stat().st_size for part in out.rglob("*.parquet") if part.is_file())
    judged = [moment.timestamp() for moment in table["judged"].to_pylist()]
    scans = table["scan_seconds"].to_pylist()
    first, last = min(judged), max(judged)
    # Between the first clip's start and the last one's end, each worker scans or waits.
    busy = last - first + scans[judged.index(last)]
    return {
        "workers": workers,
        "clips_a_second": number / busy,
        "overhead": 1 - sum(scans) / (workers * busy),
        "start_seconds": wall - busy,
        "bytes_a_clip": size / number,
    }


def tasks_a_second(number: int = 3000) -> float:
    """Tasks that do nothing, with 64 handed out at a time, as to a large cluster."""
    with LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster:
        client = Client(cluster)
        start, left = time.perf_counter(), iter(range(number))
        first = [client.submit(abs, next(left), pure=False) for _ in range(64)]
        completed = as_completed(first)
        for _ in completed:
            if (at := next(left, None)) is not None:
                completed.add(client.submit(abs, at, pure=False))
        seconds = time.perf_counter() - start
        client.close()
    return number / seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--tiny", type=int, default=100_000)
    chosen = parser.parse_args()
    print(json.dumps(plan(chosen.tiny)))
    for workers in (1, 2):
        print(json.dumps(judge(chosen.clip, chosen.clips, workers)))
    print(json.dumps({"tasks_a_second": tasks_a_second()}))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    print(json.dumps({"peak_mb_of_one_process": peak}))


if __name__ == "__main__":
    main()
