"""The components of the box: opened as the settings want, changed on a reload, closed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.box.camera_worker import CameraWorker
from edge.box.events import Batch, CameraFailed, ClipsArrived, Event, Origin
from edge.box.health import HealthWatch
from edge.box.panel import NoPanel, Panel, open_panel
from edge.box.scan_worker import ScanWorker
from edge.box.socket_answers import SocketAnswers
from edge.box.socket_server import SocketServer
from edge.box.sources.camera import open_camera
from edge.box.sources.inbox import Inbox
from edge.box.sources.spool import Spool
from edge.box.sources.usb_stick import UsbSticks
from edge.box.systemd import RuntimePaths
from edge.box.views.status import Trouble, TroubleKind
from edge.errors import TruelightError
from edge.finding import Finding
from edge.language import N_
from edge.scan.collect import media_within
from edge.settings import Settings

if TYPE_CHECKING:
    from edge.history.report import Report
    from edge.history.writer import Entry

Post = Callable[[Event], None]
OpenPanel = Callable[[Settings, Post], Panel]
OpenHealth = Callable[[Settings], HealthWatch]

WORK_SECONDS: Final = 3.0
"""To cancel the running scan. systemd wants the whole program to end within five."""

_log = logging.getLogger("truelight")

_SECTIONS: Final = {
    "panel": ("panel", "button", "lamps", "display"),
    "camera": ("camera", "faces", "model"),
    "inbox": ("inbox",),
}
"""The sections of the settings of each component: when they change, it is opened again."""


class Components:
    """Everything that works beside the event loop. All of it posts to the loop's queue."""

    def __init__(
        self,
        settings: Settings,
        post: Post,
        paths: RuntimePaths,
        open_panel: OpenPanel = open_panel,
        open_health: OpenHealth = HealthWatch,
    ) -> None:
        """Open what the settings want; the model is not loaded yet.

        Raises TruelightError: the panel cannot be opened.
        """
        self._post = post
        self._settings = settings
        self._open_panel = open_panel
        self._panel_trouble: tuple[Trouble, ...] = ()
        self.panel = open_panel(settings, post)
        self._spool = Spool(settings.spool_folder, post)
        self.scan_worker = ScanWorker(
            settings.store_folder, post, self._deliver, self._keep, self._release
        )
        self.answers = SocketAnswers(settings, self._spool, post, self.scan_worker.delete)
        self._socket = self._listen(paths.socket)
        self.camera = CameraWorker(settings, open_camera(settings), post)
        self._health = open_health(settings)
        self._inbox = self._open_inbox(settings)
        self._sticks = UsbSticks(
            paths.sticks, media_within, self._post_arrival, reports=paths.reports
        )

    def _listen(self, path: Path) -> SocketServer | None:
        """Take the uploads and open the socket, where there is a page."""
        if not path.parent.is_dir():
            return None
        try:
            self._spool.take_all(self.answers.judged)
            return SocketServer(path, self.answers.asks)
        except (OSError, TruelightError) as failure:
            _log.error("The page's socket cannot be opened: %s", failure)
            return None

    def _open_inbox(self, settings: Settings) -> Inbox:
        return Inbox(settings.inbox_folder, self._post_arrival, self.scan_worker.unreported)

    def adopt(self, settings: Settings) -> Settings:
        """Change to other settings, and return those in effect.

        A component that they do not concern stays as it is; so does a panel if the new one cannot
        be opened, and its settings with it.
        """
        before = self._settings
        if _differ("panel", before, settings) and not self._adopt_panel(before, settings):
            kept = {"panel.kind": before.panel.kind}
            settings = settings.changed(N_("the running program"), kept)
        self._settings = self._health.settings = settings
        if _differ("camera", before, settings):
            self.camera.end()
            self.camera = CameraWorker(settings, open_camera(settings), self._post)
            message = N_("The camera's settings have changed.")
            self._post(
                CameraFailed(Trouble(TroubleKind.CAMERA_MISSING, message, N_("Press again.")))
            )
        if _differ("inbox", before, settings):
            self._inbox.close()
            self._inbox = self._open_inbox(settings)
        return settings

    def troubles(self) -> tuple[Trouble, ...]:
        """What is wrong at present."""
        inbox = (self._inbox.trouble,) if self._inbox.trouble else ()
        parts = self._panel_trouble, self.panel.troubles(), inbox, self._health.troubles
        return tuple(each for part in (*parts, self.scan_worker.troubles) for each in part)

    def close(self) -> bool:
        """End all of it; False if the running scan could not be cancelled in time."""
        if self._socket:
            self._socket.close()
        self._sticks.close()
        self._inbox.close()
        self.camera.end()
        self._health.close()
        ended = self.scan_worker.close(WORK_SECONDS)
        self.panel.close()
        return ended

    def _post_arrival(self, event: Event) -> None:
        """Post an event of a source; clips that may have crashed the program come last."""
        if isinstance(event, ClipsArrived):
            clips = self.scan_worker.suspects_last(event.batch.clips)
            event = ClipsArrived(replace(event.batch, clips=clips))
        self._post(event)

    def _adopt_panel(self, before: Settings, settings: Settings) -> bool:
        """Open the new panel first; if that fails the old one stays, and the trouble is shown.

        Two panels of one kind need the same pins or terminal: there the old one is closed first,
        and opened again on failure.
        """
        is_same_kind = before.panel.kind == settings.panel.kind
        if is_same_kind:
            self.panel.close()
        try:
            opened = self._open_panel(settings, self._post)
        except TruelightError as failure:
            self._panel_trouble = (Trouble.of(TroubleKind.SETTINGS_WRONG, failure),)
            if is_same_kind:
                self.panel = self._reopen(before)
            return False
        if not is_same_kind:
            self.panel.close()
        self.panel, self._panel_trouble = opened, ()
        return True

    def _reopen(self, before: Settings) -> Panel:
        try:
            return self._open_panel(before, self._post)
        except TruelightError:
            return NoPanel(before, self._post)

    def _keep(self, batch: Batch, clip: Path, finding: Finding) -> None:
        """Write the result of a clip of the inbox at once; sticks get theirs at the end."""
        if batch.origin is Origin.INBOX:
            self._inbox.keep(clip, finding)

    def _release(self, batch: Batch) -> None:
        """Delete an upload that is over."""
        if batch.origin is Origin.WEB:
            self._spool.delete(batch.key)

    def _deliver(self, batch: Batch, entries: Sequence[Entry], report: Report) -> None:
        """Put the results where the clips came from; `ReportDone` is posted at once or later."""
        if batch.origin is Origin.STICK:
            self._sticks.write_report(batch.key, report)
        else:
            self._inbox.deliver(batch.key, entries, report, self.scan_worker.full)


def _differ(component: str, before: Settings, after: Settings) -> bool:
    names = _SECTIONS[component]
    return any(getattr(before, name) != getattr(after, name) for name in names)
