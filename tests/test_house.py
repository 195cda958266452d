"""What holds the house together: set-up, documents, who may import what."""

import argparse
import json
import os
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from frontdoor import ROOT, run

from edge.cli.main import parser

LARGEST = 30_000_000  # bytes; clones and cards are small
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def tracked(ending: str = "") -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    paths = [ROOT / name for name in listed.split("\0") if name.endswith(ending)]
    return [path for path in paths if path.is_file()]


def test_nothing_in_edge_brings_torch_along() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "edge").rglob("*.py")
        if path.name != "__init__.py"
    ]
    program = "\n".join(
        [
            "import importlib, json, sys",
            f"for name in {modules!r}: importlib.import_module(name)",
            "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = json.loads(done.stdout)
    assert "pydantic" in loaded
    assert not {"torch", "onnx", "export", "mediapipe"} & set(loaded)


def test_a_new_module_cannot_decode(tmp_path: Path) -> None:
    """The import rules hold for modules that nobody has listed."""
    for folder in ("edge", "export"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    new = {
        "av": "import av",
        "pil": "from PIL import Image",
        "reader": "from edge.scan.media.video import VideoReader",
    }
    for name, line in new.items():
        (tmp_path / "edge" / "scan" / f"new_{name}.py").write_text(line, encoding="utf-8")
    lint = Path(sys.executable).with_name("lint-imports")
    command = [str(lint), "--no-cache"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    broken = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
    assert len(broken) == len(new), done.stdout
    assert all(line.startswith("Only the decoder process") for line in broken)
    assert all(f"edge.scan.new_{name}" in done.stdout for name in new)


def test_opencv_decodes_only_our_own_files() -> None:
    """The simulated camera's clip, which the operator names, and portraits from the history."""
    decoding = re.compile(r"\b(imread|imreadmulti|imdecode|VideoCapture)\b")
    modules = (ROOT / "edge").rglob("*.py")
    found = {path.name for path in modules if decoding.search(path.read_text(encoding="utf-8"))}
    assert found == {"file_camera.py", "older.py", "report.py"}


def test_the_command_line_loads_nothing_but_itself() -> None:
    """A command's module, and what it needs, is imported when it runs."""
    program = "import sys, edge.cli.main as m; m.parser().format_help(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name for name in done.stdout.split() if name.split(".")[0] == "edge"}
    assert {name for name in loaded if not name.startswith("edge.cli.arguments")} == {
        *("edge", "edge.cli", "edge.cli.main", "edge.doctor", "edge.errors")
    }
    assert not {"numpy", "cv2", "onnxruntime", "av", "pydantic", "yaml"} & set(done.stdout.split())


def test_scan_starts_the_decoder_process_before_anything_heavy() -> None:
    program = "import sys, edge.cli.scan; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"numpy", "cv2", "onnxruntime", "av", "pydantic", "yaml", "rich", "edge.settings"}
    assert not heavy & set(done.stdout.split())


def _runs(given: argparse.ArgumentParser) -> Iterator[str]:
    """What runs each command and action of the command line, as module:function."""
    if isinstance(named := given.get_default("run"), str):
        yield named
    for action in given._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _runs(command)
        elif action.dest == "run":
            yield str(action.const)


@pytest.mark.parametrize("named", sorted(set(_runs(parser()))))
def test_every_command_can_be_run(named: str) -> None:
    if named.startswith("edge.cli.archive"):
        pytest.importorskip("distributed")
    assert callable(pkgutil.resolve_name(named))


def test_no_module_is_long() -> None:
    for most, folders in ((300, ("edge", "export", "docs", "setup")), (400, ("tests",))):
        for path in tracked(".py"):
            if path.relative_to(ROOT).parts[0] in folders:
                assert len(path.read_text(encoding="utf-8").splitlines()) <= most, path


def test_no_large_file_is_tracked() -> None:
    assert [path for path in tracked() if path.stat().st_size > LARGEST] == []


def test_no_file_names_this_checkout() -> None:
    """A path of the machine that a file was made on, as recorded input and findings hold it."""
    if Path("/opt") in ROOT.parents:
        pytest.skip("documents name the place where setup.sh installs")
    here = f"{ROOT}/".encode()
    assert [path for path in tracked() if here in path.read_bytes()] == []


def test_every_dependency_is_explained() -> None:
    extras = PROJECT["optional-dependencies"]
    fetched = [
        *PROJECT["dependencies"],
        *(name for extra in ("archive", "export", "mediapipe") for name in extras[extra]),
    ]
    everything = [*fetched, *extras["dev"]]
    for document, requirements in (("docs/dependencies.md", everything), ("NOTICE", fetched)):
        text = (ROOT / document).read_text(encoding="utf-8").lower()
        names = [re.split(r"[<>=\[]", requirement)[0] for requirement in requirements]
        assert [name for name in names if name.lower() not in text] == []


def test_links_lead_somewhere() -> None:
    """To a file that exists, and to a heading that it has."""
    broken = [
        (path.name, target, heading)
        for path in tracked(".md")
        for target, heading in re.findall(
            r"\]\(([^)#]*)#?([^)]*)\)", path.read_text(encoding="utf-8")
        )
        if "://" not in target and not leads_to(path.parent / target if target else path, heading)
    ]
    assert broken == []


def leads_to(document: Path, heading: str) -> bool:
    """True if the document exists and, where a heading is named, has it (as GitHub names it)."""
    if not heading or not document.is_file():
        return document.exists() and not heading
    titles = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return heading in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def test_every_hop_of_the_architecture_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for title, rooms in (
        ("The way of a clip", ("edge", "edge.scan")),
        ("One press", ("edge.box",)),
    ):
        section = text.split(f"## {title}")[1].split("\n## ")[0]
        hops = re.findall(r"^\| (\d+) \| `([\w.]+)` \|", section, re.MULTILINE)
        assert [int(number) for number, _ in hops] == list(range(1, len(hops) + 1))
        assert 10 <= len(hops) <= 20
        assert [name for _, name in hops if not any(exists(name, room) for room in rooms)] == []


def exists(name: str, room: str) -> bool:
    try:
        pkgutil.resolve_name(name if name.startswith("edge.") else f"{room}.{name}")
    except (ImportError, AttributeError):
        return False
    return True


def test_every_file_that_the_documents_name_exists() -> None:
    named = re.compile(r"`((?:config|docs|edge|export|setup|systemd|tests)/[\w./-]+)`")
    missing = [
        (document, name)
        for document in ("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/how-to.md")
        for name in named.findall((ROOT / document).read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    ]
    assert missing == []


def test_every_name_in_capitals_that_the_how_to_gives_is_in_the_code() -> None:
    """Tables such as `LEADS_TO`: a reader looks for them by name."""
    text = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`(_?[A-Z]{3,}(?:_[A-Z0-9]+)*)`", text)) - {"FILE", "NAME"}
    code = "".join(path.read_text(encoding="utf-8") for path in tracked(".py"))
    assert len(names) > 10
    assert [name for name in sorted(names) if not re.search(rf"^{name}\b.* =", code, re.M)] == []


def commands() -> list[str]:
    """The commands that the README tells people to type."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"`(truelight[^`]*)`", text)
    lines = [line for block in blocks for line in block.splitlines()] + inline
    return sorted({line.split(" #")[0].strip().removeprefix(".venv/bin/") for line in lines})


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("truelight")])
def test_the_readmes_commands_exist(line: str) -> None:
    program, command, *rest = [*shlex.split(line), "--help"]
    where = "edge" if program == "truelight" else "export"
    done = subprocess.run(
        [sys.executable, "-m", f"{where}.cli.main", command, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [word for word in rest if word.startswith("--") and word not in done.stdout] == []


def test_nothing_is_left_in_the_users_home(tmp_path: Path, bundle: Path, clips: Path) -> None:
    alone = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    alone = alone | {"HOME": str(tmp_path)}
    done = run("scan", "--json", "--bundle", bundle, clips / "red.jpg", env=alone)
    assert json.loads(done.stdout)["verdict"] == "FAKE"
    assert list(tmp_path.rglob("*")) == []


# ---- Samples


def test_the_samples_are_what_their_names_say(tmp_path: Path, bundle: Path) -> None:
    subprocess.run(
        [sys.executable, ROOT / "samples" / "make.py", tmp_path],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    done = run("scan", "--json", "--bundle", bundle, tmp_path)
    found = {Path(each["path"]).name: each for each in map(json.loads, done.stdout.splitlines())}
    assert found["broken.mp4"]["verdict"] == "UNREADABLE"
    assert found["nobody-there.webm"]["verdict"] == "NO_FACE"
    assert found["too-small.mp4"]["verdict"] == "UNSURE"
    assert "faces-too-small" in [reason["code"] for reason in found["too-small.mp4"]["reasons"]]
    assert found["photograph.jpg"]["clip"]["kind"] == "image"
    people = {name: len(each["faces"]) for name, each in found.items()}
    assert (people["one-person.mp4"], people["pasted-face.mp4"]) == (1, 1)
    assert people["two-people-crossing.mp4"] == 2
    # The shipped first model ranks a person and a swap rightly, but decides neither by itself: its
    # false positive rate on other cameras would be too high. The second opinion does.
    names = ("photograph.jpg", "pasted-face.mp4")
    done = run("scan", "--json", "--second", "never", *(tmp_path / name for name in names))
    person, swap = map(json.loads, done.stdout.splitlines())
    assert person["fake_probability"] < 0.45
    assert swap["fake_probability"] > 0.5
    assert [person["verdict"], swap["verdict"]] == ["UNSURE", "UNSURE"]
