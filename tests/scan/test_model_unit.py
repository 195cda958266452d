"""Models that are not Truelight's on a box: in a unit, for which a listener stands here."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bundles import FRAMES, SIDE, WIDTH, write_bundle
from fake_decoder import descriptors
from frontdoor import ROOT
from hostile_models import exchange
from listening_unit import ListeningUnit
from test_confined_model import is_running, stuck_on_white
from waiting import until

from edge.scan import child_process
from edge.scan.child_messages import LAYERS
from edge.scan.model import confined, process
from edge.scan.model.bundle_info import BundleError, read_bundle
from edge.scan.model.confined import ConfinedGraphs, ModelProcessError
from edge.scan.model.process import ModelProcess, log_confinement, try_confinement

WINDOWS = np.zeros((2, FRAMES, WIDTH), np.float32)


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ListeningUnit]:
    started = ListeningUnit(tmp_path, "model", "edge.scan.model.confined_worker")
    monkeypatch.setattr(child_process, "UNITS", tmp_path)
    monkeypatch.setattr(process, "UNIT_SECONDS", 200.0)  # on a busy machine a child would start
    monkeypatch.setattr(confined, "LOAD_SECONDS", 200.0)
    monkeypatch.setattr(confined, "_CALL_SECONDS", 400.0)
    log_confinement.cache_clear()
    yield started
    started.close()


@pytest.fixture
def box(unit: ListeningUnit) -> ListeningUnit:
    """A unit on what looks like an installed box."""
    (unit.folder / "reports").mkdir()
    return unit


def process_of(graphs: ConfinedGraphs) -> ModelProcess:
    assert graphs.process
    return graphs.process


def exists(its: ModelProcess) -> bool:
    return is_running(Path(f"/proc/{its.pid}"))


def test_the_unit_runs_the_model_where_there_is_one(unit: ListeningUnit, bundle: Path) -> None:
    before = descriptors()
    graphs = ConfinedGraphs(read_bundle(bundle))
    its = process_of(graphs)
    assert not its.is_child
    assert its.pid not in {child.pid for child in unit.started}
    assert graphs.sequence(WINDOWS).shape == (2,)
    graphs.close()
    assert not exists(its)
    assert unit.started[0].wait(60) == 0
    assert graphs.sequence(WINDOWS).shape == (2,), "the next call gets another process"
    graphs.close()
    assert len(unit.started) == 2
    until(lambda: descriptors() == before)


def test_the_sandbox_holds_in_the_unit(box: ListeningUnit) -> None:
    found = try_confinement()
    assert found.layers == tuple(LAYERS)
    assert found.unit_expected
    assert len(box.started) == 1


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSEGV])
def test_how_a_process_of_the_unit_ended_is_known(
    unit: ListeningUnit, bundle: Path, end: int
) -> None:
    graphs = ConfinedGraphs(read_bundle(bundle))
    os.kill(process_of(graphs).pid, end)
    with pytest.raises(ModelProcessError, match=f"ended by signal {int(end)}"):
        graphs.sequence(WINDOWS)
    assert graphs.sequence(WINDOWS).shape == (2,)
    assert not process_of(graphs).is_child


def test_where_the_unit_fails_a_child_runs_the_model_and_the_journal_says_so(
    box: ListeningUnit, bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    box.body = "raise SystemExit"
    for _ in range(2):
        graphs = ConfinedGraphs(read_bundle(bundle))
        assert process_of(graphs).is_child
        assert graphs.sequence(WINDOWS).shape == (2,)
        graphs.close()
    assert caplog.text.count("lacks: a user of its own (truelight-model.socket)") == 1
    assert "a user of its own" in try_confinement().missing


def test_a_model_that_ends_its_process_gets_no_child(box: ListeningUnit, bundle: Path) -> None:
    """Else it would get the program's user by a crash."""
    box.body = "worker._load = lambda *_: __import__('os').abort()"
    with pytest.raises(BundleError, match="ended by signal 6"):
        ConfinedGraphs(read_bundle(bundle))
    assert len(box.started) == 1
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert set(map(int, children)) <= {child.pid for child in box.started}


def test_a_process_of_the_unit_that_lives_on_is_killed(unit: ListeningUnit, bundle: Path) -> None:
    unit.body = (
        "worker._answer = lambda *_: [os.closerange(0, 99), time.sleep(600)]\nimport os, time"
    )
    graphs = ConfinedGraphs(read_bundle(bundle))
    its = process_of(graphs)
    graphs.close()
    until(lambda: not exists(its))


def test_the_process_ends_with_the_program_whatever_it_does(
    unit: ListeningUnit, tmp_path: Path
) -> None:
    """It runs a graph without an end while the program is killed."""
    bundle = exchange(write_bundle(tmp_path / "evil"), stuck_on_white())
    code = f"""
import sys, numpy as np
from pathlib import Path
from edge.scan import child_process
child_process.UNITS = Path(sys.argv[2])
from edge.scan.model.bundle_info import read_bundle
from edge.scan.model.confined import ConfinedGraphs
graphs = ConfinedGraphs(read_bundle(Path(sys.argv[1])))
print(graphs.process.pid, graphs.process.is_child, flush=True)
graphs.features(np.full((1, {SIDE}, {SIDE}, 3), 255, np.uint8))
"""
    command = [sys.executable, "-c", code, str(bundle), str(unit.folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        number, is_child = program.stdout.readline().split()
        assert is_child == "False"
        running = Path(f"/proc/{number}")
        state = running / "task" / number / "status"
        until(lambda: "\nState:\tR" in state.read_text())
        program.kill()
    until(lambda: not is_running(running))
