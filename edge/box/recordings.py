"""Recordings of the camera: each a batch of its own, deleted when it is judged."""

from __future__ import annotations

import contextlib
from pathlib import Path

from edge.box.events import Batch, Origin


def recording_batch(clip: Path) -> Batch:
    """A recording as a batch of its own."""
    return Batch(Origin.CAMERA, str(clip), "Recording", (clip,))


def recordings_in(folder: Path) -> tuple[Batch, ...]:
    """Those that are complete and not deleted, the oldest first."""
    try:
        return tuple(recording_batch(clip) for clip in sorted(folder.glob("[!.]*")))
    except OSError:
        return ()


def delete_recording(batch: Batch) -> None:
    """Delete a batch's recording; of other batches nothing is deleted."""
    if batch.origin is Origin.CAMERA:
        for clip in batch.clips:
            with contextlib.suppress(OSError):
                clip.unlink(missing_ok=True)
