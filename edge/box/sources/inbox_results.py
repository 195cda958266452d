"""Results in the inbox: each beside its clip, the report of a batch in the folder."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Collection, Iterable
from itertools import chain, count
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.atomic_write import atomic_write
from edge.box.sources.arrivals import Stamp
from edge.errors import TruelightError
from edge.language import N_
from edge.scan.collect import media_within
from edge.text import json_text, one_line, path_text

if TYPE_CHECKING:
    from edge.history.report import Report
    from edge.history.report_document import Full
    from edge.history.writer import Entry

log = logging.getLogger("truelight")

RESULT: Final = ".truelight.json"
"""A clip's finding lies beside it, under its name with this at the end."""
REPORT: Final = "TRUELIGHT-REPORT.html"

_MOST_NAME_BYTES = 255
_MOST_RESULT_BYTES = 16 * 1024**2


def write_results(
    folder: Path,
    entries: Iterable[Entry],
    report: Report,
    full: Full = lambda entry: entry,
    kept: Collection[str] = (),
) -> None:
    """Write each clip's finding beside it, and the report of them all into the folder.

    Those that were `kept` lie there; `full` adds the faces to an entry. Clips that are gone by now
    get none; one that fails costs no other its result. Raises TruelightError when some could not
    be written.
    """
    try:
        clips = {path_text(clip): clip for clip in media_within(folder, inf).clips}
    except OSError as failure:
        raise TruelightError(_not_written(folder, failure.strerror)) from failure
    failures: list[str] = []
    written = 1
    for entry in entries:
        if clip := clips.get(entry.finding.path):
            written += 1
            if entry.finding.path not in kept:
                result = json_text(full(entry).finding.model_dump_json(indent=2))
                _write(result_of(clip), result + "\n", failures)
    _write(free_name(folder / REPORT), report.html, failures)
    if failures:
        message = N_("{number} of {total} results not written. {why}")
        why = f"{folder}: {failures[0]}."
        raise TruelightError(message.format(number=len(failures), total=written, why=why))


def _not_written(folder: Path, why: str | None) -> str:
    return N_("Results not written. {why}").format(why=f"{folder}: {why}.")


def _write(path: Path, content: str, failures: list[str]) -> None:
    """Write a file; why that failed is added to `failures`."""
    try:
        atomic_write(path, content)
    except OSError as failure:
        failures.append(failure.strerror or "unknown error")
        log.warning("%s cannot be written: %s", one_line(path_text(path)), failure.strerror)


def result_of(clip: Path) -> Path:
    """Where the finding on a clip of the inbox lies; a name that is too long is shortened."""
    name = os.fsencode(clip.name)
    if len(name) + len(RESULT) > _MOST_NAME_BYTES:
        digest = hashlib.sha256(name).hexdigest()[:16]
        shortened = name[: _MOST_NAME_BYTES - len(RESULT) - len(digest) - 1]
        name = shortened.decode("utf-8", "ignore").encode() + f"-{digest}".encode()
    return clip.with_name(os.fsdecode(name) + RESULT)


def free_name(path: Path) -> Path:
    """The path, or one with a number if someone put a folder there."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in count(2))
    return next(each for each in chain((path,), numbered) if not each.is_dir())


def is_judged(clip: Path, stamp: Stamp) -> bool:
    """Whether the result beside a clip is of this very file: by size and time, or else by hash."""
    try:
        result = result_of(clip)
        if result.is_symlink() or result.stat().st_size > _MOST_RESULT_BYTES:
            return False
        finding = json.loads(result.read_bytes())
        if finding.get("size") is not None:
            return (finding["size"], finding.get("modified_ns")) == (stamp.size, stamp.changed)
        if not finding.get("sha256"):
            return False
        with clip.open("rb") as file:
            return bool(hashlib.file_digest(file, "sha256").hexdigest() == finding["sha256"])
    except (OSError, ValueError, AttributeError):
        return False
