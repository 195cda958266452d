"""`truelight history`: what was found in the past; lists, shows, exports it, makes its reports."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import TruelightError

if TYPE_CHECKING:
    from edge.history.model_figures import ModelSummary
    from edge.history.reader import Archive, Filter, Visit
    from edge.history.report import Report
    from edge.settings import Settings

VERDICTS = ("real", "fake", "unsure", "no-face", "unreadable")
ORIGINS = ("camera", "stick", "inbox", "scan")
LISTED = 10
"""Visits, if not said otherwise."""

EPILOG = """\
examples:
  truelight history --verdict fake --since 2026-11-01
  truelight history show 41
  truelight history report 12 --out report.html
  truelight history export --csv > findings.csv
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    command = commands.add_parser(
        "history",
        help="what was found in the past",
        description="Lists what was found in the past, the newest first.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_filters(command)
    command.add_argument(
        "--last", type=int, default=LISTED, metavar="N", help=f"visits (default {LISTED}; 0: all)"
    )
    command.add_argument("--json", action="store_true", help="one JSON object a line for a visit")
    _add_place(command)
    command.set_defaults(run=run_list, csv=False)
    actions = command.add_subparsers(title="actions", metavar="show|report|export")
    show = _add_action(actions, "show", "show one finding", run_show)
    show.add_argument("entry", type=int, metavar="ID", help="of the finding, as listed")
    show.add_argument("--json", action="store_true", help="as one JSON object")
    report = _add_action(actions, "report", "make the report on a visit anew", run_report)
    report.add_argument("visit_id", type=int, metavar="VISIT", help="its number, as listed")
    report.add_argument(
        "--out", type=Path, metavar="FILE", required=True, help="a web page, or JSON if so named"
    )
    export = _add_action(actions, "export", "all of it, for other programs", run_export)
    forms = export.add_mutually_exclusive_group(required=True)
    forms.add_argument(
        "folder", nargs="?", default=None, type=Path, metavar="DIR", help="reports on all visits"
    )
    forms.add_argument("--json", action="store_true", help="one JSON object a line for a finding")
    forms.add_argument("--csv", action="store_true", help="a table with a line for a finding")
    _add_filters(export)


def _add_action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str, run: object
) -> argparse.ArgumentParser:
    # What is not said to an action leaves alone what was said before it.
    action = actions.add_parser(
        name,
        help=what,
        description=f"{what.capitalize()}.",
        argument_default=argparse.SUPPRESS,
    )
    _add_place(action)
    action.set_defaults(run=run)
    return action


def _add_place(command: argparse.ArgumentParser) -> None:
    command.add_argument("--store", type=Path, metavar="DIR", help="the history in this folder")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings for this run")


def _add_filters(command: argparse.ArgumentParser) -> None:
    command.add_argument("--verdict", choices=VERDICTS, help="only findings that say so")
    command.add_argument("--origin", choices=ORIGINS, help="only clips that came from there")
    command.add_argument("--visit", type=int, metavar="N", help="only this visit, all of it")
    command.add_argument("--since", type=_day, metavar="DATE", help="not before this day")
    command.add_argument("--until", type=_last_day, metavar="DATE", help="not after this day")


def _day(text: str) -> datetime:
    """The beginning of a day, or a moment, in this machine's zone."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date like 2026-11-22") from None


def _last_day(text: str) -> datetime:
    """The end of a day, or a moment."""
    moment = _day(text)
    return moment + timedelta(days=1) if len(text) <= len("2026-11-22") else moment


def run_list(chosen: argparse.Namespace) -> int:
    """List visits with their findings."""
    from edge.cli.history_view import lines_of, object_of
    from edge.history.reader import Filter

    with _archive(_settings(chosen)) as archive:
        wanted = _filter(chosen)
        visits = archive.visits(wanted) if archive else []
        listed = visits[: chosen.last] if chosen.last > 0 else visits
        if archive and chosen.json:
            for visit in listed:
                _print_json(object_of(visit, archive, wanted))
        elif archive:
            from edge.cli.output import open_console

            console = open_console()
            for visit in listed:
                for line in lines_of(visit, archive, wanted, console.width):
                    console.print(line, soft_wrap=True)
        if archive and not visits and wanted != Filter():
            print("Nothing in the history is like that.", file=sys.stderr)
        elif archive and not visits:
            print("Nothing is in the history yet.", file=sys.stderr)
        elif len(listed) < len(visits):
            print(f"{len(visits) - len(listed)} older visits: --last 0", file=sys.stderr)
    return 0


def run_show(chosen: argparse.Namespace) -> int:
    """Show one finding."""
    from edge.cli.history_view import entry_object, heading

    with _archive(_settings(chosen)) as archive:
        entry = archive.entry(chosen.entry) if archive else None
        visit = archive.visit(entry.visit) if archive and entry else None
        if entry is None or visit is None:
            raise _missing("finding", chosen.entry)
        if chosen.json:
            _print_json(entry_object(entry, visit))
            return 0
        from edge.cli.output import PeopleShow, open_console

        console = open_console()
        PeopleShow(console).finding(entry.finding)
        for line in heading(entry, visit, console.width):
            console.print(line, soft_wrap=True)
    return 0


def run_report(chosen: argparse.Namespace) -> int:
    """Write the report on a visit."""
    settings = _settings(chosen)
    with _archive(settings) as archive:
        visit = archive.visit(chosen.visit_id) if archive else None
        if archive is None or visit is None:
            raise _missing("visit", chosen.visit_id)
        report = _report(archive, visit, _card(settings))
    as_json = chosen.out.suffix.lower() == ".json"
    _write(chosen.out, report.json if as_json else report.html)
    return 0


def run_export(chosen: argparse.Namespace) -> int:
    """Write the history as reports into a folder, or as lines to stdout."""
    settings = _settings(chosen)
    with _archive(settings) as archive:
        if archive is None:
            return 0
        wanted = _filter(chosen)
        if chosen.folder:
            return _export_reports(archive, wanted, chosen.folder, _card(settings))
        from edge.cli.history_view import entry_object, write_table

        visits = {visit.id: visit for visit in archive.visits()}
        found = (
            (entry, visits[entry.visit]) for entry in archive.find(wanted) if entry.visit in visits
        )
        if chosen.csv:
            write_table(found)
        else:
            for entry, visit in found:
                _print_json(entry_object(entry, visit))
    return 0


def _export_reports(
    archive: Archive, wanted: Filter, folder: Path, card: ModelSummary | None
) -> int:
    from edge.history.report import HTML_NAME, JSON_NAME

    visits = archive.visits(wanted)
    for visit in visits:
        report = _report(archive, visit, card)
        place = folder / f"visit-{visit.id}"
        _write(place / HTML_NAME, report.html)
        _write(place / JSON_NAME, report.json)
    reports = "report" if len(visits) == 1 else "reports"
    print(f"{len(visits)} {reports} written.", file=sys.stderr)
    return 0


@contextmanager
def _archive(settings: Settings) -> Iterator[Archive | None]:
    """The history; None, which is said, if there is none."""
    from edge.history.reader import open_archive
    from edge.text import one_line, path_text

    folder = settings.store_folder
    archive = open_archive(folder)
    if archive is None:
        print(f"There is no history in {one_line(path_text(folder))} yet.", file=sys.stderr)
        yield None
        return
    with archive:
        yield archive


def _settings(chosen: argparse.Namespace) -> Settings:
    from edge.settings import load_settings

    settings = load_settings(chosen.config)
    if chosen.store:
        settings = settings.changed("--store", {"store.folder": str(chosen.store.absolute())})
    return settings


def _filter(chosen: argparse.Namespace) -> Filter:
    from edge.finding import Verdict
    from edge.history.reader import Filter

    said = chosen.verdict
    verdict = Verdict(said.upper().replace("-", "_")) if said else None
    return Filter(verdict, chosen.origin, chosen.visit, chosen.since, chosen.until)


def _report(archive: Archive, visit: Visit, card: ModelSummary | None) -> Report:
    from edge.history.report import make_report

    return make_report(visit, archive.entries(visit.id), card)


def _card(settings: Settings) -> ModelSummary | None:
    """What the bundle says that judges now; reports use it if it judged then, too."""
    from edge.scan.model.bundle import BundleError, read_manifest

    try:
        return read_manifest(settings.bundle_folder)[0]
    except BundleError:
        return None


def _write(file: Path, text: str) -> None:
    from edge.atomic_write import write_whole

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, text)
    except OSError as failure:
        raise TruelightError(f"{file} cannot be written: {failure.strerror}.") from failure


def _missing(what: str, number: int) -> TruelightError:
    return TruelightError(f"There is no {what} {number} in the history.", "See: truelight history")


def _print_json(thing: object) -> None:
    """A line of JSON, in UTF-8 whatever the terminal speaks."""
    import json

    sys.stdout.buffer.write(json.dumps(thing, ensure_ascii=False).encode() + b"\n")
    sys.stdout.buffer.flush()
