"""Few and small clips of every verdict, for a slow machine: python -P small_clips.py PHOTOS FOLDER

PHOTOS: where samples/faces.py keeps its photographs. Judged by both models that ship, no clip's
probability is near a threshold, where another processor's rounding could turn the verdict.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import make
import numpy as np
import reference_clips
from reference_clips import EYES, Pixels

PICTURES = (
    *("biden.jpg", "coelho.jpg", "collins.png", "close-mirrored-contrast.bmp"),
    *("pasted-other-age.bmp", "far.bmp", "nobody.bmp"),
)


def main() -> None:
    reference_clips.PHOTOS, folder = map(Path, sys.argv[1:])
    for clip in reference_clips.make_clips(folder):
        if clip.name not in PICTURES:
            clip.unlink()
    files = {name: next(reference_clips.PHOTOS.glob(f"{name}.*")) for name in EYES}
    photos = {name: reference_clips._read(file) for name, file in files.items()}
    pasted = dict(reference_clips.pictures(photos))["pasted-other-light"]
    make.write_video(folder / "moving.mp4", moving(photos["biden"][150:650, 350:850]))
    make.write_video(folder / "moving-pasted.mp4", moving(pasted))
    (folder / "broken.mp4").write_bytes((folder / "moving.mp4").read_bytes()[:-1500])


def moving(picture: Pixels) -> Iterator[Pixels]:
    """A second of it, which goes to the right."""
    return (np.roll(picture, 2 * step, axis=1) for step in range(25))


main()
