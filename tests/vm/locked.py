"""Prints the entries of a lock file for some packages: locked.py FILE PACKAGE..."""

import re
import sys
from pathlib import Path


def main() -> None:
    entries = re.split(r"^(?=[a-zA-Z0-9])", Path(sys.argv[1]).read_text(), flags=re.MULTILINE)
    found = {entry.partition("==")[0]: entry for entry in entries if "==" in entry}
    for name in sys.argv[2:]:
        print(found[name], end="")


main()
