"""What a decoder that was taken over can still do: each attempt is made after `sandbox.enter`."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_decoder import FOUR_HERTZ
from takeover import ATTEMPTS, SETUP, SUCCESS

import edge
from edge.scan import sandbox
from edge.scan.child_messages import LAYERS
from edge.scan.media.client import open_clip
from edge.scan.media.confinement import try_confinement

# What it does before it is taken over, as in worker.py: standard output stands for the connection.
PREAMBLE = f"""{SETUP}
sys.path.insert(0, {str(Path(edge.__file__).parents[1])!r})
from edge.scan import sandbox
parent, clip, victim, port = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
held = sandbox.enter(20, 1536 << 20, (1, 2))
"""

X86_64, AARCH64 = 0xC000003E, 0xC00000B7
ONLY_X86_64 = {
    "open": "openat",
    "stat": "newfstatat",
    "lstat": "newfstatat",
    "access": "faccessat",
    "readlink": "readlinkat",
    "poll": "ppoll",
    "time": "clock_gettime",
}
"""Calls that aarch64 never had, and what its libc makes of them."""


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def confined(
    code: str, *arguments: object, clip: int = 0, preamble: str = PREAMBLE
) -> subprocess.CompletedProcess[bytes]:
    """Run code in a process of its own after it has entered the sandbox."""
    code = f"{preamble}\n{textwrap.dedent(code)}\nos.write(1, {SUCCESS!r})\nos._exit(0)"
    return subprocess.run(
        [sys.executable, "-I", "-c", code, *map(str, (os.getpid(), clip, *arguments))],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        pass_fds=(clip,) if clip else (),
        timeout=60,
    )


def test_what_the_decoder_does_is_allowed(tmp_path: Path) -> None:
    """Without this, all that follows could be refused for another reason."""
    done = confined(
        """
        assert len(held) == 6, held
        assert os.pread(0, 10, 0) == b"", "standard input is empty"
        threads = [threading.Thread(target=bytearray, args=(1 << 20,)) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join(9)
        mmap.mmap(-1, 1 << 20)[:] = bytes(1 << 20)
        """,
        tmp_path,
        0,
    )
    assert done.stdout == SUCCESS, done


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_decoder_that_was_taken_over(attempt: str, listener: int, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    with victim.open("rb") as clip:
        done = confined(ATTEMPTS[attempt], victim, listener, clip=clip.fileno())
    assert SUCCESS not in done.stdout, f"{attempt}: {done}"
    assert done.returncode != 0
    assert victim.read_bytes() == b"untouched"
    assert [path.name for path in tmp_path.iterdir()] == ["victim"]
    if b"refused" not in done.stderr and b"Error" not in done.stderr:
        assert done.returncode == -signal.SIGSYS, done


def test_the_decoder_enters_the_sandbox_before_it_parses(clip: Path) -> None:
    with open_clip(clip, FOUR_HERTZ) as opened:
        assert opened.clip.seconds == 2.0
        process = Path(f"/proc/{opened.pid}")
        status = dict(
            line.split(":\t", 1) for line in (process / "status").read_text().splitlines()
        )
        assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
        assert (process / "oom_score_adj").read_text() == "1000\n"
        for task in (process / "task").iterdir():
            assert "\nSeccomp:\t2\n" in (task / "status").read_text()


def test_this_program_cannot_be_debugged_once_a_clip_was_opened(clip: Path) -> None:
    code = (
        "import sys, ctypes; from pathlib import Path\n"
        "from edge.scan.media.client import open_clip; from edge.scan.media.sampling import *\n"
        "with open_clip(Path(sys.argv[1]), Sampling(8, 4.0, 5)): pass\n"
        "sys.exit(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    root = Path(edge.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code, clip], check=False, cwd=root)
    assert done.returncode == 0


def test_the_allowed_calls_exist_on_both_kinds_of_machine() -> None:
    """A name that is none is no call, so a wrong one would be left out in silence."""
    resolve = ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name_arch
    for names in (sandbox._ALLOWED, sandbox._REFUSED):
        for name in names:
            assert resolve(X86_64, name.encode()) >= 0, name
            ours = ONLY_X86_64.get(name, name)
            assert ours in names, name
            assert resolve(AARCH64, ours.encode()) >= 0, name


def test_the_layers_are_reported() -> None:
    assert try_confinement().layers == tuple(LAYERS)


def test_a_missing_layer_leaves_the_others(tmp_path: Path) -> None:
    code = "assert held == ['limits', 'no_new_privs', 'seccomp'], held"
    without = PREAMBLE.replace("held = ", "sandbox._landlock = lambda libc: []\nheld = ")
    assert confined(code, tmp_path, 0, preamble=without).stdout == SUCCESS
    code = "try: open('/etc/passwd')\nexcept PermissionError: pass\nelse: os._exit(1)"
    without = PREAMBLE.replace("held = ", "sandbox._load = lambda name: None\nheld = ")
    assert confined(code, tmp_path, 0, preamble=without).stdout == SUCCESS
