"""A stick for tests, and `systemd/stick` run on it as its units do.

Where this machine lends a loop device it is a real ext4 on a real block device. A stand-in for
`mount` and `umount` serves everywhere: a link to a folder, writable or not.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from frontdoor import ROOT

SCRIPT = (sys.executable, "-IB", ROOT / "systemd" / "stick")

MOUNT = """#!/bin/sh
echo "$@" >> {log}
for folder; do :; done
case "$*" in
    *remount,rw*) chmod u+w {volume} ;;
    *remount,ro*) chmod u-w {volume} ;;
    *) rmdir "$folder" && ln -s {volume} "$folder" && chmod u-w {volume} ;;
esac
"""
UMOUNT = """#!/bin/sh
for folder; do :; done
[ -L "$folder" ] && rm "$folder" && chmod u+w {volume} && mkdir "$folder"
"""


class Stick:
    """A stick that can be plugged in, pulled out and given a report."""

    def __init__(self, home: Path, name: str, dev: Path, devices: Path, path: str) -> None:
        self.name, self.dev, self.sys = name, dev, devices
        self.run = home / "run"
        self.sticks, self.reports = self.run / "sticks", self.run / "reports"
        self.sticks.mkdir(parents=True)
        self.reports.mkdir()
        self.folder = self.sticks / name
        self.status = self.sticks / f"{name}.json"
        self.box = self.reports / name
        self._path = path

    @property
    def is_real(self) -> bool:
        """Whether the kernel itself mounts it."""
        return self.dev == Path("/dev")

    def command(self, verb: str) -> list[str]:
        places = ("--run", self.run, "--dev", self.dev, "--sys", self.sys)
        return [str(part) for part in (*SCRIPT, verb, self.name, *places)]

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"PATH": self._path}

    def do(self, verb: str) -> str:
        """Run the script; what it says."""
        done = subprocess.run(
            self.command(verb),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=self.environment,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def plug(self) -> dict[str, Any]:
        """Plug it in; what the daemon gets to know of it."""
        self.do("mount")
        facts: dict[str, Any] = json.loads(self.status.read_text())
        return facts

    def hand_over(self, page: str = "<h1>Report</h1>", data: str = "{}") -> None:
        """Leave a report for it, as the daemon does."""
        self.box.mkdir(exist_ok=True)
        (self.box / "TRUELIGHT-REPORT.html").write_text(page)
        (self.box / "truelight-report.json").write_text(data)
        plugged = json.loads(self.status.read_text())["plugged"] if self.status.exists() else 0
        (self.box / "ready").write_text(str(plugged))

    def report(self) -> str:
        """Have the report written; the first line of what became of it."""
        self.do("report")
        return (self.box / "result").read_text().split("\n")[0]

    @property
    def mount_options(self) -> set[str]:
        """Of the mount itself and of the file system, as the kernel tells them."""
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        fields = next(line.split() for line in lines if line.split()[4] == str(self.folder))
        return {*fields[5].split(","), *fields[-1].split(",")}


def fill(folder: Path) -> None:
    """What people have on their sticks."""
    (folder / "holiday").mkdir()
    (folder / "holiday" / "beach.mp4").write_bytes(os.urandom(300_000))
    (folder / "letter ü.txt").write_text("Dear all")
    (folder / "TRUELIGHT-REPORT.txt").write_text("not ours")


def contents(folder: Path) -> dict[str, tuple[object, ...]]:
    """Every file and folder with its content, rights and times; not the root's own times."""
    return {str(path.relative_to(folder)): _facts(path) for path in sorted(folder.rglob("*"))}


def _facts(path: Path) -> tuple[object, ...]:
    facts = path.lstat()
    times = facts.st_mtime_ns, facts.st_ctime_ns, facts.st_atime_ns
    content = sha256(path) if path.is_file() else ""
    return (facts.st_mode, facts.st_uid, facts.st_ino, facts.st_size, times, content)


def sha256(path: Path) -> str:
    # Reading leaves no trace of its own.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOATIME)) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---- Making sticks


@contextmanager
def stand_in(home: Path, image: Path | None = None) -> Iterator[Stick]:
    """A stick whose `mount` is a stand-in. blkid looks at `image`, an ext4 if none is given."""
    tools, dev, volume = home / "tools", home / "dev", home / "volume"
    for folder in (tools, dev, volume):
        folder.mkdir()
    for name, text in (("mount", MOUNT), ("umount", UMOUNT)):
        tool = tools / name
        tool.write_text(text.format(log=home / "mount.log", volume=volume))
        tool.chmod(0o755)
    if image is None:
        make_ext4(dev / "sdz1")
    else:
        shutil.copy(image, dev / "sdz1")
    fill(volume)
    stick = Stick(home, "sdz1", dev, home / "sys", f"{tools}:{_path()}")
    (home / "sys" / "sdz1").mkdir(parents=True)
    yield stick
    volume.chmod(0o755)


@contextmanager
def real(home: Path, *, write_protected: bool = False) -> Iterator[Stick]:
    """A stick that is a loop device with an ext4 on it."""
    image, things = home / "stick.img", home / "things"
    things.mkdir()
    fill(things)
    make_ext4(image, things)
    with looped(home, image, write_protected=write_protected) as stick:
        yield stick


@contextmanager
def looped(home: Path, image: Path, *, write_protected: bool = False) -> Iterator[Stick]:
    """A stick that is this image on a loop device."""
    options = ("--read-only",) if write_protected else ()
    device = Path(_do("losetup", "--find", "--show", *options, image).strip())
    stick = Stick(home, device.name, device.parent, Path("/sys/class/block"), _path())
    # What another test left of it.
    stick.do("unmount")
    try:
        yield stick
    finally:
        stick.do("unmount")
        _do("losetup", "--detach", device)


def make_ext4(image: Path, things: Path | None = None) -> None:
    """An ext4 of 8 MB, called My Stick, with these things on it."""
    with image.open("wb") as file:
        file.truncate(8 * 1024**2)
    _do("mkfs.ext4", "-q", "-m", "0", "-L", "My Stick", *(("-d", things) if things else ()), image)


def can_loop() -> bool:
    """Whether this machine lets us mount a real file system from a file."""
    if os.geteuid() or not shutil.which("losetup", path=_path()):
        return False
    home = Path(
        subprocess.run(["mktemp", "-d"], check=True, capture_output=True, text=True).stdout.strip()
    )
    try:
        make_ext4(home / "image")
        _do("mount", "-o", "loop", home / "image", home)
        _do("umount", home)
    except subprocess.CalledProcessError:
        return False
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return True


def _do(*command: object) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": _path()},
    )
    return done.stdout


def _path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
