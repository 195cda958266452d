"""Before the scan: the first clip is sent to the decoder process while this one still imports."""

from __future__ import annotations

from pathlib import Path

from edge.scan.media.decoders import Decoders, Limits
from edge.scan.media.sampling import Sampling
from edge.scan.model.bundle_info import read_bundle
from edge.scan.model.manifest import Manifest
from edge.settings import Settings


def decoding_plan(settings: Settings, manifest: Manifest) -> tuple[Sampling, Limits]:
    """Which frames of a clip are wanted, and what it may cost."""
    window, scan, decode = manifest.window, settings.scan, settings.decode
    sampling = Sampling(window.frames, window.rate, scan.windows, scan.first)
    return sampling, Limits(decode.deadline, cpu=decode.budget, megapixels=decode.megapixels)


def begin(decoders: Decoders, settings: Settings, path: Path) -> None:
    """Have the spare process open the clip that `Scanner.scan` gets next.

    Raises BundleError if the bundle's manifest is not valid.
    """
    decoders.begin(path, *decoding_plan(settings, read_bundle(settings.bundle_folder).manifest))
