"""What strangers' bytes reach outside the sandbox: each target must refuse them well.

A target raises nothing but AssertionError, whatever it is given.
"""

from __future__ import annotations

import html.parser
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from edge.finding import Finding, Model, Thresholds, Verdict
from edge.history.reader import Entry, Visit
from edge.history.report import make_report
from edge.scan.child_messages import MESSAGE, Notice
from edge.scan.media import client, structure
from edge.scan.media.clip_file import DescriptorFile
from edge.scan.media.formats import recognise
from edge.scan.media.protocol import ClipError, Fault, Reply
from edge.scan.media.sampling import Sampling
from edge.scan.model.bundle_info import BundleError, manifest_with_figures
from edge.settings import SettingsError, load_settings
from edge.text import name_text, one_line, path_text

FOLDER = Path(tempfile.mkdtemp(prefix="truelight-fuzz-"))
NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
_KINDS = (*Reply, *Notice)
_NUMBERS = (0, 1, 2, 3, 7, 8, 47, 63, 64, 1000, 10**6, 2**31, 2**40, 2**62, 2**63 - 1, -1, -(2**63))


def protocol(data: bytes) -> None:
    """The replies of a decoder process that was taken over."""
    clip = FOLDER / "clip"
    clip.write_bytes(b"x")
    decoders: Any = _Decoders(_messages(data))
    with (
        suppress(ClipError),
        client.open_clip(clip, Sampling(8, 4.0, 4), decoders=decoders) as opened,
    ):
        _look_at_frames(opened)
        while opened.open_next():
            _look_at_frames(opened)


def _look_at_frames(opened: client.OpenClip) -> None:
    assert opened.clip.width * opened.clip.height > 0
    last = -1.0
    for number, frame in enumerate(opened.frames(), 1):
        assert number <= 32, "more frames than were wanted"
        assert frame.pixels.shape == (opened.clip.height, opened.clip.width, 3)
        assert frame.time >= last
        last = frame.time
    assert 0 <= opened.frames_read <= 10**9


class _Decoders:
    """Stands where `Decoders` and `DecoderProcess` do: its process replies what it is told."""

    pid = 0

    def __init__(self, messages: list[tuple[int, ...]]) -> None:
        self._messages = messages

    def open(self, *_: object) -> _Decoders:
        return self

    def renew(self) -> None:
        pass

    def send(self, *_: object, **__: object) -> None:
        pass

    def receive(self, _deadline: float) -> tuple[int, ...]:
        if not self._messages:
            raise ClipError(Fault.CRASHED)
        return self._messages.pop(0)

    def share(self, size: int) -> np.ndarray:
        assert size <= 1 << 29, "more memory than frames may take"
        return np.broadcast_to(np.uint8(0), size)

    def end(self) -> None:
        pass


def _messages(data: bytes) -> list[tuple[int, ...]]:
    """A byte for the kind, then one for each field: itself, or one of the numbers that matter."""
    size = MESSAGE.size // 8
    found = []
    for start in range(0, len(data), size):
        kind, *fields = data[start : start + size].ljust(size, b"\0")
        numbers = (
            _NUMBERS[field - 200] if field - 200 in range(len(_NUMBERS)) else field
            for field in fields
        )
        found.append((int(_KINDS[kind % len(_KINDS)]) if kind < 240 else kind, *numbers))
    return found


def sniffing(data: bytes) -> None:
    """A file whose format is to be recognised. Its first byte chooses a length beyond the data."""
    descriptor = os.memfd_create("clip")
    try:
        os.write(descriptor, data[1:])
        if data[:1] > b"\xf0":
            os.truncate(descriptor, 1 << 40)
        file = DescriptorFile(descriptor)
        with suppress(ClipError):
            recognise(file)
        parts = structure.parts(file)
        assert len(parts) > 0
        assert sum(part.size for part in parts) == file.size
        if data[:1] <= b"\xf0":
            structure.is_cut_short(file)
            structure.read_jpeg(data)
    finally:
        os.close(descriptor)


def settings(data: bytes) -> None:
    """A file of settings."""
    file = FOLDER / "settings.yaml"
    file.write_bytes(data)
    with suppress(SettingsError):
        load_settings(file)


def manifest(data: bytes) -> None:
    """A bundle's `bundle.json`, and behind a zero byte its `figures.json`."""
    folder = FOLDER / "bundle"
    folder.mkdir(exist_ok=True)
    described, zero, figures = data.partition(b"\0")
    (folder / "bundle.json").write_bytes(described)
    (folder / "figures.json").write_bytes(figures if zero else b"{}")
    with suppress(BundleError):
        manifest_with_figures(folder)


def finding(data: bytes) -> None:
    """A finding that lies beside a clip, put there by anybody."""
    from edge.box.sources.arrivals import Stamp
    from edge.box.sources.inbox_results import is_judged, result_of

    clip = FOLDER / "x.mp4"
    clip.write_bytes(b"x")
    result_of(clip).write_bytes(data)
    assert is_judged(clip, Stamp(5, 1)) in (True, False)
    with suppress(ValidationError):
        read = Finding.model_validate_json(data)
        assert Finding.model_validate_json(read.model_dump_json()) == read
        _check_page(read, one_line(path_text(Path("x"))))


def names(data: bytes) -> None:
    """A clip's name, and behind a zero byte the name of a stick."""
    name, _, stick = data.partition(b"\0")
    path = Path("/stick") / (os.fsdecode(name.replace(b"/", b"")) or "x")
    shown = name_text(path)
    assert shown.isprintable(), ascii(shown)
    found = Finding(
        path=path_text(path),
        sha256=None,
        verdict=Verdict.UNREADABLE,
        fake_probability=None,
        reasons=(),
        model=Model(name=stick.decode("latin-1"), version=shown, sha256="0" * 64),
        thresholds=Thresholds(real=0.2, fake=0.8),
    )
    _check_page(found, stick.decode("utf-8", "replace"))


def _check_page(found: Finding, stick: str) -> None:
    """The report on it has the tags of any other report, and nothing that controls a display."""
    visit = Visit(1, "stick", stick, NOW, NOW, "complete", "")
    report = make_report(visit, [Entry(1, 1, NOW, found)], None)
    json.loads(report.json)
    unprintable = {c for c in report.html if not c.isprintable() and c not in "\n\xa0"}
    assert not unprintable, ascii(unprintable)
    page = _Page()
    page.feed(report.html)
    assert not page.wrong, page.wrong


class _Page(html.parser.HTMLParser):
    """What a page has that ours never has: scripts, forms, what loads or leads elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        leads = {"href": ("#",), "src": ("data:image/jpeg;",)}
        self.wrong += [tag] * (tag in _FORBIDDEN)
        for name, value in attrs:
            wrong = name.startswith("on") or not str(value).startswith(leads.get(name, ("",)))
            self.wrong += [f"{tag} {name}={value}"] * wrong


_FORBIDDEN = ("script", "iframe", "object", "embed", "link", "base", "form", "input", "button")

TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (protocol, sniffing, settings, manifest, finding, names)
}
