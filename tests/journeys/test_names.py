"""A stranger chooses the names of clips and sticks. None of them reaches a screen or a terminal."""

import json
import logging
import shutil
from pathlib import Path

import pytest
from frontdoor import run
from house import House

from edge.box import systemd
from edge.box.views.clips import BatchSummary, ClipVerdict, Judging
from edge.box.views.status import Ready

CONTROLS = [*range(1, 0x20), 0x7F, *range(0x80, 0xA0), 0x061C, 0x200E, 0x200F, 0x2028, 0x2029]
CONTROLS += [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF]
EVERY_CONTROL = "".join(map(chr, CONTROLS))
NAME = f"a{EVERY_CONTROL}b[31m.mp4"
NOT_UTF8 = "c\udcff\udc9b.mp4"


def assert_clean(text: str, where: str) -> None:
    bad = {character for character in text if not character.isprintable()} - set("\n")
    assert not bad, f"{where}: {bad}"


def test_no_name_reaches_anything_that_shows_it(
    house: House,
    clips: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    statuses: list[str] = []
    monkeypatch.setattr(systemd, "status", statuses.append)
    strange = tmp_path / "strange"
    strange.mkdir()
    for name in (NAME, NOT_UTF8):
        shutil.copy(clips / "nobody.mp4", strange / name)
    (strange / f"d{EVERY_CONTROL}.mp4").write_text("no clip")

    house.sees(Ready)
    stick = house.plug("sda1", f"S{EVERY_CONTROL}", *strange.iterdir())
    house.take_report(stick)
    house.sees(BatchSummary)
    views = [scene.view for _, scene in house.panel.shown]
    named = [view for view in views if isinstance(view, Judging | ClipVerdict)]
    assert any("a\\x01" in view.name for view in named)
    assert_clean("".join(map(repr, views)), "display")
    assert any("a\\x01" in status for status in statuses)
    assert_clean("".join(statuses), "systemctl status")
    for record in caplog.records:
        fields = [str(value) for key, value in vars(record).items() if key.startswith("TRUE")]
        assert_clean("".join([record.getMessage(), *fields]), "journal")
    page = (stick / "TRUELIGHT-REPORT.html").read_text()
    assert "a\\x01" in page
    # Our own no-break space keeps a number and its unit together; the names hold none.
    assert_clean(page.replace("\N{NO-BREAK SPACE}", " "), "report")
    document = (stick / "truelight-report.json").read_text()
    assert_clean(document, "report in JSON")
    paths = {Path(each["finding"]["path"]).name for each in json.loads(document)["findings"]}
    assert NAME in paths, "the JSON has the name as it is"

    house.move_out()
    options = ("--config", house.folder / "settings.yaml")
    for arguments in (("scan", strange), ("scan", "--json", strange), ("history",)):
        done = run(*arguments, *options)
        assert "a\\u0001" in done.stdout or "\\x01" in done.stdout, arguments
        assert_clean(done.stdout + done.stderr, " ".join(map(str, arguments)))
