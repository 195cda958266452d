"""The folder of an archive: Parquet files, and a journal of what is not in them yet.

A finding is in the journal, on the disk, before the next one is taken. From time to time the
journal becomes one more Parquet file of each kind. A program that is killed at any moment loses
nothing that it had written: the next run reads both.

    OUT/findings.parquet/bundle=KEY/part-00001.parquet    a row a clip
    OUT/faces.parquet/bundle=KEY/part-00001.parquet       a row a face
    OUT/journal-KEY.jsonl                                 not in a Parquet file yet
    OUT/lock                                              held by the run that writes
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from edge.archive.listing import ArchiveFile
from edge.archive.rows import FACES, FINDINGS, JudgedClip, faces_table, findings_table
from edge.atomic_write import delete_unfinished, publish, unfinished_file
from edge.errors import TruelightError
from edge.finding import Finding, Verdict
from edge.text import path_text

FINDINGS_FOLDER = "findings.parquet"
FACES_FOLDER = "faces.parquet"
PART_ROWS = 5_000
"""Rows of the journal that become one Parquet file."""

_PART = re.compile(r"part-(\d+)\.parquet")


class ArchiveStore:
    """Reads and writes the findings of one bundle. A context manager; one at a time for a folder.

    `key` names the bundle and the settings that findings depend on: others have partitions of
    their own, so their findings stay.
    """

    def __init__(self, folder: Path, key: str) -> None:
        """Open the folder, which is made if needed, and finish what an ended run left.

        Raises TruelightError: it cannot be written, or another run writes to it.
        """
        self.folder = folder
        self._key = key
        self._journal_file = folder / f"journal-{key}.jsonl"
        self._pending: list[JudgedClip] = []
        with _disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder / "lock")
            for part in (FINDINGS_FOLDER, FACES_FOLDER):
                (folder / part / f"bundle={key}").mkdir(parents=True, exist_ok=True)
                delete_unfinished(folder / part / f"bundle={key}")
            self._pending = self._read_journal()
            self._journal = self._journal_file.open("ab", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._journal.close()
        finally:
            os.close(self._lock)

    def add(self, clips: Iterable[JudgedClip]) -> None:
        """Write findings to the journal; they are on the disk when this returns.

        Raises TruelightError: the disk is full or fails. What was added before is kept.
        """
        new = list(clips)
        data = "".join(f"{clip.to_json()}\n" for clip in new).encode()
        before = len(self._pending)
        self._pending += new  # first: `flush` after a Ctrl-C empties the journal
        with _disk_errors(self.folder):
            whole = os.fstat(self._journal.fileno()).st_size
            try:
                written = self._journal.write(data)
                if written != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fdatasync(self._journal.fileno())
            except OSError:
                os.ftruncate(self._journal.fileno(), whole)
                del self._pending[before:]
                raise
        if len(self._pending) >= PART_ROWS:
            self.flush()

    def flush(self) -> None:
        """Turn the journal into Parquet files. Raises TruelightError as `add` does."""
        if not self._pending:
            return
        with _disk_errors(self.folder):
            number = 1 + max(map(_part_number, self._parts(FINDINGS_FOLDER)), default=0)
            # A run killed between the two leaves faces of no clip, which the next run replaces.
            self._write_part(FACES_FOLDER, number, faces_table(self._pending))
            self._write_part(FINDINGS_FOLDER, number, findings_table(self._pending))
            os.ftruncate(self._journal.fileno(), 0)
        self._pending = []

    def done(self) -> pa.Table:
        """The clips that were judged: columns path, size, modified_ns, sha256."""
        columns = ["path", "size", "modified_ns", "sha256"]
        return pa.concat_tables(
            [
                self._dataset(FINDINGS_FOLDER).to_table(columns=columns),
                findings_table(self._pending).select(columns),
            ]
        ).replace_schema_metadata()

    def find(self, sha256: str) -> JudgedClip | None:
        """The clip of this content that was judged, without its pictures."""
        for clip in self._pending:
            if clip.finding.sha256 == sha256 and clip.copy_of is None:
                return clip
        columns = ["path", "size", "modified_ns", "judged", "finding"]
        found = self._dataset(FINDINGS_FOLDER).to_table(
            columns, filter=(pc.field("sha256") == sha256) & pc.field("copy_of").is_null()
        )
        for row in found.to_pylist()[:1]:
            judged = row.pop("judged").timestamp()
            finding = Finding.model_validate_json(row.pop("finding"))
            return JudgedClip(**row, judged=judged, finding=finding)
        return None

    def table(self, columns: list[str]) -> pa.Table:
        """Some columns of the findings that are in Parquet files."""
        return self._dataset(FINDINGS_FOLDER).to_table(columns)

    def portraits(self, hashes: Sequence[str]) -> dict[str, tuple[bytes, bytes | None]]:
        """The picture, and the heat map if there is one, of clips by the hash of their content."""
        columns = ["sha256", "portrait", "heat"]
        wanted = pc.field("sha256").isin(list(hashes)) & pc.field("portrait").is_valid()
        rows = self._dataset(FACES_FOLDER).to_table(columns, filter=wanted).to_pylist()
        return {row["sha256"]: (row["portrait"], row["heat"]) for row in rows}

    def forget_unreadable(self) -> int:
        """Remove the rows of clips that could not be read, so that they are judged again."""
        self.flush()
        removed = 0
        with _disk_errors(self.folder):
            for part in self._parts(FINDINGS_FOLDER):
                table = pq.read_table(part, partitioning=None)
                kept = table.filter(pc.field("verdict") != Verdict.UNREADABLE.value)
                removed += len(table) - len(kept)
                if len(kept) < len(table):
                    _write(part, kept)
        return removed

    def _dataset(self, folder: str) -> ds.Dataset:
        schema = FINDINGS if folder == FINDINGS_FOLDER else FACES
        return ds.dataset([str(part) for part in self._parts(folder)], schema=schema)

    def _parts(self, folder: str) -> list[Path]:
        return sorted((self.folder / folder / f"bundle={self._key}").glob("part-*.parquet"))

    def _write_part(self, folder: str, number: int, table: pa.Table) -> None:
        path = self.folder / folder / f"bundle={self._key}" / f"part-{number:05}.parquet"
        if len(table) or folder == FINDINGS_FOLDER:
            _write(path, table)
        else:
            path.unlink(missing_ok=True)

    def _read_journal(self) -> list[JudgedClip]:
        """The clips in the journal that are in no Parquet file; a torn last line is cut off."""
        if not self._journal_file.exists():
            return []
        content = self._journal_file.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with self._journal_file.open("r+b") as journal:
                journal.truncate(whole)
        clips = [JudgedClip.from_json(line) for line in content[:whole].splitlines()]
        if not clips:
            return []
        # Killed after writing the Parquet file and before emptying the journal.
        known = set(map(_identity, self._dataset(FINDINGS_FOLDER).to_table(_KEYS).to_pylist()))
        return [clip for clip in clips if _identity(vars(clip)) not in known]


def remaining(files: Iterable[ArchiveFile], done: pa.Table) -> Iterator[ArchiveFile]:
    """The files that no row answers: another path, size or time of the last change."""
    known = set(zip(*(done[key].to_pylist() for key in _KEYS), strict=True))
    return (file for file in files if (file.shown, file.size, file.modified_ns) not in known)


_KEYS = ["path", "size", "modified_ns"]


def _identity(row: dict[str, object]) -> tuple[object, ...]:
    return tuple(row[key] for key in _KEYS)


def _part_number(part: Path) -> int:
    match = _PART.fullmatch(part.name)
    return int(match[1]) if match else 0


def _write(path: Path, table: pa.Table) -> None:
    with unfinished_file(path) as unfinished:
        pq.write_table(table, unfinished, compression="zstd")
        publish(unfinished, path)


def _lock(path: Path) -> int:
    """A descriptor that holds the folder's lock until it is closed."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise TruelightError(
            f"Another run writes to {path.parent}.",
            "Wait until it ends, or name another folder with --out.",
        ) from None
    return descriptor


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turn a disk's failure into a sentence."""
    try:
        yield
    except OSError as failure:
        full = failure.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise TruelightError(
            f"The disk of {path_text(folder)} is full."
            if full
            else f"{path_text(folder)} cannot be written: {failure.strerror or failure}.",
            "Nothing that was judged before is lost. "
            + ("Free space" if full else "Make it writable")
            + " and run the same command again.",
        ) from failure
