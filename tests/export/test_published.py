"""A published checkpoint, at full size: exported by the command, held against the reference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import noise, unsettle
from reference import Reference, as_published

from edge.scan.model.bundle import Bundle, load_bundle
from export.cli.main import main

Refusal = Callable[..., str]


@pytest.fixture(scope="module")
def reference() -> Reference:
    network = Reference()
    unsettle(network)
    # Logits of a fresh head are so alike that half of a mistake would pass.
    network.linear1.weight.data *= 30
    network.lstm.get_parameter("weight_ih_l0").data *= 4
    return network


@pytest.fixture(scope="module")
def checkpoint(reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("published") / "model_84_acc_10_frames_final_data.pt"
    torch.save(reference.state_dict(), file)
    return file


def export(checkpoint: Path, out: Path, *options: str) -> Bundle:
    assert main(["bundle", str(checkpoint), "--out", str(out), *options]) == 0
    return load_bundle(out)


@pytest.mark.parametrize(("readout", "frames"), [("mean", 10), ("last", 20)])
def test_a_published_checkpoint_answers_as_its_network_does(
    checkpoint: Path, reference: Reference, tmp_path: Path, readout: str, frames: int
) -> None:
    options = ["--readout", readout]
    if frames != 10:  # which is what the file's name says
        nameless = tmp_path / "weights.pt"
        nameless.symlink_to(checkpoint)
        checkpoint = nameless
        options += ["--frames", str(frames)]
    bundle = export(checkpoint, tmp_path / readout, *options)
    crops = noise(frames, 112, seed=5)
    with torch.inference_mode():
        fake, real = reference(as_published(crops), readout)[0]
    features = bundle.features(crops)
    (logit,) = bundle.sequence(features[None])
    assert abs(float(fake - real)) > 0.01
    assert abs(logit - float(fake - real)) < 1e-4
    assert bundle.manifest.kind == "published"
    assert bundle.manifest.readout == readout
    assert bundle.manifest.input.colour == "bgr"
    assert bundle.manifest.window.frames == frames
    # The order of frames is nothing; read out at the end, only the last one counts.
    shuffled = np.concatenate([features[5:-1], features[:5], features[-1:]])
    assert np.isclose(bundle.sequence(shuffled[None]), logit, atol=1e-5)
    features[:-1] = features[0]
    assert np.isclose(bundle.sequence(features[None]), logit, atol=1e-5) == (readout == "last")


def test_a_published_checkpoint_does_not_say_its_readout(
    checkpoint: Path, refusal: Refusal
) -> None:
    assert "--readout" in refusal(checkpoint)


def test_frames_are_asked_for_where_the_name_has_none(
    checkpoint: Path, refusal: Refusal, tmp_path: Path
) -> None:
    nameless = tmp_path / "weights.pt"
    nameless.symlink_to(checkpoint)
    assert "--frames" in refusal(nameless, "--readout", "mean")


def test_missing_and_unexpected_keys_are_named(
    checkpoint: Path, refusal: Refusal, tmp_path: Path
) -> None:
    weights = torch.load(checkpoint, weights_only=True, mmap=True)
    weights["lstm.bias_ih_l0"] = torch.zeros(8192)
    del weights["linear1.bias"]
    other = tmp_path / "model_90_acc_10_frames_other.pt"
    torch.save(weights, other)
    said = refusal(other, "--readout", "mean")
    assert "1 keys are missing (linear1.bias)" in said
    assert "1 keys are unexpected (lstm.bias_ih_l0)" in said


def test_parallel_keys_get_a_hint(checkpoint: Path, refusal: Refusal, tmp_path: Path) -> None:
    weights = torch.load(checkpoint, weights_only=True, mmap=True)
    other = tmp_path / "model_90_acc_10_frames_other.pt"
    torch.save({f"module.{key}": value for key, value in weights.items()}, other)
    said = refusal(other, "--readout", "mean")
    assert "and 317 more" in said
    assert "network.module.state_dict()" in said
