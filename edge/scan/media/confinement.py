"""What confines the decoder process on this machine: tried, and told."""

from __future__ import annotations

import logging
import os
import time
from functools import cache
from typing import NamedTuple

from edge.scan.media.decoders import Decoders
from edge.scan.media.process import expects_unit
from edge.scan.media.protocol import LAYERS, ClipError, Reply, Request

_log = logging.getLogger(__name__)

OWN_USER = "a user of its own (truelight-decoder.socket)"
"""What an installed box has besides."""

_SECONDS, _CPU_SECONDS, _MEMORY = 10.0, 20, 1 << 30


class Confinement(NamedTuple):
    """What holds, tried in a decoder process."""

    layers: tuple[str, ...]
    """Those of `LAYERS` that hold."""
    own_user: bool
    """Whether it runs as another user than this program."""
    unit_expected: bool
    """Whether this machine is a box, and this program may use its decoder unit."""

    @property
    def missing(self) -> str:
        """What does not hold, in words; empty if everything does."""
        words = [text for name, text in LAYERS.items() if name not in self.layers]
        return "; ".join(words + [OWN_USER] * (self.unit_expected and not self.own_user))

    @property
    def summary(self) -> str:
        """The same in a sentence."""
        if self.missing:
            return f"The decoder process lacks: {self.missing}."
        user = " and has a user of its own" if self.own_user else ""
        return f"The decoder process is confined by every layer{user}."


def try_confinement() -> Confinement:
    """Start a decoder process and let it enter the sandbox."""
    layers: tuple[str, ...] = ()
    own_user = False
    with Decoders() as decoders:
        try:
            process = decoders.take()
        except ClipError:
            return Confinement((), False, expects_unit())
        try:
            process.send(Request.TRY_SANDBOX, _CPU_SECONDS, _MEMORY)
            kind, untrusted_bits, *_ = process.receive(time.monotonic() + _SECONDS)
        except (ClipError, TimeoutError):
            pass
        else:
            if kind == Reply.CONFINED:
                bits = enumerate(LAYERS)
                layers = tuple(name for bit, name in bits if untrusted_bits >> bit & 1)
            own_user = process.user != os.getuid()
        finally:
            process.end()
    return Confinement(layers, own_user, expects_unit())


@cache
def log_confinement() -> None:
    """Log, once, what confines the decoder process on this machine."""
    found = try_confinement()
    if found.missing:
        _log.warning("%s See `truelight doctor`.", found.summary)
    else:
        _log.info("%s", found.summary)
