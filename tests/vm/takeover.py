"""Stands in for the process of a unit, to try what one that was taken over could do there.

    takeover.py MODULE

Started in place of `edge.scan.supervisor`, whose part it does as well. The first request brings a
clip, a length and a Python program to run, after the sandbox has been entered or without it.
"""

import os
import socket
import struct
import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from attempts import SETUP, SUCCESS  # placed there by systemd.sh

from edge.scan import sandbox, supervisor

REQUEST = struct.Struct("<qqqq")


def main(descriptor: int) -> None:
    connection = socket.socket(fileno=descriptor)
    data, (clip,), *_ = socket.recv_fds(connection, REQUEST.size, 1)
    size, parent, port, confined = REQUEST.unpack(data)
    program = connection.recv(size, socket.MSG_WAITALL).decode()
    names = {"parent": parent, "clip": clip, "victim": "/dev/shm/victim", "port": port}
    exec(SETUP, names)
    if confined:
        sandbox.enter(20, 1536 << 20, (descriptor, 2))
    try:
        exec(program, names)
    except OSError:
        os._exit(1)
    os.write(descriptor, SUCCESS)
    os._exit(0)


import_module(sys.argv[1]).main = main
supervisor.main(sys.argv[1])
