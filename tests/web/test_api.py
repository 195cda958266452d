"""The API as programs use it: our client, curl, a tus client, an older app."""

from __future__ import annotations

import base64
import csv
import http.client
import io
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from german import english_in
from serving import Serving, Visitor, form, path_of
from waiting import until

from edge.client import ApiError, Client
from edge.finding import Verdict


@pytest.fixture
def token(client: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {client._token}"}


@pytest.fixture
def anybody(serving: Serving) -> Visitor:
    return Visitor(serving)


def test_a_clip_is_sent_and_its_finding_read(client: Client, clips: Path) -> None:
    finding = client.judge(clips / "red.mp4")
    assert (finding.verdict, finding.path) == (Verdict.FAKE, "red.mp4")
    newest = next(client.findings(verdict="FAKE", origin="web"))
    assert newest.finding == finding
    assert base64.b64decode(newest.portraits.get(1, "") or client.finding(newest.id).portraits[1])
    report = client.report(newest.visit).decode()
    assert "This clip looks fake." in report
    assert json.loads(client.report(newest.visit, "json"))["findings"][0]["finding"]["path"] == (
        "red.mp4"
    )


def test_a_scan_is_followed_until_it_is_done(client: Client, clips: Path) -> None:
    sent = client.send(clips / "two.mp4", name="Zwei Köpfe.mp4")
    seen = list(client.follow(sent.id))
    assert seen[-1].status == "done"
    assert seen[-1].name == "Zwei Köpfe.mp4"
    assert client.scan(sent.id) == seen[-1]
    assert sent.id in [scan.id for scan in client.scans()]
    client.delete_scan(sent.id)
    with pytest.raises(ApiError, match="deleted") as gone:
        client.scan(sent.id)
    assert (gone.value.status, gone.value.type) == (404, "urn:truelight:problem:no-such-scan")


def test_only_the_first_frames_are_judged_where_that_is_wanted(client: Client, clips: Path) -> None:
    finding = client.judge(clips / "red.mp4", first=10)
    assert "first-frames-only" in [reason.code for reason in finding.reasons]
    assert finding.frames_scored <= 10


def test_what_is_sent_twice_with_a_key_is_judged_once(client: Client, clips: Path) -> None:
    first = client.send(clips / "pale.mp4", key="one")
    assert client.send(clips / "pale.mp4", key="one").id == first.id
    with pytest.raises(ApiError) as refused:
        client.send(clips / "red.mp4", key="one")
    assert refused.value.status == 409
    client.delete_scan(first.id)
    with pytest.raises(ApiError, match="was deleted") as refused:
        client.send(clips / "pale.mp4", key="one")
    assert refused.value.status == 409


def test_the_lines_of_the_documentation_work(
    serving: Serving, client: Client, clips: Path, tmp_path: Path
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "web.md").read_text(encoding="utf-8")
    block = text.split("```sh\n# curl\n")[1].split("```")[0]
    shutil.copy(clips / "red.mp4", tmp_path / "holiday.mp4")
    environment = os.environ | {"TOKEN": client._token, "BOX": serving.address}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"status":"done"' in done.stdout
    assert "TRUELIGHT" in (tmp_path / "report.html").read_text().upper()


def test_a_piece_by_piece_upload_goes_on_where_it_stopped(
    anybody: Visitor, token: dict[str, str], client: Client, clips: Path
) -> None:
    clip = (clips / "red.mp4").read_bytes()
    tus = token | {"Tus-Resumable": "1.0.0"}
    name = base64.b64encode(b"piece by piece.mp4").decode()
    begun = anybody.ask(
        "POST",
        "/api/v1/uploads",
        **tus,
        Upload_Length=str(len(clip)),
        Upload_Metadata=f"filename {name},first {base64.b64encode(b'20').decode()}",
    )
    assert begun.status == 201, begun.text
    place = begun.headers["location"]
    chunk = tus | {"Content-Type": "application/offset+octet-stream"}
    half = len(clip) // 2
    sent = anybody.ask("PATCH", place, clip[:half], **chunk, Upload_Offset="0")
    assert (sent.status, sent.headers["upload-offset"]) == (204, str(half))
    assert anybody.ask("PATCH", place, clip[half:], **chunk, Upload_Offset="0").status == 409
    # The connection breaks off in the middle of a piece: what has arrived is kept.
    connection = http.client.HTTPConnection("127.0.0.1", anybody.serving.port)
    connection.putrequest("PATCH", place)
    for key, value in (chunk | {"Upload-Offset": str(half)}).items():
        connection.putheader(key, value)
    connection.putheader("Content-Length", str(len(clip) - half))
    connection.endheaders()
    connection.send(clip[half : half + 1000])

    def offset() -> int:
        return int(anybody.ask("HEAD", place, **tus).headers["upload-offset"])

    at = half + 1000
    until(lambda: offset() == at)
    assert anybody.ask("PATCH", place, b"x", **chunk, Upload_Offset=str(at)).status == 423
    connection.close()
    until(lambda: anybody.ask("PATCH", place, b"", **chunk, Upload_Offset="0").status == 409)
    last = anybody.ask("PATCH", place, clip[at:], **chunk, Upload_Offset=str(at))
    assert last.status == 204, last.text
    assert offset() == len(clip)  # a sender that missed the last answer does not begin again
    *_, scan = client.follow(place.split("/")[-1])
    assert (scan.name, scan.verdict) == ("piece by piece.mp4", Verdict.FAKE)
    assert offset() == len(clip)
    protocol = anybody.ask("OPTIONS", "/api/v1/uploads", **token).headers
    assert protocol["tus-extension"] == "creation,termination"


def test_an_upload_can_be_given_up(anybody: Visitor, token: dict[str, str]) -> None:
    tus = token | {"Tus-Resumable": "1.0.0"}
    place = anybody.ask("POST", "/api/v1/uploads", **tus, Upload_Length="5000").headers["location"]
    assert anybody.ask("DELETE", place, **tus).status == 204
    assert anybody.ask("HEAD", place, **tus).status == 404
    assert anybody.ask("POST", "/api/v1/uploads", **token, Upload_Length="5000").status == 422


def test_a_full_spool_refuses_in_words_and_loses_nothing(
    serving: Serving, anybody: Visitor, token: dict[str, str], client: Client, tmp_path: Path
) -> None:
    """Twenty clips at once; the spool holds five of them."""
    clip = tmp_path / "large.mp4"
    clip.write_bytes(os.urandom(3_900_000))
    answers: list[object] = []

    def send(number: int) -> None:
        try:
            answers.append(client.send(clip, name=f"{number}.mp4"))
        except ApiError as refused:
            answers.append(refused)

    # What is being received counts with its whole size: five of them reserve nearly everything.
    tus = token | {"Tus-Resumable": "1.0.0"}
    places = [
        anybody.ask("POST", "/api/v1/uploads", **tus, Upload_Length="3900000") for _ in range(4)
    ]
    threads = [threading.Thread(target=send, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [each for each in answers if isinstance(each, ApiError)]
    taken = [each for each in answers if not isinstance(each, ApiError)]
    assert refused and taken
    assert {each.status for each in refused} == {507}
    assert "Nothing was lost." in refused[0].remedy
    for scan in taken:
        *_, done = client.follow(scan.id)  # type: ignore[attr-defined]
        assert done.verdict is Verdict.UNREADABLE
    for place in places:
        anybody.ask("DELETE", place.headers["location"], **tus)
    until(lambda: not list((serving.store / "spool").iterdir()))
    *_, again = client.follow(client.send(clip).id)
    assert again.status == "done"


def test_a_clip_that_is_too_large_is_refused_before_it_is_sent(
    anybody: Visitor, token: dict[str, str]
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", anybody.serving.port)
    connection.putrequest("POST", "/api/v1/scans?name=x.mp4")
    for key, value in (token | {"Content-Length": "10000001"}).items():
        connection.putheader(key, value)
    connection.endheaders()
    answer = connection.getresponse()
    problem = json.loads(answer.read())
    assert (answer.status, answer.headers["content-type"]) == (413, "application/problem+json")
    assert problem["detail"] == "The clip has 10.0 MB; at most 10.0 MB are taken."


def test_the_history_is_searched_and_exported(
    anybody: Visitor, token: dict[str, str], client: Client, clips: Path
) -> None:
    client.judge(clips / "pale.mp4")
    client.judge(clips / "nobody.mp4")
    assert {each.finding.verdict for each in client.findings(text="PALE")} == {Verdict.REAL}
    assert list(client.findings(since="2200-01-01")) == []
    assert list(client.findings(origin="stick")) == []
    one = anybody.ask("GET", "/api/v1/findings?limit=1", **token).json
    older = anybody.ask("GET", f"/api/v1/findings?limit=1&before={one['before']}", **token).json
    assert older["findings"][0]["id"] < one["findings"][0]["id"]
    table = anybody.ask("GET", "/api/v1/findings.csv?verdict=REAL", **token).text
    rows = list(csv.DictReader(io.StringIO(table)))
    assert {row["verdict"] for row in rows} == {"REAL"}
    number = next(client.findings(text="nobody")).id
    client.delete_finding(number)
    assert anybody.ask("GET", f"/api/v1/findings/{number}", **token).status == 404


def test_a_face_is_a_picture_of_its_own(
    anybody: Visitor, token: dict[str, str], client: Client, clips: Path
) -> None:
    client.judge(clips / "red.mp4")
    number = next(client.findings(text="red")).id
    for heat in ("", "?heat=true"):
        answer = anybody.ask("GET", f"/api/v1/findings/{number}/faces/1.jpg{heat}", **token)
        pixels = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None and pixels.shape[0] > 40
    assert anybody.ask("GET", f"/api/v1/findings/{number}/faces/9.jpg", **token).status == 404


# ---- The older clients


@pytest.mark.parametrize(
    ("clip", "label"),
    [("red.mp4", "FAKE"), ("pale.mp4", "REAL"), ("nobody.mp4", "No Face Detected")],
)
def test_the_older_app_gets_the_answer_that_it_waits_for(
    anybody: Visitor, client: Client, clips: Path, clip: str, label: str
) -> None:
    """Its request as its library writes it; the answer is read as its code reads it."""
    boundary = "dart-http-boundary-" + "a" * 51
    body = form(boundary, "file", clip, (clips / clip).read_bytes())
    answer = anybody.ask(
        "POST",
        f"/with/{client._token}/predict_media",
        body,
        content_type=f"multipart/form-data; boundary={boundary}",
        user_agent="Dart/3.4 (dart:io)",
        accept_encoding="gzip",
        accept_language="de",  # the app compares the labels, whatever its phone speaks
    )
    assert answer.status == 200, answer.text
    decoded = answer.json
    assert set(decoded) == {"label", "confidence", "img"}
    assert (decoded["label"], type(decoded["confidence"])) == (label, str)
    assert 0 <= float(decoded["confidence"]) <= 100
    if label == "No Face Detected":
        assert (decoded["confidence"], decoded["img"]) == ("0.00", "")
    else:
        assert float(decoded["confidence"]) > 50
        assert base64.b64decode(decoded["img"])[:4] == b"\x89PNG"


def test_the_older_apps_token_may_be_in_its_address(
    anybody: Visitor, client: Client, clips: Path
) -> None:
    """dart:io sends the name and password of an address as Basic."""
    basic = base64.b64encode(f"app:{client._token}".encode()).decode()
    body = form("b", "file", "red.jpg", (clips / "red.jpg").read_bytes())
    kind = "multipart/form-data; boundary=b"
    answer = anybody.ask(
        "POST", "/predict_media", body, Content_Type=kind, Authorization=f"Basic {basic}"
    )
    assert answer.json["label"] in ("FAKE", "UNSURE")
    for way in ({}, {"Authorization": "Basic bm9ib2R5Om5vdGhpbmc="}):
        refused = anybody.ask("POST", "/predict_media", body, Content_Type=kind, **way)
        assert refused.status == 401
    assert anybody.ask("POST", "/with/tl_x/predict_media", body, Content_Type=kind).status == 401


def test_problems_are_said_in_the_language_that_is_asked_for(
    anybody: Visitor, token: dict[str, str]
) -> None:
    for method, path in (
        ("GET", "nowhere"),
        ("PUT", "scans"),
        ("POST", "scans"),
        ("POST", "uploads"),
        ("GET", "scans/0"),
        ("GET", "findings/999999"),
        *(("GET", f"findings?{wrong}") for wrong in ("limit=0", "limit=x", "since=x", "verdict=x")),
    ):
        english, german = (
            anybody.ask(method, f"/api/v1/{path}", b"", **token, Accept_Language=language).json
            for language in ("en", "de")
        )
        said = f"{german['title']}\n{german['detail']}\n{german['remedy']}"
        assert (path, list(english_in(said))) == (path, [])
        assert (english["type"], english["status"]) == (german["type"], german["status"])
        assert english["detail"] != german["detail"]


# ---- The box


def test_the_camera_is_started_from_afar(client: Client, serving: Serving) -> None:
    asker = Visitor(serving)
    token = {"Authorization": f"Bearer {client._token}"}
    assert asker.ask("POST", "/api/v1/box/camera", **token).status == 202
    seen = until(lambda: client.box().viewfinder, 60)
    assert base64.b64decode(seen or "")[:2] == b"\xff\xd8"
    asker.ask("POST", "/api/v1/box/cancel", **token)
    until(lambda: client.box().phase in ("ready", "judging", "showing"))


def test_the_box_is_killed_and_what_waits_is_judged_all_the_same(
    serving: Serving, client: Client, clips: Path
) -> None:
    sent = [client.send(clips / "two.mp4", name=f"{number}.mp4") for number in range(3)]
    serving.kill_box()
    for scan in sent:
        *_, done = client.follow(scan.id)
        assert done.status == "done" and done.verdict is Verdict.FAKE


def test_health_says_whether_the_box_is_there(anybody: Visitor, client: Client) -> None:
    assert client.is_well()
    assert anybody.get("/api/v1/health").json == {
        "status": "ok",
        "truelight": client._get("/api/v1/health")["truelight"],
        "box": None,
    }
    assert client._get("/api/v1/health")["box"]["model"] == "red 1"


def test_the_openapi_document_names_every_path(anybody: Visitor, token: dict[str, str]) -> None:
    document = anybody.ask("GET", "/api/v1/openapi.json", **token).json
    assert document["openapi"].startswith("3.1")
    assert {"/api/v1/scans", "/api/v1/scans/{scan}/events", "/predict_media"} <= set(
        document["paths"]
    )
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (method, path)
    assert path_of("http://a/b") == "/b"
