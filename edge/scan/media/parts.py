"""The parts of a file, opened one after the other: the first is what players show.

Others are further video tracks, pages, pictures, a video behind a picture, files joined behind.
Runs in the decoder process only.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.scan.media import structure
from edge.scan.media.clip_file import DescriptorFile, PixelLimits
from edge.scan.media.formats import ClipFormat, recognise
from edge.scan.media.protocol import LEFT_OUT, ClipError, Fault, PartKind, Remark
from edge.scan.media.sampling import ClipReader, Part

if TYPE_CHECKING:
    from edge.scan.media.images import ImageReader
    from edge.scan.media.joined import JoinedReader
    from edge.scan.media.video import VideoReader

MOST_PARTS = 100
"""Parts of a file that are opened; each may show as many faces as a clip."""


class Parts:
    """Opens the parts of a file, and counts what is left out.

    `alive` is called with the number of frames decoded of a part while work goes on.
    """

    def __init__(
        self, file: DescriptorFile, limits: PixelLimits, alive: Callable[[int], None]
    ) -> None:
        self.current = Part(PartKind.FIRST, 1, file=file)
        self.damaged = False
        """Whether a part that was handed out is damaged."""
        self._limits = limits
        self._alive = alive
        self._waiting = deque([self.current])
        self._opened = 0
        self._left_out: Counter[Remark] = Counter()

    @property
    def follows(self) -> bool:
        """Whether there may be another part."""
        return bool(self._waiting) and self._opened < MOST_PARTS

    def open_next(self) -> ClipReader[Any] | None:
        """The next part that can be read. Raises ClipError if that is not even the first."""
        while self.follows:
            self.current = part = self._waiting.popleft()
            self._opened += 1
            try:
                return open_part(part, self._limits, self._alive)
            except (ClipError, MemoryError, OSError) as refused:
                if part.kind is PartKind.FIRST:
                    raise
                if isinstance(refused, ClipError) and refused.fault is Fault.TOO_MUCH_WORK:
                    self._waiting.appendleft(part)
                    raise
                self._left_out[LEFT_OUT[part.kind]] += 1
        return None

    def finish(self, reader: ClipReader[Any], frames: int) -> dict[Remark, int]:
        """Note what must be known of a part, given the number of frames that were handed out."""
        self.damaged |= reader.damaged
        self._left_out.update(
            {remark: reader.remarks.get(remark, 0) for remark in LEFT_OUT.values()}
        )
        if not frames and self.current.kind is not PartKind.FIRST:
            self._left_out[LEFT_OUT[self.current.kind]] += 1
        if self.current.form is None:  # else it was named by a part of the same file
            self._waiting.extend(self._behind_current(part) for part in reader.others)
        return {**reader.remarks, **self.left_out}

    def _behind_current(self, part: Part) -> Part:
        """A part that the current one names, with its file and its number."""
        files = self.current.number if self.current.kind is PartKind.JOINED else 1
        number = files + 1 if part.kind is PartKind.JOINED else part.number
        return part._replace(file=part.file or self.current.file, number=number)

    @property
    def left_out(self) -> dict[Remark, int]:
        """The parts that were not looked at so far."""
        waiting = Counter(LEFT_OUT[part.kind] for part in self._waiting)
        return dict(self._left_out + waiting)


def import_readers(file: DescriptorFile) -> None:
    """Import what the file needs, while other files may still be opened. Raises ClipError."""
    form = recognise(file)
    heif = form.container in {"avif", "heic"}
    if not form.demuxer or heif:
        _image_reader(form)
    film = heif and structure.read_mov(file).films
    if form.demuxer or film or structure.video_behind(file) is not None:
        _video_readers()


def import_all(stop: Callable[[], bool]) -> None:
    """Import what any file may need, piece by piece, until `stop`."""
    for load in (_video_readers, _picture_reader, _heif_reader):
        if stop():
            return
        load()


def open_part(part: Part, limits: PixelLimits, alive: Callable[[int], None]) -> ClipReader[Any]:
    """Open a part, which has a file. Raises ClipError if it cannot be read."""
    assert part.file is not None
    form = part.form or recognise(part.file)
    if not form.demuxer:
        return _image_reader(form)(part.file, form, limits, alive, part.position)
    video, joined = _video_readers()
    pieces = structure.parts(part.file)
    if len(pieces) == 1:
        return video(part.file, form, limits, alive, track=part.position)
    return joined(pieces, form, limits, alive, part.position)


def _image_reader(form: ClipFormat) -> type[ImageReader]:
    return _heif_reader() if form.container == "heic" else _picture_reader()


def _picture_reader() -> type[ImageReader]:
    from edge.scan.media.images import ImageReader

    return ImageReader


def _heif_reader() -> type[ImageReader]:
    reader = _picture_reader()
    reader.read_heif()
    return reader


def _video_readers() -> tuple[type[VideoReader], type[JoinedReader]]:
    from edge.scan.media.joined import JoinedReader
    from edge.scan.media.video import VideoReader

    return VideoReader, JoinedReader
