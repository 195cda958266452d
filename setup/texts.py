"""Collects every text that people read, and brings the catalogues of the languages up to date.

`.venv/bin/python setup/texts.py` writes `edge/locale/LANGUAGE/LC_MESSAGES/truelight.po` (to be
translated) and `.mo` (what the program reads); with the code of a new language, it begins that one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from edge.history.report_page import accuracy
from edge.scan.model.bundle_info import described_manifest

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "edge" / "locale"
FOLDERS = ("edge", "systemd")
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
OPTIONS = {"**/templates/**.html": {"trim_blocks": "true", "lstrip_blocks": "true"}}
KEYWORDS = {
    "_": None,
    "N_": None,
    "counted": (1, 2),
    "LampPattern": (3,),
    "MissingError": None,
    "_KIND": None,
}
"""Functions whose texts are collected, and at which arguments."""


def of_models() -> Iterator[tuple[str, str]]:
    """What the shipped bundles say of themselves, with their file: numbers become parameters."""
    for folder in sorted((ROOT / "models").iterdir()):
        if manifest := described_manifest(folder):
            data = [data for data, _sentences in accuracy(manifest.figures)]
            for text in (manifest.summary, manifest.licence, *data):
                yield _template(text), f"models/{folder.name}/bundle.json"


def _template(text: str) -> str:
    for letter in "abcdefgh":
        text = re.sub(r"(?<!\w)\d+\b", f"{{{letter}}}", text, count=1)
    return text


def collected() -> Catalog:
    """Every text of the program, with the files that it is in."""
    catalogue = Catalog(project="Truelight", charset="utf-8")
    for folder in FOLDERS:
        found = extract_from_dir(ROOT / folder, METHODS, OPTIONS, keywords=KEYWORDS)
        for file, _line, text, _comments, _context in sorted(found, key=lambda each: each[:2]):
            place: Any = (f"{folder}/{file}", None)  # without the line, which changes too often
            catalogue.add(text, locations=[place])
    for said, file in of_models():
        place = (file, None)
        catalogue.add(said, locations=[place])
    return catalogue


def read(language: str) -> Catalog:
    """The catalogue of a language; an empty one if it is new."""
    file = LOCALE / language / "LC_MESSAGES" / "truelight.po"
    if not file.exists():
        return Catalog(locale=language, charset="utf-8")
    with file.open("rb") as opened:
        return read_po(opened, locale=language)


def main() -> None:
    """Bring all catalogues up to date; say how many texts have no translation."""
    known = {folder.name for folder in LOCALE.iterdir() if folder.is_dir()}
    for language in sorted(known | set(sys.argv[1:])):
        catalogue = read(language)
        catalogue.update(collected(), no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        folder = LOCALE / language / "LC_MESSAGES"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "truelight.po").open("wb") as po:
            write_po(po, catalogue, width=100, omit_header=False, sort_by_file=True)
        with (folder / "truelight.mo").open("wb") as mo:
            write_mo(mo, catalogue)
        missing = [each.id for each in catalogue if each.id and not each.string]
        print(f"{language}: {len(catalogue)} texts, {len(missing)} without a translation")


if __name__ == "__main__":
    main()
