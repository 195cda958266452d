"""`truelight bench`: a clip's scans, and the machine's ceilings beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from edge.bench.ceilings import Ceilings, FeatureSpeed, measure_ceilings, measure_features
from edge.bench.machine import Heat, Machine, read_heat, read_machine
from edge.errors import TruelightError
from edge.scan.media.client import ClipError, open_clip
from edge.scan.media.sampling import Sampling
from edge.scan.model.bundle_info import read_bundle
from edge.scan.model.manifest import FEATURES, SEQUENCE, TOWER
from edge.settings import Settings

_POLL_SECONDS: Final = 0.01


@dataclass(frozen=True)
class ScanRun:
    """From the start of the process to its end."""

    seconds: float
    cpu_seconds: float
    """Of the program and its decoder processes, all cores together."""
    peak_mb: float
    """Resident memory of the program and its decoder processes together, at its peak.

    Frames between them count once, files that both have mapped (libraries) in each.
    """
    finding: dict[str, Any]
    """The finding, as `scan --json` prints it."""

    @property
    def stages(self) -> dict[str, float]:
        """Seconds by stage; `start` is everything before and after the scan itself."""
        stages: dict[str, float] = dict(self.finding["seconds"])
        return {"start": max(0.0, self.seconds - stages.get("total", 0.0)), **stages}


def run_scan(clip: Path, options: Sequence[str] = ()) -> ScanRun:
    """Judge one clip with `truelight scan --json`.

    Raises TruelightError: the command failed, or the clip cannot be read.
    """
    command = [sys.executable, "-m", "edge.cli.main", "scan", "--json", *options, str(clip)]
    folder = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        peak, before = 0.0, os.times()
        while process.poll() is None:
            peak = max(peak, resident_mb(process.pid))
            time.sleep(_POLL_SECONDS)
        seconds = time.perf_counter() - began
        after = os.times()
        assert process.stdout is not None, "it is a pipe"
        assert process.stderr is not None, "it is a pipe"
        output, complaint = process.stdout.read(), process.stderr.read()
    finding = json.loads(output.splitlines()[-1]) if output.strip() else None
    if finding is None or finding["verdict"] == "UNREADABLE":
        said = complaint.decode(errors="replace").strip()
        why = finding["reasons"][0]["text"] if finding else said or "the command printed nothing."
        raise TruelightError(f"{clip} cannot be measured: {why}", "Name a clip that can be judged.")
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return ScanRun(seconds, cpu, peak, finding)


def resident_mb(pid: int) -> float:
    """Resident memory of a process and its descendants, MB; what they share by memory once."""
    own, shared, waiting = 0, 0, [pid]
    while waiting:
        folder = Path("/proc", str(waiting.pop()))
        try:
            lines = (folder / "status").read_text().splitlines()
            sizes = {name: int(size.split()[0]) for name, _, size in map(_parted, lines) if size}
            own += sizes["RssAnon"] + sizes["RssFile"]
            shared = max(shared, sizes["RssShmem"])
            for thread in (folder / "task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())
        except (OSError, KeyError, ValueError):
            continue  # it has just ended
    return (own + shared) * 1024 / 1e6


def _parted(line: str) -> tuple[str, str, str]:
    """The name of a line of /proc/PID/status, and its kB if it is a size of memory."""
    name, colon, size = line.partition(":")
    return name, colon, size if size.endswith("kB") else ""


FORMAT = 1
"""Of the JSON; keys are only added."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """All figures of one run of the command; medians over its scans."""

    machine: Machine
    before: Heat
    after: Heat
    clip: str
    runs: tuple[ScanRun, ...]
    ceilings: Ceilings
    features: FeatureSpeed | None
    """None if the bundle's network is not ours."""
    decode_frames_per_second: float
    """Frames handed out a second if nothing else is done."""

    @property
    def stages_ms(self) -> dict[str, float]:
        """Median milliseconds of each stage; stages overlap, so they add up to more than all."""
        names = dict.fromkeys(name for run in self.runs for name in run.stages)
        return {
            name: 1000 * median(run.stages.get(name, 0.0) for run in self.runs) for name in names
        }

    @property
    def frames(self) -> int:
        """Frames that were looked at."""
        return max(int(self.runs[0].finding["frames_scored"]), 1)

    def as_json(self) -> dict[str, Any]:
        """The figures as `--json` prints them."""
        features, middle = self.features, _middle(self.runs)
        return {
            "format": FORMAT,
            "machine": asdict(self.machine),
            "clip": {"name": self.clip, **(middle.finding["clip"] or {})},
            "runs": len(self.runs),
            "seconds": round(middle.seconds, 3),
            "stages": {name: round(value, 1) for name, value in self.stages_ms.items()},
            "frames_scored": self.frames,
            "frames_per_second": round(self.frames / middle.seconds, 2),
            "busy_share": round(self.busy_share, 3),
            "peak_rss_mb": round(max(run.peak_mb for run in self.runs), 1),
            "ceilings": {
                **{name: round(value, 2) for name, value in asdict(self.ceilings).items()},
                "decode_frames_per_second": round(self.decode_frames_per_second, 1),
            },
            "features": None if features is None else asdict(features),
            "int8_vs_fp32": None if features is None else round(self.int8_vs_fp32, 2),
            "ceiling_share": None if features is None else round(self.ceiling_share, 3),
            "heat": {"before": asdict(self.before), "after": asdict(self.after)},
        }

    @property
    def busy_share(self) -> float:
        """The share of the scans' time in which the cores were busy with it."""
        middle = _middle(self.runs)
        return middle.cpu_seconds / (middle.seconds * self.machine.cores)

    @property
    def int8_vs_fp32(self) -> float:
        """How many times faster the shipped graph is than its layers in float32."""
        return self.features.fp32_ms / self.features.int8_ms if self.features else 0.0

    @property
    def ceiling_share(self) -> float:
        """The shipped graph's operations a second, as a part of an int8 matrix product's."""
        return self.features.gops / self.ceilings.int8_gops if self.features else 0.0


def measure(
    clip: Path, settings: Settings, runs: int, options: Sequence[str], report: Report
) -> Bench:
    """Measure this machine with a clip; `report` gets a line for each step.

    Raises TruelightError: the clip cannot be read, or the model cannot be used.
    """
    before = read_heat()
    report("decoding alone")
    decoding = _decode(clip, settings)
    report("ceilings of this machine")
    ceilings = measure_ceilings()
    report("the network that makes features")
    features = _features(settings)
    done = []
    for number in range(-1, runs):  # once unmeasured, so that all files are in memory
        report(f"scan {number + 1} of {runs}" if number >= 0 else "a scan that is not counted")
        run = run_scan(clip, options)
        done += [run] if number >= 0 else []
    machine = read_machine()
    return Bench(machine, before, read_heat(), clip.name, tuple(done), ceilings, features, decoding)


def _features(settings: Settings) -> FeatureSpeed | None:
    info = read_bundle(settings.bundle_folder)
    info.check_installed()
    if TOWER in info.manifest.files:
        return None
    graphs = info.verified(FEATURES), info.verified(SEQUENCE)
    return measure_features(*graphs, info.manifest.input.side)


def _decode(clip: Path, settings: Settings) -> float:
    window = read_bundle(settings.bundle_folder).manifest.window
    sampling = Sampling(window.frames, window.rate, settings.scan.windows)
    frames, began = 0, time.perf_counter()
    try:
        with open_clip(clip, sampling) as opened:
            for _ in opened.frames():
                frames += 1
                if frames == 1:
                    began = time.perf_counter()
    except ClipError as failure:
        raise TruelightError(f"{clip} cannot be read.", "Name another clip.") from failure
    return (frames - 1) / max(time.perf_counter() - began, 1e-6) if frames > 1 else 0.0


def _middle(runs: Sequence[ScanRun]) -> ScanRun:
    """The run of median duration; of an even number, the quicker one of the two."""
    return sorted(runs, key=lambda run: run.seconds)[(len(runs) - 1) // 2]
