"""`truelight history`: lists, shows and exports past findings, and makes their reports again."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from edge.cli import Commands, absolute, add_command, add_config_option, with_options
from edge.errors import TruelightError

if TYPE_CHECKING:
    from edge.history.reader import Filter, HistoryReader, Visit
    from edge.history.report import Report
    from edge.history.report_page import ModelSummary
    from edge.settings import Settings

VERDICTS = ("real", "fake", "unsure", "no-face", "unreadable")
ORIGINS = ("camera", "stick", "inbox")
LISTED = 10
"""Visits listed by default."""

EPILOG = """\
examples:
  truelight history --verdict fake --since 2026-11-01
  truelight history show 41
  truelight history report 12 --out report.html
  truelight history export --csv > findings.csv
"""


def add_parser(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands,
        "history",
        run_list,
        "list past findings",
        details="Lists past findings by visit, the newest first. A visit is a USB stick, a "
        "recording, or what lay in the inbox.",
        epilog=EPILOG,
    )
    _add_filters(command)
    command.add_argument(
        "--last", type=int, default=LISTED, metavar="N", help=f"visits (default {LISTED}; 0: all)"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object per visit")
    _add_place(command)
    command.set_defaults(csv=False)
    actions = command.add_subparsers(title="actions", metavar="show|report|export")
    # An action's option that is not given must not override the same option before the action.
    unset = {"argument_default": argparse.SUPPRESS}
    show = add_command(actions, "show", run_show, "show one finding", **unset)
    show.add_argument("entry", type=int, metavar="ID", help="the finding's number")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    report = add_command(actions, "report", run_report, "write a visit's report again", **unset)
    report.add_argument("visit_id", type=int, metavar="VISIT", help="the visit's number")
    report.add_argument(
        "--out", type=Path, metavar="FILE", required=True, help="a web page; JSON if named *.json"
    )
    export = add_command(actions, "export", run_export, "export findings or reports", **unset)
    forms = export.add_mutually_exclusive_group(required=True)
    forms.add_argument(
        "folder", nargs="?", default=None, type=Path, metavar="DIR", help="write all reports here"
    )
    forms.add_argument("--json", action="store_true", help="print one JSON object per finding")
    forms.add_argument("--csv", action="store_true", help="print a table, one line per finding")
    _add_filters(export)
    for action in (show, report, export):
        _add_place(action)


def _add_place(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--store", type=Path, metavar="DIR", help="read the history in this folder"
    )
    add_config_option(command)


def _add_filters(command: argparse.ArgumentParser) -> None:
    command.add_argument("--verdict", choices=VERDICTS, help="only findings with this verdict")
    command.add_argument("--origin", choices=ORIGINS, help="only clips from this source")
    command.add_argument(
        "--visit", type=int, metavar="N", help="only this visit, with all findings"
    )
    command.add_argument("--since", type=_day, metavar="DATE", help="only from this day on")
    command.add_argument("--until", type=_last_day, metavar="DATE", help="only up to this day")


def _day(text: str) -> datetime:
    """The beginning of a day, or a moment, in this machine's zone."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date like 2026-11-22") from None


def _last_day(text: str) -> datetime:
    """The end of a day, or a moment."""
    moment = _day(text)
    return moment + timedelta(days=1) if len(text) <= len("2026-11-22") else moment


def run_list(chosen: argparse.Namespace) -> int:
    """List visits with their findings."""
    from edge.cli.history_view import show_visit, visit_object
    from edge.cli.output import open_console, print_json
    from edge.history.reader import Filter

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
    from edge.cli.history_view import entry_object, show_entry
    from edge.cli.output import open_console, print_json

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
    from edge.cli.history_view import entry_object, print_csv
    from edge.cli.output import print_json

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
    from edge.history.report import HTML_NAME, JSON_NAME
    from edge.text import count

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
    from edge.history.reader import open_history
    from edge.text import one_line, path_text

    folder = settings.store_folder
    history = open_history(folder)
    if history is None:
        print(f"There is no history in {one_line(path_text(folder))}.", file=sys.stderr)
        yield None
        return
    with history:
        yield history


def _settings(chosen: argparse.Namespace) -> Settings:
    from edge.settings import load_settings

    store = {"store.folder": absolute(chosen.store)}
    return with_options(load_settings(chosen.config), {"--store": store})


def _filter(chosen: argparse.Namespace) -> Filter:
    from edge.finding import Verdict
    from edge.history.reader import Filter

    name = chosen.verdict
    verdict = Verdict(name.upper().replace("-", "_")) if name else None
    return Filter(verdict, chosen.origin, chosen.visit, chosen.since, chosen.until)


def _report(
    history: HistoryReader, visit: Visit, settings: Settings, model: ModelSummary | None
) -> Report:
    from edge.history.report import make_report

    entries = history.entries(visit.id, portraits=False)
    language = settings.language.report
    return make_report(
        visit, entries, model, lambda entry: history.entry(entry.id) or entry, language
    )


def _model(settings: Settings) -> ModelSummary | None:
    """The manifest of the current bundle; a report uses it if that bundle judged."""
    from edge.scan.model.bundle_info import BundleError, manifest_with_figures

    try:
        return manifest_with_figures(settings.bundle_folder)
    except BundleError:
        return None


def _write(file: Path, text: str) -> None:
    from edge.atomic_write import atomic_write

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, text)
    except OSError as failure:
        raise TruelightError(f"Cannot write {file}: {failure.strerror}.") from failure


def _missing(what: str, number: int) -> TruelightError:
    return TruelightError(f"There is no {what} {number} in the history.", "See: truelight history")
