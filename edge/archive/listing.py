"""Which clips an archive holds: files, folders, lists of paths, and addresses of object storage."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from edge.errors import TruelightError
from edge.scan.collect import collect
from edge.scan.media.formats import READ_ENDINGS, UNREAD_ENDINGS
from edge.skipped import SkipList, SkipReason
from edge.text import path_text

NANOSECONDS = 1_000_000_000


class ArchiveFile(NamedTuple):
    """A clip to judge. `path` and `modified_ns` identify it until its content was hashed."""

    path: str
    """A local path, or an address like `s3://bucket/name.mp4`."""
    size: int
    """Bytes; -1 if the storage does not tell."""
    modified_ns: int
    """Nanoseconds since 1970; 0 if the storage does not tell."""

    @property
    def is_remote(self) -> bool:
        """Whether it must be fetched."""
        return is_address(self.path)

    @property
    def shown(self) -> str:
        """The path as valid text: bytes that are not UTF-8 are escaped."""
        return self.path if self.is_remote else path_text(Path(self.path))


@dataclass
class Listing:
    """What was found in the places that were named."""

    files: list[ArchiveFile] = field(default_factory=list)
    skipped: SkipList = field(default_factory=SkipList)
    """What is not judged of folders."""


def is_address(place: str) -> bool:
    """Whether this is an address for fsspec and not a local path."""
    scheme, found, _ = place.partition("://")
    return bool(found) and scheme.replace("+", "").isalnum()


def list_places(places: Sequence[str]) -> Listing:
    """List files, folders and addresses, each file once.

    Of addresses that are not local, files are chosen by the endings of their names alone, since
    reading each one's beginning costs a request. Raises TruelightError: an address cannot be
    listed.
    """
    addresses = [place for place in places if is_address(place)]
    found = collect(Path(place).absolute() for place in places if not is_address(place))
    unread = (file.path for file in found.unread)
    files = [_local_file(path) for path in (*found.clips, *unread)]
    listing = Listing(files, SkipList(found.other.result()))
    for address in addresses:
        _list_remote(address, listing)
    listing.files = list({file.path: file for file in listing.files}.values())
    return listing


def read_list(file: Path) -> list[str]:
    """The paths and addresses in a text file, one a line; relative ones start at its folder.

    Raises TruelightError: the file cannot be read.
    """
    try:
        lines = os.fsdecode(file.read_bytes()).splitlines()
    except OSError as failure:
        message = f"The list {path_text(file)} cannot be read: {failure.strerror}."
        raise TruelightError(message, "Name a text file with one path a line.") from None
    return [
        line if is_address(line) else str(file.absolute().parent / line) for line in lines if line
    ]


def _local_file(path: Path) -> ArchiveFile:
    try:
        status = path.stat()
    except OSError:  # the scan's finding says why
        return ArchiveFile(str(path), -1, 0)
    return ArchiveFile(str(path), status.st_size, status.st_mtime_ns)


def _list_remote(address: str, listing: Listing) -> None:
    import fsspec

    try:
        storage, path = fsspec.core.url_to_fs(address)
        entries = _entries(storage, path)
    except Exception as failure:  # each kind of storage has errors of its own
        raise unreachable(address, failure) from failure
    if not entries:
        message = f"{address} cannot be read: it does not exist, is empty, or does not answer."
        raise TruelightError(message, "Check the address and the network.")
    for name, entry in sorted(entries.items()):
        ending = PurePosixPath(name).suffix.lower()
        if name == path or ending in READ_ENDINGS or ending in UNREAD_ENDINGS:
            listing.files.append(_remote_file(storage.unstrip_protocol(name), entry))
        else:
            listing.skipped.add(Path(name), SkipReason.NOT_MEDIA)


def _entries(storage: Any, path: str) -> dict[str, Mapping[str, Any]]:  # noqa: ANN401 (fsspec's)
    """What the storage tells of a file, or of the files in a folder, by path."""
    try:
        entry = storage.info(path)
    except FileNotFoundError:
        return {}
    found: dict[str, Mapping[str, Any]] = (
        storage.find(path, detail=True) if entry["type"] == "directory" else {path: entry}
    )
    return found


def unreachable(address: str, failure: Exception) -> TruelightError:
    """The error for storage that does not answer, or lacks its package."""
    if isinstance(failure, ImportError):
        return TruelightError(
            f"{address} needs a package that is not installed: {failure}.",
            "Install the package that fsspec names for this kind of address.",
        )
    reason = str(failure) or type(failure).__name__
    return TruelightError(
        f"{address} cannot be read: {reason.rstrip('.')}.",
        "Check the address, the network, and the credentials in this environment.",
    )


def _remote_file(address: str, entry: Mapping[str, Any]) -> ArchiveFile:
    size = entry.get("size")
    return ArchiveFile(address, -1 if size is None else int(size), _modified(entry))


def _modified(entry: Mapping[str, Any]) -> int:
    """Kinds of storage name the time of the last change differently."""
    for key in ("LastModified", "last_modified", "mtime", "modified"):
        value = entry.get(key)
        if isinstance(value, datetime):
            return int(value.timestamp()) * NANOSECONDS
        if isinstance(value, int | float):
            return int(value * NANOSECONDS)
    return 0


ORDERS: dict[str, Callable[[ArchiveFile], int]] = {
    "recent": lambda file: -file.modified_ns,
    "oldest": lambda file: file.modified_ns,
    "small": lambda file: file.size,
    "large": lambda file: -file.size,
}
"""Which clips can be judged first."""


def order(files: Iterable[ArchiveFile], first: str) -> list[ArchiveFile]:
    """The files, sorted by `ORDERS[first]`, or as they come for `listed`."""
    return sorted(files, key=ORDERS[first]) if first in ORDERS else list(files)
