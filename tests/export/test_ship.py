"""`truelight-export ship`: the list of Truelight's own bundles."""

from pathlib import Path

import pytest
from bundles import write_bundle

from edge.scan.model import bundle_info
from edge.scan.model.bundle_info import read_bundle, shipped_hashes
from export.cli.main import main


def test_a_bundle_is_noted_once_and_only_if_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "shipped.txt"
    listed.write_text("0" * 64 + "  earlier 1\n")
    monkeypatch.setattr(bundle_info, "SHIPPED_FILE", listed)
    shipped_hashes.cache_clear()
    try:
        bundle = write_bundle(tmp_path / "red")
        assert read_bundle(bundle).model.shipped is False
        assert main(["ship", str(bundle)]) == 0
        shipped_hashes.cache_clear()
        assert read_bundle(bundle).model.shipped is True
        assert main(["ship", str(bundle)]) == 0
        assert "already" in capsys.readouterr().out
        lines = listed.read_text().splitlines()
        assert lines[0].endswith("earlier 1")
        assert len(lines) == 2
        broken = write_bundle(tmp_path / "broken")
        (broken / "golden.npz").write_bytes(b"")
        assert main(["ship", str(broken)]) == 1
        assert len(listed.read_text().splitlines()) == 2
    finally:
        shipped_hashes.cache_clear()
