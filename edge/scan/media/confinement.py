"""What confines the decoder process on this machine: tried, and told."""

from __future__ import annotations

import logging
import os
import time
from functools import cache

from edge.scan.child_messages import Notice, from_bits
from edge.scan.child_process import expects_unit
from edge.scan.confinement import Confinement
from edge.scan.media.decoders import Decoders
from edge.scan.media.protocol import ClipError, Request

_log = logging.getLogger(__name__)

_SECONDS, _CPU_SECONDS, _MEMORY = 10.0, 20, 1 << 30


def try_confinement() -> Confinement:
    """Start a decoder process and let it enter the sandbox."""
    layers: tuple[str, ...] = ()
    own_user = False
    with Decoders() as decoders:
        try:
            decoder = decoders.take()
        except ClipError:
            return Confinement((), False, expects_unit())
        try:
            decoder.send(Request.TRY_SANDBOX, _CPU_SECONDS, _MEMORY)
            kind, untrusted_bits, *_ = decoder.receive(time.monotonic() + _SECONDS)
        except (ClipError, TimeoutError):
            pass
        else:
            if kind == Notice.CONFINED:
                layers = from_bits(untrusted_bits)
            own_user = decoder.user != os.getuid()
        finally:
            decoder.end()
    return Confinement(layers, own_user, expects_unit())


@cache
def log_confinement() -> None:
    """Log, once, what confines the decoder process on this machine."""
    found = try_confinement()
    if found.missing:
        _log.warning("%s See `truelight doctor`.", found.summary)
    else:
        _log.info("%s", found.summary)
