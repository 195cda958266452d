"""What a decoder process is asked when it gets a clip: which frames, and what it may cost.

Imports nothing heavy: `truelight scan` asks for its first clip before it imports the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge.scan.media.clip_file import ClipFile, PixelLimits
from edge.scan.media.process import DecoderProcess
from edge.scan.media.protocol import MICROSECONDS, Request

if TYPE_CHECKING:
    from edge.scan.media.sampling import Sampling


@dataclass(frozen=True)
class Limits:
    """What one clip may cost, whatever it claims. Times in seconds, sizes in pixels or bytes."""

    silence: float = 30.0  # without any message from the decoder process
    patience: float = 120.0  # waiting for it in all
    cpu: int = 60  # its processor time
    megapixels: int = 12_000  # decoded in all: this bounds the work alike on every machine
    pixels: PixelLimits = field(default_factory=PixelLimits)
    memory: int = 1536 * 1024**2  # address space; what is really used is far less
    slots: int = 3  # frames that wait in shared memory; fewer where they are large:
    shared: int = 52_000_000
    grace: float = 1.0  # from one step of ending the process to the next


@dataclass(frozen=True)
class Opening:
    """A clip that is to be opened."""

    file: ClipFile
    sampling: Sampling
    limits: Limits

    def ask(self, process: DecoderProcess) -> None:
        """Ask a process to open it, without waiting for an answer. Raises ClipError."""
        sampling, limits = self.sampling, self.limits
        process.send(
            *(Request.OPEN, sampling.window_frames, round(sampling.window_rate * MICROSECONDS)),
            *(sampling.max_windows, sampling.first or 0),
            *(*limits.pixels, limits.cpu, limits.memory),
            clip=self.file.descriptor,
        )
