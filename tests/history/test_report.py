"""What the report says, as a page and as JSON."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import jsonschema
import numpy as np
from frontdoor import ROOT
from reports import Looks, kept, report

from edge.finding import Verdict
from edge.history.report import make_report
from edge.history.report_document import ReportDocument
from edge.history.writer import Entry, Visit
from edge.scan.model.bundle_info import manifest_with_figures, read_bundle
from edge.scan.scanner import ScanResult
from edge.skipped import SkipList, SkipReason

SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))


NAMES = ("nobody.mp4", "pale.mp4", "red.jpg", "red.mp4", "text.mp4", "two.mp4")


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
