"""Findings and faces for tests of the verdict, before they are judged."""

from edge.finding import Box, Face, Finding, Model, Quality, Verdict, WindowScore
from edge.scan.model.manifest import Manifest

STEP = 0.125
"""Seconds that each frame stands for."""


def unjudged(manifest: Manifest, *faces: Face) -> Finding:
    return Finding(
        path="clip.mp4",
        sha256=None,
        verdict=Verdict.UNREADABLE,
        fake_probability=None,
        reasons=(),
        faces=faces,
        model=Model(name=manifest.name, version="1", sha256="0" * 64),
        thresholds=manifest.thresholds,
    )


def face(
    *logits: float,
    number: int = 1,
    face_px: float = 100,
    light: float = 100,
    sharpness: float = 100,
    warmth: float = 0.3,
    fine_detail: float | None = None,
    frames: int = 24,
) -> Face:
    """A face with a window for each logit."""
    return Face(
        id=number,
        first_second=0.0,
        last_second=3.0,
        frames=frames,
        box=Box(x=10, y=10, width=face_px, height=face_px),
        quality=Quality(
            face_px=face_px,
            light=light,
            sharpness=sharpness,
            warmth=warmth,
            fine_detail=fine_detail,
        ),
        counted=False,
        fake_probability=None,
        windows=tuple(
            WindowScore(start=at, end=at + 1, logit=logit, fake_probability=0.5)
            for at, logit in enumerate(logits)
        ),
    )
