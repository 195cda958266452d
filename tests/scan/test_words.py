"""No sentence of a finding contradicts its own numbers, or names a remedy that cannot help."""

import re
from dataclasses import replace

import pytest
from findings import STEP, unjudged
from findings import face as scored_face
from hypothesis import given
from hypothesis import strategies as st
from test_verdict import MANIFEST, logit_of

from edge.finding import Face, Finding, ReasonCode, Verdict
from edge.scan.media.clip_file import too_large
from edge.scan.media.protocol import FAULTS, ClipError, Fault, Remark
from edge.scan.media.unsupported import UNSUPPORTED
from edge.scan.reasons import limitations, more_faces, withhold_real
from edge.scan.verdict import ClipContext, judge

NUMBER = r"(\d+(?:\.\d+)?)"
BELOW = re.compile(rf"{NUMBER}(?: of 255| pixels wide| s)?; the minimum is {NUMBER}")
FOUND = re.compile(rf"found in {NUMBER} of {NUMBER} frames; the minimum is {NUMBER}")
ANSWER = re.compile(rf"FAKE (under |over |just over )?{NUMBER} %; (.*)\.$")
LIMIT = re.compile(rf"(REAL|FAKE) threshold: (under |over )?{NUMBER} %")

faces = st.builds(
    lambda probability, frames, px, light, sharpness: scored_face(
        logit_of(probability), frames=frames, face_px=px, light=light, sharpness=sharpness
    ),
    st.one_of(
        st.floats(0.0001, 0.9999),
        *(st.floats(limit - 1e-4, limit + 1e-4) for limit in (0.3, 0.7)),
    ),
    st.integers(1, 96),
    st.one_of(st.floats(8, 400), st.floats(47.8, 48.2)),
    st.one_of(st.floats(0, 255), st.floats(24.9, 25.1)),
    st.one_of(st.floats(0, 500), st.floats(9.9, 10.1)),
)


def checked(finding: Finding) -> None:
    """Each text holds together."""
    for reason in (*finding.reasons, *(r for face in finding.faces for r in face.reasons)):
        assert reason.text.endswith(".")
        assert "{" not in reason.text
        for value, minimum in BELOW.findall(reason.text):
            assert float(value) < float(minimum), reason.text
        for found, frames, minimum in FOUND.findall(reason.text):
            assert float(found) <= float(frames), reason.text
            assert float(found) < float(minimum), reason.text
        for hair, value, limits in ANSWER.findall(reason.text):
            numbers = {name: float(limit) for name, _, limit in LIMIT.findall(limits)}
            if reason.code is ReasonCode.ABOVE_FAKE_THRESHOLD:
                assert float(value) >= numbers["FAKE"], reason.text
            elif reason.code is ReasonCode.BELOW_REAL_THRESHOLD:
                assert float(value) <= numbers["REAL"], reason.text
            else:
                just = hair == "just over " and float(value) == numbers["REAL"]
                assert just or numbers["REAL"] < float(value) < numbers["FAKE"], reason.text
    if not finding.faces:
        assert not any("the face" in reason.text for reason in finding.reasons)
    codes = [reason.code for reason in finding.reasons]
    assert len(codes) == len(set(codes))


@given(
    st.lists(faces, max_size=3),
    st.integers(1, 96),
    st.booleans(),
    st.one_of(st.none(), st.integers(1, 96)),
    st.booleans(),
    st.dictionaries(st.sampled_from(Remark), st.integers(1, 100_000)),
)
def test_reasons_agree_with_their_numbers(
    found: list[Face],
    frames: int,
    still: bool,
    first: int | None,
    stopped: bool,
    remarks: dict[Remark, int],
) -> None:
    context = ClipContext(
        frames=frames,
        step=STEP if frames > 1 else 0.0,
        first=first,
        is_still=still and frames > 1,
        damaged=stopped,
        stopped=stopped,
        limitations=(*limitations([remarks]), *more_faces(9, 8)),
    )
    numbered = [
        face.replaced(id=number, frames=min(face.frames, frames))
        for number, face in enumerate(found, start=1)
    ]
    finding = withhold_real(
        judge(unjudged(MANIFEST, *numbered), MANIFEST, context), MANIFEST.quality
    )
    checked(finding)
    if finding.verdict is Verdict.UNSURE and finding.fake_probability is not None:
        below = finding.reasons[0].code is ReasonCode.BELOW_REAL_THRESHOLD
        assert below == finding.reasons[0].text.endswith("so the verdict is not REAL.")
    parts = replace(context, parts=(ClipContext(1), ClipContext(96, STEP)))
    checked(judge(unjudged(MANIFEST, *numbered), MANIFEST, parts))


@given(st.integers(1, 10**10), st.integers(10**6, 10**9))
def test_a_picture_that_is_too_large_has_more_pixels_than_its_limit(over: int, most: int) -> None:
    has, limit = map(int, re.findall(r"\d+", too_large(most + over, most).message))
    assert has > limit


@pytest.mark.parametrize("fault", Fault)
def test_copying_again_is_advised_only_where_the_file_is_damaged(fault: Fault) -> None:
    message, remedy = FAULTS[fault]
    damaged = fault in {Fault.EMPTY, Fault.BROKEN, Fault.NOTHING_DECODED, Fault.ZEROS}
    assert ("Copy the file again" in remedy) == damaged
    assert message.endswith(".")
    assert remedy.endswith(".")


def test_a_picture_is_to_be_converted_to_a_picture_and_a_video_to_a_video() -> None:
    for number, known in enumerate(UNSUPPORTED):
        remedy = ClipError(Fault.UNSUPPORTED, number).remedy
        assert ("MP4" in remedy) == ("video" in known.name or known.moves), known.name
        assert ("JPEG" in remedy) != ("MP4" in remedy)
        assert known.moves != any(
            word in known.name for word in ("picture", "icon", "document", "surface")
        )
