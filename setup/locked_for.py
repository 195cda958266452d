"""Prints the entries of a lock file that apply to a Python: locked_for.py FILE PYTHON, as in 3.14.

For pip, which evaluates markers for the Python that runs it, whatever `--python-version` says. The
machine is this one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement


def entries(text: str, python: str) -> Iterator[str]:
    """Each pin of a lock file with its hashes, without its marker."""
    version = {"python_version": python, "python_full_version": f"{python}.0"}
    for entry in re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]:
        pin, hashes = entry.split("\\\n", 1)
        requirement = Requirement(pin.strip())
        if requirement.marker is None or requirement.marker.evaluate(version):
            requirement.marker = None
            yield f"{requirement} \\\n{hashes}"


if __name__ == "__main__":
    sys.stdout.writelines(entries(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2]))
