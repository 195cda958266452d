"""Findings as scans of real clips give them."""

from pathlib import Path

import pytest

from edge.scan.scanner import Scanner, ScanResult
from edge.settings import load_settings


@pytest.fixture(scope="session")
def looks(
    bundle: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, ScanResult]:
    """By name: red.mp4, pale.mp4, two.mp4, red.jpg, nobody.mp4, text.mp4 (unreadable)."""
    text = tmp_path_factory.mktemp("text") / "text.mp4"
    text.write_text("no clip")
    settings = load_settings().changed("test", {"model.bundle": str(bundle)})
    with Scanner(settings) as scanner:
        return {
            path.name: scanner.scan_with_pictures(path) for path in (*sorted(clips.iterdir()), text)
        }
