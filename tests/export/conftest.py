"""What the exporter's tests stand on: bundles made by the command itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from checkpoints import noise, small_detector, write_checkpoint

from export.cli.main import main


@pytest.fixture(scope="session")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of labelled pictures."""
    folder = tmp_path_factory.mktemp("crops")
    rows = ["file\tlabel\tsource"]
    for at, picture in enumerate(noise(24, 80, seed=1)):
        cv2.imwrite(str(folder / f"{at}.png"), picture)
        rows.append(f"{at}.png\t{'FAKE' if at % 2 else 'REAL'}\t{at}")
    (folder / "labels.tsv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a small network of our own."""
    return write_checkpoint(tmp_path_factory.mktemp("small") / "best.pt", small_detector())


@pytest.fixture(scope="session")
def small_bundle(small: Path, crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its int8 bundle. Not to be changed: `copy_of` makes one that may."""
    out = tmp_path_factory.mktemp("models") / "small"
    options = ["--out", str(out), "--calibrate", str(crops), "--check", str(crops)]
    assert main(["bundle", str(small), *options, "--group-factors", "4,2,1,1"]) == 0
    return out


@pytest.fixture
def refusal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[[Path], str]:  # fmt: skip
    """Export a checkpoint that must be refused, nothing left behind; what was said."""

    def export(checkpoint: Path, *options: str) -> str:
        out = tmp_path / "models" / "refused"
        assert main(["bundle", str(checkpoint), "--out", str(out), *options]) == 1
        assert not out.parent.exists() or list(out.parent.iterdir()) == []
        return capsys.readouterr().err

    return export
