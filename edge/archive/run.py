"""Judges the clips of an archive on a Dask cluster. Dask schedules, retries and restarts workers.

This module keeps as many clips at work as there are workers, judges equal content once, and writes
each finding down when it arrives.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from distributed import Client, Future, KilledWorker, as_completed

from edge.archive.listing import ArchiveFile
from edge.archive.rows import JudgedClip
from edge.archive.worker import PLUGIN, ScannerPlugin, digest, judge
from edge.errors import TruelightError
from edge.finding import Finding, Reason, ReasonCode, Verdict
from edge.scan.model.bundle_info import read_bundle
from edge.settings import Settings
from edge.text import count

if TYPE_CHECKING:
    from edge.archive.store import ArchiveStore

_LEAST_AHEAD = 32
"""Clips handed to a cluster that is not ours, which may start workers when there is work."""

_COUNT_EVERY = 5.0
_LOST = (
    "The scheduler of the cluster was lost.",
    "Nothing that was judged is lost. Run the same command again.",
)


@dataclass
class ArchiveProgress:
    """How far a run is."""

    total: int
    judged: int = 0
    copies: int = 0
    failed: int = 0
    """Clips that could not be read, copies included."""

    @property
    def done(self) -> int:
        """Clips with a row."""
        return self.judged + self.copies


@dataclass
class ArchiveRun:
    """One run over the clips that have no row yet."""

    client: Client
    store: ArchiveStore
    settings: Settings
    own_cluster: bool
    clip_seconds: float = 600.0
    seconds: float | None = None
    """After that no further clip is begun; None: no limit."""
    listener: Callable[[ArchiveProgress], None] = lambda progress: None
    stopped: Callable[[], bool] = lambda: False
    """Asked after each batch: true ends the run as Ctrl-C does."""
    _tasks: dict[Future, _Task] = field(default_factory=dict)
    _waiting: dict[str, list[ArchiveFile]] = field(default_factory=dict)
    """Copies, by the hash of content that is being judged."""
    _threads: int = 0
    _counted: float = -math.inf
    """When the cluster's threads were counted: its workers may come and go."""

    def run(self, files: list[ArchiveFile]) -> ArchiveProgress:
        """Judge the files in their order; a run that ends early keeps what it has.

        Raises TruelightError: the cluster is lost, its workers cannot judge, or the disk is full;
        KeyboardInterrupt: the run was stopped.
        """
        try:
            return self._run(files)
        except OSError as failure:  # of a connection: the store has errors of its own
            raise TruelightError(*_LOST) from failure

    def _run(self, files: list[ArchiveFile]) -> ArchiveProgress:
        self._progress = ArchiveProgress(len(files))
        done = self.store.done()
        self._known = set(done["sha256"].to_pylist()) - {None}
        sizes = Counter(file.size for file in files)
        self._shared = {size for size, times in sizes.items() if times > 1}
        self._shared |= set(done["size"].to_pylist())
        self._completed = as_completed()
        self._register()
        until = None if self.seconds is None else time.monotonic() + self.seconds
        left = iter(files)
        while True:
            while len(self._tasks) < self._most_at_work() and (
                until is None or time.monotonic() < until
            ):
                if (file := next(left, None)) is None:
                    break
                self._begin(file)
            if not self._tasks:
                break
            self._take(self._completed.next_batch())
            if self.stopped():
                raise KeyboardInterrupt
        self.store.flush()
        return self._progress

    def _register(self) -> None:
        """Load the scanner on every worker, also on those that start later."""
        try:
            self.client.register_plugin(ScannerPlugin(self.settings, self.clip_seconds), PLUGIN)
        except TruelightError:
            raise
        except Exception as failure:
            raise TruelightError(
                f"The workers cannot load Truelight: {failure!r}.",
                "Install the same release of Truelight in the environment of every worker.",
            ) from failure

    def _most_at_work(self) -> int:
        """One clip per thread of our cluster.

        A clip that waits on a worker would be suspected when another takes that worker down.
        """
        if (now := time.monotonic()) > self._counted + _COUNT_EVERY:
            self._threads, self._counted = sum(self.client.nthreads().values()), now
        threads = self._threads
        return max(1, threads) if self.own_cluster else max(_LEAST_AHEAD, 2 * threads)

    def _begin(self, file: ArchiveFile) -> None:
        """Only files of one size can be copies of each other: only these are hashed first."""
        if file.size in self._shared:
            self._submit(_Task(file, hashing=True))
        else:
            self._submit(_Task(file))

    def _submit(self, task: _Task) -> None:
        work = digest if task.hashing else judge
        future = self.client.submit(work, task.file, pure=False)
        self._tasks[future] = task
        self._completed.add(future)

    def _take(self, futures: Iterable[Future]) -> None:
        """Take finished tasks: findings are written, hashes followed by the judging."""
        new: list[JudgedClip] = []
        for future in futures:
            task = self._tasks.pop(future)
            if task.hashing and future.status == "finished":
                new += self._follow_hash(task.file, future.result())
            else:
                clip = self._result(future, task)
                new += [clip, *self._copies(clip, task)]
        self.store.add(new)
        for clip in new:
            self._progress.judged += clip.copy_of is None
            self._progress.copies += clip.copy_of is not None
            self._progress.failed += clip.finding.verdict is Verdict.UNREADABLE
        self.listener(self._progress)

    def _follow_hash(self, file: ArchiveFile, sha256: str | None) -> list[JudgedClip]:
        """Judge content that is new; a copy of known content takes its finding."""
        if sha256 is None:  # it cannot be read: its finding will say why
            self._submit(_Task(file))
        elif sha256 in self._known and (original := self.store.find(sha256)):
            return [_copy(original, file)]
        elif sha256 in self._waiting:
            self._waiting[sha256].append(file)
        else:
            self._waiting[sha256] = []
            self._submit(_Task(file, sha256=sha256))
        return []

    def _copies(self, clip: JudgedClip, task: _Task) -> list[JudgedClip]:
        """The findings of copies that waited for this clip."""
        waiting = self._waiting.pop(task.sha256, []) if task.sha256 else []
        if clip.finding.sha256 == task.sha256:
            self._known.add(task.sha256)
            return [_copy(clip, file) for file in waiting]
        for file in waiting:  # it was changed, or not read: the next one is judged in its place
            self._submit(_Task(file))
        return []

    def _result(self, future: Future, task: _Task) -> JudgedClip:
        """What a worker returned; a clip on which workers end gets a finding that says so.

        Raises TruelightError: no clip can be judged.
        """
        if future.status == "finished":
            clip: JudgedClip = future.result()
            return clip
        if future.status == "cancelled":
            raise TruelightError(*_LOST)
        failure = future.exception()
        if isinstance(failure, KilledWorker):
            text = (
                "The worker ended each time it judged this clip: "
                f"it crashed, ran out of memory, or took longer than {self.clip_seconds:.0f} s."
            )
        elif isinstance(failure, TruelightError):
            raise failure
        else:
            text = f"The program failed on this clip: {failure!r}."
        info = read_bundle(self.settings.bundle_folder)
        finding = Finding(
            path=task.file.shown,
            sha256=None,
            size=None if task.file.size < 0 else task.file.size,
            modified_ns=task.file.modified_ns,
            verdict=Verdict.UNREADABLE,
            fake_probability=None,
            reasons=(Reason(code=ReasonCode.UNREADABLE, text=text),),
            model=info.model,
            thresholds=info.manifest.thresholds,
        )
        file = task.file
        return JudgedClip(file.shown, file.size, file.modified_ns, time.time(), finding)


@dataclass(frozen=True)
class _Task:
    """What a future is for."""

    file: ArchiveFile
    hashing: bool = False
    sha256: str | None = None
    """Of the file that is being judged, if it was hashed before."""


def _copy(original: JudgedClip, file: ArchiveFile) -> JudgedClip:
    """The original's finding for another file of the same content."""
    finding = original.finding.replaced(path=file.shown, modified_ns=file.modified_ns)
    return JudgedClip(
        file.shown,
        file.size,
        file.modified_ns,
        original.judged,
        finding,
        copy_of=original.path,
    )


def summary(progress: ArchiveProgress) -> str:
    """What a run did, in a sentence."""
    parts = [f"{count(progress.judged, 'clip')} judged"]
    copies = "1 copy" if progress.copies == 1 else f"{progress.copies} copies"
    parts += [f"{copies} of judged clips"] * bool(progress.copies)
    parts += [f"{progress.failed} could not be read"] * bool(progress.failed)
    left = progress.total - progress.done
    parts += [f"{left} left: run the same command again"] * bool(left)
    return ", ".join(parts) + "."
