"""The page of an evaluation as people open it, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, browser

from edge.finding import verdict_of
from edge.scan.model.bundle_info import read_bundle
from export.cli.main import main
from export.evaluate.records import Condition, Prediction, read_scores, write_scores
from export.evaluate.summary import figures

METHODS = ("swap", "<b>mouth & eyes</b>", "a method of a rather long name, as its makers wrote it")
CONDITIONS = (
    *(Condition(), Condition(compression="h264 crf 40"), Condition(compression="re-filmed")),
    Condition(second=True),
    *(Condition(frames=count) for count in (10, 20, 40, 60, 80, 100)),
)


@pytest.fixture(scope="module")
def scores(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table: seventy sources of a real and a fake each, under every condition."""
    manifest = read_bundle(bundle).manifest
    rng = np.random.default_rng(0)
    predictions = []
    for condition in CONDITIONS:
        for number in range(140):
            fake = bool(number % 2)
            p = float(rng.beta(2 + 2 * fake, 4 - 2 * fake))
            predictions.append(
                Prediction(
                    file=f"{number}.mp4",
                    fake=fake,
                    source=f"source {number // 2}",
                    method=METHODS[number % 3] if fake else "-",
                    verdict=verdict_of(p, manifest.thresholds),
                    probability=p,
                    dataset="drawn",
                    condition=condition,
                    asked=condition.second and 0.3 < p < 0.7,
                    looked_at=condition.frames or 96,
                    seconds=1.25,
                    memory=250.0,
                )
            )
    path = tmp_path_factory.mktemp("scores") / "scores.tsv"
    write_scores(path, predictions)
    return path


@pytest.fixture(scope="module")
def page(scores: Path, bundle: Path) -> Path:
    path = scores.with_name("page.html")
    assert main(["evaluate", str(bundle), "--from", str(scores), "--html", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_and_needs_nothing_else(
    window: Browser, page: Path, width: int, dark: bool
) -> None:
    window.open(page, width, dark)
    assert window.requests() == [page.as_uri()]
    assert window.complaints() == []
    assert window.value("document.scripts.length") == 0
    assert window.value("document.documentElement.scrollWidth") == width
    sizes = window.value(
        "[...document.querySelectorAll('figure > svg')]"
        ".map(svg => { const box = svg.getBoundingClientRect(); return [box.width, box.height] })"
    )
    assert len(sizes) == 5
    assert all(width > wide > 250 and high > 100 for wide, high in sizes)
    small = window.value(
        "Math.min(...[...document.querySelectorAll('figure svg text')]"
        ".map(text => text.getBoundingClientRect().height))"
    )
    assert small > 8, "numbers on the axes can be read"


def test_plots_take_the_colours_of_the_page(window: Browser, page: Path) -> None:
    curve = "getComputedStyle(document.querySelector('figure svg text')).fill"
    window.open(page, 1200)
    light = window.value(curve)
    window.open(page, 1200, dark=True)
    assert window.value(curve) != light
    text = page.read_text(encoding="utf-8")
    assert "#0101" not in text
    assert "#0606" not in text
    ids = window.value("[...document.querySelectorAll('[id]')].map(element => element.id)")
    assert len(ids) == len(set(ids))
    lost = "use => !document.querySelector(use.href.baseVal)"
    assert window.value(f"[...document.querySelectorAll('use')].filter({lost}).length") == 0


def test_the_page_shows_what_was_measured(
    window: Browser, page: Path, scores: Path, bundle: Path
) -> None:
    window.open(page, 1200)
    text = window.value("document.body.innerText")
    m = figures(read_scores([scores]))
    assert f"a probability of {m.auc:.2f}" in text
    assert f"{m.auc_interval[0]:.3f} to {m.auc_interval[1]:.3f}" in text
    assert f"{100 * m.at_false_alarms['0.05']:.1f}\N{NO-BREAK SPACE}%" in text
    assert "<b>mouth & eyes</b>" in text
    for title in (
        *("By compression", "By number of frames", "The second opinion", "By method"),
        *("By method, with a second opinion", "By data set, with a second opinion"),
    ):
        assert title in text
    (crf40,) = (each for each in m.by_compression if each.name == "h264 crf 40")
    low, high = crf40.false_alarms_interval or (0.0, 0.0)
    assert f"({100 * low:.1f} to {100 * high:.1f}\N{NO-BREAK SPACE}%)" in text
    assert f"{m.by_compression[1].auc_loss:+.3f}" in text
    assert "60 of 70" in text, "of many sources the worst are listed"
    plots = window.value(
        "[...document.querySelectorAll('figure svg')].map(svg => svg.getAttribute('aria-label'))"
    )
    assert any(f"{m.auc:.3f}" in label for label in plots)


def test_a_page_of_little(bundle: Path, scores: Path, tmp_path: Path, window: Browser) -> None:
    few = [j for j in read_scores([scores]) if j.condition == Condition()][:6]
    few[0] = few[0].model_copy(update={"probability": None})
    write_scores(tmp_path / "few.tsv", few)
    page = tmp_path / "page.html"
    command = ["evaluate", str(bundle), "--from", str(tmp_path / "few.tsv"), "--html", str(page)]
    assert main(command) == 0
    window.open(page, 360)
    assert window.value("document.querySelectorAll('figure > svg').length") == 3
    assert window.complaints() == []


def test_it_is_the_same_page_each_time(page: Path, scores: Path, bundle: Path) -> None:
    before = page.read_bytes()
    assert main(["evaluate", str(bundle), "--from", str(scores), "--html", str(page)]) == 0
    assert page.read_bytes() == before
