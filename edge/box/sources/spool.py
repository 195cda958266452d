"""The spool: uploads that the page's process has received, each a clip and its record.

The page's process has another user. It writes the clip under a number of its own, and the record
last, so that an upload is whole or not there. What lies in the spool at the start is taken, too:
nothing is lost when either process ends. The clip is deleted when the history has its finding.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from edge.box.events import Batch, ClipsArrived, Event, Origin
from edge.errors import TruelightError
from edge.scan.media.clip_file import open_regular
from edge.scan.media.protocol import ClipError
from edge.socket_messages import CLIP, RECORD, SCAN_ID, Upload

_MOST_RECORD_BYTES: Final = 16_384
_log = logging.getLogger("truelight")


class Spool:
    """The uploads in a folder. From any thread; the folder is on this machine's own disk."""

    def __init__(self, folder: Path, post: Callable[[Event], None]) -> None:
        self._folder = folder
        self._post = post
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    def take_all(self, judged: Callable[[str], bool]) -> None:
        """Post what is whole and not taken yet; delete what the history has already."""
        for record in sorted(self._folder.glob(f"*{RECORD}")):
            if not SCAN_ID.fullmatch(record.stem):
                continue
            if judged(record.stem):
                self.delete(record.stem)
            else:
                with contextlib.suppress(TruelightError):
                    self.take(record.stem)

    def take(self, scan: str) -> None:
        """Post `ClipsArrived` for an upload; nothing happens if it was taken before.

        Raises TruelightError: there is no such upload, or its record is not valid.
        """
        upload = self._read(scan)
        with self._lock:
            if scan in self._taken:
                return
            self._taken.add(scan)
        clip = self._folder / f"{scan}{CLIP}"
        # A name is never a path: what comes before the last slash is no part of it.
        name = os.path.basename(upload.name.replace("\\", "/")) or scan  # noqa: PTH119
        self._post(ClipsArrived(Batch(Origin.WEB, scan, name, (clip,), first=upload.first)))

    def has(self, scan: str) -> bool:
        """Whether an upload is taken and not over."""
        with self._lock:
            return scan in self._taken

    def delete(self, scan: str) -> None:
        """Delete an upload's files, the record first: half an upload is none."""
        for ending in (RECORD, CLIP):
            try:
                (self._folder / f"{scan}{ending}").unlink(missing_ok=True)
            except OSError as failure:
                _log.warning("The upload %s cannot be deleted: %s", scan, failure.strerror)
        with self._lock:
            self._taken.discard(scan)

    def _read(self, scan: str) -> Upload:
        if not SCAN_ID.fullmatch(scan):
            raise TruelightError("This is not the number of an upload.")
        try:
            # The folder is another user's: no link is followed, no pipe waited for.
            record = open_regular(self._folder / f"{scan}{RECORD}", self._folder)
            with os.fdopen(record, "rb") as file:
                upload = Upload.model_validate_json(file.read(_MOST_RECORD_BYTES))
        except (ClipError, OSError, ValidationError):
            message = "There is no such upload in the spool, or its record is not valid."
            raise TruelightError(message, "Send the clip again.") from None
        if upload.id != scan:
            raise TruelightError("The upload's record is of another one.", "Send the clip again.")
        return upload
