"""The SHA-256 of a file, beside everything else."""

from __future__ import annotations

import hashlib
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Self

_PIECE = 1 << 20


class FileHash:
    """Hashes a regular file in a thread. A context manager: leaving it gives up the rest."""

    def __init__(self, path: Path) -> None:
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sha256")
        self._answer = self._pool.submit(self._hash, path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._pool.shutdown()

    def result(self, waiting: Callable[[], None]) -> str | None:
        """The hash in hex; None if there is no such file, or it is no regular one.

        A large file takes long: `waiting` is called twice a second until then.
        """
        while not wait((self._answer,), timeout=0.5).done:
            waiting()
        return self._answer.result()

    def _hash(self, path: Path) -> str | None:
        try:
            # Opening a FIFO would wait for its writer.
            if not stat.S_ISREG(path.stat().st_mode):
                return None
            state = hashlib.sha256()
            with path.open("rb", buffering=0) as file:
                while not self._stop.is_set() and (piece := file.read(_PIECE)):
                    state.update(piece)
        except OSError:
            return None
        return state.hexdigest()
