"""A stick as a device: its paths, and the system calls and commands on it."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SAFE = "nosuid,nodev,noexec,nosymfollow,noatime"
SHARED = "umask=0022"  # these file systems have no owners: everybody may read
FAT = ("vfat", f"utf8,{SHARED}")
EXT = ("ext4", "errors=remount-ro")
DRIVERS = {  # by the name that blkid gives: the kernel's driver, and its options
    "vfat": FAT,
    "exfat": ("exfat", f"iocharset=utf8,{SHARED}"),
    "ntfs": ("ntfs3", f"iocharset=utf8,{SHARED}"),
    "ext2": EXT,
    "ext3": EXT,
    "ext4": EXT,
}

N_ = str  # marks what the display shows, for setup/texts.py

SECONDS = 40  # for one command
BLKROSET = 0x125D
CAPABILITY_VERSION = 0x20080522


class UnusableError(Exception):
    """The stick cannot be read: what is wrong, and what a person can do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True)
class Stick:
    """The paths of one stick, and the mount namespace that it is mounted in; None: this one."""

    name: str
    run: Path
    dev: Path
    sys: Path
    view: Path | None = None

    @property
    def device(self) -> Path:
        """The block device."""
        return self.dev / self.name

    @property
    def folder(self) -> Path:
        """The mount point."""
        return self.run / "sticks" / self.name

    @property
    def status(self) -> Path:
        """What the daemon reads. It exists only while the stick is mounted, or cannot be."""
        return self.run / "sticks" / f"{self.name}.json"

    @property
    def disk(self) -> Path:
        """The whole disk, in /sys."""
        entry = (self.sys / self.name).resolve()
        return entry.parent if (entry / "partition").exists() else entry


def do_mount(stick: Stick, kind: str, how: str) -> subprocess.CompletedProcess[str]:
    """Mount by the kernel's own driver, never by a helper; `how` is ro, or a remount."""
    driver, options = DRIVERS[kind]
    options = f"{how},{SAFE},{options}"
    where = str(stick.device), str(stick.folder)
    return run(*entering(stick), "mount", "-i", "-t", driver, "-o", options, *where)


def do_unmount(stick: Stick) -> bool:
    """Unmount what was mounted last; False if nothing is."""
    return run(*entering(stick), "umount", "-l", str(stick.folder)).returncode == 0


def entering(stick: Stick) -> tuple[str, ...]:
    """What a command begins with that has to run where the stick is mounted."""
    return ("nsenter", f"--mount={stick.view}", "--") if stick.view else ()


def lock(stick: Stick, locked: bool) -> None:
    """Make the kernel refuse every write to the device, or allow them again."""
    with opened(stick.device) as device:
        if stat.S_ISBLK(os.fstat(device).st_mode):
            fcntl.ioctl(device, BLKROSET, struct.pack("i", locked))


# ---- Tools


@contextlib.contextmanager
def opened(path: Path, flags: int = 0) -> Iterator[int]:
    """A folder or a device, open for reading without blocking."""
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
    try:
        yield number
    finally:
        os.close(number)


def write_whole(folder: int, name: str, pieces: Iterable[bytes]) -> None:
    """Write a file whole into an open folder: beside it, to the disk, then in its place."""
    part = f"{name}.part"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(part, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(part, flags, 0o644, dir_fd=folder), "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part, dir_fd=folder)
        raise


def give_up_capabilities() -> None:
    """Keep none; where new privileges are forbidden, what this process becomes gets none either."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)())


def run(
    *command: str, first: Callable[[], None] | None = None, stdin: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of the system, and `first` before it in the same process.

    Raises UnusableError when it does not end in time.
    """
    try:
        return subprocess.run(
            command,
            check=False,
            preexec_fn=first,
            stdin=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=os.environ | {"LC_ALL": "C"},
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise UnusableError(
            N_("The stick does not answer."), N_("Pull it out, try another.")
        ) from None


def log(text: str) -> None:
    """Write a line into the journal; text from a stick is escaped."""
    sys.stderr.write(ascii(text.strip())[1:-1] + "\n")
