"""The cage: a stranger's file is opened and decoded in a child process, never here.

The child gets the clip's read-only descriptor, a piece of shared memory that it cannot resize, and
two pipes of fixed-size integer messages. What comes from it is named `untrusted_*` until its range
is checked. A child that crashes, hangs or lies costs that clip only: `ClipError`.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import mmap
import os
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from edge.errors import TruelightError
from edge.finding import Clip, ReasonCode
from edge.scan.border import (
    CODECS,
    CONTAINERS,
    FAULTS,
    MICROSECONDS,
    Fault,
    Kind,
    Order,
    RefusedError,
    Report,
    pack,
    read_exactly,
)
from edge.scan.sampling import Sampling

_log = logging.getLogger(__name__)

_START = (
    "import sys; sys.path[:] = {path!r}; from edge.scan.worker import main; "
    "main(*map(int, sys.argv[1:]))"
)
_MOST_SECONDS = 30 * 24 * 3600
_MOST_FRAMES = 10**9
_LOG_BYTES = 16384
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class ClipError(TruelightError):
    """This clip cannot be read; other clips are not touched by it.

    `code` is the finding's reason; `fault` says which of the border's faults it was.
    """

    code = ReasonCode.UNREADABLE

    def __init__(self, fault: Fault) -> None:
        words = FAULTS[fault]
        super().__init__(words.sentence, words.remedy)
        self.fault = fault

    @property
    def name(self) -> str:
        """A short stable name of the fault, for logs and tests."""
        return FAULTS[self.fault].name


@dataclass(frozen=True)
class Limits:
    """What one clip may cost. Times are in seconds, sizes in pixels or bytes."""

    silence: float = 30.0  # without any sign of life from the child
    patience: float = 300.0  # of waiting for the child in all, plus the following per clip second
    patience_per_second: float = 10.0
    cpu: int = 120  # of computing by the child, plus the following per clip second
    cpu_per_second: float = 8.0
    frame_pixels: int = 4096 * 2304  # larger frames are handed out scaled down to this
    video_pixels: int = 8192 * 8192
    picture_pixels: int = 120_000_000
    memory: int = 4 * 1024**3  # address space, of which the child really uses a small part
    slots: int = 3
    grace: float = 1.0  # from one step of ending the child to the next


@dataclass(frozen=True)
class Frame:
    """One decoded picture. `pixels` is valid until the next frame is asked for."""

    index: int
    """Running number of the frames handed out, from 0."""
    window: int
    """The window it belongs to, from 0, ascending."""
    time: float
    """Seconds from the clip's first picture."""
    pixels: npt.NDArray[np.uint8]
    """uint8 `[height, width, 3]`, RGB, upright, square pixels, read-only."""


class OpenClip:
    """A clip behind the cage; a context manager, used by one thread.

    The child starts at once and works while the program does other things. `clip` and `frames`
    wait for it and raise ClipError when the clip turns out to be unreadable.
    """

    def __init__(
        self, path: Path, sampling: Sampling, limits: Limits, command: Sequence[str] | None
    ) -> None:
        self.frames_read = 0
        """Frames decoded so far."""
        self.damaged = False
        """Whether parts could not be read or decoded so far."""
        self.seconds: dict[str, float] = {}
        """Seconds by the child's own clock: `open`, and at the end `decode`."""
        self._sampling = sampling
        self._limits = limits
        self._clip: Clip | None = None
        self._waited = 0.0
        self._signs = 0
        self._began = time.monotonic()
        self._child = _Child(path, limits, command)
        self._patience = limits.patience
        with self._faults():
            self._child.send(
                Order.OPEN,
                sampling.window_frames,
                round(sampling.window_rate * MICROSECONDS),
                sampling.max_windows,
                sampling.first or 0,
                *(limits.frame_pixels, limits.video_pixels, limits.picture_pixels),
                *(limits.cpu, limits.memory),
            )

    @property
    def clip(self) -> Clip:
        """What the container says, checked; sizes are those of the frames handed out."""
        if self._clip is None:
            with self._faults():
                self._clip = self._opened()
        return self._clip

    @property
    def expected_frames(self) -> int:
        """How many frames will be handed out, at most: what progress is measured against."""
        return self._sampling.most_frames(self.clip.seconds)

    def frames(self) -> Iterator[Frame]:
        """The wanted frames in order of time. Raises ClipError when the child fails."""
        clip = self.clip
        with self._faults():
            pixels = self._child.share(self._limits.slots, clip.height, clip.width)
            cpu = self._limits.cpu + self._limits.cpu_per_second * clip.seconds
            self._child.send(Order.START, len(pixels), int(cpu))
        self._patience += self._limits.patience_per_second * clip.seconds
        most, index, last, lent = self.expected_frames, 0, (0, 0.0), -1
        by_window: Counter[int] = Counter()
        while True:
            with self._faults():
                if lent >= 0:
                    self._child.send(Order.RELEASE, lent)
                message = self._next_report()
                if message[0] == Report.DONE:
                    self._done(message)
                    break
                slot, window, moment = self._frame(message, len(pixels), last)
                by_window[window] += 1
                if index >= most or by_window[window] > self._sampling.window_frames:
                    raise RefusedError(Fault.LIED)
            yield Frame(index, window, moment, pixels[slot])
            index, last, lent = index + 1, (window, moment), slot
        if index == 0:
            raise ClipError(Fault.NOTHING_DECODED)

    def close(self) -> None:
        """End the child, whatever it does; nothing of it stays. May be called again."""
        self._child.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # The child's messages: untrusted until checked ------------------------------------------------

    def _opened(self) -> Clip:
        message = self._next_report()
        if message[0] != Report.OPENED:
            raise RefusedError(Fault.LIED)
        untrusted_kind, untrusted_container, untrusted_codec = message[1:4]
        untrusted_width, untrusted_height = message[4:6]
        untrusted_duration, untrusted_rate, untrusted_open = message[6:9]
        kind = Kind(_checked(untrusted_kind, 0, len(Kind) - 1))
        width = _checked(untrusted_width, 1, self._limits.frame_pixels)
        height = _checked(untrusted_height, 1, self._limits.frame_pixels // width + width)
        _checked(width * height, 1, self._limits.frame_pixels + width + height)
        self.seconds["open"] = _seconds(untrusted_open)
        return Clip(
            kind="image" if kind is Kind.IMAGE else "video",
            container=CONTAINERS[_checked(untrusted_container, 0, len(CONTAINERS) - 1)],
            codec=CODECS[_checked(untrusted_codec, 0, len(CODECS) - 1)],
            width=width,
            height=height,
            seconds=_seconds(untrusted_duration),
            frame_rate=_checked(untrusted_rate, 0, 10**9) / 1000,
        )

    def _frame(
        self, message: tuple[int, ...], slots: int, last: tuple[int, float]
    ) -> tuple[int, int, float]:
        if message[0] != Report.FRAME:
            raise RefusedError(Fault.LIED)
        untrusted_slot, untrusted_window, untrusted_time, untrusted_read, untrusted_damaged, *_ = (
            message[1:]
        )
        slot = _checked(untrusted_slot, 0, slots - 1)
        window = _checked(untrusted_window, last[0], max(last[0], self.expected_frames))
        moment = _seconds(untrusted_time)
        if moment < last[1]:
            raise RefusedError(Fault.LIED)
        self._progress(untrusted_read, untrusted_damaged)
        return slot, window, moment

    def _done(self, message: tuple[int, ...]) -> None:
        untrusted_read, untrusted_damaged, untrusted_decode, *_ = message[1:]
        self._progress(untrusted_read, untrusted_damaged)
        self.seconds["decode"] = _seconds(untrusted_decode)

    def _progress(self, untrusted_read: int, untrusted_damaged: int) -> None:
        self.frames_read = _checked(untrusted_read, self.frames_read, _MOST_FRAMES)
        self.damaged = bool(_checked(untrusted_damaged, int(self.damaged), 1))

    def _next_report(self) -> tuple[int, ...]:
        """The next message that is more than a sign of life."""
        while True:
            began = time.monotonic()
            left = self._patience - self._waited
            message = self._child.receive(began + min(self._limits.silence, left))
            self._waited += time.monotonic() - began
            if self._waited >= self._patience:
                raise RefusedError(Fault.TOO_MUCH_WORK)
            if message[0] == Report.FAILED:
                raise RefusedError(Fault(_checked(message[1], min(Fault), max(Fault))))
            if message[0] != Report.ALIVE:
                return message
            self._signs += 1
            if self._signs > 50 + 10 * (time.monotonic() - self._began):
                raise RefusedError(Fault.LIED)
            self._progress(message[1], int(self.damaged))

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Whatever goes wrong with the child becomes a ClipError, and the child ends."""
        try:
            yield
        except RefusedError as refusal:
            self.close()
            raise ClipError(refusal.fault) from None


class _Child:
    """The process, its pipes and its shared memory. Raises RefusedError."""

    def __init__(self, path: Path, limits: Limits, command: Sequence[str] | None) -> None:
        self._grace = limits.grace
        with contextlib.ExitStack() as passed:
            clip = _open_regular(path)
            passed.callback(os.close, clip)
            self._memory = os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            orders, self._orders = os.pipe()
            self._reports, reports = os.pipe()
            passed.callback(os.close, orders)
            passed.callback(os.close, reports)
            os.set_blocking(self._orders, False)
            descriptors = (orders, reports, clip, self._memory)
            self._log = _bounded_log()
            self._process = _spawn(command or _command(), descriptors, self._log)

    def send(self, kind: Order, *fields: int) -> None:
        try:
            os.write(self._orders, pack(kind, *fields))
        except BrokenPipeError:
            return  # it has ended; what it said last is still to be read
        except BlockingIOError:
            raise RefusedError(Fault.LIED) from None

    def receive(self, deadline: float) -> tuple[int, ...]:
        try:
            message = read_exactly(self._reports, deadline)
        except TimeoutError:
            raise RefusedError(Fault.HUNG) from None
        except EOFError:
            raise RefusedError(Fault.LIED) from None
        if message is None:
            raise RefusedError(self._how_it_ended())
        return message

    def share(self, slots: int, height: int, width: int) -> npt.NDArray[np.uint8]:
        """The shared memory as uint8 `[slots, height, width, 3]`, read-only on this side.

        Sealed: were the child able to shrink it, reading would kill this process.
        """
        size = slots * height * width * 3
        os.ftruncate(self._memory, size)
        fcntl.fcntl(self._memory, fcntl.F_ADD_SEALS, _SEALS)
        shared = mmap.mmap(self._memory, size, prot=mmap.PROT_READ)
        return np.frombuffer(shared, np.uint8).reshape(slots, height, width, 3)

    def end(self) -> None:
        """Close the pipes, which ends a sane child; kill what stays; leave no zombie."""
        if self._orders < 0:
            return
        os.close(self._orders)
        os.close(self._reports)
        self._orders = self._reports = -1
        if self._ended(0.0) or self._ended(self._grace / 4):
            self._kill()  # whatever it may have started
        else:
            self._kill()
            if not self._ended(self._grace * 5):
                _log.error("decoder %d cannot be killed; going on without it", self._process.pid)
        os.close(self._memory)
        _show_log(self._log, self._process.pid)
        os.close(self._log)

    def _ended(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _how_it_ended(self) -> Fault:
        if not self._ended(self._grace):
            return Fault.HUNG
        status = self._process.returncode
        _log.debug("decoder %d ended with status %d", self._process.pid, status)
        return Fault.TOO_MUCH_WORK if status == -signal.SIGXCPU else Fault.CRASHED


def open_clip(
    path: Path,
    sampling: Sampling,
    limits: Limits | None = None,
    *,
    command: Sequence[str] | None = None,
) -> OpenClip:
    """Start a child on this file and return at once; use the result as a context manager.

    Raises ClipError here when there is no such file, or none that may be read; all that only the
    child can tell is raised by `OpenClip.clip` and `OpenClip.frames`. `command` stands in for the
    child: it is started with four descriptors as arguments (orders, reports, clip, memory).
    """
    try:
        return OpenClip(path, sampling, limits or Limits(), command)
    except RefusedError as refusal:
        raise ClipError(refusal.fault) from None


def _open_regular(path: Path) -> int:
    """A read-only descriptor of a regular file; never waits for a pipe or wakes a device."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise RefusedError(Fault.MISSING) from None
    except PermissionError:
        raise RefusedError(Fault.FORBIDDEN) from None
    except OSError as error:
        not_a_file = stat.S_ISSOCK(_mode(path))
        raise RefusedError(Fault.NOT_A_FILE if not_a_file else Fault.INPUT) from error
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size > 0:
        return descriptor
    os.close(descriptor)
    raise RefusedError(Fault.EMPTY if stat.S_ISREG(status.st_mode) else Fault.NOT_A_FILE)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _command() -> list[str]:
    """A fresh interpreter that imports from where this one does, and reads no settings."""
    here = str(Path(__file__).resolve().parents[2])
    path = [here, *(entry for entry in sys.path if entry and entry != here)]
    return [sys.executable, "-I", "-S", "-c", _START.format(path=path)]


def _spawn(
    command: Sequence[str], descriptors: tuple[int, ...], log: int
) -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    try:
        return subprocess.Popen(
            [*command, *map(str, descriptors)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            pass_fds=descriptors,
            start_new_session=True,
            cwd="/",
            env={"LC_ALL": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", **kept},
        )
    except OSError as error:
        raise RefusedError(Fault.NO_CHILD) from error


def _bounded_log() -> int:
    """A place for what the child complains about; what does not fit is lost."""
    log = os.memfd_create("log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(log, _LOG_BYTES)
    fcntl.fcntl(log, fcntl.F_ADD_SEALS, _SEALS)
    return log


def _show_log(log: int, pid: int) -> None:
    written = os.pread(log, _LOG_BYTES, 0).rstrip(b"\0")
    if written:
        _log.debug("decoder %d: %r", pid, written.decode("ascii", "replace"))


def _checked(untrusted: int, low: int, high: int) -> int:
    if not low <= untrusted <= high:
        raise RefusedError(Fault.LIED)
    return untrusted


def _seconds(untrusted_microseconds: int) -> float:
    return _checked(untrusted_microseconds, 0, _MOST_SECONDS * MICROSECONDS) / MICROSECONDS
