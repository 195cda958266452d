"""Remembers which clip is being judged, so that one that takes the program down does so once."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Final

from edge.whole import write_whole

BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
"""Changes when the machine is started: then a cut in the power may be to blame, not the clip."""

_log = logging.getLogger("truelight")


class Guard:
    """A note in a file while a clip is judged; one that is left over accuses its clip."""

    def __init__(self, file: Path, boot: str | None = None) -> None:
        """Read what is left in `file`; `boot` names the time since the machine was started."""
        self._file = file
        self._boot = _boot() if boot is None else boot
        self._accused: str | None = None
        with contextlib.suppress(OSError, ValueError):
            note = json.loads(file.read_text(encoding="utf-8"))
            if isinstance(note, dict) and note.get("boot") == self._boot:
                self._accused = note.get("clip")

    def accuses(self, clip: Path) -> bool:
        """Whether the program ended while judging this very clip. Asked again, it is forgiven."""
        accused, found = self._accused, self._accused == _likeness(clip)
        self._accused = None if found else accused
        return found

    def begin(self, clip: Path) -> None:
        """This clip is about to be judged."""
        note = {"clip": _likeness(clip), "boot": self._boot}
        try:
            write_whole(self._file, json.dumps(note))
        except OSError as failure:
            _log.warning("The clip at work cannot be noted: %s", failure.strerror)

    def end(self) -> None:
        """The clip is judged, or given up."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)


def _boot() -> str:
    with contextlib.suppress(OSError):
        return BOOT.read_text(encoding="ascii").strip()
    return ""


def _likeness(clip: Path) -> str:
    """What tells a clip from another one in the same place."""
    try:
        status = clip.stat()
    except OSError:
        return ascii(os.fspath(clip))
    return f"{os.fspath(clip)!a} {status.st_size} {status.st_mtime_ns}"
