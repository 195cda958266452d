"""setup.sh: what it can do, what it refuses, and what installing would change."""

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from frontdoor import ROOT
from machines import Done, content, on, started, steps, write_pi, write_program

SHELL = ("bash", "cat", "cut", "dirname", "env", "id", "mktemp", "rm", "sha256sum", "tail")


def setup(where: Path, *arguments: str, path: Path | None = None, **variables: str) -> Done:
    """Run a copy of setup.sh in the folder `where`, seeing only the programs in `path`."""
    shutil.copy(ROOT / "setup.sh", where)
    shutil.copytree(ROOT / "setup", where / "setup")
    shutil.copytree(ROOT / "constraints", where / "constraints")
    (where / "pyproject.toml").touch()
    return started(where / "setup.sh", *arguments, path=path, **variables)


def programs(folder: Path, python: str) -> Path:
    """A folder of programs: what setup.sh needs of the shell, and `python3` as given."""
    folder.mkdir()
    for name in SHELL:
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    write_program(folder / "python3", python)
    return folder


def test_it_lists_its_commands(tmp_path: Path) -> None:
    done = setup(tmp_path)
    assert done.returncode == 0
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in re.findall(r"\./setup\.sh (\w+)", readme):
        assert f"./setup.sh {command}" in done.stdout


def test_it_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    done = setup(tmp_path, "fly")
    assert done.returncode == 1
    assert '"fly"' in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_it_names_the_python_it_needs(tmp_path: Path) -> None:
    old = 'if [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi'
    done = setup(tmp_path, "run", path=programs(tmp_path / "bin", old))
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed; found here: Python 3.9.2." in done.stderr


def test_it_names_the_package_it_may_not_install(tmp_path: Path) -> None:
    bare = f'case "$*" in *ensurepip*) exit 1 ;; *) exec {sys.executable} "$@" ;; esac'
    done = setup(tmp_path, "run", path=programs(tmp_path / "bin", bare))
    assert done.returncode == 1
    package = f"python3.{sys.version_info.minor}-venv"
    assert f"sudo apt-get install {package}" in done.stderr


# ---- install and uninstall, dry, on the roots of other machines


@pytest.fixture(params=["bookworm", "trixie"])
def pi(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The root of a fresh Raspberry Pi OS of 64 bit, as far as setup.sh looks at it."""
    return write_pi(tmp_path / "pi", request.param)


def test_a_dry_install_names_its_steps_and_changes_nothing(pi: Path) -> None:
    before = content(pi)
    done = on(pi, "install", "--dry-run")
    assert done.returncode == 0, done.stderr
    would = [line.removeprefix("  would do: ") for line in done.stderr.splitlines()]
    for said in (
        "Installing system packages: python3-venv python3-systemd python3-lgpio python3-picamera2",
        f"Copying the program to {pi}/opt/truelight",
        f"Creating a Python environment in {pi}/opt/truelight/.venv",
        "Switching I2C on, for the display: raspi-config nonint do_i2c 0",
        f"Writing {pi}/etc/systemd/system/truelight.service",
        "Creating Truelight's users",
        "Enabling truelight.service, which starts at boot",
    ):
        assert said in would
    assert "  The camera: already done" in would
    assert "Raspberry Pi 5 Model B Rev 1.0" in done.stderr
    assert content(pi) == before


@pytest.mark.parametrize(
    ("file", "text", "architecture", "said", "remedy"),
    [
        ("etc/rpi-issue", "", "armhf", "32-bit (armhf)", "(64-bit)"),
        ("etc/rpi-issue", "", "amd64", "not a Raspberry Pi: its architecture is amd64", "run"),
        (
            "etc/os-release",
            "ID=ubuntu\nVERSION_CODENAME=noble\n",
            "arm64",
            "bookworm and trixie",
            "",
        ),
        (
            "etc/os-release",
            'ID=debian\nVERSION_CODENAME=bullseye\nPRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\n',
            "arm64",
            "This is Debian GNU/Linux 11 (bullseye), which is too old",
            "bookworm or trixie",
        ),
        ("etc/rpi-issue", None, "arm64", "not Raspberry Pi OS", "onto the card"),
        (
            "proc/device-tree/model",
            "Some Board\0",
            "arm64",
            "This machine is Some Board",
            "Pi 4 or 5",
        ),
        (
            "proc/device-tree/model",
            None,
            "arm64",
            "This machine is not a Raspberry Pi",
            "Pi 4 or 5",
        ),
        ("proc/meminfo", "MemTotal: 436000 kB\n", "arm64", "has 425 MB of memory", "1 GB"),
    ],
)
def test_a_machine_that_will_not_do_is_refused_in_a_sentence(
    tmp_path: Path, file: str, text: str | None, architecture: str, said: str, remedy: str
) -> None:
    root = write_pi(tmp_path / "pi", "bookworm")
    if text is None:
        (root / file).unlink()
    else:
        (root / file).write_text(text)
    done = on(root, "install", "--dry-run", architecture=architecture)
    assert done.returncode == 1
    refusal, advice = done.stderr.splitlines()[-2:]
    assert said in refusal
    assert refusal.startswith("setup.sh: ")
    assert remedy in advice
    assert "would do" not in done.stderr


def test_a_full_card_is_refused(pi: Path, tmp_path: Path) -> None:
    (tmp_path / "programs").mkdir()
    write_program(tmp_path / "programs" / "df", "echo Size Used; echo /dev/root 9 8 512000 9% /")
    done = on(pi, "install", "--dry-run")
    assert done.returncode == 1
    assert "has 500 MB free; the minimum is 1500 MB" in done.stderr


def test_missing_parts_of_other_machines_are_named_and_skipped(tmp_path: Path) -> None:
    root = write_pi(tmp_path / "pi", "trixie")
    for file in ("etc/rpi-issue", "proc/device-tree/model", "boot/firmware/config.txt"):
        (root / file).unlink()
    (root / "usr/bin/raspi-config").unlink()
    done = on(root, "install", "--dry-run", "--anyway", architecture="amd64")
    assert done.returncode == 0
    assert done.stderr.count("  Note: ") == 5
    assert "would do: Creating Truelight's users" in done.stderr


def test_only_root_installs(tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    folder.mkdir()
    write_program(folder / "id", "echo 1000")
    path = f"{folder}:{os.environ['PATH']}"
    done = started(ROOT / "setup.sh", "install", "--anyway", PATH=path)
    assert done.returncode == 1
    assert "Only root may change the system" in done.stderr
    assert "sudo " in done.stderr.splitlines()[-1]


def test_another_root_is_for_looking_only(pi: Path) -> None:
    done = on(pi, "install")
    assert done.returncode == 1
    assert "TRUELIGHT_ROOT works only with --dry-run" in done.stderr


def test_a_dry_uninstall_names_its_steps_and_changes_nothing(pi: Path) -> None:
    steps(pi, "mkdir -p $OPT; place_everything; write_overlay")
    before = content(pi)
    done = on(pi, "uninstall", "--dry-run")
    assert done.returncode == 0, done.stderr
    for said in (
        "would do: Stopping truelight.service",
        f"would do: Removing {pi}/etc/systemd/system/truelight.service",
        f"would do: Removing the program, {pi}/opt/truelight",
        f"Kept: {pi}/etc/truelight",
    ):
        assert said in done.stderr
    purged = on(pi, "uninstall", "--dry-run", "--purge")
    assert f"would do: Removing {pi}/etc/truelight" in purged.stderr
    assert content(pi) == before


def test_where_nothing_is_installed_uninstall_says_so(pi: Path) -> None:
    done = on(pi, "uninstall", "--dry-run")
    assert done.returncode == 0
    assert "Truelight is not installed" in done.stderr


# ---- run


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """A checkout in which everything is installed, and `truelight` says what it is asked."""
    for folder in (".venv/bin", "edge/scan/faces", "third_party/blazeface", "samples/clips"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("edge/scan/faces/detector.py", "samples/make.py"):
        (tmp_path / file).touch()
    write_program(tmp_path / ".venv/bin/python", "exit 0")
    write_program(tmp_path / ".venv/bin/truelight", 'echo "asked to: $*"')
    assert setup(tmp_path).returncode == 0
    return tmp_path / "setup.sh"


def test_without_a_terminal_the_samples_are_judged(ready: Path) -> None:
    assert started(ready, "run").stdout == "asked to: scan samples/clips\n"
    assert started(ready, "run", "--json", "a.mp4").stdout == "asked to: scan --json a.mp4\n"


def test_modules_of_another_program_are_left_out(ready: Path) -> None:
    write_program(ready.parent / ".venv/bin/truelight", 'echo "${PYTHONPATH-} ${PYTHONHOME-}"')
    assert started(ready, "run", PYTHONPATH="/other", PYTHONHOME="/other").stdout == " \n"


def test_the_model_for_second_opinions_is_added_on_demand(ready: Path) -> None:
    done = started(ready, "thorough")
    assert done.returncode == 0
    assert "Installing the model for second opinions" in done.stderr
    write_program(ready.parent / ".venv/bin/truelight", 'echo "asked to: $*"; exit 2')
    done = started(ready, "thorough")
    assert done.returncode == 1
    assert "asked to: models add thorough" in done.stderr


def test_on_a_terminal_the_box_starts_there(ready: Path) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [ready, "run"], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, check=False
    )
    os.close(theirs)
    assert done.returncode == 0
    said = os.read(ours, 4096).decode()
    os.close(ours)
    assert said.strip() == "asked to: run --panel terminal --camera samples/clips/one-person.mp4"


# ---- The model for second opinions


def with_second(ready: Path, answer: str) -> Path:
    """The checkout with a bundle for second opinions, whose weights `truelight` adds, or not."""
    (ready.parent / "models/thorough").mkdir(parents=True)
    (ready.parent / "models/thorough/bundle.json").write_text("{}")
    program = f'case "$*" in "models add"*) {answer} ;; *) echo "asked to: $*" ;; esac'
    write_program(ready.parent / ".venv/bin/truelight", program)
    return ready


def test_run_brings_the_model_for_second_opinions_once(ready: Path) -> None:
    tower = ready.parent / "models/thorough/tower.onnx"
    with_second(ready, f"touch {tower}")
    first = started(ready, "run", "a.mp4")
    assert first.stdout == "asked to: scan a.mp4\n"
    assert "about 90 MB" in first.stderr
    assert "--without-second" in first.stderr
    assert tower.is_file()
    assert "second opinions" not in started(ready, "run", "a.mp4").stderr


def test_run_goes_on_without_a_model_that_cannot_be_fetched(ready: Path) -> None:
    done = started(with_second(ready, "echo Traceback >&2; exit 2"), "run", "a.mp4")
    assert (done.returncode, done.stdout) == (0, "asked to: scan a.mp4\n")
    assert "Going on without second opinions. To try again: ./setup.sh thorough" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_leaves_the_model_out_where_it_is_not_wanted(ready: Path) -> None:
    with_second(ready, "exit 1")
    for done in (
        started(ready, "run", "--without-second", "a.mp4"),
        started(ready, "run", "a.mp4", TRUELIGHT_SECOND="never"),
    ):
        assert (done.returncode, done.stdout) == (0, "asked to: scan a.mp4\n")
        assert "second" not in done.stderr


def test_install_brings_the_model_where_memory_suffices(pi: Path) -> None:
    would = "would do: Installing the model for second opinions"
    (pi / "proc/meminfo").write_text("MemTotal: 1893000 kB\n")
    assert would in on(pi, "install", "--dry-run").stderr
    assert would not in on(pi, "install", "--dry-run", "--without-second").stderr
    (pi / "proc/meminfo").write_text("MemTotal: 947000 kB\n")
    assert would not in on(pi, "install", "--dry-run").stderr
