"""The page as people use it, in a real browser: on a phone and at a desk, bright and dark."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, browser
from bundles import SUMMARY
from german import english_in
from serving import Serving, Visitor, paired
from walking import DESK, PHONE, Person

from edge.client import Client

PAGES = ("/", "/camera", "/history", "/devices", "/settings", "/health", "/api")
PICTURES = os.environ.get("TRUELIGHT_PICTURES")
"""A folder for pictures of every page, to be looked at."""


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as opened:
        opened.ask("DOM.enable")
        yield opened


@pytest.fixture(scope="module")
def let_in(window: Browser, serving: Serving) -> None:
    """The browser is paired: someone types the code that the terminal shows."""
    person = Person(window, serving, PHONE)
    person.open("/")
    assert person.is_at("/pair") == "/pair"
    assert person.faults() == []
    person.types("#code", "0000 0000")
    person.click("form[action='/pair'] button")
    person.sees(".notice", "This is not the code.")
    code = serving.code().replace(" ", "")
    person.open(f"/pair#code={code}")  # the link that the terminal shows
    assert person.value("document.getElementById('code').value") == code
    assert person.value("document.getElementById('show-code').hidden") is True
    person.types("#name", "My phone")
    person.click("form[action='/pair'] button")
    person.is_at("/")
    person.sees("h1", "Is this face real?")


def look(person: Person, name: str) -> None:
    """Keep a picture where someone wants to look."""
    if PICTURES:
        size = "phone" if person.width == PHONE else "desk"
        shade = "-dark" if person.dark else ""
        place = Path(PICTURES) / f"{name}-{size}{shade}.png"
        place.write_bytes(person.window.screenshot())


@pytest.mark.usefixtures("let_in")
def test_a_clip_is_sent_and_its_finding_read_and_deleted(
    window: Browser, serving: Serving, clips: Path
) -> None:
    person = Person(window, serving, PHONE)
    person.open("/")
    person.sees(".status", "Ready")
    person.chooses("#file", clips / "red.mp4", clips / "pale.mp4")
    person.click("#upload button")
    person.sees("#uploads a")
    person.sees("#recent a", "pale.mp4", seconds=120)
    look(person, "home")
    person.click("#recent a", "red.mp4")
    person.is_at("/findings/")
    assert "FAKE" in person.sees("article .badge")
    person.sees(".reason", "looks swapped")
    assert person.value("document.querySelectorAll('.pictures img').length") == 2
    assert person.value("document.querySelector('.first img').naturalWidth") > 400
    assert person.value("document.querySelector('.plot svg').getClientRects().length") > 0
    person.sees("#meaning", "What the verdicts mean")
    assert person.faults() == []
    look(person, "finding")
    report = person.value("document.querySelector('a[href$=\"report.html\"]').href")
    assert (
        "This clip looks fake."
        in person.window.ask(
            "Runtime.evaluate",
            expression=f"fetch({report!r}).then(r => r.text())",
            awaitPromise=True,
            returnByValue=True,
        )["result"]["value"]
    )
    person.click("summary")
    person.click("button.danger")
    person.is_at("/history")
    person.does_not_see("table a", "red.mp4")
    person.sees("table a", "pale.mp4")
    assert window.complaints() == []
    hosts = {request.split("/")[2] for request in window.requests()}
    assert hosts == {serving.address.split("/")[2]}


@pytest.mark.usefixtures("let_in")
@pytest.mark.parametrize(("width", "dark"), [(PHONE, False), (DESK, True)])
def test_every_page_can_be_used_by_everybody(
    window: Browser, serving: Serving, width: int, dark: bool
) -> None:
    person = Person(window, serving, width, dark=dark)
    for path in PAGES:
        person.open(path)
        person.sees("h1")
        assert (path, person.faults()) == (path, [])
        assert (path, window.complaints()) == (path, [])
        look(person, path.strip("/") or "first")


@pytest.mark.usefixtures("let_in")
def test_the_history_is_searched(window: Browser, serving: Serving, clips: Path) -> None:
    person = Person(window, serving, DESK)
    _visitor, client = second_device(serving)
    client.judge(clips / "nobody.mp4")
    person.open("/history")
    person.types("#text", "NOBODY")
    person.click("form[role=search] button")
    person.is_at("/history")
    person.sees("table .badge", "NO FACE")
    person.does_not_see("table .badge", "REAL")
    person.open("/history?since=yesterday")
    person.sees("h1", "One of the fields cannot be understood.")


@pytest.mark.usefixtures("let_in")
def test_the_page_speaks_the_browsers_language_and_the_one_chosen(
    window: Browser, serving: Serving, clips: Path
) -> None:
    person = Person(window, serving, PHONE)
    _visitor, client = second_device(serving)
    client.judge(clips / "pale.mp4")
    agent = person.value("navigator.userAgent")
    window.ask("Network.setUserAgentOverride", userAgent=agent, acceptLanguage="de-AT,de")
    person.open("/")
    person.sees("h1", "Ist dieses Gesicht echt?")
    person.sees("#screen .lamps", "Lampen: Grün")
    client.judge(clips / "nobody.mp4")
    person.sees("#recent .badge", "KEIN GESICHT")
    person.click("#recent a", "pale.mp4")
    person.is_at("/findings/")
    assert "ECHT" in person.sees("article .badge")
    person.sees(".reason", "Kein Gesicht wirkt ausgetauscht. Wahrscheinlichkeit für FAKE")
    report = person.value("document.querySelector('a[href$=\"report.html\"]').pathname")
    look(person, "finding-german")
    finding = person.is_at("/findings/")
    for path in (*PAGES, finding, report, "/pair", "/offline", "/nowhere", "/history?since=x"):
        words = person.own_words(path).replace(SUMMARY, "")
        assert "Urteil" in words, path
        assert (path, list(english_in(words))) == (path, [])
    for path in PAGES:
        person.open(path)
        assert (path, person.value("document.documentElement.lang")) == (path, "de")
        assert (path, person.faults()) == (path, [])
        look(person, f"german-{path.strip('/') or 'first'}")
    person.open("/history")
    person.click(".languages button", "English")
    person.is_at("/history")
    person.sees("h1", "History")
    person.click(".languages button", "Deutsch")
    person.sees("h1", "Verlauf")
    window.ask("Network.setUserAgentOverride", userAgent=agent, acceptLanguage="en")
    person.open("/health")
    person.sees("h1", "Zustand")
    person.click(".languages button", "English")
    person.sees("h1", "Health")


@pytest.mark.usefixtures("let_in")
def test_the_camera_is_seen_from_afar(window: Browser, serving: Serving) -> None:
    person = Person(window, serving, PHONE)
    person.open("/camera")
    person.sees("#viewfinder", "The camera is closed.")
    person.click("form[action='/camera/start'] button")
    person.is_at("/camera")
    person.sees("#screen .status", "viewfinder")
    person.sees("img.viewfinder")
    look(person, "viewfinder")
    person.click("form[action='/camera/cancel'] button")
    person.sees("#viewfinder", "The camera is closed.")


def second_device(serving: Serving) -> tuple[Visitor, Client]:
    """Another device: a code is shown for it in the terminal, as for the first."""
    visitor = Visitor(serving)
    visitor.get("/pair")
    before = serving.code()
    shown = visitor.post("/pair/code")
    assert "The code is on the box" in shown.text
    assert serving.code() != before
    return paired(serving)


@pytest.mark.usefixtures("let_in")
def test_the_box_goes_away_and_comes_back_while_the_page_is_open(
    window: Browser, serving: Serving
) -> None:
    person = Person(window, serving, DESK)
    person.open("/")
    person.sees("#screen .status")
    serving.kill_box()
    person.sees("#screen", "The box does not answer.")
    person.sees("#screen .status", "Ready")


@pytest.mark.usefixtures("let_in")
def test_a_device_that_is_removed_must_be_paired_again(window: Browser, serving: Serving) -> None:
    person = Person(window, serving, PHONE)
    person.open("/devices")
    person.sees("td", "My phone")
    person.click("td button[aria-label='Remove My phone']")
    person.is_at("/pair")
    person.open("/history")
    person.is_at("/pair")


def test_where_the_box_cannot_be_reached_a_sentence_says_so(
    window: Browser, tmp_path: Path, web_settings: dict[str, Any]
) -> None:
    served = Serving(tmp_path, web_settings)
    person = Person(window, served, PHONE)
    person.open("/pair")
    person.window.ask(
        "Runtime.evaluate", expression="navigator.serviceWorker.ready", awaitPromise=True
    )
    assert served.end() == 0
    person.open("/history")
    person.sees("h1", "The box cannot be reached.")
    look(person, "offline")
