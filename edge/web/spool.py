"""The spool as the page's process writes it: uploads, in bounds, until the daemon has judged them.

An upload grows in `ID.part` beside what is known about it in `ID.meta`, so that it goes on where it
stopped, even after a restart. When it is whole, its clip is renamed and its record written: from
then on it is the daemon's. A sender chooses no file name: names are inside the records.
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.atomic_write import atomic_write, delete_unfinished
from edge.errors import TruelightError
from edge.language import _, decimal
from edge.socket_messages import CLIP, RECORD, SCAN_ID, Upload

PART, META = ".part", ".meta"
MEGABYTE: Final = 1_000_000
KEEP_FREE_BYTES: Final = 200 * MEGABYTE
"""Room that uploads leave on the disk, for the history and the system."""
STALE_SECONDS: Final = 24 * 3600.0
"""An upload to which nothing was added for so long is deleted."""
_LETTERS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


class SpoolFullError(TruelightError):
    """There is no room for an upload at present."""


class TooLargeError(TruelightError):
    """A clip is larger than the box takes."""


class NoSuchUploadError(TruelightError):
    """There is no such upload, or it is whole."""


class Meta(BaseModel):
    """What is known of an upload that is under way."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str = Field(min_length=1, max_length=255)
    length: int = Field(ge=0)
    first: int | None = None
    sender: str = ""
    owner: int = Field(description="The device that began it; nobody else may go on.")


@dataclass(frozen=True)
class Bounds:
    """How much the spool holds, in bytes."""

    spool: int
    clip: int


def new_id() -> str:
    """The number of an upload: 26 letters, later ones sort later, nobody guesses one."""
    moment, text = int(time.time() * 1000), ""
    for _digit in range(10):
        moment, digit = divmod(moment, len(_LETTERS))
        text = _LETTERS[digit] + text
    return text + "".join(secrets.choice(_LETTERS) for _letter in range(16))


class Spool:
    """Uploads in a folder. For one thread: the event loop's."""

    def __init__(self, folder: Path, bounds: Bounds) -> None:
        """Make the folder if there is none, and delete what a power cut left.

        Raises OSError: it cannot be made or read.
        """
        self._folder = folder
        self.bounds = bounds
        folder.mkdir(parents=True, exist_ok=True)
        delete_unfinished(folder)
        self.delete_stale()

    # ---- Room

    @property
    def used(self) -> int:
        """Bytes of uploads that are whole, and of those under way as large as they will be."""
        total = sum(_size(clip) for clip in self._folder.glob(f"*{CLIP}"))
        return total + sum(meta.length for meta in self._under_way())

    def begin(self, meta: Meta) -> None:
        """Reserve room for an upload of `meta.length` bytes.

        Raises TooLargeError: it is larger than any clip may be; SpoolFullError: there is no room
        for it at present; nothing is lost; OSError: the disk fails.
        """
        if meta.length > self.bounds.clip:
            raise TooLargeError(
                _("The clip has {size}; at most {most} are taken.").format(
                    size=megabytes(meta.length), most=megabytes(self.bounds.clip)
                ),
                _("Send a shorter piece of it, or raise web.clip_megabytes."),
            )
        room = os.statvfs(self._folder)
        free = room.f_bavail * room.f_frsize - KEEP_FREE_BYTES - self._missing()
        if self.used + meta.length > self.bounds.spool or meta.length > free:
            raise SpoolFullError(
                _("There is no room for this clip now: others wait to be judged."),
                _("Nothing was lost. Send it again when some of them are done."),
            )
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(self._path(meta.id, PART), flags, 0o640))
        atomic_write(self._path(meta.id, META), meta.model_dump_json())

    def _missing(self) -> int:
        """Bytes that uploads under way have reserved and not written."""
        return sum(max(0, meta.length - self.offset(meta.id)) for meta in self._under_way())

    def _under_way(self) -> list[Meta]:
        found = [self._meta(file.stem) for file in self._folder.glob(f"*{META}")]
        return [meta for meta in found if meta]

    # ---- One upload

    def meta(self, scan: str) -> Meta:
        """What is known of an upload that is under way. Raises NoSuchUploadError."""
        meta = self._meta(scan) if SCAN_ID.fullmatch(scan) else None
        if meta is None:
            message = _("There is no such upload under way.")
            raise NoSuchUploadError(message, _("Begin it again."))
        return meta

    def offset(self, scan: str) -> int:
        """Bytes that have arrived of an upload."""
        return _size(self._path(scan, PART))

    def open(self, scan: str) -> int:
        """A descriptor to add to an upload with. Raises OSError."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self._path(scan, PART), flags)

    def seal(self, meta: Meta) -> Upload:
        """The upload is whole: hand it to the daemon. Raises OSError."""
        part, clip = self._path(meta.id, PART), self._path(meta.id, CLIP)
        upload = _upload(meta, _size(part))
        _sync(part)
        part.rename(clip)
        self._record(upload)
        return upload

    def _record(self, upload: Upload) -> None:
        """Write the record of an upload whose clip is in place."""
        # The record makes it whole. Its folder has the daemon's group, which may read both.
        atomic_write(self._path(upload.id, RECORD), upload.model_dump_json())
        self._path(upload.id, META).unlink(missing_ok=True)

    def delete(self, scan: str) -> None:
        """Delete an upload that is under way."""
        for ending in (META, PART):
            self._path(scan, ending).unlink(missing_ok=True)

    def waiting(self, scan: str) -> Upload | None:
        """The record of an upload that is whole and not judged yet."""
        if not SCAN_ID.fullmatch(scan):
            return None
        try:
            return Upload.model_validate_json(self._path(scan, RECORD).read_bytes())
        except (OSError, ValidationError):
            return None

    def delete_stale(self) -> None:
        """Delete uploads that nobody goes on with, and parts that nothing is known of."""
        now = time.time()
        for part in self._folder.glob(f"*{PART}"):
            if self._meta(part.stem) is None or now - part.stat().st_mtime > STALE_SECONDS:
                self.delete(part.stem)
        for file in self._folder.glob(f"*{META}"):
            meta = self._meta(file.stem)
            if meta and _size(file.with_suffix(CLIP)) == meta.length > 0:
                self._record(_upload(meta, meta.length))  # the power was cut in `seal`
            elif not file.with_suffix(PART).exists():
                file.unlink(missing_ok=True)
        for clip in self._folder.glob(f"*{CLIP}"):
            if not clip.with_suffix(RECORD).exists() and now - clip.stat().st_mtime > STALE_SECONDS:
                clip.unlink(missing_ok=True)

    def _meta(self, scan: str) -> Meta | None:
        try:
            return Meta.model_validate_json(self._path(scan, META).read_bytes())
        except (OSError, ValidationError):
            return None

    def _path(self, scan: str, ending: str) -> Path:
        assert SCAN_ID.fullmatch(scan), "a number of ours"
        return self._folder / f"{scan}{ending}"


def _upload(meta: Meta, size: int) -> Upload:
    return Upload(
        id=meta.id,
        name=meta.name,
        size=size,
        received=datetime.now(UTC),
        first=meta.first,
        sender=meta.sender,
    )


def megabytes(size: int) -> str:
    """A size for people: "12.3 MB"."""
    return decimal(f"{size / MEGABYTE:.{1 if size < 100 * MEGABYTE else 0}f} MB")


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
