"""The table of figures in the threat model is the one that the command prints."""

from collections import Counter
from pathlib import Path

from frontdoor import ROOT
from hostile.box import Damage
from hostile.corpus import Tally
from hostile.corpus_box import Box
from hostile.costs import EXPENSIVE, Cost
from hostile.disks import SITUATIONS
from hostile.figures import (
    HEAD,
    box_row,
    cost_row,
    files_row,
    liars_row,
    life_row,
    renames_row,
    shape,
    situation,
    takeover_row,
)


def test_the_threat_model_has_the_rows_of_the_command() -> None:
    tally = Tally()
    tally.verdicts.update({"NO_FACE": 1, "program failed": 0})
    tally.slowest_name = "x.gif"
    printed = [
        *HEAD,
        files_row(tally),
        box_row(Box(Path(), tally)),
        liars_row([]),
        renames_row(Counter()),
        life_row("kills of the daemon, `hostile.kills`", 1, 1, Damage()),
        *(life_row(situation(name), 1, 1, Damage()) for name in SITUATIONS),
        life_row("power cuts, `hostile.power`", 1, 1, Damage()),
        takeover_row(43),
        *(cost_row(Cost(name, 1.0, 1.0, 1.0, "NO_FACE, no-face")) for name in EXPENSIVE),
    ]
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    shown = text.partition(HEAD[0])[2].partition("\n\n")[0]
    lines = [HEAD[0], *filter(None, shown.splitlines())]
    assert [shape(line) for line in lines] == [shape(line) for line in printed]
