"""Still pictures and moving WebP, read with Pillow.

Runs in the decoder process only. GIF and APNG are FFmpeg's: it reads their times without decoding.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any

from PIL import Image, ImageFile

from edge.scan.media import structure
from edge.scan.media.clip_file import HEAD_BYTES, DescriptorFile, PixelLimits, too_large
from edge.scan.media.colour import ColourSpace
from edge.scan.media.formats import ClipFormat, moving_form, number_of
from edge.scan.media.protocol import CODECS, ClipError, ClipKind, Fault, PartKind
from edge.scan.media.sampling import ClipReader, Part
from edge.scan.media.still_colours import on_screen, stored_space

# Pillow imports plugins when it opens a file; by then the sandbox may forbid that.
for _plugin in ("Avif", "Bmp", "Jpeg", "Mpo", "Png", "Tiff", "WebP"):
    import_module(f"PIL.{_plugin}ImagePlugin")
Image.preinit()
warnings.simplefilter("ignore", Image.DecompressionBombWarning)

_MOST_CHUNKS = 400_000
_ORIENTATION = 0x0112
_PILLOW_FORMATS = {
    **{"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "bmp": "BMP", "tiff": "TIFF"},
    **{"heic": "HEIF", "avif": "AVIF"},
}
_MOST_PAGES = 1000
_SUBFILE_TYPE, _REDUCED_OR_MASK = 254, 0b101
# Tags of raw files: pages within pages, and the version of DNG.
_OF_RAW = frozenset((330, 50706))
_MULTI_PICTURE_ENTRIES = 0xB002
# What lies in a second picture that only adds brightness to the first.
_GAIN_MAP = re.compile(rb"hdrgm|HDRGainMap|GainMap|iso:ts:21496")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageReader(ClipReader[Image.Image]):
    """One still picture or moving WebP.

    `alive` is called with the number of decoded frames while work goes on. With `number`, it is
    the picture at that place in the file, from 1, else the one that is shown first. Raises
    ClipError when it cannot be read.
    """

    def __init__(
        self,
        file: DescriptorFile,
        form: ClipFormat,
        limits: PixelLimits,
        alive: Callable[[int], None],
        number: int = 0,
    ) -> None:
        super().__init__(form)
        self.kind = ClipKind.IMAGE
        self.codec = CODECS.index("mjpeg" if form.container == "jpg" else form.container)
        self._alive = alive
        self._most_pixels = limits.handed_out
        self._number = number
        self._file: Any = file.part()
        self._space: ColourSpace | None = None
        self._durations = [0.0]
        self._end = 0.0
        # Pillow warns at this number of pixels and refuses at twice as many.
        Image.MAX_IMAGE_PIXELS = limits.of(form) // 2
        self._most_allowed = limits.of(form)
        if form.kind is ClipKind.VIDEO:
            self._prepare_moving()
        elif form.container == "png":
            self._space = stored_space(self._file.read(HEAD_BYTES))
        elif form.container in {"avif", "heic"}:
            data = self._file.read()
            self._space = stored_space(data)
            # The libraries know fewer brands than there are.
            self._file = io.BytesIO(data[:8] + form.container.encode() + data[12:])
        self._first = self._read() or self._read_damaged()
        self.width, self.height = self._first.size
        self.frame_pixels = self._image.width * self._image.height
        if _is_preview(self._image):
            raise ClipError(Fault.UNSUPPORTED, number_of("camera raw picture"))
        if not number:
            self._name_others(file)
        if len(self._durations) > 1:
            self.kind = ClipKind.VIDEO
            self.seconds = sum(self._durations)
            self.frame_rate = len(self._durations) / self.seconds if self.seconds else 0.0
        else:
            self._image.close()

    @staticmethod
    def read_heif() -> None:
        """Read HEIF pictures, too: to import what that needs takes as long as all of Pillow."""
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False)

    def _name_others(self, file: DescriptorFile) -> None:
        """Note what else the file holds. Damage there says nothing of the picture itself."""
        if len(self._durations) == 1:
            kind = PartKind.PAGE if self.form.container == "tiff" else PartKind.PICTURE
            with suppress(Exception):
                others = _other_pictures(self._image, file)
                self.others += [Part(kind, number, number) for number in others]
        container = self.form.container
        if container in {"avif", "heic"} and structure.read_mov(file.part()).films:
            self.others.append(Part(PartKind.VIDEO, 1, form=moving_form(container)))
        place = structure.video_behind(file)
        if place is not None:
            self.others.append(Part(PartKind.VIDEO, 1, file=file.part(place)))

    def frames(self) -> Iterator[tuple[float, Image.Image]]:
        """See `ClipReader`. Each frame of a moving WebP is laid over the one before: no jumps."""
        frame: Image.Image | None = self._first
        for index, duration in enumerate(self._durations):
            if index:
                frame = self._load(self._image, index)
            if frame is None:
                self.damaged = True
                return
            time, self._end = self._end, self._end + duration
            self.frames_read += 1
            yield time, frame
            self._alive(self.frames_read)

    def paint(self, frame: Image.Image, target: memoryview) -> None:
        """See `ClipReader`."""
        target[:] = frame.tobytes()

    def shown_until(self) -> float:
        """See `ClipReader`."""
        return self._end

    def _prepare_moving(self) -> None:
        """Find the durations, which Pillow knows only after decoding; mend a file cut short."""
        data = self._file.read()
        self._durations, whole = _webp_frames(data)
        if whole < len(data):
            self.damaged = True
            data = data[:4] + struct.pack("<I", whole - 8) + data[8:whole]
        self._file = io.BytesIO(data)

    def _read(self) -> Image.Image | None:
        """Open the file and decode its first frame; None if it is damaged."""
        self._file.seek(0)
        try:
            self._image = Image.open(self._file, formats=[_PILLOW_FORMATS[self.form.container]])
        except Image.DecompressionBombError as error:
            pixels = re.search(r"\d+", str(error))
            raise too_large(int(pixels[0]) if pixels else 0, self._most_allowed) from None
        except MemoryError:
            raise
        except Exception:  # damaged files make Pillow raise errors of many kinds
            return None
        return self._load(self._image, self._number - 1 if self._number else None)

    def _read_damaged(self) -> Image.Image:
        """As much of the first frame as the file holds."""
        self.damaged = True
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            image = self._read()
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        if image is None:
            if self.form.container == "jpg" and structure.is_lossless_jpeg(self._file):
                raise ClipError(Fault.UNSUPPORTED, number_of("lossless JPEG picture"))
            heif = self.form.container in {"avif", "heic"}
            raise ClipError(Fault.STILL_FORMAT if heif else Fault.BROKEN)
        return image

    def _load(self, image: Image.Image, index: int | None) -> Image.Image | None:
        """A decoded copy of a frame, None for the one shown first; None if it is damaged."""
        try:
            if index is not None:
                image.seek(index)
            if image.width * image.height > self._most_allowed:
                raise too_large(image.width * image.height, self._most_allowed)
            return _upright(image, self._most_pixels, self._space)
        except (ClipError, MemoryError):
            raise
        except Exception:
            return None


def _other_pictures(image: Any, file: DescriptorFile) -> list[int]:  # noqa: ANN401 (untyped parts)
    """Places, from 1, of the pictures beside the first: no thumbnails, masks or gain maps."""
    entries = getattr(image, "mpinfo", {}).get(_MULTI_PICTURE_ENTRIES, ())
    if entries:
        return [
            number
            for number, entry in enumerate(entries, start=1)
            if number > 1 and _is_picture(entry, image, file)
        ]
    first = image.tell() + 1
    pages = range(1, min(getattr(image, "n_frames", 1), _MOST_PAGES) + 1)
    others = [page for page in pages if page != first]
    if image.format != "TIFF":
        return others
    return [page for page in others if not _subfile_type(image, page) & _REDUCED_OR_MASK]


def _subfile_type(image: Any, page: int) -> int:  # noqa: ANN401
    image.seek(page - 1)
    return int(image.tag_v2.get(_SUBFILE_TYPE, 0))


def _is_preview(image: Any) -> bool:  # noqa: ANN401
    """Whether the first page of a TIFF is the small copy in a camera's raw file."""
    tags = image.tag_v2 if image.format == "TIFF" else {}
    return bool(tags.get(_SUBFILE_TYPE, 0) & 1) and bool(_OF_RAW & set(tags))


def _is_picture(entry: dict[str, Any], image: Image.Image, file: DescriptorFile) -> bool:
    """Whether an entry of a multi-picture JPEG is more than a preview or a gain map."""
    kind = str(entry["Attribute"]["MPType"])
    if "Thumbnail" in kind:
        return False
    file.seek(entry["DataOffset"] + image.info.get("mpoffset", 0))
    return kind.startswith("Multi") or not _GAIN_MAP.search(file.read(HEAD_BYTES))


def _upright(image: Image.Image, most_pixels: int, space: ColourSpace | None = None) -> Image.Image:
    """A decoded copy: RGB on grey, upright, with at most `most_pixels` pixels."""
    # A JPEG is decoded at a half, a quarter or an eighth if that suffices.
    image.draft(None, _fitted(image, most_pixels))
    image.load()
    size = _fitted(image, most_pixels)
    orientation = 1
    with suppress(Exception):
        orientation = image.getexif().get(_ORIENTATION, 1)
    picture = on_screen(image, space)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    elif picture is image:
        picture = image.copy()
    return picture.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else picture


def _fitted(image: Image.Image, most_pixels: int) -> tuple[int, int]:
    shrink = min(1.0, (most_pixels / (image.width * image.height)) ** 0.5)
    return max(1, round(image.width * shrink)), max(1, round(image.height * shrink))


def _webp_frames(data: bytes) -> tuple[list[float], int]:
    """The frames' durations in seconds, and the size of the file up to its last whole chunk."""
    durations = []
    place = 12
    for _ in range(_MOST_CHUNKS):
        if place + 8 > len(data):
            break
        name, length = struct.unpack_from("<4sI", data, place)
        following = place + 8 + length + length % 2
        if following > len(data):
            break
        if name == b"ANMF" and length >= 16:
            durations.append(int.from_bytes(data[place + 20 : place + 23], "little") / 1000)
        place = following
    return durations, place
