"""Which bundles there are, by their manifests and hashes. Loads no graph."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from functools import cache
from io import FileIO
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError

from edge.errors import TruelightError
from edge.finding import Model
from edge.language import N_
from edge.scan.model.manifest import FIGURES, MANIFEST, TOWER, FigureFile, File, Manifest
from edge.text import one_line

REMEDY: Final = N_("Export it again with truelight-export, or name another with --bundle.")
LARGEST: Final = 1 << 30
MOST_JSON: Final = 4_000_000
"""Bytes; Truelight's own have 17,000."""
BATCH: Final = 8
"""Crops that the network runs at once."""
TOWER_BATCH: Final = 4
"""The same for a tower, which takes 25 MB for each crop."""

SHIPPED_FILE: Final = Path(__file__).with_name("shipped.txt")
"""The hash of each bundle.json that Truelight shipped, with name and version; see
`truelight-export ship`."""

Parsed = TypeVar("Parsed", Manifest, FigureFile)


class BundleError(TruelightError):
    """A bundle that cannot be used; the message names the file that differs."""


@dataclass(frozen=True)
class BundleInfo:
    """A bundle whose manifest was read; its other files were not verified yet."""

    path: Path
    manifest: Manifest
    sha256: str
    """Of `bundle.json`."""

    @property
    def model(self) -> Model:
        """The bundle as findings name it."""
        return Model(
            name=self.manifest.name,
            version=self.manifest.version,
            sha256=self.sha256,
            shipped=self.sha256 in shipped_hashes(),
        )

    @property
    def lacks_weights(self) -> bool:
        """Whether its weights are another maker's and not fetched yet."""
        return TOWER in self.manifest.files and not (self.path / TOWER).is_file()

    def check_installed(self) -> None:
        """Raise BundleError if weights of another maker were not fetched yet."""
        if self.lacks_weights:
            name = self.path.name
            message = N_("{first} is not installed: {file} is missing.")
            remedy = N_("Get it with: truelight models add {first}").format(first=name)
            raise BundleError(message.format(first=name, file=self.path / TOWER), remedy)

    def verified(self, name: File) -> bytes:
        """The content of a file of the bundle. Raises BundleError if its hash differs."""
        content = _read(self.path / name, MOST_JSON if name == FIGURES else LARGEST)
        self._check(name, hashlib.sha256(content).hexdigest())
        return content

    def verify(self, name: File) -> None:
        """As `verified`, for a large file: it is read in pieces and not returned."""
        self.open_verified(name).close()

    def open_verified(self, name: File) -> FileIO:
        """A file of the bundle, open for reading at its beginning. Raises as `verified`."""
        content = _opened(self.path / name, LARGEST)
        try:
            self._check(name, hashlib.file_digest(content, "sha256").hexdigest())
            content.seek(0)
        except BaseException as failure:
            content.close()
            if isinstance(failure, OSError):
                raise _unreadable(self.path / name, failure) from None
            raise
        return content

    def _check(self, name: File, sha256: str) -> None:
        if sha256 != self.manifest.files[name]:
            message = N_("{file} differs from what was exported: another hash.")
            raise BundleError(message.format(file=self.path / name), REMEDY)


@cache
def shipped_hashes() -> frozenset[str]:
    """SHA-256 of the `bundle.json` of each bundle that is Truelight's own."""
    lines = SHIPPED_FILE.read_text(encoding="utf-8").splitlines()
    return frozenset(line.partition(" ")[0] for line in lines if line)


def read_bundle(path: Path) -> BundleInfo:
    """Read the manifest of the bundle in the folder `path`.

    Raises BundleError: there is none, or it has values that are not allowed.
    """
    if not path.is_dir():
        message = N_("There is no bundle at {file}.").format(file=path)
        raise BundleError(message, N_("To list the bundles: truelight models"))
    text = _read(path / MANIFEST, MOST_JSON)
    manifest = _parsed(Manifest, path / MANIFEST, text)
    return BundleInfo(path, manifest, hashlib.sha256(text).hexdigest())


def manifest_with_figures(bundle: Path | BundleInfo) -> Manifest:
    """The manifest of a bundle, in format 2 with the figures of `figures.json`.

    Raises BundleError: as `read_bundle`, or `figures.json` is missing or was changed.
    """
    info = bundle if isinstance(bundle, BundleInfo) else read_bundle(bundle)
    if FIGURES not in info.manifest.files:
        return info.manifest
    figures = _parsed(FigureFile, info.path / FIGURES, info.verified(FIGURES)).figures()
    return info.manifest.model_copy(update={"figures": figures})


def described_manifest(bundle: Path) -> Manifest | None:
    """As `manifest_with_figures`; None where they cannot be read."""
    try:
        return manifest_with_figures(bundle)
    except BundleError:
        return None


def _parsed(kind: type[Parsed], file: Path, text: bytes) -> Parsed:
    try:
        return kind.model_validate_json(text)
    except ValidationError as failure:
        error = failure.errors()[0]
        where = ".".join(str(part) for part in error["loc"])
        message = N_("{file} is not valid: {why}.")
        why = one_line(f"{where}: {error['msg']}".removeprefix(": "))
        raise BundleError(message.format(file=file, why=why), REMEDY) from None


@dataclass(frozen=True)
class Listed:
    """A folder in the folder of bundles: its manifest, why it cannot be used, or both."""

    path: Path
    manifest: Manifest | None = None
    problem: BundleError | None = None


def list_bundles(folder: Path) -> list[Listed]:
    """The bundles in `folder` by name; manifests and figures are read, graphs are not."""
    listed = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_dir() and not path.name.startswith("."):
            manifest = None
            try:
                info = read_bundle(path)
                manifest = manifest_with_figures(info)
                info.check_installed()
                listed.append(Listed(path, manifest))
            except BundleError as problem:
                listed.append(Listed(path, manifest, problem))
    return listed


def _read(file: Path, most: int = LARGEST) -> bytes:
    with _opened(file, most) as content:
        try:
            return content.read(most)
        except OSError as failure:
            raise _unreadable(file, failure) from None


def _opened(file: Path, most: int) -> FileIO:
    """Open a regular file of at most `most` bytes, without waiting for one who writes a pipe."""
    try:
        number = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        content = FileIO(number, "rb")
    except OSError as failure:
        raise _unreadable(file, failure) from None
    facts = os.fstat(number)
    if stat.S_ISREG(facts.st_mode) and facts.st_size <= most:
        return content
    content.close()
    if stat.S_ISREG(facts.st_mode):
        raise BundleError(N_("{file} is too large for a bundle.").format(file=file), REMEDY)
    raise BundleError(N_("{file} is not a regular file.").format(file=file), REMEDY)


def _unreadable(file: Path, failure: OSError) -> BundleError:
    message = N_("{file} cannot be read: {why}.")
    return BundleError(message.format(file=file, why=failure.strerror), REMEDY)
