"""Sticks are mounted for reading, and taken away."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path

from device import DRIVERS, EXT, Stick, UnusableError, do_mount, lock, opened, run, say, write_whole

ENCRYPTED = ("crypto_LUKS", "BitLocker")

OTHERS = ("/media/", "/mnt/", "/run/")  # people mount things there; the system lives elsewhere


def mount(stick: Stick) -> None:
    """Mount a stick and say so; what cannot be mounted is said too."""
    clear(stick)
    mounts = mounts_of(stick)
    if any(not place.startswith(OTHERS) for _, place in mounts):
        say(f"{stick.name} belongs to this system and is left alone")
        return
    facts: dict[str, object] = {"name": "USB stick", "device": str(stick.device)}
    facts |= {
        "filesystem": None,
        "error": None,
        "remedy": None,
        "plugged": time.monotonic_ns(),
        "sound": True,
    }
    try:
        if any(name == stick.name for name, _ in mounts):
            raise UnusableError("Stick is in use elsewhere", "Eject it there, plug it in anew")
        found = probe(stick)
        facts |= {"name": label(found), "filesystem": found.get("TYPE")}
        facts["sound"] = mount_read_only(stick, found)
    except (UnusableError, OSError) as failure:
        say(repr(failure))
        unmount(stick)
        silent = UnusableError("Stick does not answer", "Pull it out, try another")
        unusable = failure if isinstance(failure, UnusableError) else silent
        facts |= {"error": unusable.message, "remedy": unusable.remedy}
    with opened(stick.status.parent) as sticks:
        write_whole(sticks, stick.status.name, [json.dumps(facts).encode()])
    say(f"{stick.name}: {facts['error'] or 'mounted'} ({facts['filesystem']}, {facts['name']})")


def probe(stick: Stick) -> dict[str, str]:
    """What blkid finds on a device: TYPE and LABEL among others; nothing where it is unsure."""
    done = run("blkid", "-p", "-o", "export", str(stick.device))
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {key: value for key, _, value in pairs}


def label(found: Mapping[str, str]) -> str:
    """The stick's own name, without what cannot be shown."""
    text = re.sub(r"\\(.)", r"\1", found.get("LABEL", ""))
    return "".join(sign for sign in text if sign.isprintable()).strip()[:32] or "USB stick"


def mount_read_only(stick: Stick, found: Mapping[str, str]) -> bool:
    """Mount it; whether it is in such order that it may be written to."""
    kind = found.get("TYPE", "")
    if not kind:
        raise UnusableError("Stick is empty or damaged", "Try another, in FAT or exFAT")
    if kind in ENCRYPTED:
        raise UnusableError("Stick is encrypted", "Use one that is not")
    if kind not in DRIVERS:
        raise UnusableError(f"Stick has a {kind} format", "Use FAT, exFAT, NTFS, ext4")
    stick.folder.mkdir()
    # The device itself: a file system repairs itself even when it is mounted for reading.
    lock(stick, True)
    done = do_mount(stick, kind, "ro")
    sound = done.returncode == 0
    if not sound and DRIVERS[kind] is EXT:
        # It was pulled out elsewhere while it was written to, and the repair may not be written.
        done = do_mount(stick, kind, "ro,noload")
    if done.returncode:
        say(done.stderr)
        if "unknown filesystem type" in done.stderr:
            raise UnusableError(f"This box cannot read {kind}", "Use FAT, exFAT, NTFS, ext4")
        raise UnusableError("Stick is damaged", "Repair it or try another")
    return sound


def mounts_of(stick: Stick) -> list[tuple[str, str]]:
    """Which parts of its disk are mounted already, and where."""
    entries = (stick.disk / "dev", *stick.disk.glob("*/dev"))
    names = {file.read_text().strip(): file.parent.name for file in entries if file.is_file()}
    lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    mounts = ((fields[2], fields[4]) for fields in map(str.split, lines))
    return [(names[number], place) for number, place in mounts if number in names]


def unmount(stick: Stick) -> None:
    """Leave nothing of a stick, and the device as it was found."""
    clear(stick)
    with contextlib.suppress(OSError):
        lock(stick, False)


def clear(stick: Stick) -> None:
    """Take away a stick's status, its mounts and its folder."""
    stick.status.unlink(missing_ok=True)
    while stick.folder.is_dir() and run("umount", "-l", str(stick.folder)).returncode == 0:
        pass
    with contextlib.suppress(FileNotFoundError):
        stick.folder.rmdir()
