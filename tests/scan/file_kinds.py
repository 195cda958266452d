"""Makes videos of many kinds, whole and odd, for the tests of what is read."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from clips import card, cards, write_clip, write_image

Maker = Callable[[Path], Path]


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def clip(name: str, codec: str = "libx264", **options: Any) -> Maker:
    return lambda folder: write_clip(folder / name, 50, codec=codec, **options)


def twice(name: str, codec: str = "libx264", **options: Any) -> Maker:
    """Frames 0 to 24 and 25 to 49 in files of their own, joined; the second is coded otherwise."""

    def make(folder: Path) -> Path:
        first, second = (card(number=n) for n in range(25)), (card(number=n) for n in range(25, 50))
        again = options if codec == "gif" else {"options": {"g": "5"}, **options}
        a = write_clip(folder / f"a{name}", first, codec=codec, **options)
        b = write_clip(folder / f"b{name}", second, codec=codec, **again)
        return joined(folder / name, a, b)

    return make


def changed(make: Maker, change: Callable[[bytearray], None]) -> Maker:
    def changed_file(folder: Path) -> Path:
        path = make(folder)
        data = bytearray(path.read_bytes())
        change(data)
        path.write_bytes(data)
        return path

    return changed_file


def short_mp4(data: bytearray) -> None:
    """mdhd, mvhd and tkhd say a twentieth of the length."""
    for box, place in ((b"mdhd", 20), (b"mvhd", 20), (b"tkhd", 24)):
        start = data.index(box) + place
        struct.pack_into(">I", data, start, int.from_bytes(data[start : start + 4], "big") // 20)


def short_matroska(data: bytearray) -> None:
    place = data.index(b"\x44\x89\x88") + 3
    struct.pack_into(">d", data, place, 100.0)


def long_matroska(data: bytearray) -> None:
    place = data.index(b"\x44\x89\x88") + 3
    struct.pack_into(">d", data, place, 100_000.0)


def short_flv(data: bytearray) -> None:
    place = data.index(b"duration") + 9
    struct.pack_into(">d", data, place, 0.1)


def short_avi(data: bytearray) -> None:
    place = data.index(b"strh") + 8 + 32
    struct.pack_into("<I", data, place, 3)
    struct.pack_into("<I", data, data.index(b"avih") + 8 + 16, 3)


def stamped_zero(folder: Path) -> Path:
    source, path = write_clip(folder / "a.mkv", 50), folder / "zero.mkv"
    with av.open(str(source)) as given, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream, packet.pts, packet.dts = stream, 0, 0
                packet.is_keyframe = True
                output.mux(packet)
    return path


def wrapped(folder: Path) -> Path:
    """The clock of a transport stream restarts at 2 ** 33 in the middle of the clip."""
    start = 2**33 / 90000 - 1.0
    times = [start + n / 25 for n in range(50)]
    return write_clip(folder / "wrapped.ts", 50, times=times, muxing={"muxdelay": "0"})


def motion_jpeg(folder: Path) -> Path:
    path = folder / "v.mjpeg"
    pictures = (write_image(folder / "p.jpg", pixels).read_bytes() for pixels in cards(50))
    path.write_bytes(b"".join(pictures))
    return path


def web_camera(folder: Path) -> Path:
    """Motion JPEG as it is sent, with a line of text before each picture."""
    path = folder / "v.mjpeg"
    lines = b"--boundary\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    pictures = [write_image(folder / "p.jpg", pixels).read_bytes() for pixels in cards(50)]
    path.write_bytes(b"".join(lines % len(data) + data + b"\r\n" for data in pictures))
    return path


def dahua(folder: Path) -> Path:
    """A recorder's file: H.264 in blocks between "DHAV" and "dhav", with the time of each."""
    path, blocks = folder / "v.dav", []
    stream = write_clip(folder / "a.h264", 50)
    size = b"\x82\0\0\0" + struct.pack("<HH", 320, 240) + b"\x81\0\x02\x19"
    with av.open(str(stream)) as given:
        for number, packet in enumerate(p for p in given.demux(video=0) if p.size):
            length = 24 + len(size) + packet.size + 8
            second, milliseconds = divmod(number * 40, 1000)
            moment = 21 << 26 | 5 << 22 | 6 << 17 | 7 << 12 | 8 << 6 | second
            kind = 0xFD if packet.is_keyframe else 0xFC
            times = number, length, moment, second * 1000 + milliseconds
            head = struct.pack("<4B3IHBB", kind, 0, 0, 0, *times, len(size), 0)
            tail = b"dhav" + struct.pack("<I", length)
            blocks.append(b"DHAV" + head + size + bytes(packet) + tail)
    path.write_bytes(b"".join(blocks))
    return path


def beginning_with(box: bytes) -> Maker:
    def make(folder: Path) -> Path:
        path = write_clip(folder / "v.mp4", 50)
        path.write_bytes(path.read_bytes().replace(b"ftyp", box, 1))
        return path

    return make


def branded(brand: bytes) -> Maker:
    def change(data: bytearray) -> None:
        data[8:12] = brand

    return changed(clip("v.mp4"), change)


_CROPPED = 16


_SAMPLE_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1")


def with_box(path: Path, box: bytes) -> Path:
    """An MP4 with one more box in the description of its video."""
    data = bytearray(path.read_bytes())
    place = data.index(b"avc1", data.index(b"stsd")) - 4
    end = place + int.from_bytes(data[place : place + 4], "big")
    for name in _SAMPLE_BOXES:
        start = data.index(name, data.index(b"stsd") if name == b"avc1" else 0) - 4
        size = int.from_bytes(data[start : start + 4], "big")
        struct.pack_into(">I", data, start, size + len(box))
    data[end:end] = box
    path.write_bytes(data)
    return path


def clean_aperture(folder: Path) -> Path:
    """Cards with a blue edge that is not shown."""
    edge = ((_CROPPED,) * 2, (_CROPPED,) * 2, (0, 0))
    framed = [np.pad(pixels, edge) for pixels in cards(50)]
    for pixels in framed:
        pixels[:_CROPPED, :, 2] = pixels[:, :_CROPPED, 2] = 255
    values = 320, 1, 240, 1, 0, 1, 0, 1
    return with_box(
        write_clip(folder / "v.mp4", framed), struct.pack(">I4s8I", 40, b"clap", *values)
    )


def remuxed(make: Maker, name: str) -> Maker:
    """The same packets in another container."""

    def make_other(folder: Path) -> Path:
        path = folder / name
        with av.open(str(make(folder))) as given, av.open(str(path), "w") as output:
            stream = output.add_stream_from_template(given.streams.video[0])
            for packet in given.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)
        return path

    return make_other


def dolby_vision(folder: Path) -> Path:
    """Says that it is coded for Dolby Vision alone: profile 5, compatible with nothing."""
    configuration = bytes((1, 0, 5 << 1, 4 << 3 | 0b101, 0)) + bytes(19)
    box = struct.pack(">I4s", 32, b"dvcC") + configuration
    return with_box(write_clip(folder / "v.mp4", 25), box)


def repeated_frames(folder: Path) -> Path:
    """Behind each packet one without a byte: in Ogg, the frame before is shown once more."""
    data = write_clip(folder / "v.ogv", 50, codec="libvpx").read_bytes()
    pages: list[bytes] = []
    for page in data.split(b"OggS")[1:]:
        sizes = page[23 : 23 + page[22]]
        if pages[2:]:  # behind the headers
            sizes = b"".join(bytes([size, 0]) if size < 255 else b"\xff" for size in sizes)
        body = page[:18] + bytes(4) + bytes([len(sizes)]) + sizes + page[23 + page[22] :]
        check = 0
        for byte in b"OggS" + body:
            check ^= byte << 24
            for _ in range(8):
                check = (check << 1 ^ 0x04C11DB7 * (check >> 31)) & 0xFFFFFFFF
        pages.append(b"OggS" + body[:18] + struct.pack("<I", check) + body[22:])
    return joined_bytes(folder / "repeated.ogv", pages)


def joined_bytes(path: Path, parts: Iterable[bytes]) -> Path:
    path.write_bytes(b"".join(parts))
    return path


def hikvision(folder: Path) -> Path:
    """A recorder's file: a program stream behind a header of its own."""
    stream = write_clip(folder / "a.mpg", 50, codec="mpeg2video")
    path = folder / "v.mp4"
    path.write_bytes(b"IMKH\1\1\0\0" + bytes(32) + stream.read_bytes())
    return path


def video_cd(folder: Path) -> Path:
    """The sectors of a video CD in a RIFF file, as Windows copies them."""
    as_disc: dict[str, Any] = {"container": "vcd", "muxing": {"packetsize": "2324"}}
    stream = write_clip(folder / "a.mpg", 50, codec="mpeg1video", **as_disc).read_bytes()
    sync = b"\0" + b"\xff" * 10 + bytes(13)
    sectors = [stream[place : place + 2324] for place in range(0, len(stream), 2324)]
    body = b"".join(sync + sector.ljust(2324, b"\0") + bytes(4) for sector in sectors)
    path = folder / "avseq01.dat"
    path.write_bytes(b"RIFF\0\0\0\0CDXAfmt \x10\0\0\0" + bytes(16) + b"data\0\0\0\0" + body)
    return path


def front_lost(make: Maker) -> Maker:
    """Without its first quarter, cut anywhere."""

    def change(data: bytearray) -> None:
        del data[: len(data) // 4 + 7]

    return changed(make, change)


def piece(name: str, codec: str, start: int, **options: Any) -> Maker:
    """A second of cards, numbered from `start`."""
    frames = range(start, start + 25)
    return lambda folder: write_clip(
        folder / f"{start}{name}", (card(number=n) for n in frames), codec=codec, **options
    )


def behind(*makers: Maker) -> Maker:
    """Files joined in one."""
    return lambda folder: joined(folder / "file", *(make(folder) for make in makers))


def tracks(
    path: Path, numbers: Iterable[int], default: int = 0, codec: str = "libx264", frames: int = 50
) -> Path:
    """A file with video tracks that each show one number, the first of them larger."""
    with av.open(str(path), "w") as output:
        streams: list[Any] = []
        for place, _ in enumerate(numbers):
            stream: Any = output.add_stream("libx264" if place < 2 else codec, rate=25)
            stream.width, stream.height = (640, 480) if place == 0 else (320, 240)
            stream.pix_fmt = "yuv444p" if stream.codec_context.name == "jpeg2000" else "yuv420p"
            stream.disposition = av.stream.Disposition.default if place == default else 0
            streams.append(stream)
        for time in range(frames):
            for stream, number in zip(streams, numbers, strict=True):
                pixels = card(stream.width, stream.height, number)
                frame = av.VideoFrame.from_ndarray(pixels)
                frame.pts, frame.time_base = time, Fraction(1, 25)
                output.mux(stream.encode(frame))
        for stream in streams:
            output.mux(stream.encode())
    return path
