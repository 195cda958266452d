"""The shipped model gives its reference findings, and an altered one does not."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from frontdoor import ROOT
from onnx import helper, numpy_helper

from edge.scan.model.bundle_info import manifest_with_figures
from edge.scan.model.manifest import FEATURES, GOLDEN, SEQUENCE, Calibration, File
from export.cli.main import main
from export.convert.bundle import REFERENCE, write_bundle
from export.convert.proofs import golden_vector

sys.path.insert(0, str(ROOT / "samples"))
from reference_clips import make_clips  # (samples/ is no package)

SHIPPED = ROOT / "models" / "truelight"
SECOND = ROOT / "models" / "thorough"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    make_clips(folder)
    return folder


def altered(to: Path, change: Callable[[dict[File, bytes]], None], **said: object) -> Path:
    """A copy of the shipped bundle that loads, golden vector and all, but is wrong."""
    manifest = manifest_with_figures(SHIPPED).model_copy(update=said)
    files: dict[File, bytes] = {
        name: (SHIPPED / name).read_bytes() for name in (FEATURES, SEQUENCE, GOLDEN)
    }
    change(files)
    side, frames = manifest.input.side, manifest.window.frames
    files[GOLDEN] = golden_vector(files[FEATURES], files[SEQUENCE], side, frames)
    write_bundle(to, manifest, files, "", reference=(SHIPPED / REFERENCE).read_bytes())
    return to


def as_it_is(_: dict[File, bytes]) -> None:
    pass


def labels_swapped(files: dict[File, bytes]) -> None:
    model = onnx.load_model_from_string(files[SEQUENCE])
    last = model.graph.node[-1]
    last.output[0] = "positive"
    model.graph.node.append(helper.make_node("Neg", ["positive"], ["logits"]))
    files[SEQUENCE] = model.SerializeToString()


def colours_swapped(files: dict[File, bytes]) -> None:
    model = onnx.load_model_from_string(files[FEATURES])
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.name == "stem.weight.int8":
            tensor.CopyFrom(numpy_helper.from_array(values[:, ::-1].copy(), tensor.name))
        elif tensor.name == "mean":
            reversed_ = values.reshape(-1, 3)[:, ::-1].reshape(-1)
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(reversed_), tensor.name))
    files[FEATURES] = model.SerializeToString()


@pytest.mark.parametrize("model", ["truelight", "thorough"])
def test_the_shipped_models_give_their_reference_findings(
    model: str, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = SHIPPED.with_name(model)
    if model == "thorough" and not (bundle / "tower.onnx").is_file():
        pytest.skip("its weights are not installed: truelight models add thorough")
    status = main(["reference", str(bundle), str(clips), "--check"])
    assert status == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (labels_swapped, {}),
        (colours_swapped, {}),
        (as_it_is, {"calibration": Calibration()}),
    ],
    ids=["labels", "colours", "calibration"],
)
def test_an_altered_model_does_not(
    change: Callable[[dict[File, bytes]], None],
    said: dict[str, object],
    clips: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = altered(tmp_path / "wrong", change, **said)
    assert main(["reference", str(wrong), str(clips), "--check"]) == 1
    assert "instead of" in capsys.readouterr().err


def test_the_table_has_cases_on_both_sides_of_each_threshold(
    clips: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for shipped, verdicts in (
        (SHIPPED, "UNSURE NO_FACE"),  # it only finds faces; the second opinion decides
        (SECOND, "FAKE UNSURE NO_FACE"),  # a picture is never REAL by it
    ):
        findings = json.loads((shipped / REFERENCE).read_text())["findings"].values()
        assert {finding["verdict"] for finding in findings} == set(verdicts.split())
    mine, few = tmp_path / "red", tmp_path / "few"
    shutil.copytree(bundle, mine)
    few.mkdir()
    shutil.copy(clips / "portrait.bmp", few)
    assert main(["reference", str(mine), str(few)]) == 1
    assert "by a sufficient margin" in capsys.readouterr().err
    assert not (mine / REFERENCE).exists()


def test_a_clip_that_is_not_there_is_named(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(clips / "dark.bmp", tmp_path)
    assert main(["reference", str(SHIPPED), str(tmp_path), "--check"]) == 1
    assert "mirrored.bmp was not scanned, or its content is different." in capsys.readouterr().err
