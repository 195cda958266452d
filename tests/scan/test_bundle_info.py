"""A bundle whose weights lie in a file of their own, as a tower's do."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from bundles import SIDE, SLOPE, TOWER_WIDTH, write_bundle, write_tower_bundle
from frontdoor import ROOT

from edge.cli.main import main
from edge.finding import Thresholds
from edge.scan.model.bundle import check_golden, load_bundle
from edge.scan.model.bundle_info import BundleError, list_bundles, read_bundle
from edge.scan.model.manifest import EnsembleRule

BESIDE = EnsembleRule(
    name="red",
    sequence="0" * 64,
    features="1" * 64,
    crops=6,
    first=0.5,
    second=1.5,
    offset=-0.25,
    thresholds=Thresholds(real=0.2, fake=0.9),
)


def test_a_tower_answers_with_the_weights_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_tower_bundle(tmp_path / "tower", beside=BESIDE)
    monkeypatch.chdir(tmp_path)
    bundle = load_bundle(Path("tower"))
    crops = np.zeros((11, SIDE, SIDE, 3), np.uint8)
    crops[:, :, :, 0] = np.arange(11)[:, None, None] * 25
    features = bundle.features(crops)
    assert features.shape == (11, TOWER_WIDTH)
    logits = bundle.sequence(features[:, None])
    assert logits == pytest.approx(np.arange(11) * 25 / 255 * SLOPE, abs=1e-3)
    assert (bundle.manifest.window.frames, bundle.manifest.beside) == (1, BESIDE)
    assert "2048" not in (folder / "bundle.json").read_text()


def test_another_tower_is_refused(tmp_path: Path) -> None:
    folder = write_tower_bundle(tmp_path / "tower")
    content = bytearray((folder / "tower.onnx").read_bytes())
    content[-1] ^= 1  # behind the weights: nothing would answer otherwise
    (folder / "tower.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"tower\.onnx differs"):
        load_bundle(folder)


def test_a_file_that_was_verified_is_not_exchanged(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "red")
    info, graph = read_bundle(folder), (folder / "features.onnx").read_bytes()
    (folder / "other.onnx").write_bytes(b"something else")
    with info.open_verified("features.onnx") as opened:
        (folder / "other.onnx").replace(folder / "features.onnx")
        assert opened.read() == graph
    with pytest.raises(BundleError, match=r"features\.onnx differs"):
        info.open_verified("features.onnx")


def test_a_missing_tower_is_reported_as_to_be_fetched(tmp_path: Path) -> None:
    folder = write_tower_bundle(tmp_path / "thorough")
    (folder / "tower.onnx").unlink()
    with pytest.raises(BundleError, match=r"truelight models add thorough"):
        load_bundle(folder)
    (listed,) = list_bundles(tmp_path)
    assert listed.manifest is not None
    assert listed.problem is not None
    assert "not installed" in listed.problem.message
    assert listed.problem.remedy == "Get it with: truelight models add thorough"


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("kind",), "truelight"),
        (("beside", "thresholds", "real"), 0.95),
        (("beside", "crops"), 33),
        (("beside", "first"), "NaN"),
        (("beside", "second"), -1e308),
        (("beside", "sequence"), "none"),
        (("beside", "third"), 1.0),
    ],
)
def test_a_tower_of_nonsense_is_refused(
    tmp_path: Path, where: tuple[str, ...], value: object
) -> None:
    folder = write_tower_bundle(tmp_path / "tower", beside=BESIDE)
    manifest = json.loads((folder / "bundle.json").read_text())
    part = manifest
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = value
    (folder / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"bundle\.json is not valid"):
        load_bundle(folder)


def test_the_kind_tower_is_nothing_without_its_file(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"tower\.onnx if the kind is tower"):
        load_bundle(write_bundle(tmp_path / "red", kind="tower"))


def test_a_golden_vector_that_swells_is_not_unpacked(tmp_path: Path) -> None:
    """3.1 MB became 3.1 GB."""
    packed = io.BytesIO()
    np.savez_compressed(packed, crops=np.zeros(70_000_000, np.uint8))
    assert len(packed.getvalue()) < 100_000
    with pytest.raises(BundleError, match="too large"):
        check_golden(load_bundle(write_bundle(tmp_path / "red")), packed.getvalue(), tmp_path)


def test_a_golden_vector_whose_array_claims_more_than_it_holds_is_not_unpacked(
    tmp_path: Path,
) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("crops.npy", header.getvalue())
    with pytest.raises(BundleError, match="too large"):
        check_golden(load_bundle(write_bundle(tmp_path / "red")), packed.getvalue(), tmp_path)


def test_a_golden_vector_without_an_array_is_refused_by_its_name(tmp_path: Path) -> None:
    packed = io.BytesIO()
    np.savez(packed, features=np.zeros(3))
    graphs = load_bundle(write_bundle(tmp_path / "red"))
    with pytest.raises(BundleError, match=r"golden\.npz is not valid: array 'crops' is missing\."):
        check_golden(graphs, packed.getvalue(), tmp_path)


def test_the_shipped_bundles_are_known_and_no_others(tmp_path: Path) -> None:
    """Thresholds that someone edited made UNSURE a REAL, with no word."""
    for name in ("truelight", "thorough"):
        assert read_bundle(ROOT / "models" / name).model.shipped, f"truelight-export ship {name}"
    copy = tmp_path / "truelight"
    shutil.copytree(ROOT / "models" / "truelight", copy)
    assert read_bundle(copy).model.shipped
    manifest = json.loads((copy / "bundle.json").read_text())
    manifest["thresholds"]["real"] = 0.62
    (copy / "bundle.json").write_text(json.dumps(manifest))
    assert read_bundle(write_bundle(tmp_path / "red")).model.shipped is False
    assert read_bundle(copy).model.shipped is False


CONTROLS = "1\x1b]0;pwned\a\x1b[2J\u202e"


def test_no_text_of_a_manifest_controls_a_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`truelight models` printed the version as it was."""
    bundle = write_bundle(tmp_path / "evil")
    file = bundle / "bundle.json"
    figure = {"name": CONTROLS, "value": 0.5, "data": CONTROLS, "command": CONTROLS}
    said = dict.fromkeys(("version", "licence", "summary"), CONTROLS) | {"figures": [figure]}
    file.write_text(json.dumps(json.loads(file.read_text()) | said))
    manifest = read_bundle(bundle).manifest
    assert manifest.version == r"1\x1b]0;pwned\x07\x1b[2J\u202e"
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"model: {{folder: {bundle.parent}, bundle: {bundle.name}}}")
    assert main(["models", "--all", "--config", str(settings)]) == 0
    output = capfd.readouterr().out
    assert manifest.version in output
    assert output.replace("\n", "").isprintable()


def test_a_refused_manifest_does_not_control_a_terminal(tmp_path: Path) -> None:
    """The name of an unknown key was printed as it was."""
    bundle = write_bundle(tmp_path / "evil")
    file = bundle / "bundle.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {CONTROLS: 1}))
    with pytest.raises(BundleError, match="pwned") as caught:
        read_bundle(bundle)
    assert caught.value.message.isprintable()


def test_a_manifest_is_not_read_out_without_end(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "evil")
    file = bundle / "bundle.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"summary": "x" * 2001}))
    with pytest.raises(BundleError, match=r"summary: .*2000"):
        read_bundle(bundle)
