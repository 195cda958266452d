"""The decoder process: that it ends, what it holds, and which files it gets."""

import gc
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from fake_decoder import (
    FOUR_HERTZ,
    SHORT,
    decode,
    descriptors,
    fake_decoder,
    shared_pieces,
)
from waiting import until

import edge
from edge.scan.media.client import ClipError, Limits, open_clip
from edge.scan.media.decoders import Decoders
from edge.scan.media.protocol import Fault
from edge.scan.media.sampling import Sampling


def test_a_killed_decoder_costs_its_clip_only(clip: Path) -> None:
    with (
        pytest.raises(ClipError) as caught,
        open_clip(clip, Sampling(8, 4.0, 5), Limits(slots=1)) as opened,
    ):
        for frame in opened.frames():
            if frame.index == 2:
                os.kill(opened.pid, signal.SIGKILL)
    assert caught.value.fault is Fault.CRASHED
    assert caught.value.message == "The decoder crashed on this file."
    assert len(decode(clip, Limits())) == 8


def test_the_decoder_and_its_children_are_gone_after_closing(clip: Path) -> None:
    body = "if os.fork() == 0: silence()\nopened(); read(); frame(); silence()"
    with open_clip(clip, FOUR_HERTZ, SHORT, decoders=fake_decoder(body)) as opened:
        next(opened.frames())
        ends = [os.pidfd_open(process) for process in members(opened.pid)]
        assert len(ends) == 2
    for end in ends:
        await_end(end)


def members(group: int) -> list[int]:
    """The processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            its_group = path.read_text().rsplit(")", 1)[1].split()[2]
        except OSError:
            continue
        if int(its_group) == group:
            found.append(int(path.parent.name))
    return found


def await_end(process: int) -> None:
    """Wait for the end of a process, which a descriptor stands for: killing takes a moment."""
    ended = select.poll()
    ended.register(process, select.POLLIN)
    assert ended.poll(20_000)
    os.close(process)


def test_the_decoder_ends_with_the_program(clip: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from edge.scan.media.client import open_clip\n"
        "from edge.scan.media.sampling import Sampling\n"
        "opened = open_clip(Path(sys.argv[1]), Sampling(8, 4.0, 5)); next(opened.frames())\n"
        "print(opened.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(clip)],
        stdout=subprocess.PIPE,
        cwd=Path(edge.__file__).parents[1],
    ) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    await_end(child)


def test_ctrl_c_does_not_reach_the_decoder(clip: Path) -> None:
    with open_clip(clip, FOUR_HERTZ) as opened:
        assert os.getsid(opened.pid) == opened.pid != os.getsid(0)


def test_the_decoder_holds_only_what_it_needs(clip: Path) -> None:
    """Its descriptors: /dev/null twice, stderr; the connection, the clip, the memory, the log."""
    secret = os.open(clip, os.O_RDONLY)
    os.set_inheritable(secret, True)
    body = """
import fcntl, stat
def is_open(descriptor):
    try: return bool(os.fstat(descriptor))
    except OSError: return False
assert list(filter(is_open, range(1000))) == sorted([0, 1, 2, replies, clip, memory, log])
assert fcntl.fcntl(clip, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
own = {"ORT_DISABLE_TELEMETRY"}  # set by the program itself
given = {"LC_ALL", "LC_CTYPE", "OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX", "LD_LIBRARY_PATH"}
assert set(os.environ) - own <= given
assert os.getcwd() == "/"
opened(); read(); frame(); reply(Reply.DONE, 1, 0, 1)
"""
    try:
        assert decode(clip, decoders=fake_decoder(body)) == [(0, 0, 0.0)]
    finally:
        os.close(secret)
    with open_clip(clip, FOUR_HERTZ) as opened:
        assert opened.clip.seconds == 2.0
        limits = Path(f"/proc/{opened.pid}/limits").read_text()
    confined = {"file size": 0, "core file size": 0, "open files": 16}
    confined["address space"] = Limits().memory
    for name, value in confined.items():
        line = next(line for line in limits.splitlines() if line.startswith(f"Max {name}"))
        assert line.removeprefix(f"Max {name}").split()[:2] == [str(value)] * 2


def test_nothing_is_left_behind_after_many_clips(clip: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[:-1500])
    decode(clip, Limits())
    gc.collect()
    before = descriptors(), shared_pieces()
    for number in range(50):
        if number % 10 == 0:
            decode(clip, Limits())
        elif number % 10 == 1:
            with pytest.raises(ClipError):
                decode(broken, Limits())
        elif number % 2:
            with open_clip(clip, FOUR_HERTZ):
                pass
        else:
            with pytest.raises(ClipError):
                decode(tmp_path / "missing.mp4")
    gc.collect()
    until(lambda: (descriptors(), shared_pieces()) == before)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_clip_may_be_closed_unread_and_twice(clip: Path) -> None:
    opened = open_clip(clip, FOUR_HERTZ)
    opened.close()
    opened.close()


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    def fault(path: Path) -> Fault:
        with pytest.raises(ClipError) as caught:
            decode(path)
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
    assert fault(tmp_path / "loop") is Fault.NOT_A_FILE


def test_a_file_without_permission_is_refused(clip: Path, tmp_path: Path) -> None:
    """Root may read everything: the child process that asks is another user where that is so."""
    locked = tmp_path / "locked.mp4"
    locked.write_bytes(clip.read_bytes())
    locked.chmod(0)
    if os.getuid() != 0:
        with pytest.raises(ClipError) as caught:
            decode(locked)
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


def test_a_missing_interpreter_is_a_fault(clip: Path) -> None:
    with pytest.raises(ClipError) as caught:
        decode(clip, decoders=Decoders(["/nowhere/python"]))
    assert caught.value.fault is Fault.NOT_STARTED


def test_strange_names_do_not_matter(clip: Path, tmp_path: Path) -> None:
    for name in ("new\nline.mp4", "-rf", "concat:a|b", "%03d.png", os.fsdecode(b"\xff\xfe.mp4")):
        path = tmp_path / name
        path.write_bytes(clip.read_bytes())
        assert len(decode(path, Limits())) == 8


def test_the_decoder_imports_from_where_the_program_does(clip: Path, tmp_path: Path) -> None:
    """Its imports come from where the parent's came, whatever the folder and the environment."""
    here = Path.cwd()
    (tmp_path / "av.py").write_text("raise SystemExit('the wrong av')")
    os.environ["PYTHONPATH"] = str(tmp_path)
    os.chdir(tmp_path)
    try:
        assert len(decode(clip, Limits())) == 8
    finally:
        os.chdir(here)
        del os.environ["PYTHONPATH"]


def test_a_changing_path_does_not_reach_the_decoder(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As cv2 does while another thread imports it, with a `typing` in that folder.
    (tmp_path / "typing.py").write_text("raise ImportError('not the real one')", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert decode(clip, Limits())
