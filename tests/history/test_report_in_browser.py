"""The report as people open it: in a real browser, on a phone and on a desk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser import Browser, browser
from frontdoor import ROOT
from reports import Looks, kept, report

from edge.finding import Part, Thresholds
from edge.history.report import make_report
from edge.scan.model.bundle_info import read_bundle
from edge.scan.scanner import ScanResult

NAMES = ("nobody.mp4", "pale.mp4", "red.jpg", "red.mp4", "text.mp4", "two.mp4")


BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f]")


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, looks: Looks, bundle: Path) -> Path:
    """A report on clips of every kind."""
    folder = tmp_path_factory.mktemp("report")
    file = folder / "TRUELIGHT-REPORT.html"
    made = report(folder, [looks[name] for name in NAMES], bundle)
    file.write_text(made.html, encoding="utf-8")
    return file


def renamed(look: ScanResult, path: str) -> ScanResult:
    return replace(look, finding=look.finding.model_copy(update={"path": path}))


def text(window: Browser) -> str:
    # Not innerText: it lacks what the browser has not yet drawn.
    return " ".join(str(window.value("document.body.textContent")).split())


# ---- In a browser
@pytest.mark.parametrize("width", [360, 1200])
def test_it_opens_on_phones_and_desks_and_asks_for_nothing(
    window: Browser, page: Path, width: int
) -> None:
    window.open(page, width)
    assert window.complaints() == []
    assert window.requests() == [page.as_uri()]
    assert window.value("document.documentElement.scrollWidth") == width
    # Its own style holds, so the hash in its policy is right; and every face is there.
    assert window.value("getComputedStyle(document.body).backgroundColor") == "rgb(251, 250, 247)"
    pictures = "[...document.images].map(image => image.complete && image.naturalWidth)"
    assert window.value(pictures) == [160] * 10
    shot = cv2.imdecode(np.frombuffer(window.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert shot is not None
    assert shot.shape[1] == width
    assert len(np.unique(shot.reshape(-1, 3), axis=0)) > 100


def test_it_is_dark_where_people_want_that(window: Browser, page: Path) -> None:
    window.open(page, 1200, dark=True)
    assert window.value("getComputedStyle(document.body).backgroundColor") == "rgb(22, 25, 29)"


def test_it_prints(window: Browser, page: Path) -> None:
    window.open(page, 1200)
    printed = window.pdf()
    assert printed.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) >= 2


def test_it_says_what_was_found_the_worst_first(window: Browser, page: Path, looks: Looks) -> None:
    window.open(page, 1200)
    said = text(window)
    assert "3 of 6 clips look fake." in said
    assert "USB stick HOLIDAY" in said
    words = window.value(
        "[...document.querySelectorAll('article header .badge')].map(b => b.textContent)"
    )
    assert [word.strip() for word in words] == ["FAKE"] * 3 + ["UNREADABLE", "REAL", "NO FACE"]
    counts = window.value("[...document.querySelectorAll('.counts li')].map(l => l.textContent)")
    assert [" ".join(count.split()) for count in counts] == [
        *("3 FAKE", "0 UNSURE", "1 UNREADABLE", "1 REAL", "1 NO FACE")
    ]
    for name in NAMES:
        finding = looks[name].finding
        assert finding.sha256 is not None
        assert finding.sha256 in said
        for reason in finding.reasons:
            assert reason.text in said.replace("\N{NO-BREAK SPACE}", " ")
    assert "red 1" in said
    assert "What the verdicts mean, and what they do not" in said


def test_every_link_leads_to_its_clip(window: Browser, page: Path) -> None:
    window.open(page, 1200)
    title = "document.querySelector(a.getAttribute('href') + ' h3').textContent"
    pairs = window.value(
        f"[...document.querySelectorAll('td a')].map(a => [a.textContent, {title}])"
    )
    assert len(pairs) == 6
    assert all(link == title for link, title in pairs)


def test_a_plot_has_a_stroke_for_every_window_at_its_height(
    window: Browser, page: Path, looks: Looks
) -> None:
    window.open(page, 1200)
    place = "line => ['x1', 'x2', 'y1'].map(name => parseFloat(line.getAttribute(name)))"
    article = (
        "[...document.querySelectorAll('article')].find(a => a.textContent.includes('red.mp4'))"
    )
    drawn = window.value(f"[...{article}.querySelectorAll('.window')].map({place})")
    finding = looks["red.mp4"].finding
    assert finding.clip is not None
    windows = finding.faces[0].windows
    assert len(windows) == 3
    expected = [
        (w.start / finding.clip.seconds, w.end / finding.clip.seconds, 1 - w.fake_probability)
        for w in windows
    ]
    assert np.allclose(np.array(drawn) / 100, expected, atol=0.001)
    edges = window.value(
        f"[...{article}.querySelectorAll('.plot .edge')].map(l => l.getAttribute('y1'))"
    )
    assert edges == ["30.00%", "70.00%"]


@pytest.mark.parametrize("width", [360, 1200])
def test_the_words_of_a_scale_do_not_overlap(
    window: Browser, tmp_path: Path, looks: Looks, bundle: Path, width: int
) -> None:
    thresholds = [(0.0, 0.5), (0.006, 0.4), (0.07, 0.23), (0.2, 0.21), (0.23, 0.74), (0.6, 0.9)]
    clips = [
        replace(
            looks["red.mp4"],
            finding=looks["red.mp4"].finding.replaced(thresholds=Thresholds(real=real, fake=fake)),
        )
        for real, fake in thresholds
    ]
    file = tmp_path / "report.html"
    file.write_text(report(tmp_path, clips, bundle).html, encoding="utf-8")
    window.open(file, width)
    boxes = window.value(
        "[...document.querySelectorAll('.scale g')].map(row => [...row.querySelectorAll('text')]"
        ".map(text => text.getBoundingClientRect()).filter(box => box.width)"
        ".map(box => [box.left, box.right]).sort((a, b) => a[0] - b[0]))"
    )
    assert len(boxes) == 2 * len(thresholds)
    over = [
        (left, right)
        for row in boxes
        for left, right in pairwise([[0, 0], *row, [width, width]])
        if left[1] > right[0]
    ]
    assert over == []


def test_every_picture_has_words(window: Browser, page: Path) -> None:
    window.open(page, 1200)
    script = "[...document.querySelectorAll('[role=img]')].map(i => i.getAttribute('aria-label'))"
    labels = window.value(script)
    assert any("Score of face 1 over time, 3 windows: " in label for label in labels)
    assert any("Probability of FAKE: " in label for label in labels)
    assert all(labels)
    assert window.value("[...document.images].every(i => i.alt.startsWith('Face '))")
    levels = window.value("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_a_strangers_names_do_nothing(
    window: Browser, tmp_path: Path, looks: Looks, bundle: Path
) -> None:
    names = (
        "/s/<script>alert(1)</script>.mp4",
        "/s/\"><img src=x onerror=alert(1)>'.mp4",
        "/s/{{ 7 * 7 }}</style></title><svg onload=alert(1)>.mp4",
        "/s/\u202egpj.exe\u2066\n\x1b[31m\x00.mp4",
        "/s/" + "w" * 200 + ".mp4",
    )
    clips = [renamed(looks["red.jpg"], name) for name in names]
    made = report(tmp_path, clips, bundle, name="<script>alert(2)</script>\u202e")
    assert not BIDI.search(made.html)
    file = tmp_path / "report.html"
    file.write_text(made.html, encoding="utf-8")
    window.open(file, 360)
    assert window.complaints() == []
    assert window.requests() == [file.as_uri()]
    assert window.value("document.scripts.length") == 0
    assert window.value("document.querySelectorAll('[onerror], [onload], [src=x]').length") == 0
    assert window.value("document.documentElement.scrollWidth") == 360
    said = text(window)
    for shown in (
        *("<script>alert(1)</script>.mp4", "\"><img src=x onerror=alert(1)>'.mp4", "{{ 7 * 7 }}"),
        *(r"\u202egpj.exe\u2066\n\x1b[31m\x00.mp4", r"USB stick <script>alert(2)</script>\u202e"),
    ):
        assert " ".join(shown.split()) in said


def test_a_visit_without_clips_or_end(
    window: Browser, tmp_path: Path, looks: Looks, bundle: Path
) -> None:
    clips = [looks["pale.mp4"], looks["red.jpg"], looks["red.mp4"]]
    for number, (ending, count, sentences) in enumerate(
        (
            ("complete", 0, ["No clips were found.", "Videos may be mp4"]),
            ("pulled out", 0, ["No clip was judged.", "removed too early"]),
            ("pulled out", 2, ["1 of 2 clips looks fake.", "removed too early"]),
            ("complete", 3, ["2 of 3 clips look fake."]),
            ("cancelled", 1, ["This clip does not look fake.", "Cancelled: some clips"]),
            ("", 1, ["This clip does not look fake.", "The work was interrupted"]),
        )
    ):
        file = tmp_path / f"report{number}.html"
        made = report(tmp_path, clips[:count], bundle, ending=ending)
        file.write_text(made.html, encoding="utf-8")
        window.open(file, 360)
        assert window.complaints() == []
        assert [each for each in sentences if each not in text(window)] == []


def test_hundreds_of_clips_stay_light(
    window: Browser, tmp_path: Path, looks: Looks, bundle: Path
) -> None:
    visit, entries = kept(tmp_path, [looks["two.mp4"]])
    many = [replace(entries[0], id=0)] * 500  # as when the history cannot be written
    html = make_report(visit, many, read_bundle(bundle).manifest).html
    assert len(html) < 500 * 15_000
    file = tmp_path / "report.html"
    file.write_text(html, encoding="utf-8")
    window.open(file, 360)
    assert window.complaints() == []
    assert window.value("document.images.length") == 2000
    assert (
        window.value("new Set([...document.querySelectorAll('article')].map(a => a.id)).size")
        == 500
    )
    assert window.value("document.documentElement.scrollWidth") == 360


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_all_text_has_contrast_enough() -> None:
    style = (ROOT / "edge" / "history" / "templates" / "report.css").read_text(encoding="utf-8")
    schemes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    ]
    light, dark, *_ = schemes
    assert light.keys() == dark.keys()
    for scheme in (light, dark):
        for paper in ("paper", "card"):
            for ink in ("ink", "soft", "fake", "unsure", "real", "no_face", "unreadable"):
                pair = sorted((luminance(scheme[paper]), luminance(scheme[ink])))
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (paper, ink)


def test_a_face_of_another_part_is_named_so(
    window: Browser, looks: Looks, bundle: Path, tmp_path: Path
) -> None:
    film = looks["red.mp4"].finding
    assert film.clip is not None
    page = Part(kind="page", number=3, clip=film.clip.model_copy(update={"kind": "image"}))
    faces = (film.faces[0], film.faces[0].replaced(id=2, part=1))
    look = replace(looks["red.mp4"], finding=film.replaced(parts=(page,), faces=faces))
    file = tmp_path / "report.html"
    file.write_text(report(tmp_path, [look], bundle).html, encoding="utf-8")
    window.open(file, 1200)
    assert "Face 1: " in text(window)
    assert "Face 2, page 3: " in text(window)
    assert "with 1 more page" in text(window)
    # A score over time is drawn of the film alone.
    plots = "[...document.querySelectorAll('.face svg[role=img]')].map(plot => plot.ariaLabel)"
    assert [label.split(",")[0] for label in window.value(plots)] == ["Score of face 1 over time"]
