"""The older app's way of asking: `POST /predict_media`, answered as its server did.

That app sends a clip as the form's `file` and waits for `label` (REAL, FAKE or No Face Detected),
`confidence` (per cent, as text) and `img` (a PNG in base64, or nothing). Ours knows more answers:
UNSURE is sent as it is; the app shows it like every label but REAL.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from edge.finding import Face, Finding, Verdict
from edge.language import _
from edge.socket_messages import EntryMessage, Found
from edge.text import VERDICTS
from edge.web.api import FORM, receive
from edge.web.box_client import paced
from edge.web.problems import Problem, described
from edge.web.services import Asker, Ours, Services

router = APIRouter(tags=["older clients"])

PATIENCE: Final = 600.0
"""Seconds that a client waits at most for its answer; the older web server's time limit."""
NO_FACE: Final = "No Face Detected"


class OlderAnswer(BaseModel):
    """What the older server answered."""

    label: str = Field(description="REAL, FAKE, UNSURE, UNREADABLE or No Face Detected.")
    confidence: str = Field(description="Of the label, per cent.")
    img: str = Field(description="The most suspicious face with its heat map: PNG, base64.")


@router.post(
    "/predict_media",
    responses=described(400, 401, 403, 411, 413, 415, 503, 504, 507),
    openapi_extra={"requestBody": {"required": True, "content": FORM}},
)
async def predict_media(request: Request, ours: Ours, asker: Asker) -> OlderAnswer:
    """Judge a clip and wait for the answer, as an older server did."""
    if not request.headers.get("content-type", "").startswith("multipart/"):
        raise Problem(415, "no-form", _("A form with a file is expected (multipart/form-data)."))
    meta = await receive(request, ours, asker)
    await ours.submit(meta)
    try:
        async with asyncio.timeout(PATIENCE):
            entry = await _judged(ours, meta.id)
    except TimeoutError:
        message = _("The clip is not judged yet: others come first.")
        raise Problem(504, "too-long", message, _("Its finding will be on the page.")) from None
    return await run_in_threadpool(_older, entry)


async def _judged(ours: Services, scan: str) -> EntryMessage:
    """The finding on an upload, when it is there."""
    async for _state in paced(ours.watch):
        answer = await ours.box.ask("scan", scan=scan)
        if not answer["waiting"]:
            found = Found.model_validate(answer)
            if not found.entries:
                break
            return found.entries[0]
    raise Problem(404, "deleted", _("The clip was deleted before it was judged."))


def _older(entry: EntryMessage) -> OlderAnswer:
    finding = entry.finding
    if finding.verdict is Verdict.NO_FACE:
        return OlderAnswer(label=NO_FACE, confidence="0.00", img="")
    face = _decisive(finding)
    picture = (entry.heat.get(face.id) or entry.portraits.get(face.id, "")) if face else ""
    return OlderAnswer(
        label=VERDICTS[finding.verdict],  # whatever language the reader has
        confidence=_confidence(finding),
        img=_png(base64.b64decode(picture)) if picture else "",
    )


def _confidence(finding: Finding) -> str:
    """How probable the label is, per cent: of REAL where that is the answer, else of FAKE."""
    fake = finding.fake_probability
    if fake is None:
        return "0.00"
    return str(round(100 * (1 - fake if finding.verdict is Verdict.REAL else fake), 4))


def _decisive(finding: Finding) -> Face | None:
    scored = [face for face in finding.faces if face.fake_probability is not None]
    ranked = sorted(scored, key=lambda face: (face.counted, face.fake_probability or 0.0))
    return ranked[-1] if ranked else None


def _png(jpeg: bytes) -> str:
    """The picture in the format that the older app expects."""
    import cv2
    import numpy as np

    # A portrait of ours, from the history: nothing that a stranger sent is decoded here.
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        return ""
    return base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()
