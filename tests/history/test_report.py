"""The report as people open it, in a real browser, and as programs read it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest
from browser import Browser, browser
from frontdoor import ROOT

from edge.finding import Part, Verdict
from edge.history.report import Report, make_report
from edge.history.report_document import ReportDocument
from edge.history.writer import Entry, History, Visit
from edge.scan.model.bundle_info import manifest_with_figures, read_bundle
from edge.scan.scanner import ScanResult
from edge.skipped import SkipList, SkipReason

SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
NAMES = ("nobody.mp4", "pale.mp4", "red.jpg", "red.mp4", "text.mp4", "two.mp4")
BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f]")

Looks = dict[str, ScanResult]


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


def kept(
    folder: Path, looks: Sequence[ScanResult], name: str = "HOLIDAY", ending: str = "complete"
) -> tuple[Visit, list[Entry]]:
    """What the history gives back of these."""
    with History(folder / "store", 500, 365) as history:
        number = history.open_visit("stick", name)
        for look in looks:
            history.add(number, look.finding, look.portraits, look.heat)
        history.close_visit(number, ending, "")
        visit = history.visit(number)
        assert visit is not None
        return visit, history.entries(number)


def report(folder: Path, looks: Sequence[ScanResult], bundle: Path, **more: str) -> Report:
    return make_report(*kept(folder, looks, **more), read_bundle(bundle).manifest)


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


# ---- What it says


def test_a_large_stick_gets_a_page_of_bounded_size(tmp_path: Path, looks: Looks) -> None:
    """1,500 clips of 8 faces made 79 MB, which no stick got."""
    visit = Visit(1, "stick", "S", datetime.now(UTC), datetime.now(UTC), "complete", "")
    finding = looks["red.mp4"].finding
    crowd = tuple(finding.faces[0].replaced(id=number + 1) for number in range(8))
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    picture = cv2.imencode(".jpg", cv2.resize(noise, (160, 160)))[1].tobytes()
    pictures = {face.id: picture for face in crowd}
    entries = [
        Entry(
            number,
            1,
            datetime.now(UTC),
            finding.replaced(path=f"/s/{number}.mp4", faces=crowd, verdict=verdict),
            pictures,
            pictures,
        )
        for number in range(3000)
        for verdict in (Verdict.FAKE if number == 2999 else Verdict.REAL,)
    ]
    report = make_report(visit, entries, None)
    assert len(report.html) < 20_000_000
    assert report.html.count("<tr>") >= 3000
    assert len(report.json) < 20_000_000
    assert "more clips, none of them more suspicious" in report.html
    made = json.loads(report.json)
    assert (len(made["findings"]), made["left_out"]) == (3000, 0)
    assert [judged["finding"]["faces"] != [] for judged in made["findings"]].count(False) == made[
        "shortened"
    ]
    assert made["findings"][2999]["finding"]["faces"], "the FAKE one is whole"
    first = report.html.index('id="clip-1"')
    assert "data:image/jpeg" in report.html[first : report.html.index('id="clip-2"')]
    assert "2999.mp4" in report.html[first : report.html.index('id="clip-2"')]


def test_of_a_crowd_the_worst_are_shown_and_the_others_counted(
    tmp_path: Path, looks: Looks, bundle: Path
) -> None:
    look = looks["red.mp4"]
    faces = [
        look.finding.faces[0].model_copy(update={"id": number, "fake_probability": number / 100})
        for number in range(1, 41)
    ]
    crowd = ScanResult(
        look.finding.model_copy(update={"faces": tuple(faces)}),
        {face.id: look.portraits[1] for face in faces},
    )
    html = report(tmp_path, [crowd], bundle).html
    assert [int(number) for number in re.findall(r"<h4>Face (\d+)", html)] == list(
        range(40, 32, -1)
    )
    assert html.count("data:image/jpeg") == 8
    assert "And 32 more faces" in html


def test_files_that_were_not_judged_are_named(tmp_path: Path, looks: Looks, bundle: Path) -> None:
    visit, entries = kept(tmp_path, [looks["red.jpg"]])
    files = SkipList()
    files.add(Path("/s/a<b>.txt"), SkipReason.NOT_MEDIA)
    files.add(Path("/s/.c"), SkipReason.HIDDEN)
    visit = replace(visit, skipped=files.result())
    for judged in (entries, []):
        report = make_report(visit, judged, None)
        assert "1 file is neither a video nor a picture: a&lt;b&gt;.txt." in report.html
        assert ("2 files and folders were" in report.html) == bool(judged)
        made = json.loads(report.json)
        jsonschema.validate(made, SCHEMA)
        assert made["skipped"]["counts"] == {"not-media": 1, "hidden": 1}
    assert "No clip was judged." in report.html


def test_the_models_figures_are_shown_if_it_judged(
    tmp_path: Path, looks: Looks, bundle: Path
) -> None:
    visit, entries = kept(tmp_path, [looks["red.jpg"]])
    manifest = read_bundle(bundle).manifest
    said = "it ranks the fake higher in 50 (40 to 60) of 100 cases"
    assert said in make_report(visit, entries, manifest).html
    other = manifest.model_copy(update={"version": "2"})
    for card in (other, None):
        html = make_report(visit, entries, card).html
        assert "Judged by red 1 (not from Truelight)." in html
        assert said not in html


def test_the_shipped_models_figures_are_shown_in_plain_words(tmp_path: Path, looks: Looks) -> None:
    visit, entries = kept(tmp_path, [looks["red.jpg"]])
    manifest = manifest_with_figures(ROOT / "models" / "truelight")
    model = entries[0].finding.model.model_copy(
        update={"name": manifest.name, "version": manifest.version}
    )
    finding = entries[0].finding.model_copy(update={"model": model})
    html = make_report(visit, [replace(entries[0], finding=finding)], manifest).html
    auc = next(figure for figure in manifest.figures if figure.name == "AUC")
    assert auc.low is not None
    assert f"ranks the fake higher in {100 * auc.value:.0f} ({100 * auc.low:.0f} to" in html
    assert re.search(r"Of 100 real clips it wrongly called \d+ \(\d+ to \d+\) FAKE\.", html)
    assert re.search(r"Of 100 clips it was UNSURE about \d+\.", html)


def test_the_time_is_shown(tmp_path: Path) -> None:
    began = datetime(2026, 11, 22, 23, 50, tzinfo=UTC)
    for minutes, said in (
        (0, "22 November 2026, 23:50 UTC"),
        (5, "22 November 2026, 23:50 to 23:55 UTC"),
        (20, "22 November 2026, 23:50 to 23 November 2026, 00:10 UTC"),
    ):
        ended = began + timedelta(minutes=minutes)
        visit = Visit(1, "camera", "", began, ended, "complete", "")
        html = make_report(visit, [], None).html
        assert said in html
        assert "Camera recording" in html


def test_the_headline_is_a_sentence(tmp_path: Path, looks: Looks, bundle: Path) -> None:
    for names, sentence in (
        (("pale.mp4", "nobody.mp4"), "None of the 2 clips looks fake."),
        (("pale.mp4", "text.mp4"), "None of the 2 clips looks fake; 1 could not be read."),
        (("nobody.mp4", "nobody.mp4"), "None of the 2 clips shows a face."),
        (("text.mp4",), "This clip cannot be read."),
        (("nobody.mp4",), "There is no face in this clip."),
    ):
        html = report(tmp_path, [looks[name] for name in names], bundle).html
        assert f"<h1>{sentence}</h1>" in html


def test_it_is_written_in_the_language_that_is_asked_for(
    tmp_path: Path, looks: Looks, bundle: Path
) -> None:
    visit, entries = kept(tmp_path, [looks["red.mp4"], looks["text.mp4"]])
    model = read_bundle(bundle).manifest.model_copy(update={"summary": ""})
    english, german = (
        make_report(visit, entries, model, language=spoken) for spoken in (None, "de")
    )
    assert english.json == german.json
    assert '<html lang="de">' in german.html
    assert "<h1>1 von 2 Clips wirkt gefälscht.</h1>" in german.html
    for text in (
        "Das Gesicht wirkt ausgetauscht. Wahrscheinlichkeit für FAKE",
        "Dies ist eine Textdatei.",
        "UNLESBAR",
    ):
        assert text in german.html
    said, gesagt = (
        set(re.findall(r"[^<>]{20,}", made.html.partition("</style>")[2]))
        for made in (english, german)
    )
    assert {each for each in said & gesagt if re.search(r"\b(the|is|was|of|and)\b", each)} == set()


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


# ---- For programs


def test_the_json_is_as_its_schema_says(tmp_path: Path, looks: Looks, bundle: Path) -> None:
    made = json.loads(report(tmp_path, [looks[name] for name in NAMES], bundle).json)
    jsonschema.validate(made, SCHEMA)
    document = ReportDocument.model_validate(made)
    assert (document.schema_version, document.visit.name) == (1, "HOLIDAY")
    assert [judged.finding for judged in document.findings] == [
        looks[name].finding for name in NAMES
    ]
    assert document.counts == {
        **dict.fromkeys(Verdict, 0),
        **{Verdict.FAKE: 3, Verdict.REAL: 1, Verdict.NO_FACE: 1, Verdict.UNREADABLE: 1},
    }


def test_the_schema_is_made_from_the_types() -> None:
    made = ReportDocument.model_json_schema(mode="serialization")
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    assert made == SCHEMA


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
