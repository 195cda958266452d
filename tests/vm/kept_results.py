"""What tests said, kept a file each and a line a test, so that a run goes on where it stopped.

kept_results.py FOLDER PROGRAM    prints how each file fared, and what failed or was skipped; the
                                  status is 1 if something failed or was not reached; run where
                                  `tests` lies

As a part of a pytest plugin (tests/vm/emulated.py): a test that has passed is not run again until
its file or PROGRAM, a hash of all else, changes. Results of another program are not counted.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

NOT_REACHED = "not-reached"


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

    def current(self, test: str) -> dict[str, tuple[str, str]] | None:
        """What is kept of the file of a test; None if it is of another program, or nothing."""
        file = self._file(test)
        if file.exists() and file.read_text().startswith(self._mark(test)):
            return outcomes(file)
        return None

    def begin(self, tests: Sequence[str]) -> list[str]:
        """Note what is to run, and return those of them that have passed."""
        passed = []
        for test in tests:
            found = self.current(test)
            if found is None:
                self._file(test).write_text(self._mark(test))
            outcome, _ = (found or {}).get(test, ("", ""))
            if outcome in ("passed", "skipped"):
                passed.append(test)
            elif not outcome:
                self.add(test, NOT_REACHED)
        return passed

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
    kept, total = KeptResults(Path(sys.argv[1]), sys.argv[2]), Counter[str]()
    for file in sorted(map(str, Path("tests").rglob("test_*.py"))):
        found = kept.current(file)
        if found is None:
            continue
        counts = Counter(outcome for outcome, _ in found.values())
        total += counts
        print(f"{file}: {', '.join(f'{n} {outcome}' for outcome, n in counts.items())}")
        for test, (outcome, why) in found.items():
            if outcome not in ("passed", NOT_REACHED):
                print(f"  {outcome} {test}: {why}")
    print(*(f"{n} {outcome}" for outcome, n in total.items()), sep=", ")
    sys.exit(total["failed"] + total[NOT_REACHED] > 0 or not total["passed"])


if __name__ == "__main__":
    main()
