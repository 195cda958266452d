"""The process of a confined model: reads a bundle that is not Truelight's, and runs its graphs.

Started by `process` or `edge.scan.supervisor` as a fresh interpreter. It gets descriptors of the
bundle's files, enters the sandbox of the decoder process, and only then parses what they hold.
"""

from __future__ import annotations

import gc
import io
import os
import socket
from pathlib import Path
from typing import Final, NoReturn

import numpy as np

from edge.scan import sandbox
from edge.scan.child_messages import MESSAGE, Notice, pack, to_bits
from edge.scan.child_process import end_with
from edge.scan.model.bundle import Sessions, check_golden
from edge.scan.model.bundle_info import BundleError
from edge.scan.model.messages import MOST_TEXT, Answer, Ask, shape_of

MOST_FILES: Final = 4
_STDERR = 2
_MEMORY, _MEMORY_OF_A_THREAD = 4 << 30, 72 << 20
"""Bytes of address space; a thread reserves some for its stack and its heap."""
_CPU_SECONDS = 1 << 30  # it lives as long as the program


def main(descriptor: int) -> NoReturn:
    """Load the bundle that the first message brings, then answer until the connection ends."""
    _import_the_rest()
    _write(descriptor, pack(Notice.READY, os.getuid(), os.getpid()))
    with socket.socket(fileno=descriptor) as connection:
        try:
            head, files, *_ = socket.recv_fds(connection, MESSAGE.size, MOST_FILES)
        except ConnectionResetError:
            os._exit(0)
        connection.detach()
    if len(head) != MESSAGE.size:
        os._exit(0)
    gc.freeze()
    gc.enable()  # off since its start: what is imported stays
    # What ONNX Runtime says of a stranger's file is not for this program's terminal.
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STDERR)
    message = MESSAGE.unpack(head)
    memory = _MEMORY + message[1] * _MEMORY_OF_A_THREAD
    held = sandbox.enter(_CPU_SECONDS, memory, (descriptor, _STDERR))
    end_with(descriptor)  # no thread before: some layers confine only the one that enters
    _write(descriptor, pack(Notice.CONFINED, to_bits(held)))
    if not files:  # only the sandbox was to be tried
        os._exit(0)
    try:
        graphs = _load(message, files, descriptor)
        _write(descriptor, pack(Answer.LOADED, graphs.asks_generated))
        while True:
            _answer(descriptor, graphs)
    except BundleError as failure:
        _refuse(descriptor, failure.message)
    except Exception as failure:  # ONNX Runtime's errors have no other common base
        _refuse(descriptor, " ".join(str(failure).split()) or type(failure).__name__)
    os._exit(0)


def _import_the_rest() -> None:
    """Have NumPy import what it does only when it reads an archive: afterwards it could not."""
    archive = io.BytesIO()
    np.savez_compressed(archive, nothing=np.zeros(1))
    archive.seek(0)
    with np.load(archive) as read:
        read["nothing"]


def _load(message: tuple[int, ...], files: list[int], descriptor: int) -> Sessions:
    _, threads, features, sequence, golden, tower, path_bytes, *_ = message
    path = Path(os.fsdecode(_read(descriptor, path_bytes)))
    sizes = [size for size in (features, sequence, golden, tower) if size >= 0]
    contents = [_read(file, size) for file, size in zip(files, sizes, strict=True)]
    weights = contents[3] if tower >= 0 else None
    graphs = Sessions(contents[0], contents[1], threads, weights)
    check_golden(graphs, contents[2], path)
    return graphs


def _answer(descriptor: int, graphs: Sessions) -> None:
    message = MESSAGE.unpack(_read(descriptor, MESSAGE.size))
    shape, ask = shape_of(message), Ask(message[0])
    kind = np.dtype(np.uint8 if ask in (Ask.FEATURES, Ask.MAP) else np.float32)
    given = np.frombuffer(_read(descriptor, int(np.prod(shape)) * kind.itemsize), kind)
    given = given.reshape(shape)
    if ask is Ask.SEQUENCE:
        answer = graphs.sequence(given)
    elif ask is Ask.GENERATED:
        answer = graphs.generated(given)
    else:
        answer = graphs.features(given, "map" if ask is Ask.MAP else "features")
    answer = np.ascontiguousarray(answer, np.float32)
    # In one piece: else, if this process is killed, the supervisor's message would follow the head.
    _write(descriptor, pack(Answer.ARRAY, answer.ndim, *answer.shape) + answer.tobytes())


def _refuse(descriptor: int, text: str) -> None:
    words = text.encode(errors="backslashreplace")[:MOST_TEXT]
    _write(descriptor, pack(Answer.REFUSED, len(words)))
    _write(descriptor, words)


def _read(descriptor: int, size: int) -> bytes:
    """So many bytes; the process ends with the connection."""
    content = bytearray()
    while len(content) < size:
        piece = os.read(descriptor, min(size - len(content), 1 << 24))
        if not piece:
            os._exit(0)
        content += piece
    return bytes(content)


def _write(descriptor: int, content: bytes | memoryview) -> None:
    rest = memoryview(content)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)
