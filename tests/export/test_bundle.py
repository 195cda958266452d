"""Our own checkpoints: exported, proven, loaded, refused."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from checkpoints import FRAMES, SIDE, noise, small_detector, write_checkpoint
from onnx import numpy_helper

from edge.finding import Thresholds
from edge.scan.model.bundle import load_bundle
from edge.scan.model.bundle_info import BundleError, list_bundles, manifest_with_figures
from edge.scan.model.manifest import Calibration, MeasuredFigure
from export.cli.main import main
from export.convert.bundle import amend
from export.convert.card import about_of
from export.train.network import Detector, Readout, normalise

Refusal = Callable[..., str]


@pytest.mark.parametrize("readout", ["mean", "last"])
def test_float_graphs_answer_as_torch_does(tmp_path: Path, readout: Readout) -> None:
    network = small_detector(readout)
    checkpoint = write_checkpoint(tmp_path / "best.pt", network)
    assert main(["bundle", str(checkpoint), "--out", str(tmp_path / "float")]) == 0
    bundle = load_bundle(tmp_path / "float")
    crops = noise(2 * 9, SIDE, seed=2)
    windows = bundle.features(crops).reshape(2, 9, -1)
    with torch.inference_mode():
        expected = network(normalise(torch.from_numpy(crops)).reshape(2, 9, 3, SIDE, SIDE))
    assert np.abs(bundle.sequence(windows) - expected.numpy()).max() < 1e-4
    # Its order matters to an LSTM that runs over time.
    assert np.abs(bundle.sequence(windows[:, ::-1]) - expected.numpy()).max() > 1e-4


def test_int8_answers_nearly_as_float_does(small: Path, small_bundle: Path) -> None:
    network = Detector(8, layers=(1, 2, 1, 1), width=16)
    network.load_state_dict(torch.load(small, weights_only=True)["model"])
    crops = noise(16, SIDE, seed=3)
    with torch.inference_mode():
        exact = network.eval().frame_features(normalise(torch.from_numpy(crops))).numpy()
    bundle = load_bundle(small_bundle)
    features = bundle.features(crops)
    assert np.sqrt(np.square(features - exact).mean()) < 0.1 * exact.std()
    assert np.allclose(bundle.features(crops, "map").mean((2, 3)), features, atol=1e-5)
    weights = onnx.load(small_bundle / "features.onnx").graph.initializer
    assert sum(weight.data_type == onnx.TensorProto.INT8 and len(weight.dims) == 4
               for weight in weights) == 1 + 3 * 5 + 4  # fmt: skip


def test_int8_kernels_do_not_saturate(small_bundle: Path) -> None:
    """What this processor's kernels answer is what the graph says in float arithmetic."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(str(small_bundle / "features.onnx"), options)
    bundle = load_bundle(small_bundle)
    # Hard black and white: the largest sums that can be.
    crops = np.where(noise(16, SIDE, seed=4) > 127, 255, 0).astype(np.uint8)
    expected = plain.run(["features"], {"crops": crops})[0]
    assert np.abs(bundle.features(crops) - expected).max() < 0.03 * expected.max()


def test_the_manifest_says_how_to_use_it(small_bundle: Path) -> None:
    bundle = load_bundle(small_bundle)
    manifest = bundle.manifest
    crop = manifest.input.crop_spec
    assert (crop.side, crop.scale, crop.shift_y) == (SIDE, 1.3, -0.1)
    assert (bundle.manifest.window.frames, bundle.manifest.window.rate) == (FRAMES, 5.0)
    assert manifest.kind == "truelight"
    assert manifest.figures == (), "they are read only by what shows them"
    assert manifest.graphs.group_factors == {"layer1": 4, "layer2": 2, "layer3": 1, "layer4": 1}
    content = (small_bundle / "bundle.json").read_bytes()
    assert bundle.info.sha256 == hashlib.sha256(content).hexdigest()
    figures = {figure.name: figure for figure in manifest_with_figures(small_bundle).figures}
    assert 0 <= figures["largest logit difference, ONNX float32 to PyTorch"].value < 1e-4
    assert 0 < figures["probability difference int8 to float32, largest"].value < 0.1
    assert "AUC of crops, int8" in figures
    card = (small_bundle / "CARD.md").read_text()
    assert "| probability difference int8 to float32, largest |" in card
    texts = "".join((small_bundle / name).read_text() for name in ("bundle.json", "figures.json"))
    assert str(small_bundle.parent) not in texts + card
    command = "truelight-export bundle CHECKPOINT --calibrate FOLDER --check FOLDER"
    assert f"1. `{command} --group-factors 4,2,1,1`" in card


def test_factors_are_measured_if_not_given(small: Path, crops: Path, tmp_path: Path) -> None:
    out = tmp_path / "measured"
    assert main(["bundle", str(small), "--out", str(out), "--calibrate", str(crops)]) == 0
    factors = load_bundle(out).manifest.graphs.group_factors
    assert list(factors) == ["layer1", "layer2", "layer3", "layer4"]
    assert all(8 % factor == 0 for factor in factors.values())


def changed(bundle: Path, to: Path) -> Path:
    shutil.copytree(bundle, to)
    return to


def test_a_changed_file_is_named(small_bundle: Path, tmp_path: Path) -> None:
    for name in ("features.onnx", "sequence.onnx", "golden.npz", "CARD.md", "figures.json"):
        copy = changed(small_bundle, tmp_path / name)
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content)
        with pytest.raises(BundleError, match=name):
            load_bundle(copy)
        (copy / name).unlink()
        with pytest.raises(BundleError, match=name):
            load_bundle(copy)


@pytest.mark.parametrize(
    ("file", "weight"), [("features.onnx", "stem.weight.int8"), ("sequence.onnx", "lstm.input")]
)
def test_an_altered_weight_is_caught_by_the_golden_vector(
    small_bundle: Path, tmp_path: Path, file: str, weight: str
) -> None:
    copy = changed(small_bundle, tmp_path / "altered")
    model = onnx.load(copy / file)
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == weight]
    values = numpy_helper.to_array(tensor).copy()
    values[0] = -values[0]
    tensor.CopyFrom(numpy_helper.from_array(values, weight))
    onnx.save(model, copy / file)
    manifest = json.loads((copy / "bundle.json").read_text())
    manifest["files"][file] = hashlib.sha256((copy / file).read_bytes()).hexdigest()
    (copy / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=f"{file} gives other answers"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("window", "frames"), 0),
        (("thresholds", "real"), 0.9),
        (("format",), 3),
        (("format",), 1),
        (("colour",), "rgb"),
        (("files", "golden.npz"), "../golden.npz"),
        (("input", "side"), "wide"),
    ],
)
def test_a_manifest_of_nonsense_is_refused(
    small_bundle: Path, tmp_path: Path, where: tuple[str, ...], value: object
) -> None:
    copy = changed(small_bundle, tmp_path / "nonsense")
    manifest = json.loads((copy / "bundle.json").read_text())
    part = manifest
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = value
    (copy / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"bundle\.json is not valid"):
        load_bundle(copy)


def test_bundles_are_listed_the_broken_ones_too(small_bundle: Path, tmp_path: Path) -> None:
    changed(small_bundle, tmp_path / "whole")
    changed(small_bundle, tmp_path / "broken")
    (tmp_path / "broken" / "bundle.json").write_text("{}")
    broken, whole = list_bundles(tmp_path)
    assert whole.manifest is not None
    assert whole.manifest.name == "small"
    assert broken.manifest is None
    assert isinstance(broken.problem, BundleError)
    assert list_bundles(tmp_path / "nowhere") == []


def test_amending_keeps_the_bundle_whole(small_bundle: Path, tmp_path: Path) -> None:
    copy = changed(small_bundle, tmp_path / "amended")
    figure = MeasuredFigure(
        name="AUC", value=0.7, low=0.6, high=0.8, data="clips", command="evaluate"
    )
    amend(
        copy,
        calibration=Calibration(scale=2.0, offset=-0.5),
        thresholds=Thresholds(real=0.2, fake=0.8),
        figures=[figure],
        about="Trained on **noise**.",
    )
    amend(copy, figures=[figure.model_copy(update={"value": 0.71})])
    load_bundle(copy)
    manifest = manifest_with_figures(copy)
    assert manifest.calibration.scale == 2.0
    assert manifest.thresholds.fake == 0.8
    assert [f.value for f in manifest.figures if f.name == "AUC"] == [0.71]
    card = (copy / "CARD.md").read_text()
    assert about_of(card).strip() == "Trained on **noise**."
    assert "### On clips\n" in card
    assert "| AUC | 0.71 | 0.6 to 0.8 | 2 |" in card
    assert "\n2. `evaluate`\n" in card
    assert sorted(path.name for path in tmp_path.iterdir()) == ["amended"]


def test_figures_inside_a_bundle_of_format_1_are_read_and_moved(
    small_bundle: Path, tmp_path: Path
) -> None:
    old = changed(small_bundle, tmp_path / "old")
    figures = [
        {"name": "false alarms (FAKE said of a real)", "value": 0.1, "data": "clips",
         "command": "truelight-export calibrate t3 clips --data 'the clips' --error 0.1"},
        {"name": "AUC", "value": 0.8, "low": 0.7, "high": 0.9, "data": "clips",
         "command": "truelight-export gone about10.md"},
    ]  # fmt: skip
    (old / "figures.json").unlink()
    said = json.loads((old / "bundle.json").read_text()) | {"format": 1, "figures": figures}
    del said["files"]["figures.json"]
    (old / "bundle.json").write_text(json.dumps(said))
    (old / "reference.json").write_text("{}")
    read = manifest_with_figures(old)
    assert [figure.model_dump(exclude_defaults=True) for figure in read.figures] == figures
    graphs = [(old / name).read_bytes() for name in ("features.onnx", "golden.npz")]
    assert main(["card", str(old)]) == 0
    load_bundle(old)
    assert json.loads((old / "bundle.json").read_text()).keys() == said.keys() - {"figures"}
    assert graphs == [(old / name).read_bytes() for name in ("features.onnx", "golden.npz")]
    rate, auc = manifest_with_figures(old).figures
    assert rate.name == "false positive rate (real clips called FAKE)"
    assert rate.command == "truelight-export calibrate BUNDLE CLIPS --error 0.1"
    assert auc.command == figures[1]["command"], "a command that no longer exists stays"
    assert (old / "reference.json").is_file()


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('ran')",)


def test_files_that_are_no_checkpoints_are_refused(refusal: Refusal, tmp_path: Path) -> None:
    file = tmp_path / "model_90_acc_10_frames_x.pt"
    assert "cannot be read" in refusal(file)
    file.write_bytes(b"")
    assert "is empty" in refusal(file)
    file.write_text("These are not weights.\n")
    assert "torch did not write it" in refusal(file)
    file.write_bytes(b"PK\x03\x04" + bytes(1000))
    assert "is damaged" in refusal(file)
    torch.save([1, 2, 3], file)
    assert "no state dict" in refusal(file)
    torch.save({"model": _Bomb()}, file)
    assert "contains code, not only weights" in refusal(file)
    file.write_bytes(pickle.dumps({"model": _Bomb()}, protocol=2))
    assert "contains code, not only weights" in refusal(file)


def test_own_checkpoints_that_do_not_fit_are_refused(refusal: Refusal, tmp_path: Path) -> None:
    file, network = tmp_path / "best.pt", small_detector()
    write_checkpoint(file, network, format="truelight-checkpoint-9")
    assert "truelight-checkpoint-9" in refusal(file)
    write_checkpoint(file, network, config={"side": 64})
    assert "config.crop" in refusal(file)
    weights = network.state_dict()
    weights["head.bias"] = torch.zeros(2)
    write_checkpoint(file, network, model=weights)
    assert "head.bias has the shape [2], not [1]" in refusal(file)
    weights["head.bias"] = torch.full((1,), torch.nan)
    write_checkpoint(file, network, model=weights)
    assert "head.bias has values that are not finite" in refusal(file)
    del weights["head.bias"]
    write_checkpoint(file, network, model=weights)
    assert "1 keys are missing (head.bias)" in refusal(file)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--name", "two words", "name cannot be 'two words'"),
        ("--frames", "1000", "frames cannot be 1000"),
        ("--group-factors", "3,1,1,1", "3 does not divide"),
        ("--readout", "last", "was trained with the read-out mean"),
    ],
)
def test_values_that_do_not_fit_are_refused(
    small: Path, crops: Path, refusal: Refusal, option: str, value: str, message: str
) -> None:
    assert message in refusal(small, option, value, "--calibrate", str(crops))


def test_half_precision_is_taken(tmp_path: Path) -> None:
    weights = {
        key: value.bfloat16() if value.is_floating_point() else value
        for key, value in small_detector().state_dict().items()
    }
    checkpoint = write_checkpoint(tmp_path / "half.pt", small_detector(), model=weights)
    assert main(["bundle", str(checkpoint), "--out", str(tmp_path / "half")]) == 0
    load_bundle(tmp_path / "half")


def test_nothing_is_left_where_it_fails_midway(
    small: Path, refusal: Refusal, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "labels.tsv").write_text("file\tlabel\tsource\nmissing.png\tREAL\tnobody\n")
    assert "missing.png is not an image" in refusal(small, "--calibrate", str(empty))
    (empty / "labels.tsv").write_text("file\tlabel\tsource\n")
    assert "labels.tsv lists no files" in refusal(small, "--calibrate", str(empty))


def test_a_full_disk_leaves_the_old_bundle(small: Path, small_bundle: Path, tmp_path: Path) -> None:
    """The write fails in the middle: a process may write no file larger than 100 kB."""
    out = changed(small_bundle, tmp_path / "models" / "kept")
    command = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "from export.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["bundle", str(small), "--out", str(out), "--replace"]
    done = subprocess.run(
        [sys.executable, "-c", command, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in out.parent.iterdir()] == ["kept"]
    assert load_bundle(out).manifest.graphs.quantization.startswith("int8")


def test_a_bundle_is_replaced_only_if_asked(
    small: Path, small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = changed(small_bundle, tmp_path / "models" / "there")
    command = ["bundle", str(small), "--out", str(out)]
    assert main(command) == 1
    assert "--replace" in capsys.readouterr().err
    assert main([*command, "--replace"]) == 0
    assert load_bundle(out).manifest.graphs.quantization == "float32"
    assert [path.name for path in out.parent.iterdir()] == ["there"]


def test_using_a_bundle_imports_no_torch(small_bundle: Path) -> None:
    command = (
        "import sys; from pathlib import Path; from edge.scan.model.bundle import load_bundle;"
        "load_bundle(Path(sys.argv[1])).manifest;"
        "print([name for name in ('torch', 'onnx', 'export') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", command, str(small_bundle)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"
