"""The README shows what the program draws."""

import numpy as np
from frontdoor import ROOT
from PIL import Image
from shown import DOCS

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_is_what_the_program_says() -> None:
    assert DOCS.with_table(README) == README, "run docs/images/screens.py"


def test_the_pictures_are_what_the_program_draws() -> None:
    assert {file.name for file in DOCS.FOLDER.iterdir()} == {row.file for row in DOCS.ROWS}
    for row in DOCS.ROWS:
        kept = np.asarray(Image.open(DOCS.FOLDER / row.file).convert("RGB"))
        assert np.array_equal(kept, np.asarray(DOCS.picture(row).convert("RGB"))), row.file
