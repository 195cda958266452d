"""Starts decoder processes, and keeps one waiting where the next clip must open at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Self

from edge.scan.media.process import DecoderProcess, expects_unit
from edge.scan.media.protocol import ClipError, Fault

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 60.0
"""After the unit has failed to start a process; until then children decode."""


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
        self._no_unit_until = 0.0
        self._told = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.spare = False
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
            try:
                if process.is_ready(waiting):
                    self._tell_whose(process)
                    process.grace = grace
                    return process
            except BaseException:
                process.end()
                raise
            process.end()
            if not process.is_child:
                self._no_unit_until = time.monotonic() + _RETRY_SECONDS
            process = None
        raise ClipError(Fault.NOT_STARTED)

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
