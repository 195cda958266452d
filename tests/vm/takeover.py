"""Stands in for the process of a unit, to try what one that was taken over could do there.

    takeover.py MODULE

Started in place of `edge.scan.supervisor`, whose part it does as well. The first request brings a
clip, a length and a Python program to run, after the sandbox has been entered or without it.
"""

import os
import socket
import struct
import sys
from pathlib import Path
from types import ModuleType

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


process = ModuleType(sys.argv[1])
process.main = main
sys.modules[process.__name__] = process
supervisor.main(process.__name__)
