"""Reports on findings that the history gives back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge.history.report import Report, make_report
from edge.history.writer import Entry, History, Visit
from edge.scan.model.bundle_info import read_bundle
from edge.scan.scanner import ScanResult

Looks = dict[str, ScanResult]


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
