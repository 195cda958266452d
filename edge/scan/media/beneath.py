"""Opens a file beneath a folder that strangers write to: no link on the way leads anywhere.

Standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from pathlib import Path
from typing import Final

_OPENAT2: Final = 437  # alike on all of Linux' processors
_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 1, 2, 4, 8
_HOW: Final = struct.Struct("<QQQ")  # flags, mode, resolve
_MISSING: Final = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG})
"""There is no such call, or a filter of system calls does not know it."""


def open_beneath(folder: Path, path: Path, flags: int) -> int:
    """A descriptor of `path`, which lies beneath `folder`; its parts may be no links.

    By openat2 with RESOLVE_BENEATH, from Linux 5.6 on, else part by part. The folder itself may be
    a link. Raises OSError.
    """
    try:
        parts = path.relative_to(folder).parts
    except ValueError:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(path)) from None
    if not parts or ".." in parts:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(path))
    base = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = _openat2(base, os.fspath(Path(*parts)), flags)
        return _part_by_part(base, parts, flags) if descriptor is None else descriptor
    finally:
        os.close(base)


def _openat2(base: int, relative: str, flags: int) -> int | None:
    """The descriptor; None if there is no such call here."""
    how = _HOW.pack(flags, 0, _NO_XDEV | _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH)
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (ctypes.c_long(base), os.fsencode(relative), how, ctypes.c_size_t(len(how)))
    descriptor = int(libc.syscall(ctypes.c_long(_OPENAT2), *arguments))
    if descriptor >= 0:
        return descriptor
    number = ctypes.get_errno()
    if number in _MISSING:
        return None
    raise OSError(number, os.strerror(number), relative)


def _part_by_part(base: int, parts: tuple[str, ...], flags: int) -> int:
    *folders, name = parts
    here = os.dup(base)
    try:
        for folder in folders:
            entered = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below = os.open(folder, entered, dir_fd=here)
            os.close(here)
            here = below
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=here)
    finally:
        os.close(here)
