"""What the fuzzers found is refused well: their corpora once more, quickly."""

import struct
from pathlib import Path

import pytest
from hostile.fuzz.run import CORPUS
from hostile.fuzz.targets import TARGETS

from edge.scan.media.client import ClipError, open_clip
from edge.scan.media.protocol import Fault
from edge.scan.media.sampling import Sampling


@pytest.mark.parametrize("target", TARGETS)
def test_a_corpus(target: str) -> None:
    files = sorted((CORPUS / target).iterdir())
    assert len(files) > 1
    for file in files:
        try:
            TARGETS[target](file.read_bytes())
        except Exception as failure:
            raise AssertionError(f"{file}: {failure!r}") from failure


@pytest.mark.parametrize("size", [2**63 - 1, 2**63, 2**64 - 1])
def test_a_box_beyond_all_files_is_no_crash(tmp_path: Path, size: int) -> None:
    clip = tmp_path / "clip.mp4"
    boxes = struct.pack(">I8sQ", 20, b"ftypisom", 0) + struct.pack(">I4sQ", 1, b"mdat", size)
    clip.write_bytes(boxes + bytes(100))
    with pytest.raises(ClipError) as caught, open_clip(clip, Sampling(8, 4.0, 4)) as opened:
        _ = opened.clip
    assert caught.value.fault is Fault.BROKEN
