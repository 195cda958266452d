"""What a file is, by its content."""

from pathlib import Path

from clips import card, write_clip, write_sound
from decoding import refusal

from edge.scan.media.protocol import Fault


def test_what_is_no_clip_is_named_by_its_kind(tmp_path: Path) -> None:
    def holding(data: bytes) -> Path:
        path = tmp_path / "video.mp4"
        path.write_bytes(data)
        return path

    assert refusal(holding(b"not a clip\n" * 50)) is Fault.TEXT
    assert refusal(holding("läßt grüßen\n".encode("latin-1") * 50)) is Fault.TEXT
    assert refusal(holding(bytes(range(256)) * 64)) is Fault.NOT_A_CLIP
    assert refusal(holding(b"%PDF-1.7\n\0\x01\x02" + bytes(99))) is Fault.NOT_A_CLIP
    assert refusal(holding(b"\0\0\0\x1cftypheic" + bytes(99))) is Fault.STILL_FORMAT
    whole = write_clip(tmp_path / "whole.mp4", 10).read_bytes()
    assert refusal(holding(whole[: whole.index(b"moov")])) is Fault.BROKEN
    assert refusal(holding(whole[:30])) is Fault.BROKEN
    assert refusal(write_sound(tmp_path / "sound.mp3", "mp3")) is Fault.SOUND
    assert refusal(write_sound(tmp_path / "sound.mp4")) is Fault.NO_PICTURE
    assert refusal(write_sound(tmp_path / "cover.mp4", cover=card())) is Fault.NO_PICTURE


def test_a_list_of_other_files_is_no_clip(tmp_path: Path) -> None:
    secret = write_clip(tmp_path / "secret.ts", 25)
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {secret}\n",
    ):
        path = tmp_path / "list.mp4"
        path.write_text(text)
        assert refusal(path) is Fault.TEXT
