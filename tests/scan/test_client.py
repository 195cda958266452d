"""A decoder that crashes, hangs or sends invalid data costs its clip and nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clips import number_of
from fake_decoder import FOUR_HERTZ, IMPATIENT, SHORT, decode, fake_decoder, fault_of

from edge.scan.media.client import ClipError, Frame, Limits, open_clip
from edge.scan.media.protocol import Fault, Remark
from edge.scan.media.sampling import Sampling
from edge.scan.progress import Cancelled


def test_valid_messages_become_frames(clip: Path) -> None:
    frames = decode(
        clip,
        decoders=fake_decoder(
            "opened(); assert read()[:2] == (Request.START, 3)\n"
            "shared = mmap.mmap(memory, 0); shared[: 64 * 48 * 9] = bytes([7]) * (64 * 48 * 9)\n"
            "frame(0, 0, 0); frame(1, 0, 250_000, 2)\n"
            "assert read()[:2] == (Request.RELEASE, 0)\n"
            "reply(Reply.DONE, 50, 0, 1000)"
        ),
    )
    assert frames == [(0, 0, 0.0), (1, 0, 0.25)]


def test_a_clip_and_its_frames(clip: Path) -> None:
    with open_clip(clip, FOUR_HERTZ) as opened:
        assert opened.clip is opened.clip
        assert opened.expected_frames == 8
        seen = 0
        for frame in opened.frames():
            assert isinstance(frame, Frame)
            assert frame.pixels.shape == (240, 320, 3)
            assert frame.pixels.dtype == np.uint8
            assert number_of(frame.pixels) == round(frame.time * 25)
            with pytest.raises(ValueError, match="read-only"):
                frame.pixels[0] = 0
            assert 0 < opened.frames_read <= 50
            seen += 1
        assert seen == 8
        assert not opened.damaged
        assert opened.seconds["open"] > 0
        assert opened.seconds["decode"] > 0


@pytest.mark.parametrize(
    "invalid",
    [
        "opened(kind=2)",
        "opened(kind=-1)",
        "opened(container=999)",
        "opened(codec=-1)",
        "opened(width=0)",
        "opened(height=-48)",
        "opened(width=2**62, height=2**62)",
        "opened(width=2**31, height=1)",
        "opened(width=4096, height=2400)",
        "opened(us=-1)",
        "opened(us=2**62)",
        "opened(rate=-1)",
        "opened(rate=2**62)",
        "frame()",
        "reply(99)",
        "reply(-1, -1, -1)",
        "reply(Reply.FAILED, 0)",
        "reply(Reply.FAILED, 10**6)",
        "reply(Reply.ALIVE, -1)",
        "reply(Reply.DONE, 1, 0, 1)",
        "os.write(replies, b'x' * 79); os.close(replies)",
        "for n in range(10**6): reply(Reply.ALIVE, n)",
    ],
)
def test_invalid_facts_are_refused(clip: Path, invalid: str) -> None:
    assert fault_of(clip, f"{invalid}\nsilence()") is Fault.INVALID_DATA


@pytest.mark.parametrize(
    "invalid",
    [
        "frame(slot=3)",
        "frame(slot=-1)",
        "frame(window=-1)",
        "frame(window=10**6)",
        "frame(window=1, us=250_000); frame(window=0, us=500_000)",
        "frame(us=-1)",
        "frame(us=2**62)",
        "frame(us=500_000); frame(us=250_000)",
        "frame(read=-1)",
        "frame(read=2**62)",
        "frame(read=9); frame(us=250_000, read=8)",
        "frame(damaged=2)",
        "frame(damaged=1); frame(us=250_000, damaged=0)",
        "for n in range(99): frame(slot=n % 3, us=n)",
        "for n in range(99): frame(slot=n % 3, us=n, window=n)",
        "opened()",
        "reply(Reply.DONE, -1)",
        "reply(Reply.DONE, 1, 5)",
        "reply(Reply.DONE, 1, 0, -1)",
    ],
)
def test_invalid_frames_are_refused(clip: Path, invalid: str) -> None:
    assert fault_of(clip, f"opened(); read()\n{invalid}\nsilence()") is Fault.INVALID_DATA


def test_no_frame_at_all_is_a_fault(clip: Path) -> None:
    body = "opened(); read(); reply(Reply.DONE, 1, 0, 1)"
    assert fault_of(clip, body) is Fault.NOTHING_DECODED


def test_bytes_after_the_end_are_ignored(clip: Path) -> None:
    body = "opened(); read(); frame(); reply(Reply.DONE, 1, 0, 1); os.write(replies, b'x' * 5000)"
    assert decode(clip, decoders=fake_decoder(body)) == [(0, 0, 0.0)]


def test_the_decoder_cannot_resize_the_shared_memory(clip: Path) -> None:
    body = (
        "opened(); read()\n"
        "for size in (0, 10**6):\n"
        "    try: os.ftruncate(memory, size)\n"
        "    except PermissionError: continue\n"
        "    silence()\n"
        "frame(); reply(Reply.DONE, 1, 0, 1)"
    )
    assert decode(clip, decoders=fake_decoder(body)) == [(0, 0, 0.0)]


@pytest.mark.parametrize(
    ("end", "fault"),
    [
        ("os._exit(3)", Fault.CRASHED),
        ("os._exit(0)", Fault.CRASHED),
        ("os.kill(os.getpid(), 9)", Fault.CRASHED),
        ("os.kill(os.getpid(), 11)", Fault.CRASHED),
        ("raise SystemError('the decoder says')", Fault.CRASHED),
        ("os.kill(os.getpid(), 24)", Fault.TOO_MUCH_WORK),
        ("silence()", Fault.HUNG),
        ("os.kill(os.getpid(), 19)", Fault.HUNG),
        ("os.close(replies); silence()", Fault.HUNG),
        ("reply(Reply.FAILED, Fault.MEMORY); silence()", Fault.MEMORY),
    ],
)
@pytest.mark.parametrize("before", ["", "opened(); read(); "])
def test_a_decoder_that_fails(clip: Path, end: str, fault: Fault, before: str) -> None:
    limits = IMPATIENT if fault is Fault.HUNG else SHORT
    assert fault_of(clip, before + end, limits) is fault


def test_messages_without_progress_end_in_a_timeout(clip: Path) -> None:
    limits = Limits(silence=60.0, patience=0.6, grace=0.2)
    body = "while True:\n    reply(Reply.ALIVE, 1)\n    time.sleep(0.1)"
    assert fault_of(clip, body, limits) is Fault.TOO_MUCH_WORK


def test_no_claim_prolongs_the_wait(clip: Path) -> None:
    """A clip of 30 days; the decoder says that it lives, but hands nothing out."""
    limits = Limits(silence=60.0, patience=0.6, grace=0.2)
    month = "opened(us=30 * 24 * 3600 * 10**6); read()\n"
    body = month + "while True:\n    reply(Reply.ALIVE, 1)\n    time.sleep(0.1)"
    assert fault_of(clip, body, limits) is Fault.TOO_MUCH_WORK
    # The first frame comes at once, of the others none in time.
    slow = month + "for n in range(96): frame(n % 3, n // 8, n * 1000, n + 1); time.sleep(20)"
    limits = replace(limits, patience=5.0)
    with open_clip(clip, Sampling(8, 4.0, 12), limits, decoders=fake_decoder(slow)) as opened:
        assert len(list(opened.frames())) == 1
        assert opened.stopped


def test_a_clip_beyond_the_limit_of_work_is_read_in_part(clip: Path) -> None:
    few = Limits(megapixels=1)  # 13 frames of 320 x 240
    with open_clip(clip, FOUR_HERTZ, few) as opened:
        frames = [frame.time for frame in opened.frames()]
        assert frames
        assert len(frames) < 8
        assert opened.stopped
        assert opened.frames_read <= 14


def test_waiting_for_a_slow_decoder_can_be_cancelled(clip: Path) -> None:
    waits = 0

    def waiting() -> None:
        nonlocal waits
        waits += 1
        if waits == 3:
            raise Cancelled

    body = fake_decoder("while True:\n    reply(Reply.ALIVE, 1)\n    time.sleep(0.05)")
    with (
        pytest.raises(Cancelled),
        open_clip(clip, FOUR_HERTZ, decoders=body, waiting=waiting) as opened,
    ):
        _ = opened.clip
    assert waits == 3


def test_a_decoder_that_reads_nothing_does_not_block_the_program(clip: Path) -> None:
    many = Sampling(1000, 1000.0, 1)
    body = "opened(us=10**12)\nfor n in range(5000): frame(slot=n % 3, us=n, read=n)\nsilence()"
    with (
        pytest.raises(ClipError) as caught,
        open_clip(clip, many, SHORT, decoders=fake_decoder(body)) as opened,
    ):
        for _ in opened.frames():
            pass
    assert caught.value.fault is Fault.INVALID_DATA


LATER = (
    "opened(); read(); frame(); read(); reply(Reply.REMARKS, 1); "
    "reply(Reply.DONE, 1, 0, 1000, 0, 1); assert read()[0] == Request.NEXT\n"
)


@pytest.mark.parametrize("ending", ["os._exit(7)", "silence()", "reply(Reply.FAILED, 19)"])
def test_a_failure_with_a_later_part_leaves_the_first_part_and_a_remark(
    clip: Path, ending: str
) -> None:
    command = fake_decoder(LATER + ending)
    limits = IMPATIENT if ending == "silence()" else SHORT
    with open_clip(clip, FOUR_HERTZ, limits, decoders=command) as opened:
        assert len(list(opened.frames())) == 1
        assert not opened.open_next()
        assert opened.remarks == {Remark.OTHER_TRACKS: 1}


def test_a_failure_within_a_later_part_leaves_its_frames_and_a_remark(clip: Path) -> None:
    more = "reply(Reply.PART, 1, 2); opened(); read(); frame(read=2); os._exit(7)"
    with open_clip(clip, FOUR_HERTZ, SHORT, decoders=fake_decoder(LATER + more)) as opened:
        assert len(list(opened.frames())) == 1
        assert opened.open_next()
        assert opened.part is not None
        assert (opened.part.kind, opened.part.number) == ("track", 2)
        assert len(list(opened.frames())) == 1
        assert not opened.open_next()
        assert opened.remarks == {Remark.OTHER_TRACKS: 1}


@pytest.mark.parametrize(
    "wrong",
    [
        "opened()",
        "reply(Reply.PART, 0, 1); opened()",
        "reply(Reply.PART, 1, 0); opened()",
        "reply(Reply.PART, 99, 1); opened()",
        "reply(Reply.PART, 1, 2); frame()",
        "reply(Reply.DONE, 1, 0, 0, 0, 2)",
    ],
)
def test_invalid_data_of_a_later_part_makes_the_file_unreadable(clip: Path, wrong: str) -> None:
    with open_clip(clip, FOUR_HERTZ, SHORT, decoders=fake_decoder(LATER + wrong)) as opened:
        list(opened.frames())
        with pytest.raises(ClipError) as caught:
            opened.open_next()
        assert caught.value.fault is Fault.INVALID_DATA
