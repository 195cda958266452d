"""The simulated camera: it plays a clip, an image or a folder of images, in a loop.

It behaves like the real one: frames have the size that is set for recordings, what is played is
centred on black and never enlarged, and it keeps time.

The file is the operator's own, named in the settings, so it is opened with OpenCV here and not in
the decoder process, which neither seeks nor keeps time.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.atomic_write import publish, unfinished_file
from edge.box.sources.camera import CameraError, view_size
from edge.language import N_
from edge.settings_schema import CameraSettings

Pixels = NDArray[np.uint8]

_IMAGES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
_MOST_RATE = 60.0


class _FrameSource(Protocol):
    """What is played: frames by number, BGR [h, w, 3]."""

    rate: float
    """Frames a second."""

    def frame(self, number: int) -> Pixels:
        """Frame `number`, from 0, in a loop. Raises CameraError."""


class FileCamera:
    """A `Camera` that plays a file. `clock` gives seconds, `sleep` waits for some."""

    def __init__(
        self,
        settings: CameraSettings,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._file = Path(settings.file).expanduser() if settings.file else None
        self._size = settings.width & ~1, settings.height & ~1
        self._rate = float(settings.frame_rate)
        self._clock = clock
        self._sleep = sleep
        self._source: _FrameSource | None = None
        self._began = 0.0

    def open(self) -> None:
        """Begin to play. Raises CameraError when the file is not there or cannot be played."""
        if self._source is None:
            self._source = self._load()
            self._began = self._clock()

    def frame(self) -> Pixels:
        """What is played now: RGB [h, w, 3]. Raises CameraError."""
        source = self._opened()
        number = int((self._clock() - self._began) * source.rate)
        seen = cv2.resize(self._shown(number), view_size(*self._size), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(seen, cv2.COLOR_BGR2RGB), np.uint8)

    def record(
        self,
        seconds: float,
        path: Path,
        progress: Callable[[float], None],
        stopped: threading.Event,
    ) -> None:
        """Record it from its beginning, in MPEG-4, at its own rate. Raises CameraError, OSError."""
        source = self._opened()
        frames = max(1, round(seconds * source.rate))
        with unfinished_file(path) as half:
            writer = cv2.VideoWriter(
                str(half), cv2.VideoWriter.fourcc(*"mp4v"), source.rate, self._size
            )
            if not writer.isOpened():
                raise CameraError(N_("Recording failed."), N_("This OpenCV cannot write video."))
            try:
                self._began = self._clock()
                for number in range(frames):
                    self._wait_until(number / source.rate)
                    if stopped.is_set():
                        return
                    writer.write(self._shown(number))
                    progress((number + 1) / frames)
            finally:
                writer.release()
            publish(half, path)

    def close(self) -> None:
        """Stop playing."""
        self._source = None

    def _opened(self) -> _FrameSource:
        self.open()
        assert self._source is not None
        return self._source

    def _load(self) -> _FrameSource:
        if self._file is None:
            raise CameraError(N_("No file to play."), N_("Set camera.file."))
        if self._file.is_dir():
            inside = sorted(path for path in self._file.iterdir() if _is_image(path))
            if not inside:
                raise CameraError(
                    N_("No image to play."), N_("{file} holds none.").format(file=self._file.name)
                )
            return _Images(inside, self._rate)
        if not self._file.is_file():
            raise CameraError(
                N_("No file to play."), N_("{file} is gone.").format(file=self._file.name)
            )
        if _is_image(self._file):
            return _Images([self._file], self._rate)
        return _Video(self._file)

    def _wait_until(self, second: float) -> None:
        left = self._began + second - self._clock()
        if left > 0:
            self._sleep(left)

    def _shown(self, number: int) -> Pixels:
        """Frame `number` as the camera sees it: BGR, of the size of a recording."""
        assert self._source is not None
        pixels, (width, height) = self._source.frame(number), self._size
        scale = min(1.0, width / pixels.shape[1], height / pixels.shape[0])
        wide = min(width, max(1, round(pixels.shape[1] * scale)))
        high = min(height, max(1, round(pixels.shape[0] * scale)))
        shown = cv2.resize(pixels, (wide, high), interpolation=cv2.INTER_AREA)
        top, left = (height - high) // 2, (width - wide) // 2
        bottom, right = height - high - top, width - wide - left
        framed = cv2.copyMakeBorder(shown, top, bottom, left, right, cv2.BORDER_CONSTANT)
        return np.asarray(framed, np.uint8)


class _Images:
    """An image, or several one after the other."""

    def __init__(self, paths: Sequence[Path], rate: float) -> None:
        self.rate = rate
        self._paths = paths
        self._last: tuple[Path, Pixels] | None = None

    def frame(self, number: int) -> Pixels:
        """Frame `number`, BGR."""
        path = self._paths[number % len(self._paths)]
        if self._last is None or self._last[0] != path:
            pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if pixels is None:
                raise _unplayable(path)
            self._last = path, np.asarray(pixels, np.uint8)
        return self._last[1]


class _Video:
    """A clip; it is read forwards only, and from its beginning when it is over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._length: int | None = None
        self._pixels: Pixels
        self._rewind()
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate = min(rate, _MOST_RATE) if math.isfinite(rate) and rate > 0 else 25.0

    def frame(self, number: int) -> Pixels:
        """Frame `number`, BGR."""
        wanted = number if self._length is None else number % self._length
        if wanted < self._next - 1:
            self._rewind()
        if wanted == self._next - 1:
            return self._pixels
        while self._next <= wanted:
            if not self._capture.grab():
                return self._over(number)
            self._next += 1
        done, pixels = self._capture.retrieve()
        if not done:
            raise _unplayable(self._path)
        self._pixels = np.asarray(pixels, np.uint8)
        return self._pixels

    def _over(self, number: int) -> Pixels:
        if self._next == 0:
            raise _unplayable(self._path)
        self._length = self._next
        return self.frame(number)

    def _rewind(self) -> None:
        self._capture = cv2.VideoCapture(str(self._path))
        self._next = 0
        """Number of the frame that is read next; `_pixels` are those of the one before."""
        if not self._capture.isOpened():
            raise _unplayable(self._path)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _IMAGES and not path.name.startswith(".") and path.is_file()


def _unplayable(path: Path) -> CameraError:
    return CameraError(N_("File cannot be played."), path.name)
