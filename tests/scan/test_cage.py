"""The border: a child that crashes, hangs or lies costs its clip and nothing else."""

import gc
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from clips import number_of, write_clip

import edge
from edge.finding import ReasonCode
from edge.scan.border import Fault
from edge.scan.cage import ClipError, Frame, Limits, OpenClip, open_clip
from edge.scan.sampling import Sampling

FOUR_HERTZ = Sampling(window_frames=8, window_rate=4.0, max_windows=5)
SHORT = Limits(silence=0.5, grace=0.2)

# What the lying children have in common: they speak the protocol by hand.
LIAR = f"""
import mmap, os, struct, sys, time
sys.path.insert(0, {str(Path(edge.__file__).parents[1])!r})
from edge.scan.border import Fault, Order, Report
orders, reports, clip, memory = map(int, sys.argv[1:])
def read(): return struct.unpack("<10q", os.read(orders, 80))
def say(*fields): os.write(reports, struct.pack("<10q", *fields, *(0,) * (10 - len(fields))))
def opened(kind=0, container=0, codec=0, width=64, height=48, us=2_000_000, rate=25_000):
    say(Report.OPENED, kind, container, codec, width, height, us, rate)
def frame(slot=0, window=0, us=0, read=1, damaged=0):
    say(Report.FRAME, slot, window, us, read, damaged)
def silence(): time.sleep(60)
assert read()[0] == Order.OPEN
"""


def liar(body: str) -> list[str]:
    return [sys.executable, "-c", LIAR + body]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", 50)


def watch(
    path: Path, limits: Limits = SHORT, command: Sequence[str] | None = None
) -> list[tuple[int, int, float]]:
    with open_clip(path, FOUR_HERTZ, limits, command=command) as opened:
        return [(frame.index, frame.window, frame.time) for frame in opened.frames()]


def fault_of(clip: Path, body: str, limits: Limits = SHORT) -> Fault:
    with pytest.raises(ClipError) as caught:
        watch(clip, limits, liar(body))
    return caught.value.fault


def child_of(opened: OpenClip) -> int:
    return opened._child._process.pid


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def shared_pieces() -> int:
    return Path("/proc/self/maps").read_text().count("memfd:frames")


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


def test_a_child_killed_in_the_middle_costs_its_clip_only(clip: Path) -> None:
    with (
        pytest.raises(ClipError) as caught,
        open_clip(clip, Sampling(8, 4.0, 5), Limits(slots=1)) as opened,
    ):
        for frame in opened.frames():
            if frame.index == 2:
                os.kill(child_of(opened), signal.SIGKILL)
    assert caught.value.fault is Fault.CRASHED
    assert caught.value.code is ReasonCode.UNREADABLE
    assert caught.value.message == "The decoder crashed on this clip."
    assert caught.value.name == "crashed"
    assert len(watch(clip, Limits())) == 8


def test_a_child_and_what_it_started_are_gone_after_closing(clip: Path) -> None:
    body = "if os.fork() == 0: silence()\nopened(); read(); frame(); silence()"
    with open_clip(clip, FOUR_HERTZ, SHORT, command=liar(body)) as opened:
        next(opened.frames())
        group = child_of(opened)
        assert len(living(group)) == 2
    assert living(group) == []


def living(group: int) -> list[str]:
    """The processes of a group that are not dead yet."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = path.read_text().rsplit(")", 1)[1].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            found.append(path.parent.name)
    return found


def test_the_child_ends_with_its_parent(clip: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from edge.scan.cage import open_clip\n"
        "from edge.scan.sampling import Sampling\n"
        "opened = open_clip(Path(sys.argv[1]), Sampling(8, 4.0, 5)); next(opened.frames())\n"
        "print(opened._child._process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(clip)],
        stdout=subprocess.PIPE,
        cwd=Path(edge.__file__).parents[1],
    ) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    ended = select.poll()
    ended.register(child, select.POLLIN)
    assert ended.poll(20_000)
    os.close(child)


def test_ctrl_c_does_not_reach_the_child(clip: Path) -> None:
    with open_clip(clip, FOUR_HERTZ) as opened:
        assert os.getsid(child_of(opened)) == child_of(opened) != os.getsid(0)


def test_the_child_holds_little(clip: Path) -> None:
    """Its descriptors: nothing, nothing, complaints; orders, reports, the clip and the memory."""
    secret = os.open(clip, os.O_RDONLY)
    os.set_inheritable(secret, True)
    body = """
import fcntl, stat
def is_open(descriptor):
    try: return bool(os.fstat(descriptor))
    except OSError: return False
assert list(filter(is_open, range(1000))) == sorted([0, 1, 2, orders, reports, clip, memory])
assert fcntl.fcntl(clip, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
assert set(os.environ) <= {"LC_ALL", "LC_CTYPE", "OPENBLAS_NUM_THREADS", "LD_LIBRARY_PATH"}
assert os.getcwd() == "/"
opened(); read(); frame(); say(Report.DONE, 1, 0, 1)
"""
    try:
        assert watch(clip, command=liar(body)) == [(0, 0, 0.0)]
    finally:
        os.close(secret)
    with open_clip(clip, FOUR_HERTZ) as opened:
        assert opened.clip.seconds == 2.0
        limits = Path(f"/proc/{child_of(opened)}/limits").read_text()
    confined = {"file size": 0, "core file size": 0, "open files": 16}
    confined["address space"] = Limits().memory
    for name, value in confined.items():
        line = next(line for line in limits.splitlines() if line.startswith(f"Max {name}"))
        assert line.removeprefix(f"Max {name}").split()[:2] == [str(value)] * 2


def test_nothing_is_left_behind_after_many_clips(clip: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[:-1500])
    watch(clip, Limits())
    gc.collect()
    before = descriptors(), shared_pieces()
    for number in range(50):
        if number % 10 == 0:
            watch(clip, Limits())
        elif number % 10 == 1:
            with pytest.raises(ClipError):
                watch(broken, Limits())
        elif number % 2:
            with open_clip(clip, FOUR_HERTZ):
                pass
        else:
            with pytest.raises(ClipError):
                watch(tmp_path / "missing.mp4")
    gc.collect()
    assert (descriptors(), shared_pieces()) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_closing_twice_or_unread_is_no_harm(clip: Path) -> None:
    opened = open_clip(clip, FOUR_HERTZ)
    opened.close()
    opened.close()


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    def fault(path: Path) -> Fault:
        with pytest.raises(ClipError) as caught:
            watch(path)
        return caught.value.fault

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        assert fault(tmp_path / "socket") is Fault.NOT_A_FILE
    assert fault(tmp_path / "pipe") is Fault.NOT_A_FILE
    assert fault(tmp_path) is Fault.NOT_A_FILE
    assert fault(Path("/dev/zero")) is Fault.NOT_A_FILE
    assert fault(tmp_path / "empty.mp4") is Fault.EMPTY
    assert fault(tmp_path / "missing.mp4") is Fault.MISSING
    assert fault(tmp_path / "empty.mp4" / "x") is Fault.MISSING
    assert fault(tmp_path / "nul\0byte") is Fault.MISSING
    assert fault(tmp_path / "loop") is Fault.INPUT


def test_a_file_without_permission_is_told_so(clip: Path, tmp_path: Path) -> None:
    """Root may read everything: the child process that asks is another user where that is so."""
    locked = tmp_path / "locked.mp4"
    locked.write_bytes(clip.read_bytes())
    locked.chmod(0)
    if os.getuid() != 0:
        with pytest.raises(ClipError) as caught:
            watch(locked)
        assert caught.value.fault is Fault.FORBIDDEN
        return
    tmp_path.chmod(0o755)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setuid(65534)
            open_clip(locked, FOUR_HERTZ)
        except ClipError as error:
            # The folders above may be closed to that user too: forbidden all the same.
            status = 0 if error.fault is Fault.FORBIDDEN else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_missing_interpreter_is_told_so(clip: Path) -> None:
    with pytest.raises(ClipError) as caught:
        watch(clip, command=["/nowhere/python"])
    assert caught.value.fault is Fault.NO_CHILD


def test_strange_names_do_not_matter(clip: Path, tmp_path: Path) -> None:
    for name in ("new\nline.mp4", "-rf", "concat:a|b", "%03d.png", os.fsdecode(b"\xff\xfe.mp4")):
        path = tmp_path / name
        path.write_bytes(clip.read_bytes())
        assert len(watch(path, Limits())) == 8


def test_the_child_runs_where_the_program_is_not_installed(clip: Path, tmp_path: Path) -> None:
    """Its imports come from where the parent's came, whatever the folder and the environment."""
    here = Path.cwd()
    (tmp_path / "av.py").write_text("raise SystemExit('the wrong av')")
    os.environ["PYTHONPATH"] = str(tmp_path)
    os.chdir(tmp_path)
    try:
        assert len(watch(clip, Limits())) == 8
    finally:
        os.chdir(here)
        del os.environ["PYTHONPATH"]


def test_a_path_that_changes_meanwhile_does_not_reach_the_child(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As cv2 does while another thread imports it, with a `typing` in that folder.
    (tmp_path / "typing.py").write_text("raise ImportError('not the real one')", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert watch(clip, Limits())
