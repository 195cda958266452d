"""docs/screens.md and the README show what the program draws."""

import ast
import inspect
import re

import numpy as np
from frontdoor import ROOT
from PIL import Image
from shown import DOCS

from edge.box.views import View


def test_the_table_is_what_the_program_shows() -> None:
    text = DOCS.TABLE.read_text(encoding="utf-8")
    assert DOCS.with_table(text) == text, "run docs/images/screens.py"


def test_the_pictures_are_what_the_program_draws() -> None:
    for language, folder in (("en", DOCS.FOLDER), ("de", DOCS.FOLDER / "de")):
        assert {file.name for file in folder.glob("*.*")} == {row.file for row in DOCS.ROWS}
        for row in DOCS.ROWS:
            kept = np.asarray(Image.open(folder / row.file).convert("RGB"))
            drawn = DOCS.picture(row.in_language(language)).convert("RGB")
            assert np.array_equal(kept, np.asarray(drawn)), row.file


def test_the_script_makes_no_view_of_its_own() -> None:
    """Views come out of the state machine; troubles carry the words of failures and diagnoses."""
    views = {view.__name__ for view in View.__subclasses__()} - {"Trouble"}
    tree = ast.parse(inspect.getsource(DOCS))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert views.isdisjoint(ast.unparse(call.func).split(".")[-1] for call in calls)
    for call in calls:
        if ast.unparse(call.func) == "Trouble":
            words = [ast.unparse(argument).split(".")[-1] for argument in call.args[1:]]
            assert words == ["message", "remedy"]


def test_the_readme_names_pictures_that_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = set(re.findall(r"docs/images/screens/([a-z-]+\.png)", readme))
    assert names <= {row.file for row in DOCS.ROWS}
    assert "docs/screens.md" in readme
