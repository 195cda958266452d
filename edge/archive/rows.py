"""Findings as rows of Arrow tables: one row a clip, one row a face. The schema has a version.

Adding columns is allowed; changing the meaning of one raises `ROW_VERSION`.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final, Self

import pyarrow as pa

from edge.finding import Face, Finding

ROW_VERSION: Final = 1

_TIME = pa.timestamp("us", tz="UTC")
_METADATA = {"truelight_row_version": str(ROW_VERSION)}

FINDINGS = pa.schema(
    [
        ("path", pa.string()),
        ("folder", pa.string()),
        ("name", pa.string()),
        ("size", pa.int64()),
        ("modified", _TIME),
        ("modified_ns", pa.int64()),
        ("sha256", pa.string()),
        ("copy_of", pa.string()),
        ("judged", _TIME),
        ("verdict", pa.string()),
        ("fake_probability", pa.float64()),
        ("reason_codes", pa.list_(pa.string())),
        ("reasons", pa.list_(pa.string())),
        ("kind", pa.string()),
        ("container", pa.string()),
        ("codec", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("seconds", pa.float64()),
        ("frame_rate", pa.float64()),
        ("frames_read", pa.int32()),
        ("frames_scored", pa.int32()),
        ("faces", pa.int32()),
        ("faces_counted", pa.int32()),
        ("model", pa.string()),
        ("model_version", pa.string()),
        ("model_sha256", pa.string()),
        ("real_threshold", pa.float64()),
        ("fake_threshold", pa.float64()),
        ("second_model", pa.string()),
        ("second_model_sha256", pa.string()),
        ("verdict_before", pa.string()),
        ("probability_before", pa.float64()),
        ("scan_seconds", pa.float64()),
        ("finding", pa.string()),
    ],
    metadata=_METADATA,
)
"""`finding` is the whole finding as JSON (docs/finding.md); the other columns are taken from it."""

FACES = pa.schema(
    [
        ("path", pa.string()),
        ("sha256", pa.string()),
        ("face", pa.int32()),
        ("first_second", pa.float64()),
        ("last_second", pa.float64()),
        ("frames", pa.int32()),
        ("x", pa.float64()),
        ("y", pa.float64()),
        ("width", pa.float64()),
        ("height", pa.float64()),
        ("face_px", pa.float64()),
        ("light", pa.float64()),
        ("sharpness", pa.float64()),
        ("roll", pa.float64()),
        ("counted", pa.bool_()),
        ("fake_probability", pa.float64()),
        ("reason_codes", pa.list_(pa.string())),
        ("portrait", pa.binary()),
        ("heat", pa.binary()),
    ],
    metadata=_METADATA,
)
"""`portrait` and `heat` are JPEGs; null where none was kept."""

_MICROSECOND = 1_000


@dataclass(frozen=True)
class JudgedClip:
    """What a worker returns for one clip."""

    path: str
    size: int
    modified_ns: int
    judged: float
    """Seconds since 1970."""
    finding: Finding
    portraits: Mapping[int, bytes] = field(default_factory=dict)
    """JPEGs by the face's id."""
    heat: Mapping[int, bytes] = field(default_factory=dict)
    copy_of: str | None = None
    """The path of the same content that was judged; None if this clip was judged itself."""

    def to_json(self) -> str:
        """One line of the journal."""
        pictures = {
            "portraits": {face: b64encode(jpeg).decode() for face, jpeg in self.portraits.items()},
            "heat": {face: b64encode(jpeg).decode() for face, jpeg in self.heat.items()},
        }
        content = dict(vars(self)) | pictures | {"finding": self.finding.model_dump(mode="json")}
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str | bytes) -> Self:
        """Read a line of the journal. Raises ValueError."""
        content = json.loads(line)
        for key in ("portraits", "heat"):
            content[key] = {int(face): b64decode(jpeg) for face, jpeg in content[key].items()}
        return cls(**content | {"finding": Finding.model_validate(content["finding"])})


def findings_table(clips: Iterable[JudgedClip]) -> pa.Table:
    """One row a clip, by the schema `FINDINGS`."""
    return pa.Table.from_pylist([_finding_row(clip) for clip in clips], schema=FINDINGS)


def faces_table(clips: Iterable[JudgedClip]) -> pa.Table:
    """One row a face, by the schema `FACES`; a copy's faces are those of its original."""
    rows = [
        _face_row(clip, face)
        for clip in clips
        if clip.copy_of is None
        for face in clip.finding.faces
    ]
    return pa.Table.from_pylist(rows, schema=FACES)


def _finding_row(clip: JudgedClip) -> dict[str, Any]:
    finding, second = clip.finding, clip.finding.second_opinion
    path = PurePosixPath(clip.path)
    about = finding.clip.model_dump() if finding.clip else {}
    return about | {
        "path": clip.path,
        "folder": clip.path[: -len(path.name) - 1] if path.name else "",
        "name": path.name,
        "size": clip.size,
        "modified": clip.modified_ns // _MICROSECOND,
        "modified_ns": clip.modified_ns,
        "sha256": finding.sha256,
        "copy_of": clip.copy_of,
        "judged": int(clip.judged * 1e6),
        "verdict": finding.verdict.value,
        "fake_probability": finding.fake_probability,
        "reason_codes": [reason.code.value for reason in finding.reasons],
        "reasons": [reason.text for reason in finding.reasons],
        "frames_read": finding.frames_read,
        "frames_scored": finding.frames_scored,
        "faces": len(finding.faces),
        "faces_counted": sum(face.counted for face in finding.faces),
        "model": finding.model.name,
        "model_version": finding.model.version,
        "model_sha256": finding.model.sha256,
        "real_threshold": finding.thresholds.real,
        "fake_threshold": finding.thresholds.fake,
        "second_model": second and second.model.name,
        "second_model_sha256": second and second.model.sha256,
        "verdict_before": second and second.verdict_before.value,
        "probability_before": second and second.probability_before,
        "scan_seconds": finding.seconds.get("total"),
        "finding": finding.model_dump_json(),
    }


def _face_row(clip: JudgedClip, face: Face) -> dict[str, Any]:
    quality = {key: getattr(face.quality, key) for key in ("face_px", "light", "sharpness", "roll")}
    return quality | {
        "path": clip.path,
        "sha256": clip.finding.sha256,
        "face": face.id,
        "first_second": face.first_second,
        "last_second": face.last_second,
        "frames": face.frames,
        **face.box.model_dump(),
        "counted": face.counted,
        "fake_probability": face.fake_probability,
        "reason_codes": [reason.code.value for reason in face.reasons],
        "portrait": clip.portraits.get(face.id),
        "heat": clip.heat.get(face.id),
    }
