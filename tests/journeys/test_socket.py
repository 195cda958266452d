"""The box's socket, asked as the page's process asks: state, uploads, history, pairing."""

import base64
import json
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asking import Asking
from house import House
from waiting import until

from edge.box.events import Terminated
from edge.box.views.camera import Viewfinder
from edge.box.views.clips import ClipVerdict
from edge.box.views.status import Pairing, Ready
from edge.finding import Finding, Model, Thresholds, Verdict
from edge.history.writer import History
from edge.skipped import SkipList, SkipReason

SCAN = "0123456789abcdefghijklmnop"
OTHER = "z" * 26


@pytest.fixture
def asking(house: House) -> Iterator[Asking]:
    path = house.run / "web" / "box.sock"
    until(path.exists)
    opened = Asking(path)
    yield opened
    opened.close()


def put(house: House, scan: str, clip: Path, name: str, **more: object) -> None:
    """An upload, as the page's process leaves it."""
    spool = house.store / "spool"
    spool.mkdir(exist_ok=True)
    shutil.copy(clip, spool / f"{scan}.clip")
    record = {"version": 1, "id": scan, "name": name, "size": clip.stat().st_size}
    record |= {"received": datetime.now(UTC).isoformat(), **more}
    (spool / f"{scan}.json").write_text(json.dumps(record))


def judged(asking: Asking, scan: str) -> dict[str, Any]:
    """The finding on an upload, when there is one."""

    def done() -> dict[str, Any] | None:
        answer = asking.ask("scan", scan=scan)
        return None if answer["waiting"] else answer

    found = until(done, 60)
    assert found
    return found


def test_an_upload_is_judged_under_its_name_and_its_file_is_gone(
    house: House, asking: Asking, clips: Path
) -> None:
    house.sees(Ready)
    put(house, SCAN, clips / "red.mp4", "../../Käthe's clip.mp4", first=10)
    asking.ask("submit", scan=SCAN)
    asking.ask("submit", scan=SCAN)  # said twice, judged once
    shown = house.sees(ClipVerdict)
    assert (shown.name, shown.source) == ("Käthe's clip.mp4", "Upload")
    found = judged(asking, SCAN)
    (entry,) = found["entries"]
    assert entry["finding"]["path"] == "Käthe's clip.mp4"
    assert found["visits"][0]["skipped"]["counts"] == {}
    assert entry["finding"]["verdict"] == "FAKE"
    codes = [reason["code"] for reason in entry["finding"]["reasons"]]
    assert "first-frames-only" in codes
    assert base64.b64decode(entry["portraits"]["1"])[:2] == b"\xff\xd8"
    until(lambda: not list((house.store / "spool").iterdir()))
    assert asking.ask("find", text="käthe")["entries"][0]["id"] == entry["id"]
    assert asking.ask("find", text="nothing like it")["entries"] == []
    assert asking.ask("find", origin="stick")["entries"] == []
    asking.ask("delete", number=entry["id"])
    assert asking.refused("finding", number=entry["id"]) == "missing"
    assert asking.refused("scan", scan=SCAN) == "missing"


def test_what_lies_in_the_spool_at_the_start_is_judged_once(house: House, clips: Path) -> None:
    house.sees(Ready)
    house.happens(Terminated())
    house.thread.join(30)
    put(house, SCAN, clips / "pale.mp4", "waiting.mp4")
    put(house, OTHER, clips / "pale.mp4", "damaged record")
    (house.store / "spool" / f"{OTHER}.json").write_text("{")
    house.move_in_again()
    until((house.run / "web" / "box.sock").exists)
    asking = Asking(house.run / "web" / "box.sock")
    try:
        assert judged(asking, SCAN)["entries"][0]["finding"]["verdict"] == "REAL"
        assert asking.refused("submit", scan=OTHER) == "failed"
        assert asking.refused("submit", scan="../../../etc/passwd") == "failed"
    finally:
        asking.close()


def test_an_upload_can_be_withdrawn(house: House, asking: Asking, clips: Path) -> None:
    house.sees(Ready)
    house.configure()
    for number in range(3):
        put(house, str(number) * 26, clips / "two.mp4", f"{number}.mp4")
        asking.ask("submit", scan=str(number) * 26)
    asking.ask("withdraw", scan="2" * 26)
    until(lambda: not (house.store / "spool" / ("2" * 26 + ".clip")).exists())
    judged(asking, "1" * 26)
    assert asking.refused("scan", scan="2" * 26) == "missing"
    assert asking.refused("withdraw", scan="2" * 26) == "missing"


def test_the_state_says_what_the_panel_shows(house: House, asking: Asking) -> None:
    house.sees(Ready)
    state = asking.ask("state")
    assert state["screen"]["words"][0] == "Ready"
    assert base64.b64decode(state["screen"]["picture"])[:4] == b"\x89PNG"
    assert state["screen"]["lamps"] == Ready().lamps.words
    asking.ask("camera")
    house.sees(Viewfinder)

    def sees() -> dict[str, Any] | None:
        state = asking.ask("state")
        return state if state["viewfinder"] else None

    seen = until(sees)
    assert seen
    assert base64.b64decode(str(seen["viewfinder"]))[:2] == b"\xff\xd8"
    asking.ask("cancel")
    house.sees(Ready)
    about = asking.ask("about")
    assert (about["model"], about["findings"]) == ("red 1", 0)
    assert {"name": "scan.windows", "value": "12"}.items() <= next(
        line for line in about["settings"] if line["name"] == "scan.windows"
    ).items()


def test_a_code_is_shown_on_the_display_and_not_to_other_devices(
    house: House, asking: Asking
) -> None:
    house.sees(Ready)
    asking.ask("pairing", code="2718 2818", fingerprint="AB:CD", seconds=60)
    assert house.sees(Pairing).code == "2718 2818"
    state = asking.ask("state")
    assert "2718 2818" not in json.dumps(state)
    asking.ask("pairing", code="")
    house.sees(Ready)


def test_a_visit_says_what_was_not_judged(house: House, asking: Asking) -> None:
    house.sees(Ready)
    finding = Finding(
        path="/stick/empty.mp4",
        sha256=None,
        verdict=Verdict.UNREADABLE,
        fake_probability=None,
        reasons=(),
        faces=(),
        model=Model(name="m", version="1", sha256="0" * 64),
        thresholds=Thresholds(real=0.3, fake=0.7),
    )
    files = SkipList()
    files.add(Path("/stick/letter.txt"), SkipReason.NOT_MEDIA)
    with History(house.store, 100, 365) as history:
        number = history.open_visit("stick", "HOLIDAYS")
        history.add(number, finding, {})
        history.close_visit(number, "complete", "", files.result())
    (whole,) = asking.ask("visit", number=number)["visits"]
    (short,) = asking.ask("find")["visits"]
    assert whole["skipped"]["counts"] == short["skipped"]["counts"] == {"not-media": 1}
    assert [each["path"] for each in whole["skipped"]["files"]] == ["/stick/letter.txt"]
    assert short["skipped"]["files"] == []


def test_nonsense_is_refused_and_costs_nothing(house: House, asking: Asking) -> None:
    house.sees(Ready)
    assert asking.refused("dance") == "unknown"
    assert asking.refused("pairing", code="tomorrow") == "wrong"
    assert asking.refused("finding", number="many") == "wrong"
    assert asking.send(b"{")["failure"]["code"] == "wrong"
    assert asking.send(b'{"version": 2, "ask": "state"}')["failure"]["code"] == "wrong"
    other = Asking(house.run / "web" / "box.sock")
    assert other.send(b"x" * 70_000)["failure"]["code"] == "wrong"
    other.close()
    assert asking.ask("state")["phase"] == "ready"
    mode = (house.run / "web" / "box.sock").stat().st_mode
    assert stat.S_IMODE(mode) == 0o660


def test_many_connections_at_once_are_refused_in_words(house: House, asking: Asking) -> None:
    house.sees(Ready)
    asking.ask("state")
    path = house.run / "web" / "box.sock"
    opened, said = [], []
    for _ in range(30):
        opened.append(Asking(path))
        said.append(opened[-1].send(b'{"ask": "state"}'))
    assert sum("answer" in each for each in said) == 23
    assert {each["failure"]["code"] for each in said if "failure" in each} == {"busy"}
    for each in opened:
        each.close()
