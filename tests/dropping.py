"""Files that are put into a folder together, however busy the machine is."""

import shutil
from pathlib import Path


def drop_together(folder: Path, files: dict[str, Path]) -> None:
    """Put copies of these files into the folder under these names, one right after the other."""
    for name, file in files.items():
        shutil.copy(file, folder / f"{name}.part")
    for name in files:
        (folder / f"{name}.part").rename(folder / name)
