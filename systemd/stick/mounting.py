"""Mounts sticks for reading, and unmounts them."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from device import (
    DRIVERS,
    EXT,
    N_,
    Stick,
    UnusableError,
    do_mount,
    do_unmount,
    give_up_capabilities,
    lock,
    log,
    opened,
    run,
    write_whole,
)

ENCRYPTED = ("crypto_LUKS", "BitLocker")

OTHERS = ("/media/", "/mnt/", "/run/")  # people mount things there; the system lives elsewhere


def mount(stick: Stick) -> None:
    """Mount a stick and write its status; also if it cannot be mounted."""
    clear(stick)
    mounts = mounts_of(stick)
    if any(not place.startswith(OTHERS) for _, place in mounts):
        log(f"{stick.name} belongs to this system: not mounted")
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
            raise UnusableError(
                N_("The stick is in use elsewhere."), N_("Eject it there, plug it in.")
            )
        found = probe(stick)
        facts |= {"name": label(found), "filesystem": found.get("TYPE")}
        facts["sound"] = mount_read_only(stick, found)
    except (UnusableError, OSError) as failure:
        log(repr(failure))
        unmount(stick)
        silent = UnusableError(N_("The stick does not answer."), N_("Pull it out, try another."))
        unusable = failure if isinstance(failure, UnusableError) else silent
        facts |= {"error": unusable.message, "remedy": unusable.remedy}
    with opened(stick.status.parent) as sticks:
        write_whole(sticks, stick.status.name, [json.dumps(facts).encode()])
    log(f"{stick.name}: {facts['error'] or 'mounted'} ({facts['filesystem']}, {facts['name']})")


def probe(stick: Stick) -> dict[str, str]:
    """The output of blkid for a device: TYPE and LABEL among others; empty where it is unsure."""
    # It reads a stranger's bytes: without a capability, and without the way into the other view.
    command = "blkid", "-p", "-o", "export", str(stick.device)
    done = run(*command, first=give_up_capabilities, stdin=subprocess.DEVNULL)
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {key: value for key, _, value in pairs}


def label(found: Mapping[str, str]) -> str:
    """The stick's label, its printable characters alone."""
    text = re.sub(r"\\(.)", r"\1", found.get("LABEL", ""))
    return "".join(sign for sign in text if sign.isprintable()).strip()[:32] or "USB stick"


def mount_read_only(stick: Stick, found: Mapping[str, str]) -> bool:
    """Mount it; whether its file system is clean, so that it may be written to."""
    kind = found.get("TYPE", "")
    if not kind:
        raise UnusableError(
            N_("The stick is empty or damaged."), N_("Try another, in FAT or exFAT.")
        )
    if kind in ENCRYPTED:
        raise UnusableError(N_("The stick is encrypted."), N_("Use one that is not."))
    if kind not in DRIVERS:
        message = N_("The stick's format is {format}.").format(format=kind)
        raise UnusableError(message, N_("Use FAT, exFAT, NTFS or ext4."))
    stick.folder.mkdir()
    # The device itself: some file systems write repairs even when mounted for reading.
    lock(stick, True)
    done = do_mount(stick, kind, "ro")
    sound = done.returncode == 0
    if not sound and DRIVERS[kind] is EXT:
        # It was pulled out during a write, and its journal may not be replayed here.
        done = do_mount(stick, kind, "ro,noload")
    if done.returncode:
        log(done.stderr)
        if "unknown filesystem type" in done.stderr:
            message = N_("This box cannot read {format}.").format(format=kind)
            raise UnusableError(message, N_("Use FAT, exFAT, NTFS or ext4."))
        raise UnusableError(N_("The stick is damaged."), N_("Repair it, or try another."))
    return sound


def mounts_of(stick: Stick) -> list[tuple[str, str]]:
    """Partitions of its disk that are mounted already, and where."""
    entries = (stick.disk / "dev", *stick.disk.glob("*/dev"))
    names = {file.read_text().strip(): file.parent.name for file in entries if file.is_file()}
    lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    mounts = ((fields[2], fields[4]) for fields in map(str.split, lines))
    return [(names[number], place) for number, place in mounts if number in names]


def unmount(stick: Stick) -> None:
    """Remove everything of a stick, and unlock the device."""
    clear(stick)
    with contextlib.suppress(OSError):
        lock(stick, False)


def clear(stick: Stick) -> None:
    """Remove a stick's status, its mounts and its folder."""
    stick.status.unlink(missing_ok=True)
    while stick.folder.is_dir() and do_unmount(stick):
        pass
    with contextlib.suppress(FileNotFoundError):
        stick.folder.rmdir()
