"""Runs a target with inputs that reach more and more of the code.

    PYTHONPATH=tests:. python -m hostile.fuzz.run TARGET --seconds 300

Needs the packages of the `fuzz` group. A failing input is written into the current folder. At the
end the corpus beside this file is replaced by the smallest inputs that reach all that was reached.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
LARGEST = 4096
MOST_FILES = 60


def fuzz(target: str, options: list[str]) -> None:
    """Run in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["edge"]):
        from hostile.fuzz.targets import TARGETS
    # To make the corpus smaller it starts itself again, by a shell.
    itself = f"{sys.executable} -m hostile.fuzz.run {target} --options"
    atheris.Setup([itself, *options], TARGETS[target])
    atheris.Fuzz()


def keep_small(folder: Path, target: str) -> None:
    """Of what was found, keep what reaches most with least."""
    kept = CORPUS / target
    merged = folder / "merged"
    merged.mkdir()
    found = [str(folder / "found"), str(kept)]
    _again(target, "-merge=1", f"-max_len={LARGEST}", str(merged), *found)
    files = sorted(merged.iterdir(), key=lambda file: (file.stat().st_size, file.name))
    assert files, "nothing was merged"
    shutil.rmtree(kept)
    kept.mkdir()
    for file in files[:MOST_FILES]:
        shutil.copyfile(file, kept / file.name[:12])


def _again(target: str, *options: str) -> None:
    command = [sys.executable, "-m", "hostile.fuzz.run", target, "--options", *options]
    subprocess.run(command, check=True)


def main() -> None:
    """Run a target, then keep what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--options", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.options:
        fuzz(chosen.target, chosen.options)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "found").mkdir()
        (CORPUS / chosen.target).mkdir(parents=True, exist_ok=True)
        options = (
            f"-max_total_time={chosen.seconds}",
            *(f"-max_len={LARGEST}", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"),
            f"-artifact_prefix={Path.cwd()}/{chosen.target}-",
        )
        _again(chosen.target, *options, str(folder / "found"), str(CORPUS / chosen.target))
        keep_small(folder, chosen.target)


if __name__ == "__main__":
    main()
