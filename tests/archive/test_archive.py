"""`truelight archive` on a local cluster, through the front door."""

import json
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from archive_stage import archive, compared, faces, journal, kill_all, rows, start, workers
from bundles import write_bundle
from clips import write_clip
from frontdoor import ROOT, run
from waiting import until

from edge.finding import Finding


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Path:
    """A folder of 24 clips without copies among them; two kinds of them have faces."""
    folder = tmp_path_factory.mktemp("many")
    for at in range(22):
        write_clip(folder / f"{at:02}.mp4", 10 + at, rate=10)
    for name in ("red.mp4", "pale.mp4"):
        shutil.copy(clips / name, folder)
    return folder


def test_three_workers_with_one_killed_find_what_a_scan_finds(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    client = start(many, "--out", out, "--workers", 3)
    until(lambda: journal(out) or client.poll() is not None, 120)
    workers(client)[0].kill()
    _, errors = client.communicate(timeout=200)
    assert client.returncode == 0, errors
    found = {row["path"]: json.loads(row["finding"]) for row in rows(out)}
    assert len(rows(out)) == len(found) == 24
    scanned = run("scan", "--json", many)
    expected = [json.loads(line) for line in scanned.stdout.splitlines()]
    assert [compared(found[finding["path"]]) for finding in expected] == [
        compared(finding) for finding in expected
    ]


def test_a_killed_run_goes_on_and_judges_nothing_twice(
    many: Path, bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    client = start(many, "--out", out, "--bundle", bundle, "--workers", 2)
    until(lambda: len(journal(out)) >= 3 or client.poll() is not None, 120)
    kill_all(client)
    before = {line["path"]: line["judged"] for line in journal(out)}
    assert 3 <= len(before) < 24
    (file,) = out.glob("journal-*.jsonl")
    with file.open("ab") as torn:
        torn.write(b'{"path": "/cut off')
    again = archive(many, "--out", out, "--bundle", bundle, "--workers", 2)
    assert again.returncode == 0, again.stderr
    assert f"{24 - len(before)} to judge, {len(before)} judged before" in again.stdout
    found = rows(out)
    assert len(found) == len({row["path"] for row in found}) == 24
    times = {row["path"]: row["judged"].timestamp() for row in found}
    assert {path: times[path] for path in before} == pytest.approx(before, abs=1e-5)
    third = archive(many, "--out", out, "--bundle", bundle)
    assert "0 to judge, 24 judged before" in third.stdout
    assert rows(out) == found


def test_copies_are_judged_once_and_another_bundle_judges_all(
    clips: Path, bundle: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "clips", tmp_path / "out"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        shutil.copy(clips / "red.mp4", folder / name)
    shutil.copy(clips / "pale.mp4", folder)
    ran = archive(folder, "--out", out, "--bundle", bundle, "--workers", 2)
    assert "2 clips judged, 2 copies of judged clips." in ran.stdout, ran.stderr
    found = {row["name"]: row for row in rows(out)}
    copied = [found[name] for name in ("a.mp4", "b.mp4", "c.mp4")]
    (original,) = (row for row in copied if row["copy_of"] is None)
    for row in copied:
        assert row["copy_of"] in (None, original["path"])
        assert row["fake_probability"] == original["fake_probability"] > 0.7
        assert Finding.model_validate_json(row["finding"]).path == row["path"]
    assert {row["path"] for row in faces(out)} == {original["path"], str(folder / "pale.mp4")}
    shutil.copy(clips / "red.mp4", folder / "later.mp4")
    ran = archive(folder, "--out", out, "--bundle", bundle, "--workers", 1)
    assert "0 clips judged, 1 copy of judged clips." in ran.stdout, ran.stderr
    other = write_bundle(tmp_path / "other", version="2")
    ran = archive(folder, "--out", out, "--bundle", other, "--workers", 1)
    assert "2 clips judged, 3 copies of judged clips." in ran.stdout, ran.stderr
    assert {row["bundle"].rsplit("-", 1)[0] for row in rows(out)} == {"red-1", "other-2"}
    assert len(rows(out)) == 10


def test_unreadable_files_have_rows_and_can_be_tried_again(
    clips: Path, bundle: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "clips", tmp_path / "out"
    folder.mkdir()
    (folder / "text.mp4").write_text("no clip")
    (folder / "notes.txt").write_text("no media")
    shutil.copy(clips / "red.jpg", folder)
    ran = archive(folder, "--out", out, "--bundle", bundle, "--workers", 1, "--report")
    assert ran.returncode == 1
    assert "Clips: 2 to judge." in ran.stdout, ran.stderr
    assert "Not judged: 1 file is neither a video nor a picture: notes.txt." in ran.stderr
    assert "2 clips judged, 1 could not be read." in ran.stdout
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "text.mp4" in page
    assert "1 of 2 clips looks fake." in page
    assert page.count("data:image/jpeg") == 1  # the portrait of the red face, without --heat
    shutil.copy(clips / "pale.mp4", folder / "text.mp4")
    status = (folder / "text.mp4").stat()
    ran = archive(folder, "--out", out, "--bundle", bundle, "--workers", 1, "--again", "--heat")
    assert "Trying 1 again that could not be read." in ran.stdout, ran.stderr
    found = {row["name"]: row for row in rows(out)}
    assert found["text.mp4"]["verdict"] == "REAL"
    assert found["text.mp4"]["size"] == status.st_size
    assert len(rows(out)) == 2


def test_a_full_disk_loses_nothing(many: Path, bundle: Path, tmp_path: Path) -> None:
    def small_disk() -> None:  # no file of this run and its workers can grow beyond that
        resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))

    out = tmp_path / "out"
    options = (many, "--out", out, "--bundle", bundle, "--workers", 1)
    ran = archive(*options, preexec_fn=small_disk)
    assert ran.returncode == 2
    assert f"The disk of {out} is full. Nothing that was judged before is lost." in (
        " ".join(ran.stderr.split()).replace(" Nothing", " Nothing")
    )
    kept = len(journal(out))
    assert 0 < kept < 24
    ran = archive(*options)
    assert f"{24 - kept} to judge, {kept} judged before" in ran.stdout, ran.stderr
    assert len(rows(out)) == 24


def test_one_run_at_a_time_writes_a_folder(many: Path, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    client = start(many, "--out", out, "--bundle", bundle, "--workers", 1)
    until(lambda: (out / "lock").exists() and journal(out), 120)
    ran = archive(many, "--out", out, "--bundle", bundle)
    kill_all(client)
    assert ran.returncode == 2
    assert "Another run writes to" in ran.stderr


def test_hours_and_order(many: Path, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = (many, "--out", out, "--bundle", bundle, "--workers", 1, "--first", "large")
    ran = archive(*options, "--hours", 1e-9)
    assert "24 left: run the same command again" in ran.stdout, ran.stderr
    client = start(*options)
    until(lambda: journal(out) or client.poll() is not None, 120)
    kill_all(client)
    largest = max(many.iterdir(), key=lambda path: path.stat().st_size)
    assert journal(out)[0]["path"] == str(largest)


def test_wrong_use_is_said_in_a_sentence(tmp_path: Path) -> None:
    for arguments, said in (
        (("--out", tmp_path / "out"), "PATH is missing."),
        ((tmp_path, "--out", tmp_path / "out", "--list", tmp_path / "no"), "cannot be read"),
        (
            (tmp_path, "s3://", "--out", tmp_path / "out"),
            "cannot be read",
        ),
        ((tmp_path, "--out", tmp_path / "out", "--hours", "soon"), "'soon' is not a number"),
    ):
        ran = archive(*arguments)
        assert ran.returncode == 2, arguments
        assert said in ran.stderr


def test_the_rows_answer_the_questions_of_the_documentation(
    many: Path, bundle: Path, tmp_path: Path
) -> None:
    """Every query in docs/archive.md runs in DuckDB and finds what is there."""
    import duckdb
    from frontdoor import ROOT

    out = tmp_path / "out"
    ran = archive(many, "--out", out, "--bundle", bundle, "--workers", 1)
    assert ran.returncode == 0, ran.stderr
    text = (ROOT / "docs" / "archive.md").read_text(encoding="utf-8")
    queries = [part.split("```")[0] for part in text.split("```sql\n")[1:]]
    database = duckdb.connect()
    answers = [database.execute(query.replace("OUT/", f"{out}/")).fetchall() for query in queries]
    assert len(queries) >= 5
    assert answers[0] == [("FAKE", 1), ("NO_FACE", 22), ("REAL", 1)]
    assert [row[0] for row in answers[1]] == [str(many / "red.mp4")]
    assert all(answers[:3])


def test_a_list_of_paths(clips: Path, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{clips / 'red.jpg'}\n\nhere.jpg\n", encoding="utf-8")
    shutil.copy(clips / "red.jpg", tmp_path / "here.jpg")
    out = tmp_path / "out"
    ran = archive("--list", tmp_path / "list.txt", "--out", out, "--bundle", bundle, "--report")
    assert ran.returncode == 0, ran.stderr
    assert ">all</span>" in (out / "report.html").read_text(encoding="utf-8")
    assert {row["path"] for row in rows(out)} == {
        str(clips / "red.jpg"),
        str(tmp_path / "here.jpg"),
    }


def test_ctrl_c_ends_it_in_words(many: Path, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    client = start(many, "--out", out, "--bundle", bundle, "--workers", 1)
    until(lambda: journal(out) or client.poll() is not None, 120)
    client.send_signal(signal.SIGINT)
    output, errors = client.communicate(timeout=60)
    assert client.returncode == 130, errors
    assert "To go on, run the same command again." in output
    assert "Traceback" not in errors
    assert 0 < len(rows(out)) < 24


def test_ctrl_c_within_a_destructor_is_not_lost(many: Path, bundle: Path, tmp_path: Path) -> None:
    """Python drops exceptions of destructors: here the first future that is dropped gets it."""
    code = (
        "import signal, sys\n"
        "from distributed import Future\n"
        "from edge.cli.main import main\n"
        "drop, pressed = Future.__del__, []\n"
        "def press(future):\n"
        "    drop(future)\n"
        "    if not pressed:\n"
        "        pressed.append(True)\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "Future.__del__ = press\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    out = tmp_path / "out"
    options = ["archive", many, "--out", out, "--bundle", bundle, "--workers", 1]
    ended = subprocess.run(
        [sys.executable, "-c", code, *map(str, options)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert ended.returncode in (130, -signal.SIGINT), ended.stderr
    assert "To go on, run the same command again." in ended.stdout
    assert 0 < len(rows(out)) < 24


def test_without_its_packages_it_names_the_command_that_installs_them(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None; sys.modules['distributed'] = None\n"
        "from edge.cli.main import main\n"
        f"sys.exit(main(['archive', {str(tmp_path)!r}, '--out', {str(tmp_path / 'out')!r}]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert ran.returncode == 2
    assert "./setup.sh archive" in ran.stderr
