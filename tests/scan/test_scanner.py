"""The scanner as the daemon will use it: one object, clip after clip."""

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bundles import write_tower_bundle
from clips import write_clip
from decoding import look
from PIL import Image
from stage import detector

from edge.finding import ReasonCode, Verdict
from edge.scan.model.bundle_info import BundleError
from edge.scan.progress import Cancelled, Progress
from edge.scan.scanner import Scanner
from edge.settings import load_settings


@pytest.fixture(scope="module")
def scanner(bundle: Path) -> Iterator[Scanner]:
    with Scanner(load_settings().changed("test", {"model.bundle": str(bundle)})) as scanner:
        yield scanner


def test_progress_goes_up_to_the_end(scanner: Scanner, clips: Path) -> None:
    reports: list[Progress] = []
    finding = scanner.scan(clips / "red.mp4", reports.append)
    assert [reports[0].stage, reports[-1].stage] == ["opening", "judging"]
    done = [progress.done for progress in reports]
    assert done == sorted(done)
    assert done[-1] == finding.frames_scored
    looking = [progress for progress in reports if progress.stage == "looking"]
    assert all(0 < at.done <= at.expected for at in looking)
    assert all(at.seconds_left is not None and at.seconds_left >= 0 for at in looking)
    assert looking[-1].seconds_left == pytest.approx(0, abs=5)


def test_a_clip_that_fails_does_not_spoil_the_next(
    scanner: Scanner, clips: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no clip")
    verdicts = [scanner.scan(path).verdict for path in (text, clips / "red.jpg", text)]
    assert verdicts == [Verdict.UNREADABLE, Verdict.FAKE, Verdict.UNREADABLE]


def test_a_damaged_clip_is_judged_by_what_is_left(
    scanner: Scanner, clips: Path, tmp_path: Path
) -> None:
    content = bytearray((clips / "red.mp4").read_bytes())
    media = content.index(b"mdat")
    middle = media + (len(content) - media) // 2
    content[middle : middle + 4000] = b"\xff" * 4000
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(content)
    finding = scanner.scan(damaged)
    assert finding.verdict is Verdict.FAKE
    assert ReasonCode.DAMAGED in [reason.code for reason in finding.reasons]


@pytest.mark.parametrize("reason", [Cancelled, KeyboardInterrupt])
def test_a_listener_may_end_the_scan_and_nothing_of_it_stays(
    scanner: Scanner, clips: Path, reason: type[BaseException]
) -> None:
    """Ctrl-C comes as an exception in the midst of things, too."""

    def interrupt(progress: Progress) -> None:
        if progress.done == 5:
            raise reason

    before = threading.active_count()
    with pytest.raises(reason):
        scanner.scan_with_pictures(clips / "red.mp4", interrupt)
    assert threading.active_count() == before
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()
    assert children == ""
    assert scanner.scan(clips / "red.jpg").verdict is Verdict.FAKE


def test_a_large_file_may_be_given_up_while_it_is_hashed(scanner: Scanner, tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    large.touch()
    os.truncate(large, 400 * 1024**3)

    def cancel(progress: Progress) -> None:
        if progress.stage == "judging":
            raise Cancelled

    with pytest.raises(Cancelled):
        scanner.scan_with_pictures(large, cancel)


def test_every_face_has_a_portrait_that_shows_it(scanner: Scanner, clips: Path) -> None:
    look = scanner.scan_with_pictures(clips / "two.mp4")
    faces = sorted(look.finding.faces, key=lambda face: face.box.x)
    red, pale = (look.portraits[face.id] for face in faces)
    assert len(look.portraits) == 2
    for pixels in (red, pale):
        assert pixels.shape == (160, 160, 3)
        assert pixels.dtype == np.uint8
        around = np.pad(pixels, ((40, 40), (40, 40), (0, 0)), constant_values=110)
        (found,) = detector().detect(around)
        assert 80 < found.box.width < 125  # the whole head, with some of what is around it
    assert red[..., 0].mean() > 2 * red[..., 2].mean()
    assert pale[..., 1].mean() > 1.3 * pale[..., 0].mean()


def test_the_first_frames_are_kept_small_with_a_box_around_each_face(
    scanner: Scanner, clips: Path, tmp_path: Path
) -> None:
    sheet = scanner.scan_with_pictures(clips / "two.mp4").first_frames
    assert sheet is not None and sheet.dtype == np.uint8
    high, wide = sheet.shape[0] // 2, sheet.shape[1] // 3  # six frames, a gap between them
    assert (sheet.shape[1], sheet.shape[2]) == (3 * 240 + 2 * 4, 3)
    frame = sheet[:high, :wide].astype(int)
    lines = (frame.min(axis=2) > 200).sum(axis=0)  # upright edges of the boxes, in white
    assert (lines > 0.2 * high).sum() >= 4
    nobody = scanner.scan_with_pictures(clips / "nobody.mp4").first_frames
    assert nobody is not None and nobody.shape[1] == sheet.shape[1]
    (tmp_path / "broken.mp4").write_bytes(b"no clip")
    assert scanner.scan_with_pictures(tmp_path / "broken.mp4").first_frames is None


def test_a_clip_may_be_passed_over_with_a_reason(scanner: Scanner, clips: Path) -> None:
    scanner.wait()
    finding = scanner.unreadable(clips / "red.mp4", "It was too long.")
    status = (clips / "red.mp4").stat()
    assert (finding.size, finding.modified_ns) == (status.st_size, status.st_mtime_ns)
    assert (finding.verdict, finding.reasons[0].text) == (Verdict.UNREADABLE, "It was too long.")
    assert finding.model == scanner.scan(clips / "red.jpg").model


def test_the_same_clip_gives_the_same_portrait(scanner: Scanner, clips: Path) -> None:
    first, second = (scanner.scan_with_pictures(clips / "red.mp4").portraits[1] for _ in range(2))
    assert np.array_equal(first, second)


def test_without_a_face_there_is_no_portrait(scanner: Scanner, clips: Path) -> None:
    assert scanner.scan_with_pictures(clips / "nobody.mp4").portraits == {}


def test_a_model_that_fails_to_load_is_no_clips_fault(
    bundle: Path, clips: Path, tmp_path: Path
) -> None:
    shutil.copytree(bundle, tmp_path / "broken")
    (tmp_path / "broken" / "golden.npz").unlink()
    settings = load_settings().changed("test", {"model.bundle": str(tmp_path / "broken")})
    with (
        Scanner(settings) as scanner,
        pytest.raises(BundleError, match=r"golden\.npz cannot be read"),
    ):
        scanner.scan(clips / "red.jpg")


@pytest.fixture
def pale(scanner: Scanner, clips: Path, tmp_path: Path) -> Image.Image:
    """A picture of someone who is REAL."""
    picture = Image.fromarray(look(clips / "pale.mp4")[1][0][2])
    picture.save(tmp_path / "pale.jpg", quality=95)
    assert scanner.scan(tmp_path / "pale.jpg").verdict is Verdict.REAL
    return picture


def test_a_video_behind_a_picture_is_judged_with_it(
    scanner: Scanner, pale: Image.Image, clips: Path, tmp_path: Path
) -> None:
    motion = tmp_path / "motion.jpg"
    motion.write_bytes((tmp_path / "pale.jpg").read_bytes() + (clips / "red.mp4").read_bytes())
    look = scanner.scan_with_pictures(motion)
    finding = look.finding
    assert finding.verdict is Verdict.FAKE
    assert [(part.kind, part.number) for part in finding.parts] == [("video", 1)]
    assert [(face.id, face.part, face.counted) for face in finding.faces] == [
        (1, 0, True),
        (2, 1, True),
    ]
    assert finding.reasons[0].text.startswith("Face 2 in the video behind the picture looks sw")
    assert finding.parts[0].clip.seconds == pytest.approx(3, abs=0.1)
    assert set(look.portraits) == {1, 2}


def test_every_page_is_judged(scanner: Scanner, pale: Image.Image, tmp_path: Path) -> None:
    pages = tmp_path / "pages.tiff"
    pale.save(pages, save_all=True, append_images=[pale, pale])
    finding = scanner.scan(pages)
    assert finding.verdict is Verdict.REAL
    assert [face.part for face in finding.faces] == [0, 1, 2]
    texts = [reason.text for reason in finding.reasons]
    assert "Each part shows one picture only: motion could not be judged." in texts


def test_real_is_not_said_of_a_file_of_which_a_part_was_not_scanned(
    scanner: Scanner, pale: Image.Image, clips: Path, tmp_path: Path
) -> None:
    motion = tmp_path / "motion.jpg"
    film = (clips / "red.mp4").read_bytes()
    motion.write_bytes((tmp_path / "pale.jpg").read_bytes() + film[: len(film) // 4])
    finding = scanner.scan(motion)
    assert finding.verdict is Verdict.UNSURE
    assert ReasonCode.VIDEO_BEHIND in [reason.code for reason in finding.reasons]


def test_frames_that_show_one_picture_are_called_so(
    scanner: Scanner, clips: Path, tmp_path: Path
) -> None:
    picture = np.asarray(Image.open(clips / "red.jpg").convert("RGB"))
    held = write_clip(tmp_path / "held.mp4", [picture] * 50)
    finding = scanner.scan(held)
    assert finding.verdict is Verdict.FAKE
    assert ReasonCode.SINGLE_PICTURE in [reason.code for reason in finding.reasons]
    moving = scanner.scan(clips / "red.mp4")
    assert ReasonCode.SINGLE_PICTURE not in [reason.code for reason in moving.reasons]


def test_a_bundle_whose_windows_have_one_frame_judges_videos(clips: Path, tmp_path: Path) -> None:
    bundle = write_tower_bundle(tmp_path / "alone")
    with Scanner(load_settings().changed("test", {"model.bundle": str(bundle)})) as scanner:
        finding = scanner.scan(clips / "red.mp4")
    assert finding.verdict is Verdict.FAKE


def test_a_file_that_is_not_read_is_named(scanner: Scanner, tmp_path: Path) -> None:
    texts = {}
    for name, content in (("a.jxl", b"\xff\x0a"), ("b.tga", b"\0\1\2\3"), ("c.bin", b"\0\1\2\3")):
        (tmp_path / name).write_bytes(content + bytes(99))
        finding = scanner.scan(tmp_path / name)
        assert finding.verdict is Verdict.UNREADABLE
        texts[name] = finding.reasons[0].text
    convert = "Convert it to JPEG or PNG."
    assert texts == {
        "a.jxl": f"JPEG XL picture: not supported. {convert}",
        "b.tga": f"Targa picture: not supported. {convert}",
        "c.bin": "Unsupported file type: no known video or picture. "
        "If it is one, convert it to MP4 (H.264), JPEG or PNG.",
    }
