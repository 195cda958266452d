"""What tests said, kept a file each and a line a test, so that a run goes on where it stopped.

kept_results.py FOLDER    prints how each file fared, and what failed or was skipped; the status is
                          1 if something failed

As a part of a pytest plugin (tests/vm/emulated.py): a test that has passed is not run again until
its file or PROGRAM, a hash of all else, changes.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from pathlib import Path


class KeptResults:
    """The results in a folder."""

    def __init__(self, folder: Path, program: str) -> None:
        self._folder, self._program = folder, program
        folder.mkdir(parents=True, exist_ok=True)

    def _file(self, test: str) -> Path:
        return self._folder / (test.partition("::")[0].replace("/", "-") + ".txt")

    def _mark(self, test: str) -> str:
        source = Path(test.partition("::")[0]).read_bytes()
        return f"# {self._program} {hashlib.sha256(source).hexdigest()}\n"

    def has_passed(self, test: str) -> bool:
        """Whether a test needs not run again."""
        file = self._file(test)
        if not file.exists() or not file.read_text().startswith(self._mark(test)):
            file.write_text(self._mark(test))
        return outcomes(file).get(test, ("", ""))[0] in ("passed", "skipped")

    def add(self, test: str, outcome: str, why: str = "") -> None:
        """A test has ended."""
        with self._file(test).open("a") as file:
            lines = (f"    {line}\n" for line in why.splitlines())
            file.writelines((f"{outcome} {test}\n", *lines))


def outcomes(file: Path) -> dict[str, tuple[str, str]]:
    """Tests with their outcomes and the last line of the reason: the last ones, of each test."""
    found: dict[str, tuple[str, str]] = {}
    test = outcome = ""
    for line in file.read_text().splitlines():
        if line.startswith("    "):
            found[test] = (outcome, line.strip() or found[test][1])
        elif not line.startswith("#"):
            outcome, _, test = line.partition(" ")
            found[test] = (outcome, "")
            if "::" in test:  # its file, which could not be read before
                found.pop(test.partition("::")[0], None)
    return found


def main() -> None:
    total: Counter[str] = Counter()
    for file in sorted(Path(sys.argv[1]).glob("*.txt")):
        found = outcomes(file)
        counts = Counter(outcome for outcome, _ in found.values())
        total += counts
        print(f"{file.stem}: {', '.join(f'{n} {outcome}' for outcome, n in counts.items())}")
        for test, (outcome, why) in found.items():
            if outcome != "passed":
                print(f"  {outcome} {test}: {why}")
    print(*(f"{n} {outcome}" for outcome, n in total.items()), sep=", ")
    sys.exit(total["failed"] > 0 or not total["passed"])


if __name__ == "__main__":
    main()
