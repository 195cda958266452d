"""The model for second opinions: a head on a tower's features, joined with a first model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from bundles import write_bundle
from checkpoints import noise
from clips import write_image
from encoders import SIDE, WIDTH, write_encoder
from redpale import PALE, RED, hang, photograph, tinted, wall

from edge.finding import Thresholds, Verdict
from edge.scan.model.bundle import Sessions, check_golden, load_bundle, open_graph
from edge.scan.model.bundle_info import BundleError, manifest_with_figures
from edge.scan.model.manifest import Calibration
from edge.scan.scanner import Scanner
from edge.settings import load_settings
from export.cli.main import main
from export.clip.adapter import read_adapter
from export.clip.graph import features_graph, read_encoder, read_taps
from export.clip.probe import balanced, fit_head
from export.convert.bundle import amend
from export.convert.sequence_graph import linear_sequence
from export.evaluate.ensemble import PairedClip, fit_joined

TAPS = "3:class,3:mean"


def write_crops(folder: Path) -> Path:
    """Red and pale pictures of thirty sources."""
    folder.mkdir()
    rows = ["file\tlabel\tsource"]
    for at, picture in enumerate(noise(60, 40, seed=9)):
        label, tint = (("REAL", PALE), ("FAKE", RED))[at % 2]
        cv2.imwrite(str(folder / f"{at}.png"), tinted(picture, tint)[..., ::-1])
        rows.append(f"{at}.png\t{label}\t{at // 2}")
    (folder / "labels.tsv").write_text("\n".join(rows) + "\n")
    return folder


def write_faces(folder: Path) -> Path:
    """Pictures of two people, red and pale."""
    folder.mkdir()
    rows = ["file\tlabel\tsource"]
    for who in ("obama", "biden"):
        for label, tint in (("REAL", PALE), ("FAKE", RED)):
            canvas = wall()
            hang(canvas, tinted(photograph(who), tint), 100)
            write_image(folder / f"{who}{label}.jpg", canvas)
            rows.append(f"{who}{label}.jpg\t{label}\t{who}")
    (folder / "labels.tsv").write_text("\n".join(rows) + "\n")
    return folder


def test_an_opinion_is_made_and_asked(tmp_path: Path) -> None:
    doubtful = write_bundle(tmp_path / "red", thresholds=Thresholds(real=0.0, fake=1.0))
    sha256 = write_encoder(tmp_path / "their.onnx")
    tower = ["--tower", str(tmp_path / "their.onnx"), "--sha256", sha256]
    crops, clips = write_crops(tmp_path / "crops"), write_faces(tmp_path / "clips")
    assert main(["teach", str(crops), *tower, "--taps", TAPS, "--out", str(tmp_path / "kept")]) == 0
    out = tmp_path / "models" / "thorough"
    command = ["opinion", str(tmp_path / "kept"), *tower, "--crops", str(crops)]
    command += ["--clips", str(clips), "--beside", str(doubtful), "--out", str(out), "--ask", "3"]
    assert main(command) == 0
    assert main(command) == 1  # it is there

    bundle, first = load_bundle(out), load_bundle(doubtful).manifest
    manifest, beside = bundle.manifest, bundle.manifest.beside
    crop = manifest.input.crop_spec
    assert (manifest.kind, crop.side, crop.scale) == ("tower", SIDE, 0.96)
    assert beside is not None
    assert (beside.name, beside.crops) == ("red", 3)
    assert (beside.features, beside.sequence) == (
        first.files["features.onnx"],
        first.files["sequence.onnx"],
    )
    assert (out / "tower.onnx").read_bytes() == (tmp_path / "their.onnx").read_bytes()
    assert "Asked beside red, about 3 crops of a face" in (out / "CARD.md").read_text()
    figures = {f.name: f.value for f in manifest_with_figures(out).figures}
    assert figures["AUC, this model alone"] == 1.0
    assert figures["AUC, each fifth of the sources scored by a head that never saw it"] > 0.99
    assert sorted(path.name for path in out.parent.iterdir()) == ["thorough"]

    settings = load_settings().changed(
        "a test",
        {
            "model.bundle": str(doubtful),
            "second_opinion.ask": "always",
            "second_opinion.bundle": str(out),
        },
    )
    with Scanner(settings) as scanner:
        finding = scanner.scan(clips / "bidenFAKE.jpg")
    assert finding.second_opinion is not None
    (view,) = finding.second_opinion.faces
    (face,) = finding.faces
    lean = beside.first * face.windows[0].logit + beside.second * view.logit + beside.offset
    assert face.fake_probability == pytest.approx(1 / (1 + math.exp(-lean)))

    amend(out, calibration=Calibration(scale=2.0))
    assert load_bundle(out).manifest.beside == beside


def tuned_command(tmp_path: Path) -> tuple[list[str], dict[str, Any]]:
    """The command on `tuned.pt`, and what that file holds."""
    first = write_bundle(tmp_path / "red", thresholds=Thresholds(real=0.0, fake=1.0))
    sha256 = write_encoder(tmp_path / "their.onnx")
    name = "vision_model.embeddings.class_embedding"  # this tower has no layer norms
    rng = np.random.default_rng(4)
    kept: dict[str, Any] = {
        "format": "truelight-tuning-1",
        "taps": "3:class",
        "tower": sha256,
        "norms": {name: torch.from_numpy(rng.normal(2, 1, WIDTH).astype(np.float32))},
        "weight": torch.from_numpy(rng.normal(0, 1, WIDTH).astype(np.float32)),
        "bias": 0.5,
    }
    torch.save(kept, tmp_path / "tuned.pt")
    command = ["opinion", "--tuned", str(tmp_path / "tuned.pt"), "--beside", str(first)]
    command += ["--tower", str(tmp_path / "their.onnx"), "--sha256", sha256]
    command += ["--clips", str(write_faces(tmp_path / "clips"))]
    return command, kept


def test_a_tuned_tower_becomes_a_second_opinion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, kept = tuned_command(tmp_path)
    first, tower = tmp_path / "red", read_encoder(tmp_path / "their.onnx", kept["tower"])
    assert main([*command, "--out", str(tmp_path / "thorough")]) == 0
    bundle = load_bundle(tmp_path / "thorough")
    crops = noise(2, SIDE, seed=3)
    features = bundle.features(crops)
    assert bundle.sequence(features[:, None]) == pytest.approx(
        features @ kept["weight"].numpy() + 0.5, rel=1e-4
    )
    plain = features_graph(tower, taps := read_taps("3:class"), "their.onnx")
    session = open_graph(plain, 1, "plain", tmp_path)
    assert abs(session.run(["features"], {"crops": crops})[0] - features).max() > 0.1
    assert str(taps[0]) in bundle.manifest.graphs.quantization

    # The bundle gives back what it was made of.
    back = tmp_path / "back.pt"
    assert main(["recover", str(tmp_path / "thorough"), "--out", str(back)]) == 0
    found = read_adapter(back, tower)
    assert (found.taps, found.bias) == (tuple(taps), 0.5)
    assert found.weight == pytest.approx(kept["weight"].numpy())

    # Clips that a head learned from are scored by one that did not.
    nothing = {"weight": torch.zeros(1, WIDTH), "bias": torch.zeros(1)}
    groups = {"obama": 0, "biden": 0}
    torch.save({**kept, "left_out": {"groups": groups, **nothing}}, tmp_path / "tuned.pt")
    assert main([*command, "--out", str(tmp_path / "blind")]) == 0
    figures = {f.name: f.value for f in manifest_with_figures(tmp_path / "blind").figures}
    assert figures["AUC, this model alone"] == 0.5

    # Its rule is fitted again on other clips.
    out, clips = str(tmp_path / "thorough"), str(tmp_path / "clips")
    again = ["calibrate", out, clips, "--beside", str(first), "--version", "2"]
    capsys.readouterr()
    assert main([*again, "--dry-run"]) == 0
    assert "With the first bundle:" in capsys.readouterr().out
    assert load_bundle(tmp_path / "thorough").manifest == bundle.manifest
    beside = bundle.manifest.beside
    assert beside is not None
    amend(tmp_path / "thorough", beside=beside.model_copy(update={"offset": 9.0}))
    assert main(again) == 0
    fitted = manifest_with_figures(tmp_path / "thorough")
    assert (fitted.version, fitted.beside) == ("2", beside)
    assert sum(f.name == "UNSURE, share, both models" for f in fitted.figures) == 1
    assert main(["calibrate", str(first), clips, "--beside", out]) == 1
    assert "gives no second opinions" in capsys.readouterr().err

    torch.save(kept | {"tower": "0" * 64}, tmp_path / "tuned.pt")
    assert main([*command, "--out", str(tmp_path / "other")]) == 1
    assert "tuned on another encoder" in capsys.readouterr().err


def test_a_second_head_says_if_a_face_was_generated(tmp_path: Path) -> None:
    command, kept = tuned_command(tmp_path)
    first = tmp_path / "red"
    # Its limits are the thresholds of swaps.
    half = {"weight": torch.zeros(1, WIDTH), "bias": torch.tensor([9.0])}
    other: dict[str, Any] = {
        "weight": torch.zeros(WIDTH),
        "bias": 3.0,
        "fake_at": 2.0,
        "real_at": -1.0,
    }
    other["left_out"] = {"groups": {"obama": 0}, **half}
    torch.save({**kept, "generated": other}, tmp_path / "tuned.pt")
    assert main([*command, "--out", str(tmp_path / "both")]) == 0
    asked = load_bundle(tmp_path / "both")
    assert asked.asks_generated
    assert asked.generated(np.ones((2, 1, WIDTH), np.float32)) == pytest.approx([3.0, 3.0])
    rule = asked.manifest.beside
    assert rule is not None
    assert rule.generated is not None
    assert rule.generated.probability(2.0) == pytest.approx(min(rule.thresholds.fake, 0.98))
    assert rule.generated.probability(-1.0) == pytest.approx(max(rule.thresholds.real, 0.02))
    figures = {f.name: f.value for f in manifest_with_figures(tmp_path / "both").figures}
    assert figures["real clips called FAKE, as generated"] == 1.0
    values = {
        "model.bundle": str(first),
        "second_opinion.ask": "always",
        "second_opinion.bundle": str(tmp_path / "both"),
    }
    with Scanner(load_settings().changed("a test", values)) as scanner:
        finding = scanner.scan(tmp_path / "clips" / "bidenREAL.jpg")
    assert finding.second_opinion is not None
    (view,) = finding.second_opinion.faces
    assert view.generated_probability == pytest.approx(rule.generated.probability(3.0))
    again = ["calibrate", str(tmp_path / "both"), str(tmp_path / "clips"), "--beside", str(first)]
    assert main([*again, "--error", "0.4"]) == 0
    fitted = load_bundle(tmp_path / "both").manifest.beside
    assert fitted is not None
    assert fitted.generated is not None
    assert fitted.generated.probability(2.0) == pytest.approx(fitted.thresholds.fake, abs=0.021)
    changed = (tmp_path / "both" / "sequence.onnx").read_bytes()
    linear = linear_sequence(kept["weight"].numpy(), 0.5, (np.zeros(WIDTH, np.float32), 4.0))
    graph = linear.SerializeToString()
    assert graph != changed
    with pytest.raises(BundleError, match=r"sequence\.onnx gives other answers"):
        check_golden(
            Sessions(
                (tmp_path / "both" / "features.onnx").read_bytes(), graph, weights=tmp_path / "both"
            ),
            (tmp_path / "both" / "golden.npz").read_bytes(),
            tmp_path / "both",
        )


def test_a_head_is_for_features_as_they_are() -> None:
    rng = np.random.default_rng(1)
    fakes = np.arange(400) % 2 == 1
    features = rng.normal(5, 3, (400, WIDTH)).astype(np.float16)
    features[:, 4] += 4 * fakes
    features[:, 5] = 100  # says nothing, never changes
    sources = [str(at // 4) for at in range(400)]
    head = fit_head(features, fakes, sources, lambda done, total: None)
    logits = head.logits(features)
    assert 0.75 < head.auc < 0.9  # 4 / 3 deviations apart: 0.83
    assert int(np.abs(head.weight[np.arange(WIDTH) != 5]).argmax()) == 4
    # Where both labels weigh the same, no label is leaned to.
    weights = balanced(fakes, sources)
    assert weights @ (1 / (1 + np.exp(-logits))) == pytest.approx(0.5, abs=0.01)


def test_every_source_of_a_label_weighs_the_same() -> None:
    fakes = np.array([False, False, False, True, True])
    weights = balanced(fakes, ["a", "a", "b", "a", "c"])
    assert weights == pytest.approx([0.125, 0.125, 0.25, 0.25, 0.25])


def test_the_face_that_decides_is_chosen_by_the_rule() -> None:
    """Only the second model knows; the first one's loudest face is always another."""
    rng = np.random.default_rng(2)
    views = []
    for at in range(80):
        fake = at % 2 == 1
        clear = (float(rng.normal()), float(rng.normal(6 if fake else -6)))
        loud = (float(rng.normal(8)), -8.0)
        views.append(PairedClip(fake, str(at), (loud, clear), Verdict.UNSURE))
    found = fit_joined(views, 0.05)
    assert found.unsure < 0.1
    assert found.rule.weights[1] > 2 * found.rule.weights[0]
