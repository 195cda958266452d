"""The graphs of a bundle that is not Truelight's: in a process of their own, confined like a clip.

Everything that reads a stranger's model happens there: parsing the graphs and the golden vector,
and all inference. Crops go in, and arrays of checked shape come back. If the process crashes or
hangs, that costs one clip: the next call starts another.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from typing import Final

import numpy as np

from edge.language import N_
from edge.scan.frames import Crops, Floats
from edge.scan.model.bundle_info import BATCH, REMEDY, TOWER_BATCH, BundleError, BundleInfo
from edge.scan.model.manifest import FEATURES, GOLDEN, SEQUENCE, TOWER, File
from edge.scan.model.messages import MOST_TEXT, Answer, Ask, shape_of
from edge.scan.model.process import ModelProcess, ProcessEndedError, log_confinement, start
from edge.text import one_line

LOAD_SECONDS: Final = 45.0
RUN_SECONDS: Final = 20.0
"""For a batch. The daemon lets 60 s pass without a sign of life, also while it loads the model; a
scan may wait for two batches."""
_CALL_SECONDS = 55.0
"""The same with the start of another process."""
_DIMENSIONS = {Ask.FEATURES: 2, Ask.MAP: 4, Ask.SEQUENCE: 1, Ask.GENERATED: 1}
MOST_FEATURES: Final = 16_384
"""Of a crop; Truelight's own have 2,048. The program keeps them until their windows are scored."""
MOST_NUMBERS: Final = 1 << 20
"""Of a window, which the program puts together: 4 MB for each face."""
CONFINED_FILES: Final[tuple[File, ...]] = (FEATURES, SEQUENCE, GOLDEN, TOWER)
"""In the order in which the process gets them."""


class ModelProcessError(Exception):
    """The process of the model ended, or was ended, while it ran the graphs."""


class ConfinedGraphs:
    """The two graphs of a bundle in a process of their own, verified there. Any thread."""

    def __init__(
        self, info: BundleInfo, threads: int = 0, command: Sequence[str] | None = None
    ) -> None:
        """`command` replaces the process in tests. Raises BundleError as `load_bundle`."""
        self._info = info
        self._threads = threads or len(os.sched_getaffinity(0))
        self._command = command
        self._batch = TOWER_BATCH if TOWER in info.manifest.files else BATCH
        self._width = 0  # of the features, as first answered
        self._lock = threading.Lock()
        self.process: ModelProcess | None = None
        """The process that has the bundle; None after one was ended, until the next call."""
        self.asks_generated = False
        """Whether the sequence graph says if a face was generated whole."""
        self._start()

    def features(self, crops: Crops, output: str = "features") -> Floats:
        """As `Sessions.features`."""
        ask = Ask.MAP if output == "map" else Ask.FEATURES
        starts = range(0, max(len(crops), 1), self._batch)
        parts = [crops[at : at + self._batch] for at in starts]
        return np.concatenate([self._run(ask, np.asarray(part, np.uint8)) for part in parts])

    def sequence(self, features: Floats) -> Floats:
        """As `Sessions.sequence`."""
        return self._run(Ask.SEQUENCE, np.asarray(features, np.float32))

    def generated(self, features: Floats) -> Floats:
        """As `Sessions.generated`."""
        return self._run(Ask.GENERATED, np.asarray(features, np.float32))

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.end()
            self.process = None

    def _start(self) -> None:
        """Start the process and have it load the bundle. Raises BundleError."""
        names = [name for name in CONFINED_FILES if name in self._info.manifest.files]
        deadline = time.monotonic() + LOAD_SECONDS
        with contextlib.ExitStack() as opened:
            files = [opened.enter_context(self._info.open_verified(name)) for name in names]
            numbers = [file.fileno() for file in files]
            sizes = [os.fstat(number).st_size for number in numbers]
            sizes += [-1] * (len(CONFINED_FILES) - len(sizes))
            try:
                process = self.process = start(self._command, deadline)
                path = os.fsencode(self._info.path)
                found = process.load(self._threads, sizes, path, numbers, deadline)
                log_confinement(found)
                kind, generated, *_ = self._receive(process, deadline)
                if kind != Answer.LOADED:
                    raise ValueError(f"answer {kind}")
            except BundleError:
                self.close()
                raise
            except (OSError, ProcessEndedError, ValueError) as failure:
                text = N_("The model {file} cannot be loaded: {sentence}.")
                how = self._how_it_failed(failure)
                text = text.format(file=self._info.path, sentence=how)
                raise BundleError(text, REMEDY) from None
        self.asks_generated = generated == 1

    def _run(self, ask: Ask, given: Crops | Floats) -> Floats:
        with self._lock:
            latest = time.monotonic() + _CALL_SECONDS
            if self.process is None:
                self._start()
            assert self.process is not None
            deadline = min(time.monotonic() + RUN_SECONDS, latest)
            try:
                sent = np.ascontiguousarray(given).data.cast("B")
                self.process.send(ask, given.ndim, *given.shape, content=sent, deadline=deadline)
                message = self._receive(self.process, deadline)
                shape = shape_of(message)
                if message[0] != Answer.ARRAY or not self._fits(shape, ask, len(given)):
                    raise ValueError(f"answer {message[:6]}")
                content = self.process.receive_bytes(4 * int(np.prod(shape)), deadline)
                answer = np.frombuffer(content, np.float32).reshape(shape)
                if not np.isfinite(answer).all():
                    raise ValueError("an answer that is not finite")
            except BundleError as refusal:
                self.close()
                text = N_("The model {file} failed: {why}").format(
                    file=self._info.path, why=refusal.message
                )
                raise ModelProcessError(text) from None
            except (OSError, ProcessEndedError, ValueError) as failure:
                text = N_("The model {file} failed: {sentence}.")
                how = self._how_it_failed(failure)
                raise ModelProcessError(text.format(file=self._info.path, sentence=how)) from None
        return answer

    def _fits(self, shape: tuple[int, ...], ask: Ask, number: int) -> bool:
        """Whether an answer to so many crops or windows may have this shape."""
        if len(shape) != _DIMENSIONS[ask] or shape[0] != number:
            return False
        if ask is Ask.FEATURES:
            self._width = self._width or shape[1]
            most = min(MOST_FEATURES, MOST_NUMBERS // self._info.manifest.window.frames)
            return shape[1] == self._width and 0 < self._width <= most
        return True

    def _receive(self, process: ModelProcess, deadline: float) -> tuple[int, ...]:
        """The next message. Raises BundleError if it brings a refusal; else as `process`."""
        message = process.receive(deadline)
        if message[0] != Answer.REFUSED:
            return message
        if not 0 <= message[1] <= MOST_TEXT:
            raise ValueError(f"a text of {message[1]} bytes")
        text = process.receive_bytes(message[1], deadline).decode(errors="backslashreplace")
        raise BundleError(one_line(text), REMEDY)

    def _how_it_failed(self, failure: Exception) -> str:
        """In words; the process is ended, and another one starts with the next call."""
        self.close()
        if isinstance(failure, TimeoutError):
            return N_("it does not answer in time")
        if isinstance(failure, ValueError):
            return N_("it returned invalid data")
        return str(failure)
