"""Several videos joined in one file, as one clip: each behind the one before.

Runs in the decoder process only.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from edge.scan.media.clip_file import DescriptorFile, PixelLimits
from edge.scan.media.convert import DecodedFrame
from edge.scan.media.formats import ClipFormat
from edge.scan.media.protocol import ClipError, ClipKind, Remark
from edge.scan.media.sampling import ClipReader
from edge.scan.media.video import VideoReader

_MOST_PARTS = 64


class JoinedReader(ClipReader[tuple[VideoReader, DecodedFrame]]):
    """The videos that are read of `parts`; their frames get the first one's size.

    `alive` is called with the number of decoded frames while work goes on. Raises ClipError if
    none of them can be opened.
    """

    def __init__(
        self,
        parts: Sequence[DescriptorFile],
        form: ClipFormat,
        limits: PixelLimits,
        alive: Callable[[int], None],
        track: int = 0,
    ) -> None:
        super().__init__(form)
        self._limits = limits
        self._track = track
        self._read_before = 0
        self._alive = lambda frames_read: alive(self._read_before + frames_read)
        self._files: list[DescriptorFile] = []
        self._times: Sequence[float] = ()
        lengths: list[float] = []
        failure: ClipError | None = None
        first: VideoReader | None = None
        for file in parts[:_MOST_PARTS]:
            try:
                reader = VideoReader(file, form, limits, alive, track=track)
            except ClipError as refused:
                failure = refused
                continue
            first = first or reader
            self._files.append(file)
            lengths.append(reader.seconds)
            for remark, count in reader.remarks.items():
                self.remarks[remark] = max(count, self.remarks.get(remark, 0))
            self.others += [part for part in reader.others if part not in self.others]
        if first is None:
            raise failure or AssertionError("no parts")
        if not track:  # else the other tracks' reader has counted them
            self.remarks[Remark.OTHER_PARTS] = len(parts) - len(self._files)
        self._reader, self._place = first, 0
        self._starts = list(accumulate(lengths, initial=0.0))
        self.kind, self.codec, self.large = ClipKind.VIDEO, first.codec, first.large
        self.frame_pixels = first.frame_pixels
        self.seconds, self.frame_rate = self._starts[-1], first.frame_rate
        self.width, self.height = first.width, first.height

    def frames(self) -> Iterator[tuple[float, tuple[VideoReader, DecodedFrame]]]:
        """See `ClipReader`."""
        while True:
            start, reader = self._starts[self._place], self._reader
            for time, frame in reader.frames():
                self.frames_read = self._read_before + reader.frames_read
                self.damaged |= reader.damaged
                yield start + time, (reader, frame)
                del frame
            self.damaged |= reader.damaged
            if self._place + 1 == len(self._files):
                return
            self._open(self._place + 1)

    def paint(self, frame: tuple[VideoReader, DecodedFrame], target: memoryview) -> None:
        """See `ClipReader`."""
        reader, decoded = frame
        reader.paint(decoded, target)

    def shown_until(self) -> float:
        """See `ClipReader`."""
        return self._starts[self._place] + self._reader.shown_until()

    def jump(self, target: float) -> bool:
        """See `ClipReader`."""
        behind = min(bisect_right(self._starts, target), len(self._files)) - 1
        place = max(self._place, behind)
        moved = place > self._place
        if moved:
            self._open(place)
        return self._reader.jump(target - self._starts[place]) or moved

    def decode_only(self, times: Sequence[float]) -> None:
        """See `ClipReader`."""
        self._times = times
        start = self._starts[self._place]
        self._reader.decode_only([time - start for time in times])

    def _open(self, place: int) -> None:
        self._read_before += self._reader.frames_read
        size = self.width, self.height
        file, limits = self._files[place], self._limits
        self._reader = VideoReader(file, self.form, limits, self._alive, size, self._track)
        self._place = place
        self.decode_only(self._times)
