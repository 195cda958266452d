"""What confines a process that reads a stranger's file on this machine, in words."""

from __future__ import annotations

from typing import NamedTuple

from edge.scan.child_messages import LAYERS


class Kind(NamedTuple):
    """A kind of such processes."""

    name: str
    """As the subject of a sentence."""
    socket: str
    """The unit that starts them on an installed box."""

    @property
    def own_user(self) -> str:
        """What an installed box has besides the layers."""
        return f"a user of its own ({self.socket})"


DECODER = Kind("The decoder process", "truelight-decoder.socket")
MODEL = Kind("The process of a model that is not Truelight's", "truelight-model.socket")


class Confinement(NamedTuple):
    """What holds, tried in a process."""

    layers: tuple[str, ...]
    """Those of `LAYERS` that hold."""
    own_user: bool
    """Whether it runs as another user than this program."""
    unit_expected: bool
    """Whether this machine is a box, and this program may use its units."""
    kind: Kind = DECODER

    @property
    def missing(self) -> str:
        """What does not hold, in words; empty if everything does."""
        words = [text for name, text in LAYERS.items() if name not in self.layers]
        shared = self.unit_expected and not self.own_user
        return "; ".join(words + [self.kind.own_user] * shared)

    @property
    def summary(self) -> str:
        """The same in a sentence."""
        if self.missing:
            return f"{self.kind.name} lacks: {self.missing}."
        user = " and has a user of its own" if self.own_user else ""
        return f"{self.kind.name} is confined by every layer{user}."
