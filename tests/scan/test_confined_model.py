"""Models that are not Truelight's, and what they may do to the program: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import pytest
from bundles import FRAMES, SIDE, WIDTH, write_bundle, write_tower_bundle
from frontdoor import ROOT
from hostile_models import (
    ENDLESS,
    constant,
    custom_operator,
    deeply_nested,
    exchange,
    huge_initialiser,
    looping,
    model,
    of_words,
    on_red,
    swelling,
)
from onnx import TensorProto, helper

from edge.finding import Verdict
from edge.scan.child_messages import MESSAGE, Notice, pack
from edge.scan.model import confined
from edge.scan.model.bundle import load_bundle
from edge.scan.model.bundle_info import BundleError, read_bundle
from edge.scan.model.confined import ConfinedGraphs, ModelProcessError
from edge.scan.model.manifest import Window
from edge.scan.model.messages import Answer
from edge.scan.scanner import Scanner
from edge.settings import load_settings


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (swelling, "cannot be run"),
        (huge_initialiser, "cannot be run"),
        (deeply_nested, "cannot be run"),
        (custom_operator, "cannot be run"),
        (of_words, "golden vector cannot be run"),
    ],
)
def test_a_hostile_graph_costs_a_sentence(
    tmp_path: Path, made: Callable[[], onnx.ModelProto | bytes], says: str
) -> None:
    hostile = made()
    content = hostile if isinstance(hostile, bytes) else hostile.SerializeToString()
    bundle = exchange(write_bundle(tmp_path / "evil"), content)
    with pytest.raises(BundleError, match=says) as caught:
        load_bundle(bundle)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("where", ["../secret.bin", "/etc/passwd", "secret.bin", "tower.onnx"])
@pytest.mark.parametrize("make", [write_bundle, write_tower_bundle])
def test_a_graph_reads_no_file_that_it_names(
    tmp_path: Path,
    where: str,
    make: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beside it, above it, and in the current folder; a tower reads its own weights only."""
    if make is write_tower_bundle and where == "tower.onnx":
        pytest.skip("its own")
    bundle = make(tmp_path / "evil")
    for folder in (tmp_path, bundle):
        (folder / "secret.bin").write_bytes(bytes(3 * WIDTH * 4))
    monkeypatch.chdir(bundle)
    tensor = TensorProto(name="spread", data_type=TensorProto.FLOAT, dims=[1, WIDTH])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=where)
    evil = model([helper.make_node("Identity", ["spread"], ["features"])], tensor)
    exchange(bundle, evil.SerializeToString())
    with pytest.raises(BundleError, match="cannot be run"):
        load_bundle(bundle)


def test_a_golden_vector_without_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confined, "LOAD_SECONDS", 2.0)
    bundle = exchange(write_bundle(tmp_path / "evil"), looping().SerializeToString())
    with pytest.raises(BundleError, match="does not answer in time"):
        load_bundle(bundle)


def stuck_on_white() -> bytes:
    """A model that answers, but never where a crop is all white."""
    turns = helper.make_node("If", ["is white"], ["turns"])
    for name, number in (("then_branch", ENDLESS), ("else_branch", 1)):
        value = helper.make_node("Constant", [], ["chosen"], value=constant("", number, np.int64))
        chosen = helper.make_tensor_value_info("chosen", TensorProto.INT64, [])
        turns.attribute.append(
            helper.make_attribute(name, helper.make_graph([value], name, [], [chosen]))
        )
    made = looping(turns)
    asked = helper.make_node("Greater", ["mean", "nearly white"], ["is white"])
    made.graph.node.insert(2, asked)
    made.graph.initializer.append(constant("nearly white", 254, np.float32))
    content: bytes = made.SerializeToString()
    return content


def test_a_model_that_hangs_costs_one_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = load(exchange(write_bundle(tmp_path / "evil"), stuck_on_white()))
    crops = np.zeros((11, SIDE, SIDE, 3), np.uint8)
    assert graphs.features(crops).shape == (11, WIDTH)
    first = pid(graphs)
    monkeypatch.setattr(confined, "RUN_SECONDS", 1.0)
    with pytest.raises(ModelProcessError, match="does not answer in time"):
        graphs.features(crops + 255)
    assert not Path(f"/proc/{first}").exists()
    monkeypatch.undo()
    assert graphs.features(crops).shape == (11, WIDTH)


def test_a_model_that_is_ended_costs_one_clip(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a Scanner: the first clip is UNREADABLE, the next one is judged."""
    made: list[ConfinedGraphs] = []

    class Watched(ConfinedGraphs):
        def __init__(self, *given: object) -> None:
            super().__init__(*given)  # type: ignore[arg-type]
            made.append(self)

    monkeypatch.setattr("edge.scan.model.bundle.ConfinedGraphs", Watched)
    settings = load_settings(None).changed(
        "test", {"model.bundle": str(write_bundle(tmp_path / "red")), "second_opinion.ask": "never"}
    )
    with Scanner(settings) as scanner:
        scanner.wait()
        os.kill(pid(made[0]), signal.SIGSEGV)
        finding = scanner.scan(clips / "red.mp4")
        assert finding.verdict is Verdict.UNREADABLE
        assert "signal 11" in finding.reasons[0].text
        assert scanner.scan(clips / "red.mp4").verdict is Verdict.FAKE


def load(bundle: Path, code: str = "") -> ConfinedGraphs:
    """Load it, by a process of Python code that gets the connection as `it`, if some is given."""
    ready = pack(Notice.READY) + pack(Notice.CONFINED)
    start = f"import os, signal, sys, time, zlib\nit = int(sys.argv[1])\nos.write(it, {ready!r})\n"
    whole = start + textwrap.dedent(code)
    return ConfinedGraphs(
        read_bundle(bundle), command=[sys.executable, "-c", whole] if code else None
    )


def pid(graphs: ConfinedGraphs) -> int:
    assert graphs.process
    return graphs.process.pid


LOADED = pack(Answer.LOADED)


def refusal(text: str) -> str:
    return f"os.write(it, {pack(Answer.REFUSED, len(text)) + text.encode()!r})"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ended by signal 11"),
        ("os.abort()", "ended by signal 6"),
        ("sys.exit(3)", "it ended"),
        ("os.write(it, b'1234')", "it ended"),
        (refusal("x\033]0;pwned\a\033[2J"), r"x\\x1b"),
        (f"os.write(it, {pack(Answer.REFUSED, 1 << 40)!r})", "invalid data"),
        (f"os.write(it, {pack(Answer.ARRAY, *[1] * 9)!r})", "invalid data"),
        (f"os.write(it, {MESSAGE.pack(77, *[1] * 9)!r})", "invalid data"),
        (f"os.write(it, {pack(Notice.ENDED, 9)!r})", "invalid data"),
    ],
)
def test_a_process_that_dies_or_lies_while_loading(bundle: Path, code: str, says: str) -> None:
    with pytest.raises(BundleError, match=says) as caught:
        load(bundle, code)
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    "shape",
    [
        *((0,), (1, 2), (5, 8, 1, 1, 1, 1), (4, 8, 1 << 20, 1 << 20, 4), (1, -1), (2, 8, 1 << 62)),
        *((2, 8, 3), (2, 8, 0)),
    ],
)
def test_a_process_that_lies_about_an_array(bundle: Path, shape: tuple[int, ...]) -> None:
    given = np.zeros((8, FRAMES, WIDTH), np.float32)
    asked = 2 * MESSAGE.size + len(os.fsencode(bundle)) + given.nbytes
    head = pack(Answer.ARRAY, *shape)
    graphs = load(
        bundle,
        f"""
        os.write(it, {LOADED!r})
        left = {asked}
        while left: left -= len(os.read(it, left))
        os.write(it, {head!r})
        time.sleep(60)
        """,
    )
    with pytest.raises(ModelProcessError, match="invalid data"):
        graphs.sequence(given)


def answering(bundle: Path, asked: int, *answers: np.ndarray) -> ConfinedGraphs:
    """Graphs whose process gives these answers to questions of so many bytes."""
    whole = [pack(Answer.ARRAY, each.ndim, *each.shape) + each.tobytes() for each in answers]
    sent = [zlib.compress(each) for each in whole]
    return load(
        bundle,
        f"""
        def read(left):
            while left: left -= len(os.read(it, left))
        os.write(it, {LOADED!r})
        read({MESSAGE.size + len(os.fsencode(bundle))})
        for sent in {sent!r}:
            read({MESSAGE.size + asked})
            os.write(it, zlib.decompress(sent))
        time.sleep(60)
        """,
    )


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_no_number_is_refused(bundle: Path, number: float) -> None:
    windows = np.zeros((2, FRAMES, WIDTH), np.float32)
    graphs = answering(bundle, windows.nbytes, np.array([0.5, number], np.float32))
    with pytest.raises(ModelProcessError, match="invalid data"):
        graphs.sequence(windows)


def test_what_onnx_runtime_says_is_one_line(bundle: Path) -> None:
    graphs = load(bundle)
    with pytest.raises(
        ModelProcessError, match=r"failed: .*ONNXRuntimeError.*dimensions"
    ) as caught:
        graphs.sequence(np.zeros((2, FRAMES, WIDTH + 1), np.float32))
    assert str(caught.value).isprintable()


def test_features_that_change_their_width_are_refused(bundle: Path) -> None:
    crops = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    five, six = (np.zeros((1, width), np.float32) for width in (5, 6))
    graphs = answering(bundle, crops.nbytes, five, six)
    assert graphs.features(crops).shape == (1, 5)
    with pytest.raises(ModelProcessError, match="invalid data"):
        graphs.features(crops)


@pytest.mark.parametrize(("width", "frames"), [(16_385, 1), (3_496, 300)])
def test_features_that_would_fill_the_memory_are_refused(
    tmp_path: Path, width: int, frames: int
) -> None:
    """The program put windows of 300 together, of 16 million numbers each: 19 GB for a face."""
    bundle = write_bundle(tmp_path / "wide", window=Window(frames=frames, rate=8.0))
    crops = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    answers = (np.zeros((1, each), np.float32) for each in (width - 1, width))
    most, more = (answering(bundle, crops.nbytes, answer) for answer in answers)
    with closing(most):
        assert most.features(crops).shape == (1, width - 1)
    with pytest.raises(ModelProcessError, match="invalid data"):
        more.features(crops)


def test_a_model_that_lies_costs_the_clip_a_sentence(
    tmp_path: Path, clips: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = exchange(
        write_bundle(tmp_path / "evil"), on_red(np.nan).SerializeToString(), "sequence.onnx"
    )
    chosen = {"model.bundle": str(bundle), "second_opinion.ask": "never"}
    with Scanner(load_settings(None).changed("test", chosen)) as scanner:
        finding = scanner.scan(clips / "red.mp4")
    assert finding.verdict is Verdict.UNREADABLE
    (reason,) = finding.reasons
    assert reason.text == f"The model {bundle} failed: it returned invalid data."
    assert not caplog.records, "no traceback on the terminal"


def test_a_model_that_fails_at_the_heat_map_costs_that_alone(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It ended the daemon's thread that judges."""
    heat = "edge.scan.model.saliency.heat_map"
    monkeypatch.setattr(heat, lambda bundle, *_: bundle.features(np.zeros((1, 2), np.uint8)))
    chosen = {"model.bundle": str(write_bundle(tmp_path / "red")), "second_opinion.ask": "never"}
    with Scanner(load_settings(None).changed("test", chosen)) as scanner:
        result = scanner.scan_with_pictures(clips / "red.mp4")
    assert result.finding.verdict is Verdict.FAKE
    assert result.portraits
    assert not result.heat
    assert "The saliency cannot be drawn: " in caplog.text


def test_the_process_is_confined_and_ends_with_the_bundle(bundle: Path) -> None:
    graphs = load(bundle)
    process = Path(f"/proc/{pid(graphs)}")
    for task in (process / "task").iterdir():
        facts = (task / "status").read_text()
        assert "\nSeccomp:\t2\n" in facts
        assert "\nNoNewPrivs:\t1\n" in facts
    assert (process / "oom_score_adj").read_text() == "1000\n"
    open_files = [str(each.readlink()) for each in (process / "fd").iterdir()]
    files = {path for path in open_files if path.startswith("/")}
    assert files <= {"/dev/null", *(str(file) for file in bundle.iterdir())}
    del graphs
    assert not process.exists()


def test_the_process_ends_with_the_program_whatever_it_does(tmp_path: Path) -> None:
    """It runs a graph without an end while the program is killed."""
    bundle = exchange(write_bundle(tmp_path / "evil"), stuck_on_white())
    code = f"""
import sys, threading, numpy as np
from pathlib import Path
from edge.scan.model.bundle_info import read_bundle
from edge.scan.model.confined import ConfinedGraphs
graphs = ConfinedGraphs(read_bundle(Path(sys.argv[1])))
print(graphs.process.pid, flush=True)
graphs.features(np.full((1, {SIDE}, {SIDE}, 3), 255, np.uint8))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, bundle], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        process = Path(f"/proc/{int(program.stdout.readline())}")
        state = process / "task" / process.name / "status"
        until(lambda: "\nState:\tR" in state.read_text())
        program.kill()
    until(lambda: not is_running(process))


def is_running(process: Path) -> bool:
    try:
        return "\nState:\tZ" not in (process / "status").read_text()
    except OSError:
        return False


def until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_truelights_own_bundles_run_in_the_program(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = frozenset([read_bundle(bundle).sha256])
    monkeypatch.setattr("edge.scan.model.bundle_info.shipped_hashes", lambda: hashes)
    monkeypatch.setattr("edge.scan.model.bundle.ConfinedGraphs", None)
    assert load_bundle(bundle).sequence(np.zeros((2, FRAMES, WIDTH), np.float32)).shape == (2,)


@pytest.mark.parametrize("kind", ["deep", "large", "pipe"])
def test_a_hostile_manifest_costs_a_sentence(bundle: Path, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "bundle.json"
    if kind == "deep":
        file.write_bytes(b"[" * 1_000_000)
    elif kind == "large":
        file.write_bytes(b" " * 4_000_001)
    else:
        os.mkfifo(file)
    with pytest.raises(BundleError, match=r"not valid|too large|regular"):
        read_bundle(tmp_path)
