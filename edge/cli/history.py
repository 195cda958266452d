"""`truelight history`: lists, shows and exports past findings, and makes their reports again."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from edge.atomic_write import atomic_write
from edge.cli import absolute, with_options
from edge.cli.json_lines import print_json
from edge.cli.output import (
    Shortened,
    TextOutput,
    coloured,
    counts_text,
    grid,
    indented,
    open_console,
    show,
)
from edge.errors import TruelightError
from edge.finding import Verdict
from edge.history.export import csv_lines
from edge.history.reader import Entry, Filter, HistoryReader, Visit, open_history
from edge.history.report import HTML_NAME, JSON_NAME, Report, make_report
from edge.history.report_page import ModelSummary, display_names, worst_first
from edge.scan.model.bundle_info import BundleError, manifest_with_figures
from edge.settings import Settings, load_settings
from edge.text import count, one_line, path_text, probability_text


def run_list(chosen: argparse.Namespace) -> int:
    """List visits with their findings."""
    with _history(_settings(chosen)) as history:
        if history is None:
            return 0
        wanted = _filter(chosen)
        visits = history.visits(wanted)
        listed = visits[: chosen.last] if chosen.last > 0 else visits
        console = open_console()
        for visit in listed:
            if chosen.json:
                print_json(json.dumps(visit_object(visit, history, wanted), ensure_ascii=False))
            else:
                show_visit(console, visit, history, wanted)
        if not visits:
            filtered = wanted != Filter()
            print("No matching entries." if filtered else "The history is empty.", file=sys.stderr)
        elif len(listed) < len(visits):
            print(f"{len(visits) - len(listed)} older visits: --last 0", file=sys.stderr)
    return 0


def run_show(chosen: argparse.Namespace) -> int:
    """Show one finding."""
    with _history(_settings(chosen)) as history:
        entry = history.entry(chosen.entry) if history else None
        visit = history.visit(entry.visit) if history and entry else None
        if entry is None or visit is None:
            raise _missing("finding", chosen.entry)
        if chosen.json:
            print_json(json.dumps(entry_object(entry, visit), ensure_ascii=False))
        else:
            show_entry(open_console(), entry, visit)
    return 0


def run_report(chosen: argparse.Namespace) -> int:
    """Write a visit's report."""
    settings = _settings(chosen)
    with _history(settings) as history:
        visit = history.visit(chosen.visit_id) if history else None
        if history is None or visit is None:
            raise _missing("visit", chosen.visit_id)
        report = _report(history, visit, settings, _model(settings))
    as_json = chosen.out.suffix.lower() == ".json"
    _write(chosen.out, report.json if as_json else report.html)
    return 0


def run_export(chosen: argparse.Namespace) -> int:
    """Write the history as reports into a folder, or as lines to stdout."""
    settings = _settings(chosen)
    with _history(settings) as history:
        if history is None:
            return 0
        wanted = _filter(chosen)
        if chosen.folder:
            _export_reports(history, wanted, chosen.folder, settings)
            return 0
        visits = {visit.id: visit for visit in history.visits()}
        entries = history.find(wanted)
        found = ((entry, visits[entry.visit]) for entry in entries if entry.visit in visits)
        if chosen.csv:
            print_csv(found)
        else:
            for entry, visit in found:
                print_json(json.dumps(entry_object(entry, visit), ensure_ascii=False))
    return 0


def _export_reports(
    history: HistoryReader, wanted: Filter, folder: Path, settings: Settings
) -> None:

    visits, model = history.visits(wanted), _model(settings)
    for visit in visits:
        report = _report(history, visit, settings, model)
        place = folder / f"visit-{visit.id}"
        _write(place / HTML_NAME, report.html)
        _write(place / JSON_NAME, report.json)
    print(f"Wrote {count(len(visits), 'report')}.", file=sys.stderr)


@contextmanager
def _history(settings: Settings) -> Iterator[HistoryReader | None]:
    """The history; None if there is none, which is reported."""
    folder = settings.store_folder
    history = open_history(folder)
    if history is None:
        print(f"There is no history in {one_line(path_text(folder))}.", file=sys.stderr)
        print("  truelight run and truelight serve keep one; scan does not.", file=sys.stderr)
        yield None
        return
    with history:
        yield history


def _settings(chosen: argparse.Namespace) -> Settings:
    store = {"store.folder": absolute(chosen.store)}
    return with_options(load_settings(chosen.config), {"--store": store})


def _filter(chosen: argparse.Namespace) -> Filter:
    name = chosen.verdict
    verdict = Verdict(name.upper().replace("-", "_")) if name else None
    return Filter(verdict, chosen.origin, chosen.visit, chosen.since, chosen.until)


def _report(
    history: HistoryReader, visit: Visit, settings: Settings, model: ModelSummary | None
) -> Report:

    entries = history.entries(visit.id, portraits=False)
    language = settings.language.report
    return make_report(
        visit, entries, model, lambda entry: history.entry(entry.id) or entry, language
    )


def _model(settings: Settings) -> ModelSummary | None:
    """The manifest of the current bundle; a report uses it if that bundle judged."""
    try:
        return manifest_with_figures(settings.bundle_folder)
    except BundleError:
        return None


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, text)
    except OSError as failure:
        raise TruelightError(f"Cannot write {file}: {failure.strerror}.") from failure


def _missing(what: str, number: int) -> TruelightError:
    return TruelightError(f"There is no {what} {number} in the history.", "See: truelight history")


LISTED = 8
"""Findings listed of a visit; with `--visit` all."""


def show_visit(console: Console, visit: Visit, history: HistoryReader, wanted: Filter) -> None:
    """Print a visit and its findings, the most suspicious first."""
    heading = grid("left", "left")
    name = Shortened(f"{visit.origin} {visit.name}".strip())
    heading.add_row(Text(f"visit {visit.id}", "bold"), Text(_local(visit.began)), name)
    show(console, heading)
    if visit.ending != "complete":
        show(console, indented(visit.ending or "not ended", "yellow"))
    show(console, indented(counts_text(history.counts(visit.id)) or "no clips", "dim"))
    for sentence in visit.skipped.sentences():
        show(console, indented(f"Not judged: {sentence}", "dim"))
    if visit.report:
        show(console, indented(f"Report: {one_line(visit.report)}", "dim"))
    entries = worst_first(list(history.find(_within(visit, wanted))))
    shown = entries if wanted.visit is not None else entries[:LISTED]
    names = display_names([entry.finding.path for entry in entries])
    table = grid("right", "left", "right")
    for entry in shown:
        finding = entry.finding
        probability = probability_text(finding.fake_probability)
        name = Shortened(names[finding.path])
        table.add_row(str(entry.id), coloured(finding.verdict), probability, name)
    show(console, *([indented(table)] if shown else []))
    if more := len(entries) - len(shown):
        show(console, indented(f"and {more} more: truelight history --visit {visit.id}", "dim"))
    show(console, "")


def show_entry(console: Console, entry: Entry, visit: Visit) -> None:
    """Print a finding as a scan does, then its visit and the hash of its file."""
    TextOutput(console).finding(entry.finding)
    source = one_line(f"{visit.origin} {visit.name}".strip())
    place = f"finding {entry.id} of visit {visit.id} ({source}), {_local(entry.judged)}"
    digest = f"SHA-256 {entry.finding.sha256 or 'not known'}"
    show(console, indented(place, "dim"), indented(digest, "dim"))


def _within(visit: Visit, wanted: Filter) -> Filter:
    return Filter(wanted.verdict, None, visit.id, wanted.since, wanted.until)


def visit_object(visit: Visit, history: HistoryReader, wanted: Filter) -> dict[str, Any]:
    """A visit and its findings in short, in the order of judging."""
    entries = sorted(history.find(_within(visit, wanted)), key=lambda entry: entry.id)
    return {
        **_visit_keys(visit),
        "counts": {verdict.value: count for verdict, count in history.counts(visit.id).items()},
        "findings": [
            {
                "id": entry.id,
                "judged": entry.judged.isoformat(),
                **entry.finding.model_dump(
                    mode="json", include={"path", "verdict", "fake_probability"}
                ),
            }
            for entry in entries
        ],
    }


def entry_object(entry: Entry, visit: Visit) -> dict[str, Any]:
    """A whole finding with its visit."""
    return {
        "id": entry.id,
        "judged": entry.judged.isoformat(),
        "visit": _visit_keys(visit),
        "finding": entry.finding.model_dump(mode="json"),
    }


def _visit_keys(visit: Visit) -> dict[str, Any]:
    times = {"began": visit.began.isoformat(), "ended": visit.ended and visit.ended.isoformat()}
    skipped = {"skipped": visit.skipped.model_dump(mode="json")}
    return vars(visit) | times | skipped


def print_csv(found: Iterable[tuple[Entry, Visit]]) -> None:
    """Print findings as CSV, in UTF-8."""
    for line in csv_lines(found):
        sys.stdout.buffer.write(line.encode())
    sys.stdout.buffer.flush()


def _local(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M}"
