"""What a process gives up before it reads a stranger's first byte: a clip, or a model.

By then all modules are imported and all descriptors are open, and it has one thread only. Each
layer is independent of the others: where the kernel or a library lacks one, the rest holds, and
`enter` reports what does. Names of system calls are resolved by libseccomp, which differs by
machine; Landlock has no library in Debian and needs three calls, which are made by number here.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import resource
from collections.abc import Iterable
from pathlib import Path

_OPEN_FILES = 16
_CPU_MARGIN = 5
"""Seconds between the limit that sends SIGXCPU and the one that kills."""

# Linux, all machines
_PR_SET_NAME = 15
_PR_SET_NO_NEW_PRIVS = 38
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_RULESET_VERSION = 1
_CLONE_THREAD = 0x00010000
_F_DUPFD_CLOEXEC = 1030

# libseccomp
_KILL, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_BAD_ARCHITECTURE, _ALL_THREADS = 2, 4
_EQUAL, _MASKED_EQUAL = 4, 7

_ALLOWED = (
    *("read", "pread64", "readv", "preadv", "lseek", "close", "poll", "ppoll"),
    *("brk", "munmap", "mremap", "madvise", "futex", "futex_waitv", "membarrier"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time"),
    *("getrandom", "getpid", "gettid", "getcpu", "sysinfo", "times", "getrusage"),
    *("sched_yield", "sched_getaffinity", "set_robust_list", "rseq", "restart_syscall"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "exit", "exit_group"),
)
# Libraries try these and go on without: they are refused where everything else kills.
_REFUSED = (
    *("open", "openat", "openat2", "access", "faccessat", "faccessat2", "readlink", "readlinkat"),
    *("stat", "lstat", "fstat", "newfstatat", "statx", "getcwd", "getdents64", "ioctl", "uname"),
    *("getuid", "geteuid", "getgid", "getegid", "getppid", "sched_setaffinity"),
)


def enter(cpu_seconds: int, memory_bytes: int, writable: Iterable[int]) -> list[str]:
    """Confine this process for the rest of its life; it may write to `writable` descriptors only.

    Returns those of `child_messages.LAYERS` that hold.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    libc = ctypes.CDLL(None, use_errno=True)
    filters = _load("libseccomp.so.2")  # before Landlock forbids it
    held = ["limits"] if _limit(cpu_seconds, memory_bytes) else []
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        held.append("no_new_privs")
    held += _landlock(libc)
    if filters and _seccomp(filters, writable):
        held.append("seccomp")
    return held


def _load(name: str) -> ctypes.CDLL | None:
    """A shared library; None if this machine has none of that name."""
    with contextlib.suppress(OSError):
        return ctypes.CDLL(name)
    return None


def _limit(cpu_seconds: int, memory_bytes: int) -> bool:
    """Set the limits, hard ones too.

    Processes are not limited: threads count as such, and all that this user runs counts together.
    """
    held = True
    for kind, soft, hard in (
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES, _OPEN_FILES),
        (resource.RLIMIT_AS, memory_bytes, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + _CPU_MARGIN),
    ):
        try:
            resource.setrlimit(kind, (soft, hard))
        except (ValueError, OSError):  # a lower limit holds already
            held &= resource.getrlimit(kind)[1] not in (resource.RLIM_INFINITY, -1)
    return held


def _landlock(libc: ctypes.CDLL) -> list[str]:
    """Handle every right that this kernel's Landlock knows, and grant none."""
    version = libc.syscall(_CREATE_RULESET, None, 0, _RULESET_VERSION)
    if version < 1:
        return []
    files = (1 << 13) - 1  # by version 1; then: 2 moves between folders, 3 truncate, 5 devices
    for since, right in ((2, 1 << 13), (3, 1 << 14), (5, 1 << 15)):
        files |= right if version >= since else 0
    network = 0b11 if version >= 4 else 0
    scope = 0b11 if version >= 6 else 0
    rights = (ctypes.c_uint64 * 3)(files, network, scope)
    ruleset = libc.syscall(_CREATE_RULESET, rights, ctypes.sizeof(rights), 0)
    if ruleset < 0:
        return []
    holds = libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    known = ("landlock_files", files), ("landlock_network", network), ("landlock_scope", scope)
    return [name for name, right in known if holds and right]


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def _seccomp(library: ctypes.CDLL, writable: Iterable[int]) -> bool:
    """Allow only what decoding needs; a thread may be started, a process not."""
    library.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_KILL)))
    if not rules:
        return False

    def add(action: int, name: str, *when: tuple[int, int, int, int]) -> None:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # else this machine has no such call
            array = (_Comparison * len(when))(*(_Comparison(*each) for each in when))
            known = library.seccomp_rule_add_array(
                rules, ctypes.c_uint32(action), number, ctypes.c_uint(len(when)), array
            )
            if known != 0:
                raise OSError(-known, name)

    try:
        library.seccomp_attr_set(rules, _BAD_ARCHITECTURE, ctypes.c_uint32(_KILL))
        library.seccomp_attr_set(rules, _ALL_THREADS, ctypes.c_uint32(1))
        for name in _ALLOWED:
            add(_ALLOW, name)
        for name in _REFUSED:
            add(_ERRNO | errno.EACCES, name)
        for name in ("mmap", "mprotect"):
            add(_ALLOW, name, (2, _MASKED_EQUAL, mmap.PROT_EXEC, 0))
        add(_ALLOW, "clone", (0, _MASKED_EQUAL, _CLONE_THREAD, _CLONE_THREAD))
        add(_ERRNO | errno.ENOSYS, "clone3")  # its flags cannot be seen; glibc then takes clone
        add(_ALLOW, "prctl", (0, _EQUAL, _PR_SET_NAME, 0))
        add(_ALLOW, "fcntl", (1, _EQUAL, _F_DUPFD_CLOEXEC, 0))
        add(_ALLOW, "tgkill", (0, _EQUAL, os.getpid(), 0))  # abort()
        for descriptor in writable:
            add(_ALLOW, "write", (0, _EQUAL, descriptor, 0))
        return bool(library.seccomp_load(rules) == 0)
    except OSError:
        return False
    finally:
        library.seccomp_release(rules)
