"""Files that were found and not judged: counted by reason, and named up to a limit.

Display, report and history count from one such list. `Skipped.model_dump_json()` is a part of the
report's JSON and of the last line of `truelight scan --json`: adding keys is allowed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge.language import N_, _, translated
from edge.text import one_line, path_text

MOST_NAMED: Final = 200
"""Files that are named for each reason; the others are counted."""
_NAMED_IN_SENTENCE = 5


class SkipReason(StrEnum):
    """Why a file or folder was not judged. Stable codes."""

    UNSUPPORTED = "unsupported-format"
    NOT_MEDIA = "not-media"
    HIDDEN = "hidden"
    SYSTEM_FOLDER = "system-folder"
    LINK = "link"
    NOT_A_FILE = "not-a-file"
    OTHER_FILE_SYSTEM = "other-file-system"
    UNREADABLE = "unreadable"
    TOO_DEEP = "too-deep"
    TOO_MANY = "too-many"
    STOPPED = "stopped"


_SENTENCES: Mapping[SkipReason, tuple[str, str]] = {
    SkipReason.UNSUPPORTED: (
        N_("1 file is not of a kind that is read."),
        N_("{number} files are not of a kind that is read."),
    ),
    SkipReason.NOT_MEDIA: (
        N_("1 file is neither a video nor a picture."),
        N_("{number} files are neither videos nor pictures."),
    ),
    SkipReason.HIDDEN: (
        N_("1 file or folder is hidden."),
        N_("{number} files and folders are hidden."),
    ),
    SkipReason.SYSTEM_FOLDER: (
        N_("1 folder belongs to an operating system."),
        N_("{number} folders belong to an operating system."),
    ),
    SkipReason.LINK: (N_("1 link was not followed."), N_("{number} links were not followed.")),
    SkipReason.NOT_A_FILE: (
        N_("1 entry is not a regular file."),
        N_("{number} entries are not regular files."),
    ),
    SkipReason.OTHER_FILE_SYSTEM: (
        N_("1 folder is another file system."),
        N_("{number} folders are other file systems."),
    ),
    SkipReason.UNREADABLE: (
        N_("1 file or folder cannot be read."),
        N_("{number} files and folders cannot be read."),
    ),
    SkipReason.TOO_DEEP: (N_("1 folder is too deep."), N_("{number} folders are too deep.")),
    SkipReason.TOO_MANY: (
        N_("1 file is beyond the limit of a batch."),
        N_("{number} files are beyond the limit of a batch."),
    ),
    SkipReason.STOPPED: (
        N_("1 clip was not reached before the work ended."),
        N_("{number} clips were not reached before the work ended."),
    ),
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SkippedFile(_Part):
    """A file or folder that was not judged."""

    path: str = Field(description="As a finding's path.")
    reason: SkipReason
    kind: str = Field(default="", description="Of an unsupported format: what it is, in words.")


class Skipped(_Part):
    """What was found and not judged."""

    counts: dict[SkipReason, int] = Field(
        default_factory=dict, description="Files and folders by reason; all of them are counted."
    )
    files: tuple[SkippedFile, ...] = Field(
        default=(), description=f"Their names; of each reason the first {MOST_NAMED}."
    )

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    def sentences(self, named: int = _NAMED_IN_SENTENCE) -> tuple[str, ...]:
        """A sentence for each reason in the reader's language, with some of the names."""
        return tuple(
            self._sentence(reason, named) for reason in SkipReason if self.counts.get(reason)
        )

    def summary(self) -> str:
        """The same in short, without names; empty if nothing was skipped."""
        return " ".join(self.sentences(named=0))

    def _sentence(self, reason: SkipReason, most: int) -> str:
        number = self.counts[reason]
        one, several = _SENTENCES[reason]
        sentence = _(one) if number == 1 else _(several).format(number=number)
        names = [_name(file) for file in self.files if file.reason is reason][:most]
        if not names:
            return sentence
        if more := number - len(names):
            names.append(_("and {number} more").format(number=more))
        return f"{sentence.removesuffix('.')}: {', '.join(names)}."


NOTHING_SKIPPED: Final = Skipped()


def _name(file: SkippedFile) -> str:
    name = one_line(PurePath(file.path).name)
    return f"{name} ({translated(file.kind)})" if file.kind else name


class SkipList:
    """Collects files that are not judged; bounded in memory."""

    def __init__(self, start: Skipped | None = None) -> None:
        self._counts = Counter(start.counts if start else {})
        self._files = list(start.files if start else ())
        self._named = Counter(file.reason for file in self._files)

    def add(self, path: Path, reason: SkipReason, kind: str = "", number: int = 1) -> None:
        """Note a file or folder; with a `number`, that many, and only this one by name."""
        self.added(SkippedFile(path=path_text(path), reason=reason, kind=kind))
        self._counts[reason] += number - 1

    def added(self, file: SkippedFile) -> SkipList:
        """This list, with one file more."""
        self._counts[file.reason] += 1
        if self._named[file.reason] < MOST_NAMED:
            self._named[file.reason] += 1
            self._files.append(file)
        return self

    def result(self) -> Skipped:
        """What was collected."""
        return Skipped(counts=dict(self._counts), files=tuple(self._files))


class SkippedLine(_Part):
    """The last line of `truelight scan --json`, where a folder held files that were not judged."""

    schema_version: Literal[1] = 1
    kind: Literal["truelight-skipped"] = "truelight-skipped"
    counts: dict[SkipReason, int]
    files: tuple[SkippedFile, ...]
