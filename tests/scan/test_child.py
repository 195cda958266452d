"""The decoding child: that it ends, what it holds, and which files it is given."""

import gc
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from caged import (
    FOUR_HERTZ,
    SHORT,
    child_of,
    descriptors,
    liar,
    shared_pieces,
    watch,
)

import edge
from edge.finding import ReasonCode
from edge.scan.media.client import ClipError, Limits, open_clip
from edge.scan.media.protocol import Fault
from edge.scan.media.sampling import Sampling


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
        "import sys, time; from pathlib import Path; from edge.scan.media.client import open_clip\n"
        "from edge.scan.media.sampling import Sampling\n"
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
own = {"ORT_DISABLE_TELEMETRY"}  # set by the program itself
given = {"LC_ALL", "LC_CTYPE", "OPENBLAS_NUM_THREADS", "LD_LIBRARY_PATH"}
assert set(os.environ) - own <= given
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
