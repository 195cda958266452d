"""A program that fills a history until it is killed, and prints what was acknowledged.

    python writer.py FOLDER FINDING.json [MOST_FILE_BYTES]

On stdout: "opening" before the file is opened, then the id of each entry that was kept.
"""

import resource
import sys
from pathlib import Path

import numpy as np

from edge.errors import TruelightError
from edge.finding import Finding
from edge.history.writer import History


def main() -> None:
    folder, finding = Path(sys.argv[1]), Finding.model_validate_json(Path(sys.argv[2]).read_text())
    sys.stdout.write("opening\n")
    sys.stdout.flush()
    history = History(folder, most_megabytes=500, most_days=365)
    if len(sys.argv) > 3:
        most = int(sys.argv[3])
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    visit = history.open_visit("stick", "HOLIDAY")
    try:
        while True:
            entry = history.add(visit, finding, {face.id: noise for face in finding.faces})
            sys.stdout.write(f"{entry}\n")
            sys.stdout.flush()
    except TruelightError as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main()
