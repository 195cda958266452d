"""The border: a child that crashes, hangs or lies costs its clip and nothing else."""

from pathlib import Path

import numpy as np
import pytest
from caged import FOUR_HERTZ, SHORT, fault_of, liar, watch
from clips import number_of

from edge.scan.media.client import ClipError, Frame, Limits, open_clip
from edge.scan.media.protocol import Fault
from edge.scan.media.sampling import Sampling
from edge.scan.progress import Cancelled


def test_an_honest_child_is_believed(clip: Path) -> None:
    frames = watch(
        clip,
        command=liar(
            "opened(); assert read()[:2] == (Order.START, 3)\n"
            "shared = mmap.mmap(memory, 0); shared[:] = bytes([7]) * (64 * 48 * 3 * 3)\n"
            "frame(0, 0, 0); frame(1, 0, 250_000, 2)\n"
            "assert read()[:2] == (Order.RELEASE, 0)\n"
            "say(Report.DONE, 50, 0, 1000)"
        ),
    )
    assert frames == [(0, 0, 0.0), (1, 0, 0.25)]


def test_what_a_clip_brings(clip: Path) -> None:
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
    "lie",
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
        "say(99)",
        "say(-1, -1, -1)",
        "say(Report.FAILED, 0)",
        "say(Report.FAILED, 10**6)",
        "say(Report.ALIVE, -1)",
        "say(Report.DONE, 1, 0, 1)",
        "os.write(reports, b'x' * 79); os.close(reports)",
        "for n in range(10**6): say(Report.ALIVE, n)",
    ],
)
def test_lies_about_the_clip(clip: Path, lie: str) -> None:
    assert fault_of(clip, f"{lie}\nsilence()") is Fault.LIED


@pytest.mark.parametrize(
    "lie",
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
        "say(Report.DONE, -1)",
        "say(Report.DONE, 1, 5)",
        "say(Report.DONE, 1, 0, -1)",
    ],
)
def test_lies_about_frames(clip: Path, lie: str) -> None:
    assert fault_of(clip, f"opened(); read()\n{lie}\nsilence()") is Fault.LIED


def test_a_done_child_without_frames_decoded_nothing(clip: Path) -> None:
    lie = "opened(); read(); say(Report.DONE, 1, 0, 1)"
    assert fault_of(clip, lie) is Fault.NOTHING_DECODED


def test_what_comes_after_the_end_is_not_read(clip: Path) -> None:
    body = "opened(); read(); frame(); say(Report.DONE, 1, 0, 1); os.write(reports, b'x' * 5000)"
    assert watch(clip, command=liar(body)) == [(0, 0, 0.0)]


def test_the_shared_memory_cannot_be_resized_by_the_child(clip: Path) -> None:
    body = (
        "opened(); read()\n"
        "for size in (0, 10**6):\n"
        "    try: os.ftruncate(memory, size)\n"
        "    except PermissionError: continue\n"
        "    silence()\n"
        "frame(); say(Report.DONE, 1, 0, 1)"
    )
    assert watch(clip, command=liar(body)) == [(0, 0, 0.0)]


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
        ("os.close(reports); silence()", Fault.HUNG),
        ("say(Report.FAILED, Fault.MEMORY); silence()", Fault.MEMORY),
    ],
)
@pytest.mark.parametrize("before", ["", "opened(); read(); "])
def test_a_child_that_ends_early(clip: Path, end: str, fault: Fault, before: str) -> None:
    assert fault_of(clip, before + end) is fault


def test_signs_of_life_are_not_taken_for_progress_for_ever(clip: Path) -> None:
    limits = Limits(silence=5.0, patience=0.6, patience_per_second=0.0, grace=0.2)
    body = "while True:\n    say(Report.ALIVE, 1)\n    time.sleep(0.1)"
    assert fault_of(clip, body, limits) is Fault.TOO_MUCH_WORK


def test_whoever_waits_for_a_slow_child_may_give_it_up(clip: Path) -> None:
    waits = 0

    def waiting() -> None:
        nonlocal waits
        waits += 1
        if waits == 3:
            raise Cancelled

    body = liar("while True:\n    say(Report.ALIVE, 1)\n    time.sleep(0.05)")
    with (
        pytest.raises(Cancelled),
        open_clip(clip, FOUR_HERTZ, command=body, waiting=waiting) as opened,
    ):
        _ = opened.clip
    assert waits == 3


def test_a_child_that_reads_no_orders_does_not_block_its_parent(clip: Path) -> None:
    many = Sampling(1000, 1000.0, 1)
    body = "opened(us=10**12)\nfor n in range(5000): frame(slot=n % 3, us=n, read=n)\nsilence()"
    with (
        pytest.raises(ClipError) as caught,
        open_clip(clip, many, SHORT, command=liar(body)) as opened,
    ):
        for _ in opened.frames():
            pass
    assert caught.value.fault is Fault.LIED
