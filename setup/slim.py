"""Takes out of a container's Python environment what Truelight never loads: 180 MB of 540.

    python3 setup/slim.py .venv

Three kinds of things go: files that nothing imports (compilers, converters, headers); the symbols
of libraries; and libraries that two wheels bring alike, such as FFmpeg in PyAV and in OpenCV, of
which the second becomes a link to the first. Whether all of it still loads is tested right after,
see the Dockerfile.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

UNUSED = (
    "ai_edge_litert/aot",
    "ai_edge_litert/libLiteRt*.so",  # for GPUs, and for other programs
    "ai_edge_litert/tools",
    "ai_edge_litert/vendors",
    "numpy/f2py",
    "onnxruntime/capi/libonnxruntime.so.*",  # for other programs: the module has its own
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    *("**/tests", "**/__pycache__", "**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.h", "**/*.hpp"),
)
"""What nothing on the box imports, below `site-packages`."""
LENDERS = ("av.libs", "pillow.libs")
BORROWER = "opencv_python_headless.libs"
_NAME = re.compile(r"(?P<stem>lib\w+?)-[0-9a-f]{8}\.so\.(?P<major>\d+)")
"""A library as auditwheel names it: libavcodec-5e6b81c2.so.62.28.102."""


def delete_unused(packages: Path) -> None:
    """Delete what nothing imports."""
    for pattern in UNUSED:
        for found in list(packages.glob(pattern)):
            rmtree(found) if found.is_dir() else found.unlink(missing_ok=True)


def libraries(folder: Path) -> Iterator[Path]:
    """The compiled files in a folder and below."""
    for file in sorted(folder.rglob("*.so*")):
        if file.is_file() and not file.is_symlink():
            yield file


def needed(file: Path) -> set[str]:
    """The names of the libraries that a compiled file loads."""
    said = subprocess.run(["readelf", "-d", file], capture_output=True, text=True, check=True)
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", said.stdout))


def share(packages: Path) -> None:
    """Let OpenCV load the libraries that PyAV and Pillow have anyway, of the same interface."""
    known: dict[tuple[str, ...], Path] = {}
    for lender in LENDERS:
        for file in libraries(packages / lender):
            if found := _NAME.match(file.name):
                known.setdefault(found.groups(), file)
    for file in list(libraries(packages / BORROWER)):
        found = _NAME.match(file.name)
        if found and (other := known.get(found.groups())):
            file.unlink()
            _link(file, other)
    while unused := _unused(packages):
        for file in unused:
            file.unlink()


def _link(place: Path, other: Path) -> None:
    """Let `place` lead to a library, and those that it needs be found beside it."""
    place.symlink_to(Path("..", other.parent.name, other.name))
    for name in needed(other):
        if (other.parent / name).exists() and not (place.parent / name).exists():
            _link(place.parent / name, other.parent / name)


def _unused(packages: Path) -> list[Path]:
    """OpenCV's libraries that neither it nor one of its libraries loads any more."""
    own = list(libraries(packages / BORROWER))
    wanted = set[str]().union(*(needed(file) for file in [*libraries(packages / "cv2"), *own]))
    return [file for file in own if file.name not in wanted]


def main() -> None:
    """Slim the environment that the first argument names."""
    (packages,) = Path(sys.argv[1]).glob("lib/python3*/site-packages")
    delete_unused(packages)
    share(packages)
    subprocess.run(["strip", "--strip-unneeded", *libraries(packages)], check=True)


if __name__ == "__main__":
    main()
