"""`truelight history`: lists, shows and exports past findings, and makes their reports again."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.atomic_write import atomic_write
from edge.cli import absolute, with_options
from edge.cli.history_view import entry_object, print_csv, show_entry, show_visit, visit_object
from edge.cli.json_lines import print_json
from edge.cli.output import open_console
from edge.errors import TruelightError
from edge.finding import Verdict
from edge.history.reader import Filter, HistoryReader, Visit, open_history
from edge.history.report import HTML_NAME, JSON_NAME, Report, make_report
from edge.history.report_page import ModelSummary
from edge.scan.model.bundle_info import BundleError, manifest_with_figures
from edge.settings import Settings, load_settings
from edge.text import count, one_line, path_text


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
