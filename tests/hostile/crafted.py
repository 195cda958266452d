"""Files made from nothing to cost as much as possible, or to be taken for something else."""

import random
import struct
import zlib


def png(
    width: int,
    height: int,
    *,
    rows: int | None = None,
    depth: int = 8,
    rgb: bool = False,
    more: bytes = b"",
) -> bytes:
    """A black picture; `rows` of it are in the file."""

    def chunk(name: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + checksum

    line = bytes(1 + (width * depth * (3 if rgb else 1) + 7) // 8)
    packer, body = zlib.compressobj(9), b""
    for _ in range(height if rows is None else rows):
        body += packer.compress(line)
    head = struct.pack(">IIBBBBB", width, height, depth, 2 if rgb else 0, 0, 0, 0)
    end = chunk(b"IDAT", body + packer.flush()) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + end


def gif(width: int, height: int, frames: int, delay: int = 0) -> bytes:
    """Frames of one pixel on a large canvas."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    control = b"\x21\xf9\x04\x00" + struct.pack("<H", delay) + b"\x00\x00"
    pixel = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + (control + pixel) * frames + b";"


def box(name: bytes, body: bytes = b"") -> bytes:
    """A box of an MP4."""
    return struct.pack(">I", 8 + len(body)) + name + body


FTYP = box(b"ftyp", b"isom\0\0\2\0isom")


def element(number: int, body: bytes) -> bytes:
    """An element of a Matroska file."""
    name = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return name + (len(body) | 1 << 56).to_bytes(8, "big") + body


def nested_mp4(depth: int, name: bytes) -> bytes:
    """Boxes within boxes."""
    body = b""
    for _ in range(depth):
        body = box(name, body)
    return FTYP + body


def nested_mkv(depth: int) -> bytes:
    """Chapters within chapters."""
    body = b""
    for _ in range(depth):
        body = element(0xB6, body)
    head = element(0x1A45DFA3, element(0x4282, b"matroska"))
    return head + element(0x18538067, element(0x1043A770, body))


def many_tracks(count: int) -> bytes:
    """An MP4 whose tracks claim 65535 x 65535 pixels and 4 billion samples."""
    mdhd = box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 1000, 1000, 0, 0))
    hdlr = box(b"hdlr", struct.pack(">II4s", 0, 0, b"vide") + bytes(13))
    size = struct.pack(">HH", 65535, 65535)
    avc1 = box(b"avc1", bytes(6) + struct.pack(">H", 1) + bytes(16) + size + bytes(50))
    tables = box(b"stsd", struct.pack(">II", 0, 1) + avc1)
    tables += box(b"stts", struct.pack(">IIII", 0, 1, 0xFFFFFFFF, 1))
    tables += box(b"stsz", struct.pack(">III", 0, 1, 0x0FFFFFFF))
    tables += box(b"stsc", struct.pack(">IIIII", 0, 1, 1, 1, 1))
    tables += box(b"stco", struct.pack(">III", 0, 1, 0))
    media = box(b"minf", box(b"vmhd", bytes(12)) + box(b"stbl", tables))
    track = box(b"trak", box(b"tkhd", bytes(84)) + box(b"mdia", mdhd + hdlr + media))
    return FTYP + box(b"moov", box(b"mvhd", bytes(100)) + track * count)


def moving_webp(frames: int, width: int, height: int) -> bytes:
    """Empty frames on a large canvas."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + size
    body += b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    body += (b"ANMF" + struct.pack("<I", 16) + bytes(16)) * frames
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def bmp(width: int, height: int, depth: int, compression: int = 0, body: bytes = b"") -> bytes:
    """A bitmap that claims this size."""
    head = struct.pack(
        "<IIIIiiHHIIiiII", 0, 0, 54, 40, width, height, 1, depth, compression, *(0,) * 5
    )
    return b"BM" + head + body


def tiff(*tags: tuple[int, int, int]) -> bytes:
    """A TIFF of these tags: number, count, value."""
    entries = b"".join(struct.pack("<HHII", tag, 4, count, value) for tag, count, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 8)


def crafted(jpg: bytes, mp4: bytes, seed: int) -> dict[str, bytes]:
    """All of them, by file name."""
    noise = random.Random(seed).randbytes(1 << 16)
    text = b"zTXt" + bytes(200)
    texts = (struct.pack(">I", 200) + text + struct.pack(">I", zlib.crc32(text))) * 20_000
    return {
        "60000.png": png(60000, 60000, rows=9, depth=1),
        "6324.png": png(6324, 6324, rgb=True),
        "short.png": png(6000, 6000, rows=3, rgb=True),
        "tall.png": png(1, 65535),
        "wide.png": png(65535, 1),
        "taller.png": png(1, 9_000_000, depth=1),
        "oblong.png": png(32, 32000),
        "one.png": png(1, 1),
        "zero.png": png(0, 0),
        "texts.png": png(8, 8, more=texts),
        "100k.gif": gif(1, 1, 100_000),
        "canvas.gif": gif(65535, 65535, 10_000),
        "2k-6000.gif": gif(6000, 6000, 2000),
        "2k-4000.gif": gif(4000, 4000, 2000, 10),
        "scans.jpg": jpg[:-2] + jpg[jpg.find(b"\xff\xda") : -2] * 200 + b"\xff\xd9",
        "200k.webp": moving_webp(200_000, 64, 64),
        "canvas.webp": moving_webp(100, 1 << 24, 1 << 24),
        "deep-trak.mp4": nested_mp4(5000, b"trak"),
        "deep-moov.mp4": nested_mp4(20_000, b"moov"),
        "tracks.mp4": many_tracks(2000),
        "deep.mkv": nested_mkv(3000),
        "concat.mp4": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "list.mov": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "page.mp4": b"<html><script>alert(1)</script></html>" + bytes(64) + mp4,
        "archive.jpg": b"PK\3\4" + jpg,
        "polyglot.jpg": jpg + mp4,
        "polyglot.mp4": mp4 + jpg,
        "session.avi": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
        "outside.mov": mp4.replace(b"url \0\0\0\1", b"url \0\0\0\0"),
        "zeros.mp4": bytes(1 << 16),
        "ones.avi": b"\xff" * (1 << 16),
        "noise.mkv": noise,
        "loop.avi": b"RIFF\xff\xff\xff\xffAVI LIST\0\0\0\0hdrl" + b"LIST\0\0\0\0" * 50_000,
        "sync.ts": (b"G" + bytes(187)) * 5000,
        "tags.flv": b"FLV\1\5\0\0\0\x09\0\0\0\0" + (b"\x09" + bytes(13) + b"\x0b") * 50_000,
        "packs.mpg": b"\0\0\1\xba" * 100_000,
        "ones.wmv": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c"
        + b"\xff" * 4096,
        "huge.bmp": bmp(60000, -60000, 24),
        "smallest.bmp": bmp(-(2**31), -(2**31), 32, 0, bytes(4096)),
        "jumps.bmp": bmp(30000, 1300, 8, 1, bytes(1024) + b"\0\2\xff\xff" * 4000),
        "loop.tiff": tiff((0x014A, 1, 8)),
        "strips.tiff": tiff(
            (0x100, 1, 6300), (0x101, 1, 6300), (0x117, 1, 2**32 - 1), (0x111, 1, 8)
        ),
        "rows.tiff": tiff((0x100, 1, 100), (0x101, 1, 60000), (0x116, 1, 1), (0x111, 60000, 8)),
        "empty.mp4": b"",
        "byte.mp4": b"\0",
        "head.mp4": FTYP,
        "sound.mp4": b"ID3\4\0\0\0\0\0\0" + bytes(1000),
    }
