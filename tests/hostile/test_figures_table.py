"""The table of figures in the threat model is the one that the command prints."""

from collections import Counter
from pathlib import Path
from typing import Any

from frontdoor import ROOT
from hostile import (
    bundles,
    corpus,
    corpus_box,
    costs,
    disks,
    figures,
    kills,
    liars,
    power,
    renames,
)
from hostile.box import Damage, Ends
from hostile.corpus import Tally
from hostile.corpus_box import Came
from hostile.costs import EXPENSIVE, Cost
from hostile.kept import do
from hostile.power import Cuts

from edge.scan.media.protocol import Fault


def keep(folder: Path, part: str, *results: Any, names: list[str] | None = None) -> None:
    """As if these steps had been done."""
    steps = dict(zip(names or map(str, range(len(results))), results, strict=True))
    do(folder, part, steps, type(results[0]), steps.__getitem__)


def keep_all(folder: Path) -> None:
    """One or two steps of each part."""
    tally = Tally(Counter({"NO_FACE": 2, "program failed": 0}), 7.0, "x.gif", files=2)
    late = Tally(Counter(tally.verdicts), 31.0, "x.gif", 2, 3.0, files=2)
    keep(
        folder,
        corpus.PART,
        tally,
        Tally(Counter({"UNREADABLE": 1}), 8.0, "y.gif", files=1, leaks=1),
    )
    keep(folder, corpus_box.PART, Came(tally, restarts=1), Came(late, unanswered=2))
    answer = liars.Answer("ends at once", Fault.CRASHED, 1.0, "", Fault.CRASHED)
    keep(folder, liars.PART, answer)
    keep(folder, renames.PART, Counter(right=1), Counter(right=1, refused=1))
    keep(folder, kills.PART, Ends(25, 6, Damage(lost=1)), Ends(5, 3, Damage(left=1)))
    names = list(disks.SITUATIONS)
    keep(folder, disks.PART, *(Ends(1, 1) for _ in names), names=names)
    keep(folder, power.PART, Cuts(25, 4, sectors=7))
    keep(folder, figures.TAKEOVER, True, False)
    keep(folder, bundles.PART, bundles.Answer("x", "refused", "A sentence.", 1.0, 100, ""))
    clips = [Cost(name, 1.0, 1.0, 1.0, "NO_FACE, no-face") for name in reversed(EXPENSIVE)]
    keep(folder, costs.PART, *clips, names=[clip.name for clip in clips])


def test_the_threat_model_has_the_rows_of_the_command(tmp_path: Path) -> None:
    keep_all(tmp_path)
    printed = list(figures.rows(tmp_path))
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    shown = text.partition(figures.HEAD[0])[2].partition("\n\n")[0]
    lines = [figures.HEAD[0], *filter(None, shown.splitlines())]
    assert list(map(figures.shape, lines)) == list(map(figures.shape, printed))


def test_a_row_sums_up_the_steps(tmp_path: Path) -> None:
    keep_all(tmp_path)
    printed = "\n".join(figures.rows(tmp_path))
    for result in (
        "| 3 | 2 NO_FACE, 1 UNREADABLE, 0 program failed; slowest 8.0 s (y.gif), 0 over 30 s with ",
        "; 1 leaks |",
        "| 4 | 4 NO_FACE, 0 program failed; slowest 31.0 s (x.gif), 2 over 30 s with at most 3.0 s",
        "; 0 leaks, 1 restarts, 2 unanswered |",
        "| 3 | 2 right, 1 refused, 0 wrong |",
        "| 30 | 9 findings shown: 1 lost, 0 doubled, 0 torn, 0 accused, 0 unreported, 1 left,",
        "| 2 | 1 refused |",
    ):
        assert result in printed
