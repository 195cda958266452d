"""Remembers the clips that ended the program or the machine, so that none does so for good.

An attempt is noted before a clip is judged and deleted afterwards. An attempt that is left over, in
this boot or an earlier one, counts against the clip, which is known by its content. One may be a
power cut, and the clip is tried again; after two it is skipped until Truelight is updated.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Final

from edge import __version__
from edge.atomic_write import atomic_write
from edge.scan.media.clip_file import open_regular
from edge.scan.media.protocol import ClipError

MOST_ATTEMPTS: Final = 2
MOST_CLIPS: Final = 1000
"""How many clips are remembered; the oldest are forgotten."""

_PART_BYTES = 1 << 20
_log = logging.getLogger("truelight")


class CrashGuard:
    """The attempts that did not end, by clip, in a file. For one thread."""

    def __init__(self, file: Path, version: str = __version__) -> None:
        """Read what is left in `file`; attempts of another `version` are forgiven."""
        self._file = file
        self._version = version
        self._current = ""
        self._attempts: dict[str, int] = {}
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            note = json.loads(file.read_text(encoding="utf-8"))
            if note["version"] == version:
                self._attempts = {str(clip): int(n) for clip, n in note["attempts"].items()}

    def begin(self, clip: Path) -> bool:
        """Note an attempt at this clip; False if it had too many, and is to be skipped."""
        identity = clip_identity(clip)
        attempts = self._attempts.pop(identity, 0)
        self._attempts[identity] = min(attempts + 1, MOST_ATTEMPTS)  # now the latest
        while len(self._attempts) > MOST_CLIPS:
            del self._attempts[next(iter(self._attempts))]
        if attempts >= MOST_ATTEMPTS:
            return False
        self._current = identity
        self._write()
        return True

    def end(self) -> None:
        """The clip was judged, or cancelled: nothing counts against it any more."""
        if self._attempts.pop(self._current, None) is not None:
            self._write()

    def _write(self) -> None:
        note = {"version": self._version, "attempts": self._attempts}
        try:
            if self._attempts:
                atomic_write(self._file, json.dumps(note))
            else:
                self._file.unlink(missing_ok=True)
        except OSError as failure:
            _log.warning("The crash guard cannot write its note: %s", failure.strerror)


def clip_identity(clip: Path) -> str:
    """Size and a hash of beginning and end: the same for a copy under another name."""
    state = hashlib.sha256()
    try:
        descriptor = open_regular(clip)
        try:
            size = os.fstat(descriptor).st_size
            for position in (0, max(0, size - _PART_BYTES)):
                state.update(os.pread(descriptor, _PART_BYTES, position))
        finally:
            os.close(descriptor)
    except (ClipError, OSError):
        return ascii(os.fspath(clip))
    return f"{size} {state.hexdigest()}"
