"""`truelight bench` through the front door, and the graphs that it measures with."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
import pytest
from frontdoor import run

from edge.bench.ceilings import network_operations, open_bench_graph
from edge.bench.machine import read_machine
from edge.bench.measure import resident_mb, run_scan


def test_the_figures_fit_together(clips: Path) -> None:
    ran = run("bench", clips / "red.mp4", "--runs", "1", "--json", "--second", "never")

    assert ran.returncode == 0, ran.stderr
    (line,) = ran.stdout.splitlines()
    figures = json.loads(line)
    stages = figures["stages"]
    assert {"start", "open", "first_frame", "decode", "faces", "features", "total"} <= set(stages)
    whole = 1000 * figures["seconds"]
    assert stages["start"] + stages["total"] == pytest.approx(whole, abs=2)
    assert 0 < stages["first_frame"] < stages["total"]
    assert figures["frames_per_second"] == pytest.approx(
        figures["frames_scored"] / figures["seconds"], rel=0.01
    )
    assert 0 < figures["busy_share"] <= 1
    assert 80 < figures["peak_rss_mb"] < 1500
    ceilings, features = figures["ceilings"], figures["features"]
    assert min(ceilings.values()) > 0
    assert figures["int8_vs_fp32"] == pytest.approx(
        features["fp32_ms"] / features["int8_ms"], rel=0.01
    )
    assert figures["ceiling_share"] == pytest.approx(
        features["gops"] / ceilings["int8_gops"], rel=0.01
    )
    assert figures["machine"]["cores"] >= 1


def test_the_table_names_every_stage(clips: Path) -> None:
    ran = run("bench", clips / "red.mp4", "--runs", "1", "--second", "never")

    assert ran.returncode == 0, ran.stderr
    for words in ("decoding", "finding, tracking", "features of the faces", "memory at the peak"):
        assert words in ran.stdout
    assert "int8 matrix product" in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 120, "it is pasted into an issue"


def test_what_cannot_be_measured_is_said(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    for path, words in ((broken, "cannot be read"), (tmp_path / "none.mp4", "is not there")):
        ran = run("bench", path, "--runs", "1", "--second", "never")
        assert ran.returncode == 2
        assert words in ran.stderr
        assert ran.stdout == ""


def test_matrix_products_are_products() -> None:
    rows = np.zeros((2, 512), np.float32)
    rows[:, :4] = np.arange(8).reshape(2, 4)
    (answer,) = open_bench_graph("float_product").run(None, {"x": rows})
    assert answer == pytest.approx(np.repeat(rows.sum(axis=1, keepdims=True) * 0.01, 512, axis=1))
    levels = (rows + 128).astype(np.uint8)
    (answer,) = open_bench_graph("int8_product").run(None, {"x": levels})
    assert np.array_equal(answer, np.repeat(rows.sum(axis=1, keepdims=True) + 128, 512, axis=1))


def test_the_float_network_is_that_of_the_features() -> None:
    """2,048 features, and the published 4.23 G multiplications at 224 px."""
    given = np.ones((1, 3, 32, 32), np.float32)
    (answer,) = open_bench_graph("network").run(None, {"x": given})
    assert answer.shape == (1, 2048, 1, 1)
    assert network_operations(224) == pytest.approx(2 * 4.23e9, rel=0.02)


def test_the_graphs_are_those_that_the_exporter_makes() -> None:
    from export.convert.bench_graphs import GRAPHS

    for name, make in GRAPHS.items():
        kept = onnx.load_from_string((files("edge.bench") / f"{name}.onnx").read_bytes())
        assert kept == make(), "python -m export.convert.bench_graphs"


def test_memory_is_that_of_the_program_and_its_decoder(clips: Path) -> None:
    ran = run_scan(clips / "red.mp4", ["--second", "never"])
    assert resident_mb(1 << 22) == 0.0, "no such process"
    assert ran.peak_mb > 80
    assert ran.cpu_seconds > 0.1
    assert ran.finding["frames_scored"] > 0


def test_a_pi_is_named_by_its_board(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(
        "processor : 0\nFeatures : fp asimd asimddp\nCPU part : 0xd0b\n"
    )
    (tmp_path / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    machine = read_machine(tmp_path / "cpuinfo", tmp_path / "model")
    assert machine.model == "Raspberry Pi 5 Model B Rev 1.0"
    assert machine.processor == "Cortex-A76"
    assert machine.instructions == ("asimddp",)
