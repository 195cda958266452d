"""What a reload does to the components; and folders that hang."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest
from recording_panel import RecordingPanel
from waiting import until

from edge.box.components import Components
from edge.box.daemon import Daemon
from edge.box.events import Event, Reloaded, Terminated
from edge.box.panel import Post
from edge.box.sources import inbox as inbox_module
from edge.box.systemd import RuntimePaths
from edge.box.views.status import TroubleKind
from edge.errors import TruelightError
from edge.settings import Settings


class Panels:
    """Opens panels; those of a terminal cannot be opened."""

    def __init__(self) -> None:
        self.opened: list[RecordingPanel] = []
        self.closed: list[RecordingPanel] = []

    def open(self, settings: Settings, _: Post) -> RecordingPanel:
        if settings.panel.kind == "terminal":
            raise TruelightError("There is no terminal.", "Run it in one.")
        panel = RecordingPanel()
        panel.close = lambda: self.closed.append(panel)  # type: ignore[method-assign]
        self.opened.append(panel)
        return panel


@pytest.fixture
def settings(tmp_path: Path, bundle: Path) -> Settings:
    return Settings().changed(
        "test",
        {
            "store.folder": str(tmp_path / "store"),
            "model.bundle": str(bundle),
            "panel.kind": "none",
            "camera.kind": "none",
        },
    )


@pytest.fixture
def components(tmp_path: Path, settings: Settings) -> Iterator[tuple[Components, Panels]]:
    (tmp_path / "store").mkdir()
    panels, events = Panels(), SimpleQueue[Event]()
    opened = Components(settings, events.put, RuntimePaths(tmp_path), panels.open)
    yield opened, panels
    opened.close()


def test_a_panel_that_cannot_open_leaves_the_old_one(
    components: tuple[Components, Panels], settings: Settings
) -> None:
    box, panels = components
    kept = box.adopt(settings.changed("test", {"panel.kind": "terminal", "health.hot": 70.0}))
    assert (kept.panel.kind, kept.health.hot) == ("none", 70.0)
    assert box.panel is panels.opened[0] and panels.closed == []
    (trouble,) = (one for one in box.troubles() if one.kind is TroubleKind.SETTINGS_WRONG)
    assert (trouble.message, trouble.remedy) == ("There is no terminal.", "Run it in one.")
    box.adopt(settings.changed("test", {"panel.kind": "hardware"}))
    assert box.panel is panels.opened[1] and panels.closed == [panels.opened[0]]
    assert TroubleKind.SETTINGS_WRONG not in [one.kind for one in box.troubles()]


def test_two_panels_of_one_kind_never_hold_the_same_pins(
    components: tuple[Components, Panels], settings: Settings
) -> None:
    box, panels = components
    box.adopt(settings.changed("test", {"lamps.green": 5}))
    assert panels.closed == [panels.opened[0]] and box.panel is panels.opened[1]


def test_a_reload_into_a_panel_that_cannot_open_does_not_end_the_daemon(
    tmp_path: Path, settings: Settings
) -> None:
    now = [settings]
    (tmp_path / "store").mkdir()
    panels = Panels()
    daemon = Daemon(lambda: now[0], settings, paths=RuntimePaths(tmp_path), open_panel=panels.open)
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(daemon.run()))
    thread.start()
    until(lambda: panels.opened and panels.opened[0].scene)
    now[0] = settings.changed("test", {"panel.kind": "terminal"})
    daemon.post(Reloaded())
    (panel,) = panels.opened

    def shows_trouble() -> bool:
        return any(
            getattr(scene.view, "kind", None) is TroubleKind.SETTINGS_WRONG
            for _, scene in panel.shown
        )

    until(lambda: shows_trouble() or ended)
    daemon.post(Terminated())
    thread.join(30)
    assert ended == [True]


def test_an_inbox_that_hangs_stops_neither_start_nor_reload_nor_end(
    components: tuple[Components, Panels],
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a network share whose server is gone: `mkdir` does not return."""
    share, answered, asked = tmp_path / "share", threading.Event(), threading.Event()
    real = os.mkdir

    def hang(path: str | Path, *rest: int) -> None:
        if Path(path) == share:
            asked.set()
            answered.wait(60)
        real(path, *rest)

    monkeypatch.setattr(os, "mkdir", hang)
    box, _ = components
    done = threading.Event()

    def reload_twice_and_end() -> None:
        box.adopt(settings.changed("test", {"inbox.folder": str(share)}))
        assert asked.wait(30)
        box.adopt(settings)
        box.adopt(settings.changed("test", {"inbox.folder": str(share)}))
        box.close()
        done.set()

    threading.Thread(target=reload_twice_and_end, daemon=True).start()
    assert done.wait(30), "the event loop waits for the share"
    answered.set()


def test_results_that_hang_are_given_up(
    components: tuple[Components, Panels], monkeypatch: pytest.MonkeyPatch
) -> None:
    events = SimpleQueue[Event]()
    answered = threading.Event()
    monkeypatch.setattr(inbox_module, "write_results", lambda *_: answered.wait(60))
    monkeypatch.setattr(inbox_module, "WRITE_SECONDS", 0.05)
    box, _ = components
    box._inbox._post = events.put
    box._inbox.deliver("inbox 1", [], None)  # type: ignore[arg-type]
    answer = events.get(timeout=30)
    assert "does not answer" in answer.note  # type: ignore[attr-defined]
    answered.set()
