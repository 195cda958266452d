"""Who is let in: codes, cookies, tokens; other hosts, other sites, other people's names."""

from __future__ import annotations

import json
import re
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from serving import Serving, Visitor, form
from waiting import until

from edge.client import Client
from edge.errors import TruelightError
from edge.web import devices as rules
from edge.web.certificate import CERTIFICATE, KEY, ensure_certificate
from edge.web.devices import Devices, PairingError
from edge.web.spool import Bounds, Meta, Spool, SpoolFullError, TooLargeError, new_id


@pytest.fixture
def anybody(serving: Serving) -> Visitor:
    return Visitor(serving)


# ---- Nobody but paired devices


def test_who_is_not_paired_gets_nothing(serving: Serving, client: Client) -> None:
    """Every path of the API, and every page."""
    stranger = Visitor(serving)
    document = client._get("/api/v1/openapi.json")
    for path, operations in document["paths"].items():
        for method in operations:
            if path == "/api/v1/health":
                continue
            place = path.replace("{scan}", "0" * 26).replace("{number}", "1")
            place = place.replace("{face}", "1").replace("{form}", "html")
            answer = stranger.ask(method.upper(), place, Authorization="Bearer tl_wrong")
            assert answer.status == 401, (method, path)
            if method != "head":
                assert answer.json["type"] == "urn:truelight:problem:not-paired"
    for path in ("/", "/camera", "/history", "/devices", "/settings", "/health", "/live"):
        answer = stranger.get(path)
        assert (answer.status, answer.headers["location"]) == (303, f"/pair?to={path}")
    assert stranger.get("/api/v1/openapi.json").status == 401


def test_a_code_pairs_one_device_and_wrong_ones_end_it(serving: Serving, tmp_path: Path) -> None:
    devices = Devices(tmp_path)
    code = devices.new_code()
    assert re.fullmatch(r"\d{4} \d{4}", code)
    device, secret = devices.pair(code.replace(" ", ""), "Phone")
    assert devices.known(secret, "browser") == (device, None)
    assert devices.known(secret, "token") is None
    with pytest.raises(PairingError, match="no code at present"):
        devices.pair(code, "Another")
    wrong = devices.new_code()
    for _ in range(rules.CODE_ATTEMPTS):
        with pytest.raises(PairingError, match="not the code"):
            devices.pair("0000 0000" if wrong != "0000 0000" else "1", "Guesser")
    with pytest.raises(PairingError, match="used up"):
        devices.pair(wrong, "Guesser")
    assert [each.name for each in devices.all()] == ["Phone"]
    assert secret.encode() not in (tmp_path / rules.FILE).read_bytes()
    devices.close()


def test_codes_grow_old_and_guessing_is_limited(tmp_path: Path) -> None:
    now = [1_000_000.0]
    devices = Devices(tmp_path, clock=lambda: now[0])
    old = devices.new_code()
    with pytest.raises(PairingError, match="a moment ago"):
        devices.new_code()
    now[0] += rules.CODE_SECONDS + 1
    with pytest.raises(PairingError):
        devices.pair(old, "Late")
    guesses = 0
    with pytest.raises(PairingError, match="Too many wrong codes"):
        while guesses < 100:
            now[0] += rules.BETWEEN_CODES
            devices.new_code()
            for _ in range(rules.CODE_ATTEMPTS):
                guesses += 1
                with pytest.raises(PairingError):
                    devices.pair("wrong", "Guesser")
    assert guesses == rules.MOST_FAILURES
    now[0] += rules.FAILURE_SECONDS
    assert devices.pair(devices.new_code(), "Patient")


def test_a_cookies_secret_changes_every_day_and_ends_with_its_device(tmp_path: Path) -> None:
    now = [1_000_000.0]
    devices = Devices(tmp_path, clock=lambda: now[0])
    device, first = devices.pair(devices.new_code(), "Phone")
    now[0] += rules.ROTATE_SECONDS + 1
    found = devices.known(first, "browser")
    assert found and found[1] and found[1] != first
    second = found[1]
    # Requests that were under way still come with the former one, for a minute.
    assert devices.known(first, "browser") is not None
    now[0] += rules.GRACE_SECONDS + 1
    assert devices.known(first, "browser") is None
    assert devices.known(second, "browser") is not None
    now[0] += rules.IDLE_SECONDS + 1
    assert devices.known(second, "browser") is None
    assert devices.remove(device.id)
    assert not devices.remove(device.id)


# ---- Requests that somebody else makes


def test_another_name_for_this_machine_is_refused(anybody: Visitor) -> None:
    """A page of a hostile name that points to this address (DNS rebinding)."""
    for host in ("evil.example", "evil.example:8443", "", "localhost.evil.example"):
        assert anybody.ask("GET", "/pair", Host=host).status == 421
    name = socket.gethostname()
    for host in ("localhost:1", "127.0.0.1", "[::1]:8443", "192.168.1.7", f"{name}.local", name):
        assert anybody.ask("GET", "/pair", Host=host).status == 200, host


def test_another_sites_page_cannot_act_for_a_paired_browser(
    serving: Serving, visitor: Visitor, clips: Path
) -> None:
    visitor.get("/devices")
    good = {"Content_Type": "application/x-www-form-urlencoded"}
    body = f"form_token={visitor.form_token}&name=x".encode()
    for way in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Origin": serving.address},
    ):
        assert visitor.ask("POST", "/devices/token", body, **good, **way).status == 403, way
    for token in ("", "0" * 64):
        forged = f"form_token={token}&name=x".encode()
        assert visitor.ask("POST", "/devices/token", forged, **good).status == 403
    # The API takes no cookie without the token that only our own pages know.
    clip = (clips / "red.jpg").read_bytes()
    assert visitor.ask("POST", "/api/v1/scans?name=x.jpg", clip).status == 403
    upload = form("b", "file", "x.jpg", clip, form_token="0" * 64)
    kind = "multipart/form-data; boundary=b"
    assert visitor.ask("POST", "/upload", upload, Content_Type=kind).status == 403
    assert list((serving.store / "spool").iterdir()) == []
    upload = form("b", "file", "x.jpg", clip, form_token=visitor.form_token, first="")
    sent = visitor.ask("POST", "/upload", upload, Content_Type=kind)
    assert (sent.status, sent.headers["location"][:7]) == (303, "/scans/")
    until(lambda: visitor.get(sent.headers["location"]).status == 303)


def test_every_answer_has_the_headers_that_browsers_heed(visitor: Visitor) -> None:
    for path in ("/", "/pair", "/nothing", "/api/v1/box", "/static/page.css", "/api/v1/nothing"):
        headers = visitor.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in {name.lower() for name in headers}
    assert visitor.get("/").headers["cache-control"] == "no-store"


def test_the_cookie_is_for_this_page_alone(serving: Serving) -> None:
    visitor = Visitor(serving)
    visitor.get("/pair")
    visitor.post("/pair/code")
    (cookie,) = visitor.post("/pair", code=serving.code(), to="//evil.example/").cookies
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))


@pytest.mark.parametrize(
    "to", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "x"]
)
def test_pairing_leads_to_no_other_site(anybody: Visitor, to: str) -> None:
    anybody.get("/pair")
    assert f'value="{to}"' not in anybody.post("/pair/code", to=to).text


# ---- What strangers send


NAMES = (
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "/etc/shadow",
    "a\x00b.mp4",
    "<script>alert(1)</script>.mp4",
    "=1+1+cmd.mp4",
    "\u202egpj.exe",
    "x" * 255,
    "{{ 7 * 7 }}.mp4",
)


def test_a_name_is_never_a_path_nor_anything_else(
    serving: Serving, client: Client, visitor: Visitor, clips: Path
) -> None:
    before = set(serving.folder.rglob("*"))
    for name in NAMES:
        scan = client.send(clips / "red.jpg", name=name)
        *_, done = client.follow(scan.id)
        assert "/" not in done.name and "\\" not in done.name
        page = visitor.get(f"/findings/{done.number}").text
        assert "<script>alert" not in page and "49.mp4" not in page
    assert set(serving.folder.rglob("*")) - before == set()
    assert "'=1+1+cmd" in visitor.get("/api/v1/findings.csv").text


def test_damaged_requests_are_refused_in_words(
    serving: Serving, client: Client, anybody: Visitor
) -> None:
    token = {"Authorization": f"Bearer {client._token}"}
    kind = {"Content_Type": "multipart/form-data; boundary=b"}
    for body, status in (
        (b"", 400),
        (b"--b\r\nnonsense", 400),
        (b"--b\r\n\r\n--b--", 400),
        (form("b", "other", "x.mp4", b"123"), 400),
        (form("b", "file", "x.mp4", b"123")[:-10], 400),
        (form("b", "file", "x.mp4", b"1", text="y" * 20_000), 413),
        (b"--b\r\n" + b"x: y\r\n" * 5000 + b"\r\n", 400),
    ):
        answer = anybody.ask("POST", "/api/v1/scans", body, **token, **kind)
        assert answer.status == status, (body[:60], answer.text)
        assert answer.json["detail"]
    two = form("b", "file", "x.mp4", b"1")[:-7] + form("b", "file", "y.mp4", b"2")
    assert anybody.ask("POST", "/api/v1/scans", two, **token, **kind).status == 400
    assert list((serving.store / "spool").iterdir()) == []
    raw = b"POST /api/v1/scans HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
    raw += f"Authorization: Bearer {client._token}\r\n\r\n5\r\nhello\r\n0\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", serving.port)) as connection:
        connection.sendall(raw)
        assert b" 411 " in connection.recv(4096)


# ---- The spool's own rules


def meta(length: int) -> Meta:
    return Meta(id=new_id(), name="a.mp4", length=length, owner=1)


def test_an_upload_reserves_its_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", Bounds(spool=1000, clip=600))
    with pytest.raises(TooLargeError):
        spool.begin(meta(601))
    first = meta(600)
    spool.begin(first)
    with pytest.raises(SpoolFullError):
        spool.begin(meta(401))
    spool.begin(meta(400))
    spool.delete(first.id)
    spool.begin(meta(600))


def test_what_a_power_cut_left_is_whole_or_gone(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = Spool(folder, Bounds(spool=1000, clip=600))
    under_way, cut = meta(5), meta(3)
    for each in (under_way, cut):
        spool.begin(each)
        (folder / f"{each.id}.part").write_bytes(b"abc")
    # The clip was renamed, its record not yet written.
    (folder / f"{cut.id}.part").rename(folder / f"{cut.id}.clip")
    (folder / f"{new_id()}.part").write_bytes(b"nobody knows of it")
    again = Spool(folder, Bounds(spool=1000, clip=600))
    assert again.offset(under_way.id) == 3
    waiting = again.waiting(cut.id)
    assert waiting and waiting.size == 3
    assert {file.stem for file in folder.iterdir()} == {under_way.id, cut.id}


# ---- TLS


def test_the_certificate_is_made_once_and_renewed_in_time(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    print_ = ensure_certificate(tmp_path, ["truelight", "truelight.local"], ["192.168.1.7"], now)
    assert re.fullmatch(r"([0-9A-F]{4} ){15}[0-9A-F]{4}", print_)
    assert ensure_certificate(tmp_path, ["other"], [], now + timedelta(days=700)) == print_
    assert ensure_certificate(tmp_path, ["other"], [], now + timedelta(days=800)) != print_
    assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600
    (tmp_path / CERTIFICATE).write_text("damaged")
    assert ensure_certificate(tmp_path, ["other"], [], now)


def test_to_the_network_it_speaks_tls_with_its_own_certificate(
    tmp_path: Path, web_settings: dict[str, Any], clips: Path
) -> None:
    served = Serving(tmp_path, web_settings, "--address", "0.0.0.0")
    try:
        print_ = served.fingerprint()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", served.port)) as plain,
            context.wrap_socket(plain) as secure,
        ):
            assert secure.version() == "TLSv1.3"
        stranger = Client(f"https://127.0.0.1:{served.port}", "tl_x", fingerprint=print_)
        assert stranger.is_well()
        wrong = Client(f"https://127.0.0.1:{served.port}", "tl_x", fingerprint="AB" * 32)
        with pytest.raises(TruelightError, match="not the box's certificate"):
            wrong.is_well()
        with pytest.raises(ssl.SSLError):
            Client(f"https://127.0.0.1:{served.port}", "tl_x").is_well()
    finally:
        assert served.end() == 0
    assert json.dumps(print_)
