"""Every command of `truelight-export` that a document tells people to type is taken."""

import re
import shlex

import pytest
from frontdoor import ROOT

from export.cli.main import build_parser

DOCUMENTS = ("README.md", "docs/training.md", "docs/evaluation.md", "docs/bundle.md")


def commands(document: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    return [
        line.split("#")[0].removeprefix(".venv/bin/")
        for line in blocks.splitlines()
        if line.removeprefix(".venv/bin/").startswith("truelight-export ")
    ]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documented_commands_are_taken(document: str) -> None:
    for line in commands(document):
        build_parser().parse_args(shlex.split(line)[1:])


def test_the_steps_of_training_come_first_and_are_commands() -> None:
    """Instructions, not the history of measurements."""
    first = (ROOT / "docs" / "training.md").read_text(encoding="utf-8").splitlines()[:80]
    assert sum(line.startswith("truelight-export ") for line in first) >= 4
    assert len(commands("docs/training.md")) >= 15
