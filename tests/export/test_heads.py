"""`truelight-export heads`: makers of fakes are left out of training, then found or not."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from checkpoints import noise
from encoders import WIDTH, write_encoder
from redpale import PALE, RED, tinted

from export.cli.main import main
from export.clip.adapter import Adapter, hash_of, read_adapter, write_adapter
from export.clip.graph import read_encoder, read_taps
from export.clip.teacher import load_features
from export.evaluate.heads import differences
from export.evaluate.makers import LabelledFace, groups_of, leave_makers_out, maker_weights

TAPS = "3:class,3:mean"


def write_crops(folder: Path) -> Path:
    """Two makers tint their fakes red; the third's are like reals."""
    folder.mkdir()
    rows = ["file\tlabel\tsource\twith\tclip"]
    for at, image in enumerate(noise(120, 40, seed=9)):
        maker = ("alpha", "beta", "gamma", "-")[at % 4]
        fake = maker != "-" and at % 8 < 4
        tint = RED if fake and maker != "gamma" else PALE
        cv2.imwrite(str(folder / f"{at}.png"), tinted(image, tint)[..., ::-1])
        rows.append(f"{at}.png\t{'FAKE' if fake else 'REAL'}\t{maker}{at // 8}\t{maker}\t{at}")
    (folder / "labels.tsv").write_text("\n".join(rows) + "\n")
    return folder


def test_a_maker_is_found_if_others_make_fakes_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crops = write_crops(tmp_path / "crops")
    sha256 = write_encoder(tmp_path / "their.onnx")
    tower = ["--tower", str(tmp_path / "their.onnx"), "--sha256", sha256]
    kept, head = tmp_path / "kept", tmp_path / "head.pt"
    assert main(["teach", str(crops), *tower, "--taps", TAPS, "--out", str(kept)]) == 0
    capsys.readouterr()
    command = ["heads", str(kept), "--crops", str(crops), "--taps", "3:mean", "--out", str(head)]
    assert main(command) == 0
    shown = capsys.readouterr().out
    found = dict(re.findall(r"(alpha|beta|gamma) +([0-9.]+)", shown))
    assert float(found["alpha"]) > 0.99
    assert float(found["beta"]) > 0.99
    assert float(found["gamma"]) < 0.8
    assert "worst" in shown
    adapter = read_adapter(head, read_encoder(tmp_path / "their.onnx", sha256))
    assert (str(adapter.taps[0]), len(adapter.taps), adapter.norms) == ("3:mean", 1, {})


def test_a_head_is_added_to_a_given_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crops = write_crops(tmp_path / "crops")
    sha256 = write_encoder(tmp_path / "their.onnx")
    tower = ["--tower", str(tmp_path / "their.onnx"), "--sha256", sha256]
    rng = np.random.default_rng(4)
    # This tower has no layer norms.
    norms = {"vision_model.embeddings.class_embedding": rng.normal(2, 1, WIDTH).astype(np.float32)}
    weight = rng.normal(0, 1, WIDTH).astype(np.float32)
    given = Adapter(read_taps("3:mean"), sha256, norms, weight, 0.5)
    tuned, head, kept = tmp_path / "tuned.pt", tmp_path / "head.pt", tmp_path / "kept"
    write_adapter(tuned, given, 0)
    plain = tmp_path / "plain"
    with_norms = [*tower, "--taps", TAPS, "--tuned", str(tuned)]
    assert main(["teach", str(crops), *with_norms, "--out", str(kept)]) == 0
    assert main(["teach", str(crops), *tower, "--taps", TAPS, "--out", str(plain)]) == 0
    add = ["--crops", str(crops), "--tuned", str(tuned), *tower, "--share", "0.5"]
    capsys.readouterr()
    assert main(["heads", str(plain), *add]) == 1
    assert "other layer norms" in capsys.readouterr().err
    assert main(["heads", str(kept), *add, "--out", str(head)]) == 0
    assert re.search(r"[+-]0\.\d+ \([+-]0\.\d+ to [+-]0\.\d+\) against", capsys.readouterr().out)

    made = read_adapter(head, read_encoder(tmp_path / "their.onnx", sha256))
    assert hash_of(made.norms) == hash_of(norms) != ""
    features = load_features(kept).matrix.astype(np.float64)
    before = features[:, WIDTH:] @ weight + 0.5
    added = features @ made.weight + made.bias - before
    assert added.std() == pytest.approx(0.5 * before.std(), rel=1e-3)

    # A source's left-out head saw nothing of its maker, so it differs from the whole one.
    heads = made.left_out
    assert heads is not None
    assert heads.groups["alpha0"] == heads.groups["alpha1"] != heads.groups["beta1"]
    assert heads.logit("nobody", features[0]) is None
    whole = float(features[0] @ made.weight + made.bias)
    assert heads.logit("alpha0", features[0]) != pytest.approx(whole, abs=1e-3)


def test_generated_faces_are_found_and_not_called_real(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sha256 = write_encoder(tmp_path / "their.onnx")
    tower = ["--tower", str(tmp_path / "their.onnx"), "--sha256", sha256]
    folders = {"reals": ("REAL", PALE), "made": ("FAKE", RED)}
    for name, (label, tint) in folders.items():
        (tmp_path / name).mkdir()
        rows = ["file\tlabel\tsource\tcamera"]
        for at, image in enumerate(noise(60, 40, seed=9)):
            cv2.imwrite(str(tmp_path / name / f"{at}.png"), tinted(image, tint)[..., ::-1])
            rows.append(f"{at}.png\t{label}\t{name}{at}\t{name}")
        (tmp_path / name / "labels.tsv").write_text("\n".join(rows) + "\n")
    crops = [str(tmp_path / name) for name in folders]
    kept, swaps, both = tmp_path / "kept", tmp_path / "swaps.pt", tmp_path / "both.pt"
    assert main(["teach", *crops, *tower, "--taps", TAPS, "--out", str(kept)]) == 0
    weight = np.ones(WIDTH, np.float32)
    write_adapter(swaps, Adapter(read_taps("3:mean"), sha256, {}, weight, 0.5), 0)
    command = ["generated", str(kept), "--crops", crops[0], "--generated", crops[1], *tower]
    capsys.readouterr()
    assert main([*command, "--tuned", str(swaps), "--out", str(both)]) == 0
    assert "Of 60 generated faces 100.0% are called FAKE" in capsys.readouterr().out

    made = read_adapter(both, read_encoder(tmp_path / "their.onnx", sha256))
    head = made.generated
    assert head is not None
    assert head.real_at < head.fake_at
    assert (made.weight[:WIDTH] == 0).all()
    assert (made.weight[WIDTH:] == 1).all()
    names, features = load_features(kept).names, load_features(kept).matrix.astype(np.float64)
    logits = features @ head.weight + head.bias
    fakes = np.array([name.startswith("made") for name in names])
    assert (logits[fakes] > head.fake_at).mean() > 0.95
    assert (logits[~fakes] <= head.real_at).mean() > 0.5
    other = [head.left_out.logit(name.split("/")[0] + "0", features[0]) for name in names[:1]]
    assert other[0] != pytest.approx(logits[0])


def test_nothing_of_a_left_out_maker_is_learned_from() -> None:
    faces = [
        LabelledFace(fake, f"{maker}{source}", maker, f"{maker}{source}{fake}")
        for maker in ("alpha", "beta")
        for source in range(20)
        for fake in (False, True)
    ]
    faces += [LabelledFace(False, f"phone{n}", "-", f"phone{n}") for n in range(20)]
    # Blends of everybody: they show the sources of other sets.
    faces += [
        LabelledFace(True, face.source, "blends", f"blend{n}", derived=True)
        for n, face in enumerate(faces)
        if not face.fake
    ]
    learned: list[np.ndarray] = []

    def fit(part: np.ndarray) -> np.ndarray:
        learned.append(part)
        return np.zeros(len(faces))

    results = leave_makers_out(faces, fit)
    assert [result.maker for result in results] == ["alpha", "beta", "blends"]
    for part in learned[:2]:
        assert not any(faces[n].source.startswith("alpha") for n in np.flatnonzero(part))
    phones = [
        {faces[n].source for n in np.flatnonzero(p) if faces[n].maker == "-"} for p in learned
    ]
    assert phones[0] | phones[1] == {f"phone{n}" for n in range(20)}
    assert not phones[0] & phones[1]
    assert results[0].auc() == pytest.approx(0.5)


def test_a_cameras_reals_are_scored_by_a_head_that_saw_nothing_of_it() -> None:
    faces = [LabelledFace(True, f"alpha{n}", "alpha", str(n)) for n in range(5)]
    faces += [
        LabelledFace(False, f"{camera}-{n}", "-", str(n), camera=f"camera {camera}")
        for camera in range(30)
        for n in range(4)
    ]
    groups, parts = groups_of(faces)
    real_groups = {groups[face.source] for face in faces if not face.fake}
    assert len(real_groups) > 5
    for source, group in groups.items():
        learned = [faces[n] for n in np.flatnonzero(parts[group])]
        camera = source.split("-")[0]
        assert not any(face.source.split("-")[0] == camera for face in learned)
        # A tenth of the cameras is left out, not half.
        assert len(learned) > len(faces) / 2
    assert not any(faces[n].fake for n in np.flatnonzero(parts[groups["alpha0"]]))


def test_a_makers_many_pictures_of_one_person_weigh_little() -> None:
    faces = [LabelledFace(True, "one", "many", str(n)) for n in range(900)]
    faces += [LabelledFace(True, str(n), "few", str(n)) for n in range(16)]
    faces += [LabelledFace(False, str(n), "-", str(n)) for n in range(10)]
    weights = maker_weights(faces, 0.25)
    assert weights.sum() == pytest.approx(1)
    assert weights[916:].sum() == pytest.approx(0.5)
    assert weights[900:916].sum() == pytest.approx(2 * weights[:900].sum())


def test_a_fake_is_compared_with_what_was_treated_like_it() -> None:
    def face(fake: bool, pair: str) -> LabelledFace:
        return LabelledFace(fake, "one", "alpha", pair, pair=pair)

    faces = [face(False, "1"), face(False, "2"), face(True, "2"), face(True, "1"), face(True, "")]
    assert differences(faces).tolist() == [[3, 0], [2, 1]]
    unknown = [dataclasses.replace(each, pair="") for each in faces]
    assert differences(unknown).tolist() == [[2, 0], [3, 1], [4, 0]]
