"""`truelight scan` through the front door."""

import json
import os
import select
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from frontdoor import ROOT, command, run

from edge.finding import Finding

SCHEMA = json.loads((ROOT / "docs" / "finding.schema.json").read_text(encoding="utf-8"))


def objects(text: str) -> list[dict[str, Any]]:
    """One JSON object a line, each as the published schema says."""
    found = [json.loads(line) for line in text.splitlines()]
    for finding in found:
        jsonschema.validate(finding, SCHEMA)
        Finding.model_validate(finding)
    return found


def codes(finding: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in finding["reasons"]]


def test_a_red_face_is_fake_and_a_pale_one_real(bundle: Path, clips: Path) -> None:
    ran = run("scan", "--json", "--bundle", bundle, clips / "red.mp4", clips / "pale.mp4")
    red, pale = objects(ran.stdout)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (red["verdict"], pale["verdict"]) == ("FAKE", "REAL")
    assert (codes(red), codes(pale)) == (["above-fake-threshold"], ["below-real-threshold"])
    assert red["fake_probability"] > 0.7
    assert pale["fake_probability"] < 0.3
    assert red["path"] == str(clips / "red.mp4")
    assert red["frames_read"] == 30
    assert 16 <= red["frames_scored"] <= 24
    assert set(red["seconds"]) >= {"open", "decode", "faces", "features", "sequence", "total"}
    assert red["model"]["name"] == "red"
    (face,) = red["faces"]
    assert face["counted"]
    assert (face["first_second"], face["frames"]) == (0.0, red["frames_scored"])
    starts = [window["start"] for window in face["windows"]]
    assert len(starts) == 3
    assert starts == sorted(starts)


def test_the_hash_is_the_files(bundle: Path, clips: Path) -> None:
    ran = run("scan", "--json", "--bundle", bundle, clips / "red.jpg")
    expected = subprocess.run(
        ["sha256sum", clips / "red.jpg"], capture_output=True, text=True, check=True
    )
    assert objects(ran.stdout)[0]["sha256"] == expected.stdout.split()[0]


def test_the_same_clip_gets_the_same_finding(bundle: Path, clips: Path) -> None:
    ran = run("scan", "--json", "--bundle", bundle, clips / "two.mp4", clips / "two.mp4")
    first, second = objects(ran.stdout)
    first.pop("seconds"), second.pop("seconds")
    assert first == second


def test_a_face_names_the_part_of_the_file_that_shows_it(
    bundle: Path, clips: Path, tmp_path: Path
) -> None:
    motion = tmp_path / "motion.jpg"
    motion.write_bytes((clips / "red.jpg").read_bytes() + (clips / "pale.mp4").read_bytes())
    ran = run("scan", "--json", "--bundle", bundle, motion)
    (found,) = objects(ran.stdout)
    assert [(part["kind"], part["number"]) for part in found["parts"]] == [("video", 1)]
    assert found["parts"][0]["clip"]["codec"] == "h264"
    assert [face["part"] for face in found["faces"]] == [0, 1]
    assert (found["clip"]["codec"], found["frames_read"]) == ("mjpeg", 31)
    said = run("scan", "--bundle", bundle, motion).stdout
    assert "face 1  " in said
    assert "face 2, the video behind the picture" in said
    assert "with 1 more video, " in said


def test_of_two_faces_both_are_scored_and_the_worst_decides(bundle: Path, clips: Path) -> None:
    (found,) = objects(run("scan", "--json", "--bundle", bundle, clips / "two.mp4").stdout)
    by_place = sorted(found["faces"], key=lambda face: face["box"]["x"])
    assert [face["counted"] for face in by_place] == [True, True]
    red, pale = (face["fake_probability"] for face in by_place)
    assert red > 0.7
    assert pale < 0.3
    assert found["verdict"] == "FAKE"
    assert found["fake_probability"] == red


def test_a_single_picture_is_judged_and_named_as_one(bundle: Path, clips: Path) -> None:
    (found,) = objects(run("scan", "--json", "--bundle", bundle, clips / "red.jpg").stdout)
    assert found["verdict"] == "FAKE"
    assert codes(found) == ["above-fake-threshold", "single-picture"]
    assert (found["clip"]["kind"], found["frames_scored"]) == ("image", 1)


def test_no_face(bundle: Path, clips: Path) -> None:
    ran = run("scan", "--json", "--bundle", bundle, clips / "nobody.mp4")
    (found,) = objects(ran.stdout)
    assert (found["verdict"], found["fake_probability"]) == ("NO_FACE", None)
    assert (codes(found), ran.returncode) == (["no-face"], 0)


def test_the_first_frames_only(bundle: Path, clips: Path) -> None:
    ran = run("scan", "--json", "--first", 12, "--bundle", bundle, clips / "red.mp4")
    (found,) = objects(ran.stdout)
    assert found["frames_scored"] == 12
    assert found["faces"][0]["last_second"] == pytest.approx(1.1)
    assert codes(found) == ["above-fake-threshold", "first-frames-only"]


def test_fewer_windows(bundle: Path, clips: Path) -> None:
    ran = run("scan", "--json", "--windows", 1, "--bundle", bundle, clips / "red.mp4")
    (found,) = objects(ran.stdout)
    (window,) = found["faces"][0]["windows"]
    assert 0.5 < window["start"] < window["end"] < 2.5


def test_a_bundle_that_wants_larger_faces_is_unsure(
    bundle: Path, clips: Path, tmp_path: Path
) -> None:
    strict = tmp_path / "strict"
    shutil.copytree(bundle, strict)
    manifest = json.loads((strict / "bundle.json").read_text())
    manifest["quality"] |= {"face_px": 400.0, "seconds": 60.0}
    (strict / "bundle.json").write_text(json.dumps(manifest))
    ran = run("scan", "--json", "--bundle", strict, clips / "red.mp4")
    (found,) = objects(ran.stdout)
    assert (found["verdict"], found["fake_probability"]) == ("UNSURE", None)
    assert codes(found) == ["faces-too-small", "seen-too-briefly"]
    assert found["faces"][0]["fake_probability"] > 0.7
    assert ran.returncode == 0


def test_what_cannot_be_read_says_why_and_the_rest_goes_on(
    bundle: Path, clips: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.mp4").write_text("I am no clip.\n" * 100)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "cut.mp4").write_bytes((clips / "red.mp4").read_bytes()[:2000])
    os.mkfifo(tmp_path / "pipe.mp4")
    names = ["text.mp4", "empty.mp4", "cut.mp4", "pipe.mp4", "missing.mp4"]
    paths = [tmp_path / name for name in names]
    ran = run("scan", "--json", "--bundle", bundle, *paths, clips / "pale.mp4")
    *unread, last = objects(ran.stdout)
    assert ran.returncode == 1
    assert [found["verdict"] for found in unread] == ["UNREADABLE"] * 5
    assert [codes(found) for found in unread] == [["unreadable"]] * 5
    said = [found["reasons"][0]["text"] for found in unread]
    for text, word in zip(
        said, ("text file", "empty", "damaged", "regular file", "not exist"), strict=True
    ):
        assert word in text
    assert [found["sha256"] is None for found in unread] == [False] * 3 + [True] * 2
    assert last["verdict"] == "REAL"


def test_a_folder_is_judged_in_order_and_the_rest_is_counted(
    bundle: Path, clips: Path, tmp_path: Path
) -> None:
    (tmp_path / "b").mkdir()
    shutil.copy(clips / "red.jpg", tmp_path / "b" / "picture.dat")
    shutil.copy(clips / "red.jpg", tmp_path / "a.jpg")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / ".hidden.mp4").write_text("hidden")
    ran = run("scan", "--json", "--bundle", bundle, tmp_path)
    *lines, last = ran.stdout.splitlines(keepends=True)
    findings, skipped = objects("".join(lines)), json.loads(last)
    assert [Path(finding["path"]).name for finding in findings] == ["a.jpg", "picture.dat"]
    assert ran.stderr == (
        "Not judged: 1 file is neither a video nor a picture: notes.txt.\n"
        "Not judged: 1 file or folder is hidden: .hidden.mp4.\n"
    )
    assert (skipped["kind"], skipped["schema_version"]) == ("truelight-skipped", 1)
    assert skipped["counts"] == {"hidden": 1, "not-media": 1}
    assert [file["reason"] for file in skipped["files"]] == ["hidden", "not-media"]


def test_an_empty_folder_is_reported(bundle: Path, tmp_path: Path) -> None:
    ran = run("scan", "--json", "--bundle", bundle, tmp_path)
    assert (ran.returncode, ran.stdout) == (0, "")
    assert ran.stderr == f"{tmp_path}: no videos or pictures here.\n"


def test_names_that_would_steer_a_terminal(bundle: Path, clips: Path, tmp_path: Path) -> None:
    nasty = tmp_path / os.fsdecode(b"line\nbreak\x1b[31m\xff\xe2\x80\xae.jpg")
    shutil.copy(clips / "red.jpg", nasty)
    (found,) = objects(run("scan", "--json", "--bundle", bundle, tmp_path).stdout)
    assert found["path"] == f"{tmp_path}/line\nbreak\x1b[31m\\xff\u202e.jpg"
    shown = run("scan", "--bundle", bundle, tmp_path).stdout
    assert r"line\nbreak\x1b[31m\xff\u202e.jpg" in shown
    assert "\x1b" not in shown


def test_wrong_usage_is_status_2_with_a_remedy(bundle: Path, clips: Path, tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("scan: {windws: 2}")
    red = clips / "red.jpg"
    for arguments, said in (
        ((), "PATH"),
        ((red, "--bundle", tmp_path / "none"), "There is no bundle at"),
        ((red, "--windows", "0"), "--windows: scan.windows is 0.\n  Allowed: a whole number"),
        ((red, "--config", config), "line 1: unknown setting scan.windws.\n  Did you mean windows"),
        ((red, "--colour"), "--colour"),
    ):
        ran = run("scan", *arguments)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert said in ran.stderr
        assert "Traceback" not in ran.stderr


def test_an_altered_bundle_is_refused_by_the_name_of_its_file(
    bundle: Path, clips: Path, tmp_path: Path
) -> None:
    altered = tmp_path / "altered"
    shutil.copytree(bundle, altered)
    graph = bytearray((altered / "features.onnx").read_bytes())
    graph[-20] ^= 1
    (altered / "features.onnx").write_bytes(graph)
    ran = run("scan", "--json", "--bundle", altered, clips / "red.jpg")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "features.onnx differs" in ran.stderr


def test_a_missing_detector_is_no_clips_fault(bundle: Path, clips: Path, tmp_path: Path) -> None:
    around = os.environ | {"TRUELIGHT_MODELS": str(tmp_path)}
    ran = run("scan", "--json", "--bundle", bundle, clips / "red.jpg", env=around)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "truelight models fetch" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_for_people_without_a_terminal(bundle: Path, clips: Path) -> None:
    ran = run("scan", "--bundle", bundle, clips / "two.mp4", clips / "nobody.mp4")
    lines = ran.stdout.splitlines()
    assert lines[0].startswith(" FAKE ")
    assert lines[0].endswith(str(clips / "two.mp4"))
    assert "Face 1 looks swapped. Highest probability of FAKE" in lines[1]
    assert lines[2].lstrip().startswith("face 1")
    assert "█" in ran.stdout
    assert "▁" in ran.stdout
    assert lines[-1] == "2 clips: 1 FAKE, 1 NO FACE"
    assert "\x1b" not in ran.stdout + ran.stderr
    assert ran.stderr == ""


def test_a_reader_that_stops_reading_is_no_error(bundle: Path, clips: Path) -> None:
    scan = command("scan", "--json", "--bundle", bundle, *[clips / "red.jpg"] * 4)
    shell = '"$@" | head -n 1'
    ran = subprocess.run(
        ["bash", "-c", shell, "bash", *scan], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert len(objects(ran.stdout)) == 1
    assert ran.stderr == ""


def test_output_that_nobody_takes_is_said_in_one_sentence_or_not_at_all() -> None:
    """The reader of a pipe is gone; the disk is full."""
    reader, closed = os.pipe()
    os.close(reader)
    with Path("/dev/full").open("wb") as full:
        for out, status, said in ((closed, 141, ""), (full, 2, "nothing more can be written")):
            ran = subprocess.run(
                command("models"),
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            assert ran.returncode == status
            assert said in ran.stderr
            assert "Traceback" not in ran.stderr
    os.close(closed)


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def ends(process: int, seconds: float) -> bool:
    """Whether the process behind a pidfd ends in that time."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def test_ctrl_c_ends_everything(bundle: Path, clips: Path) -> None:
    scan = subprocess.Popen(
        command("scan", "--json", "--bundle", bundle, *[clips / "red.mp4"] * 500),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert scan.stdout is not None
    scan.stdout.readline()
    while not (decoders := children(scan.pid)):
        assert scan.poll() is None
    watched = []
    for decoder in decoders:
        with suppress(ProcessLookupError):  # its clip is judged meanwhile
            watched.append(os.pidfd_open(decoder))
    scan.send_signal(signal.SIGINT)
    _, said = scan.communicate(timeout=60)
    assert scan.returncode == 130
    assert said == "truelight: stopped.\n"
    assert all(ends(decoder, 60) for decoder in watched)
