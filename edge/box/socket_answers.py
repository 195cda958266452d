"""What the box answers at its socket: its state, its history, and what it is asked to do."""

from __future__ import annotations

import base64
import itertools
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from edge import __version__
from edge.box.events import Event, Held
from edge.box.health import read as read_health
from edge.box.snapshot import Moment, snapshot
from edge.box.socket_server import Ask, MissingError
from edge.box.sources.spool import Spool
from edge.box.web_rules import CameraRequested, PairingRequested, ScanWithdrawn
from edge.errors import TruelightError
from edge.finding import Verdict
from edge.history.reader import Entry, Filter, HistoryReader, Visit, open_history
from edge.language import N_
from edge.scan.model.bundle_info import BundleInfo, read_bundle
from edge.scan.model.second_opinion import NoSecondModel, find_second
from edge.settings import Settings
from edge.socket_messages import (
    MOST_WAIT_SECONDS,
    About,
    EntryMessage,
    Found,
    SettingLine,
    VisitMessage,
    scan_page,
)

_LOOK_SECONDS: Final = 0.25
"""Seconds between two looks at what moves by itself, as on the display."""
_MOST_FOUND: Final = 200

_log = logging.getLogger("truelight")


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Wait(_Arguments):
    revision: str = ""
    seconds: float = Field(default=0.0, ge=0.0, le=MOST_WAIT_SECONDS)


class _Number(_Arguments):
    number: int = Field(ge=1, le=2**62)


class _Scan(_Arguments):
    scan: str = Field(max_length=64)


class _Pairing(_Arguments):
    code: str = Field(pattern=r"^([0-9]{4} [0-9]{4})?$")
    fingerprint: str = Field(default="", max_length=128, pattern=r"^[0-9A-F: ]*$")
    seconds: float = Field(default=0.0, ge=0.0, le=900.0)


class _Search(_Arguments):
    verdict: Verdict | None = None
    origin: str | None = Field(default=None, max_length=16)
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = Field(default=None, max_length=200)
    before: int | None = Field(default=None, ge=1, le=2**62)
    limit: int = Field(default=50, ge=1, le=_MOST_FOUND)
    pictures: bool = False


class SocketAnswers:
    """The answers; `publish` keeps them up to date. Any thread may ask."""

    def __init__(
        self,
        settings: Settings,
        spool: Spool,
        post: Callable[[Event], None],
        delete: Callable[[int], bool],
    ) -> None:
        self._store = settings.store_folder
        self._spool = spool
        self._post = post
        self._delete = delete
        self._changed = threading.Condition()
        self._moment: Moment | None = None

    @property
    def asks(self) -> dict[str, Ask]:
        """The answers by their name."""
        return {
            "state": self._state,
            "about": self._about,
            "submit": self._submit,
            "withdraw": self._withdraw,
            "scan": self._scan,
            "find": self._find,
            "finding": self._finding,
            "visit": self._visit,
            "delete": self._delete_finding,
            "camera": lambda _: self._posted(CameraRequested()),
            "cancel": lambda _: self._posted(Held()),
            "pairing": self._pairing,
        }

    def publish(self, moment: Moment) -> None:
        """This is so now. Never waits."""
        with self._changed:
            self._moment = moment
            self._changed.notify_all()

    # ---- The state

    def _state(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The state, as soon as it is another than the one of `revision`."""
        wait = _Wait.model_validate(arguments)
        until = time.monotonic() + wait.seconds
        while True:
            now = time.monotonic()
            with self._changed:
                moment = self._moment
            if moment is not None:
                state = snapshot(moment, now)
                if state.revision != wait.revision or now >= until:
                    return state.model_dump(mode="json")
            elif now >= until:
                raise TruelightError(N_("The box is starting."), N_("Try again in a moment."))
            with self._changed:
                if self._moment is moment:
                    self._changed.wait(min(_LOOK_SECONDS, max(0.01, until - now)))

    def _about(self, _: Mapping[str, Any]) -> dict[str, Any]:
        with self._changed:
            moment = self._moment
        if moment is None:
            raise TruelightError(N_("The box is starting."), N_("Try again in a moment."))
        settings = moment.settings
        info = read_bundle(settings.bundle_folder)
        second = find_second(settings, info.manifest)
        reading = read_health(self._store)
        with self._history() as history:
            findings = history.total() if history else 0
        return About(
            truelight=__version__,
            model=f"{info.manifest.name} {info.manifest.version}",
            summary=info.manifest.summary,
            licence=info.manifest.licence,
            second=_second_text(second),
            settings=tuple(_setting_lines(settings)),
            celsius=reading.celsius,
            free_megabytes=reading.free_megabytes,
            findings=findings,
        ).model_dump(mode="json")

    # ---- What the box shall do

    def _posted(self, event: Event) -> dict[str, Any]:
        self._post(event)
        return {}

    def _pairing(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        asked = _Pairing.model_validate(arguments)
        return self._posted(PairingRequested(asked.code, asked.fingerprint, asked.seconds))

    def _submit(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        scan = _Scan.model_validate(arguments).scan
        if self._judged(scan) is None:
            self._spool.take(scan)
        return {}

    def _withdraw(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        scan = _Scan.model_validate(arguments).scan
        if not self._spool.has(scan):
            raise MissingError("There is no such scan in the queue.")
        return self._posted(ScanWithdrawn(scan))

    def _delete_finding(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if not self._delete(_Number.model_validate(arguments).number):
            raise MissingError("There is no such finding in the history.")
        return {}

    # ---- The history

    def _scan(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The finding on an upload, or whether it is still in the queue."""
        scan = _Scan.model_validate(arguments).scan
        waiting = self._spool.has(scan)
        visit = self._judged(scan)
        if visit is None:
            if waiting or self._spool.has(scan):
                return {"waiting": True}
            raise MissingError("There is no such scan, or it was deleted.")
        return {"waiting": False} | self._visit({"number": visit.id})

    def _judged(self, scan: str) -> Visit | None:
        """The visit of an upload that is over."""
        with self._history() as history:
            return history.visit_with_report(scan_page(scan)) if history else None

    def judged(self, scan: str) -> bool:
        """Whether the history has the finding on an upload."""
        return self._judged(scan) is not None

    def _find(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        asked = _Search.model_validate(arguments)
        wanted = Filter(
            verdict=asked.verdict,
            origin=asked.origin,
            since=asked.since and asked.since.astimezone(),
            until=asked.until and asked.until.astimezone(),
            text=asked.text or None,
            before=asked.before,
        )
        with self._history() as history:
            if history is None:
                return Found(entries=(), visits=()).model_dump(mode="json")
            found = history.find(wanted, portraits=asked.pictures)
            entries = list(itertools.islice(found, asked.limit + 1))
            kept = entries[: asked.limit]
            visits = [history.visit(number) for number in sorted({each.visit for each in kept})]
            return Found(
                entries=tuple(map(_entry, kept)),
                visits=tuple(_visit(each).in_short() for each in visits if each),
                more=len(entries) > asked.limit,
            ).model_dump(mode="json")

    def _finding(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        number = _Number.model_validate(arguments).number
        with self._history() as history:
            entry = history.entry(number) if history else None
            visit = history.visit(entry.visit) if history and entry else None
        if entry is None or visit is None:
            raise MissingError("There is no such finding, or it was deleted.")
        found = Found(entries=(_entry(entry),), visits=(_visit(visit),))
        return found.model_dump(mode="json")

    def _visit(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        number = _Number.model_validate(arguments).number
        with self._history() as history:
            visit = history.visit(number) if history else None
            if history is None or visit is None:
                raise MissingError("There is no such visit, or it was deleted.")
            entries = history.entries(number)
        found = Found(entries=tuple(map(_entry, entries)), visits=(_visit(visit),))
        return found.model_dump(mode="json")

    @contextmanager
    def _history(self) -> Iterator[HistoryReader | None]:
        """The history, opened for one answer; None if there is none yet."""
        history = open_history(self._store)
        if history is None:
            yield None
            return
        with history:
            yield history


def _second_text(second: BundleInfo | NoSecondModel) -> str:
    if isinstance(second, BundleInfo):
        return f"{second.manifest.name} {second.manifest.version}"
    return second.sentence


def _setting_lines(settings: Settings) -> Iterator[SettingLine]:
    for section, values in settings.model_dump(mode="json").items():
        for key, value in values.items():
            name = f"{section}.{key}"
            yield SettingLine(name=name, value=json.dumps(value), origin=settings.origin(name))


def _visit(visit: Visit) -> VisitMessage:
    return VisitMessage(**{name: getattr(visit, name) for name in VisitMessage.model_fields})


def _entry(entry: Entry) -> EntryMessage:
    return EntryMessage(
        id=entry.id,
        visit=entry.visit,
        judged=entry.judged,
        finding=entry.finding,
        portraits={face: base64.b64encode(jpeg).decode() for face, jpeg in entry.portraits.items()},
        heat={face: base64.b64encode(jpeg).decode() for face, jpeg in entry.heat.items()},
        first_frames=base64.b64encode(entry.first_frames).decode(),
    )
