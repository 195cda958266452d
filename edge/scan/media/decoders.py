"""Starts decoder processes, and keeps one waiting where the next clip must open at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from edge.scan.child_process import expects_unit
from edge.scan.media.clip_file import ClipFile, PixelLimits
from edge.scan.media.process import DecoderProcess
from edge.scan.media.protocol import MICROSECONDS, ClipError, Fault, Request

if TYPE_CHECKING:
    from edge.scan.media.sampling import Sampling


@dataclass(frozen=True)
class Limits:
    """What one clip may cost, whatever it claims. Times in seconds, sizes in pixels or bytes."""

    silence: float = 30.0  # without any message from the decoder process
    patience: float = 120.0  # waiting for it in all
    cpu: int = 60  # its processor time
    megapixels: int = 12_000  # decoded in all: this bounds the work alike on every machine
    pixels: PixelLimits = field(default_factory=PixelLimits)
    memory: int = 1536 * 1024**2  # address space; what is really used is far less
    slots: int = 3  # frames that wait in shared memory; fewer where they are large:
    shared: int = 52_000_000
    grace: float = 1.0  # from one step of ending the process to the next


@dataclass(frozen=True)
class Opening:
    """A clip that is to be opened."""

    file: ClipFile
    sampling: Sampling
    limits: Limits

    def ask(self, process: DecoderProcess) -> None:
        """Ask a process to open it, without waiting for an answer. Raises ClipError."""
        sampling, limits = self.sampling, self.limits
        process.send(
            *(Request.OPEN, sampling.window_frames, round(sampling.window_rate * MICROSECONDS)),
            *(sampling.max_windows, sampling.first or 0),
            *(*limits.pixels, limits.cpu, limits.memory),
            clip=self.file.descriptor,
        )


_log = logging.getLogger(__name__)

_RETRY_SECONDS = 60.0
"""After the unit has failed to start a process; until then children decode."""


class _Begun(NamedTuple):
    """A clip that a process was asked to open before it is scanned."""

    path: Path
    opening: Opening
    process: DecoderProcess


class Decoders:
    """Decoder processes, one after the other. A context manager, used by one thread.

    A spare process has imported all that a clip may need and waits; it has seen no clip. `command`
    replaces the decoder process in tests.
    """

    def __init__(self, command: Sequence[str] | None = None, *, spare: bool = False) -> None:
        self.spare = spare
        """Whether `renew` starts a process for the next clip."""
        self._command = command
        self._waiting: DecoderProcess | None = None
        self._begun: _Begun | None = None
        self._no_unit_until = 0.0
        self._told = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.spare = False
        self._forget_begun()
        if self._waiting is not None:
            self._waiting.end()
            self._waiting = None

    @property
    def spare_pid(self) -> int:
        """The spare process's id; 0 if none waits, or while one of the unit starts."""
        return self._waiting.pid if self._waiting else 0

    def renew(self) -> None:
        """Start the spare process, if one is wanted and none waits. Never fails."""
        if self.spare and self._waiting is None:
            try:
                self._waiting = self._start()
            except ClipError as failure:
                _log.warning("No decoder process waits: %s", failure.message)

    def begin(self, path: Path, sampling: Sampling, limits: Limits) -> None:
        """Have the spare process open a clip that is scanned next. Never fails: `open` will.

        Time passes until this program has imported what it needs to scan it.
        """
        process, self._waiting = self._waiting, None
        if process is None:
            return
        try:
            opening = Opening(ClipFile(path), sampling, limits)
        except ClipError:
            self._waiting = process
            return
        self._begun = _Begun(path, opening, process)
        try:
            opening.ask(process)
        except ClipError:
            self._forget_begun()

    def open_file(self, path: Path, beneath: Path | None = None) -> ClipFile:
        """The file of the clip that was begun, if it is this one, else opened now.

        Raises ClipError.
        """
        begun = self._begun
        if begun is not None and begun.path == path and beneath is None:
            return begun.opening.file
        self._forget_begun()
        return ClipFile(path, beneath)

    def open(self, opening: Opening, waiting: Callable[[], None] = lambda: None) -> DecoderProcess:
        """A process that was asked to open this clip, perhaps by `begin`. The caller ends it.

        `waiting` is called now and then until it has started. Raises ClipError if none starts.
        """
        begun, self._begun = self._begun, None
        grace = opening.limits.grace
        if begun is not None:
            if begun.opening == opening and self._is_ready(begun.process, waiting, grace):
                return begun.process
            begun.process.end()
        process = self.take(waiting, grace)
        opening.ask(process)
        return process

    def _forget_begun(self) -> None:
        if self._begun is not None:
            self._begun.process.end()
            with self._begun.opening.file:
                self._begun = None

    def take(
        self, waiting: Callable[[], None] = lambda: None, grace: float = 1.0
    ) -> DecoderProcess:
        """A process that waits for its clip: the spare one, or a new one. The caller ends it.

        `waiting` is called now and then until it has started; `grace` is in seconds, from one step
        of ending it to the next. Raises ClipError if none starts.
        """
        process, self._waiting = self._waiting, None
        for _ in range(3):  # a spare one that has died; the unit; a child
            process = process or self._start()
            if self._is_ready(process, waiting, grace):
                return process
            process.end()
            if not process.is_child:
                self._no_unit_until = time.monotonic() + _RETRY_SECONDS
            process = None
        raise ClipError(Fault.NOT_STARTED)

    def _is_ready(self, process: DecoderProcess, waiting: Callable[[], None], grace: float) -> bool:
        """Wait until it has started; it is ended if `waiting` raises."""
        try:
            ready = process.is_ready(waiting)
        except BaseException:
            process.end()
            raise
        if ready:
            self._tell_whose(process)
            process.grace = grace
        return ready

    def _start(self) -> DecoderProcess:
        return DecoderProcess(self._command, child=time.monotonic() < self._no_unit_until)

    def _tell_whose(self, process: DecoderProcess) -> None:
        """Log, once, if a child decodes on a box that has a unit for it."""
        if process.is_child and expects_unit() and not self._told:
            self._told = True
            _log.error(
                "Clips are decoded by the program's own user: truelight-decoder.socket does not "
                "start a process. See `truelight doctor`."
            )
