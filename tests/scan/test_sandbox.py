"""What a decoder that was taken over can still do: each attempt is made after `sandbox.enter`."""

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

import edge
from edge.scan.media.client import open_clip
from edge.scan.media.process import SANDBOX_LAYERS, sandbox_layers

SUCCESS = b"done"
# What it does before it is taken over, as in worker.py: standard output stands for the replies.
PREAMBLE = f"""
import ctypes, mmap, os, resource, signal, socket, sys, threading
sys.path.insert(0, {str(Path(edge.__file__).parents[1])!r})
from edge.scan.media import sandbox
parent, clip, victim, port = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
page = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = libc.shmat.restype = ctypes.c_void_p
def check(answer):
    if answer in (-1, 2**64 - 1): raise OSError(ctypes.get_errno(), "refused")
heap = next(int(line.split("-")[0], 16) for line in open("/proc/self/maps") if "[heap]" in line)
held = sandbox.enter(20, 1536 << 20, (1, 2))
"""
ATTEMPTS = {
    "read a file": "open('/etc/passwd').read()",
    "list a folder": "os.listdir('/tmp')",
    "learn of a file": "os.stat(victim)",
    "create a file": "os.open(victim + '.new', os.O_CREAT | os.O_WRONLY)",
    "write a file": "os.open(victim, os.O_WRONLY)",
    "change a file by mmap": "mmap.mmap(os.open(victim, os.O_RDWR), 0)[:1] = b'X'",
    "change the clip by mmap": "mmap.mmap(clip, 1)[:1] = b'X'",
    "truncate a file": "os.truncate(victim, 0)",
    "delete a file": "os.unlink(victim)",
    "rename a file": "os.rename(victim, victim + '.moved')",
    "change a file's mode": "os.chmod(victim, 0o777)",
    "link to a file": "os.symlink(victim, victim + '.link')",
    "open the clip for writing": "os.open(f'/proc/self/fd/{clip}', os.O_RDWR)",
    "write into the clip": "os.pwrite(clip, b'X', 0)",
    "write to another descriptor": "os.write(clip, b'X')",
    "read the parent's environment": "open(f'/proc/{parent}/environ', 'rb').read()",
    "read the parent's memory": "open(f'/proc/{parent}/mem', 'rb')",
    "read it by process_vm_readv": "check(libc.process_vm_readv(parent, None, 0, None, 0, 0))",
    "write it by process_vm_writev": "check(libc.process_vm_writev(parent, None, 0, None, 0, 0))",
    "ptrace the parent": "check(libc.ptrace(0x4206, parent, 0, 0))",
    "signal the parent": "os.kill(parent, 0)",
    "TCP": "socket.create_connection(('127.0.0.1', port), 2)",
    "UDP": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "a UNIX socket": "socket.socket(socket.AF_UNIX)",
    "netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "a pair of sockets": "socket.socketpair()",
    "fork": "os.fork() or os._exit(0)",
    "vfork": "check(libc.vfork())",
    "exec": "os.execv('/bin/true', ['true'])",
    "a shell": "os.system('true') == 0 or os._exit(1)",
    "setsid": "os.setsid()",
    "executable memory": "check(libc.mmap(None, page, 7, 0x22, -1, 0))",
    "memory made executable": "check(libc.mprotect(ctypes.c_void_p(heap), page, 5))",
    "System V memory": "check(libc.shmget(0, 4096, 0o1600))",
    "a memory file": "os.memfd_create('x')",
    "more rights by a namespace": "check(libc.unshare(0x10000000))",
    "raise the limit of processor time": "resource.setrlimit(resource.RLIMIT_CPU, (99, 99))",
    "raise the limit of memory": "resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))",
    "keys": "check(libc.syscall(250, 0, 0, 0, 0, 0))",
    "bpf": "check(libc.syscall(321, 0, 0, 0))",
    "io_uring": "check(libc.syscall(425, 1, 0))",
    "userfaultfd": "check(libc.syscall(323, 0))",
    "perf": "check(libc.syscall(298, 0, 0, -1, -1, 0))",
}


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


def test_the_layers_are_reported() -> None:
    assert sandbox_layers() == tuple(SANDBOX_LAYERS)


def test_a_missing_layer_leaves_the_others(tmp_path: Path) -> None:
    code = "assert held == ['limits', 'no_new_privs', 'seccomp'], held"
    without = PREAMBLE.replace("held = ", "sandbox._landlock = lambda libc: []\nheld = ")
    assert confined(code, tmp_path, 0, preamble=without).stdout == SUCCESS
    code = "try: open('/etc/passwd')\nexcept PermissionError: pass\nelse: os._exit(1)"
    without = PREAMBLE.replace("held = ", "sandbox._load = lambda name: None\nheld = ")
    assert confined(code, tmp_path, 0, preamble=without).stdout == SUCCESS
