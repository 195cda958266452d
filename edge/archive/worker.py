"""What runs on a Dask worker: a scanner that stays loaded, and the tasks that use it.

A clip that cannot be judged gives a finding. A clip that takes its worker down, or hangs, ends the
worker's process. Dask then starts another and tries the clip again, up to
`distributed.scheduler.allowed-failures` times.
"""

from __future__ import annotations

import faulthandler
import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from distributed import Worker, WorkerPlugin, get_worker

from edge import __version__
from edge.archive.listing import ArchiveFile, unreachable
from edge.archive.rows import JudgedClip
from edge.errors import TruelightError
from edge.finding import Finding
from edge.scan.model.bundle_info import BundleInfo, read_bundle
from edge.scan.model.second_opinion import find_second
from edge.scan.scanner import Scanner, ScanResult
from edge.settings import Settings

if TYPE_CHECKING:
    from edge.scan.frames import Pixels

PLUGIN = "truelight"

_CHUNK = 1 << 20
_PORTRAIT_SIDE = 96
_JPEG_QUALITY = 75
_PORTRAIT_FROM = 0.5
"""Probability of FAKE from which a picture of a clip's most suspicious face is kept."""
_KEEP_FREE = 200_000_000
"""Bytes that a fetched clip leaves free on the disk of the spool."""


class ScannerPlugin(WorkerPlugin):  # type: ignore[misc]
    """Gives each worker a scanner when it starts."""

    name = PLUGIN

    def __init__(self, settings: Settings, clip_seconds: float) -> None:
        """Describe the scanner; only the manifests of its bundles are read.

        A clip that takes longer than `clip_seconds` ends its worker. Raises BundleError: a manifest
        is not valid.
        """
        self._settings = settings
        self._bundles, self._clip_seconds = bundles(settings), clip_seconds

    def setup(self, worker: Worker) -> None:
        """Load the bundle.

        Raises TruelightError: the bundle cannot be used, or differs from the client's.
        """
        threads = self._settings.scan.threads or worker.state.nthreads
        settings = self._settings.changed("archive", {"scan.threads": threads})
        if bundles(settings) != self._bundles:
            raise TruelightError(
                f"The worker {worker.address} has other bundles than this machine.",
                "Install the same release of Truelight, with the same bundles, for every worker.",
            )
        self._scanner = Scanner(settings)
        self._scanner.wait()
        self._spool = Path(worker.local_directory)
        self._heat = settings.scan.heat
        self._lock = threading.Lock()  # of a worker with several threads, one judges at a time

    def teardown(self, worker: Worker) -> None:
        """Unload the bundle."""
        self._scanner.__exit__()

    def judge(self, file: ArchiveFile) -> JudgedClip:
        """Judge a clip. One that cannot be fetched gives a finding as well."""
        with self._lock, _time_limit(self._clip_seconds):
            start = time.time()
            try:
                with _local_copy(file, self._spool) as path:
                    result = self._scanner.scan_with_pictures(path)
            except _FetchError as failure:
                result = ScanResult(self._scanner.unreadable(Path(file.path), failure.message))
        return JudgedClip(
            file.shown,
            file.size,
            file.modified_ns,
            start,
            _renamed(result.finding, file),
            _jpegs(result.finding, result.portraits),
            _jpegs(result.finding, result.heat),
        )


def judge(file: ArchiveFile) -> JudgedClip:
    """The task that judges a clip."""
    clip: JudgedClip = get_worker().plugins[PLUGIN].judge(file)
    return clip


def digest(file: ArchiveFile) -> str | None:
    """The task that hashes a clip: SHA-256 in hex; None if it cannot be read."""
    hashing = hashlib.sha256()
    try:
        with _opened(file) as stream:
            while chunk := stream.read(_CHUNK):
                hashing.update(chunk)
    except _FetchError:
        return None
    return hashing.hexdigest()


def bundles(settings: Settings) -> tuple[str, ...]:
    """The release, and the SHA-256 of the bundle and of the second opinion's, if it is asked."""
    info = read_bundle(settings.bundle_folder)
    second = find_second(settings, info.manifest)
    return (__version__, info.sha256, *([second.sha256] if isinstance(second, BundleInfo) else []))


class _FetchError(TruelightError):
    """A clip cannot be read from where it is stored."""


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """End this process if the block takes longer; no Python code has to run for that."""
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextmanager
def _opened(file: ArchiveFile) -> Iterator[IO[bytes]]:
    """The bytes of a clip, wherever it is stored. Raises _FetchError, also while it is read."""
    try:
        if file.is_remote:
            import fsspec

            with fsspec.open(file.path, "rb") as stream:
                yield stream
        else:
            with Path(file.path).open("rb") as stream:
                yield stream
    except _FetchError:
        raise
    except Exception as failure:  # each kind of storage has errors of its own
        raise _FetchError(str(unreachable(file.shown, failure))) from failure


@contextmanager
def _local_copy(file: ArchiveFile, spool: Path) -> Iterator[Path]:
    """A local file with a clip's content: itself, or fetched and deleted afterwards."""
    if not file.is_remote:
        yield Path(file.path)
        return
    with tempfile.TemporaryDirectory(dir=spool) as folder, _opened(file) as stream:
        path = Path(folder) / "clip"
        with path.open("wb") as copy:
            while chunk := stream.read(_CHUNK):
                if shutil.disk_usage(folder).free < len(chunk) + _KEEP_FREE:
                    raise _FetchError(
                        f"{file.shown} does not fit on the disk of {spool}.",
                        "Free space there, or set Dask's temporary-directory to a larger disk.",
                    )
                copy.write(chunk)
        yield path


def _renamed(finding: Finding, file: ArchiveFile) -> Finding:
    """The finding of a fetched clip, under the clip's own address and time."""
    if not file.is_remote:
        return finding
    return finding.replaced(path=file.shown, modified_ns=file.modified_ns)


def _jpegs(finding: Finding, pictures: Mapping[int, Pixels]) -> dict[int, bytes]:
    """The picture of the most suspicious face of a clip that may be fake, as a JPEG."""
    import cv2

    probability = finding.fake_probability
    if probability is None or probability < _PORTRAIT_FROM:
        return {}
    shown = [face for face in finding.faces if face.counted and face.id in pictures]
    worst = max(shown, key=lambda face: face.fake_probability or 0, default=None)
    if worst is None:
        return {}
    size = (_PORTRAIT_SIDE, _PORTRAIT_SIDE)
    small = cv2.resize(pictures[worst.id], size, interpolation=cv2.INTER_AREA)
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    return {worst.id: cv2.imencode(".jpg", small[..., ::-1], options)[1].tobytes()}
