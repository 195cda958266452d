"""What to append to an initramfs, for another build of its kernel: initramfs.py INITRAMFS MODULES.

MODULES is the folder of the other kernel's modules. It gets those that INITRAMFS has, and their
lists: both kernels are of one version. The archive goes to standard output.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

FOLDER, FILE = 0o40755, 0o100644
MAGIC, HEAD = b"070701", 110


def entries(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The names and contents of the archives in an initramfs (cpio, "newc"), packed or not."""
    at = 0
    while at < len(data):
        if data[at : at + 2] == b"\x1f\x8b":
            unpacker = zlib.decompressobj(31)
            yield from entries(unpacker.decompress(data[at:]))
            at = len(data) - len(unpacker.unused_data)
        elif data[at : at + 6] == MAGIC:
            fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
            size, name_size = fields[6], fields[11]
            content = at + HEAD + name_size + 3 & ~3
            yield data[at + HEAD : at + HEAD + name_size - 1].decode(), data[content:][:size]
            at = content + size + 3 & ~3
        else:
            at += 4  # zeros between archives


def entry(name: str, mode: int, content: bytes = b"") -> bytes:
    """An entry of an archive."""
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = MAGIC + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return b"".join(part + bytes(-len(part) % 4) for part in (head, content))


def main() -> None:
    modules = Path(sys.argv[2])
    ours = f"usr/lib/modules/{modules.name}"
    made: set[str] = set()
    initramfs = Path(sys.argv[1]).read_bytes()
    sys.stdout.buffer.write(
        bytes(-len(initramfs) % 4)
    )  # where the kernel looks for another archive
    for name, content in entries(initramfs):
        parts = name.split("/")
        if parts[:3] != ["usr", "lib", "modules"] or len(parts) < 5 or not content:
            continue
        path = "/".join(parts[4:])
        for end in range(4, len(parts)):
            folder = "/".join((ours, *parts[4:end]))
            if folder not in made:
                made.add(folder)
                sys.stdout.buffer.write(entry(folder, FOLDER))
        theirs = (modules / path).read_bytes() if parts[4] == "kernel" else content
        sys.stdout.buffer.write(entry(f"{ours}/{path}", FILE, theirs))
    sys.stdout.buffer.write(entry("TRAILER!!!", FILE))


main()
