"""setup.sh: what it can do, what it refuses, and what installing would change."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from frontdoor import ROOT

SHELL = ("bash", "cat", "cut", "dirname", "env", "id", "mktemp", "rm", "sha256sum", "tail")

Done = subprocess.CompletedProcess[str]


def setup(where: Path, *arguments: str, path: Path | None = None, **variables: str) -> Done:
    """Run a copy of setup.sh in the folder `where`, seeing only the programs in `path`."""
    shutil.copy(ROOT / "setup.sh", where)
    shutil.copytree(ROOT / "setup", where / "setup")
    (where / "pyproject.toml").touch()
    return started(where / "setup.sh", *arguments, path=path, **variables)


def started(script: Path, *arguments: str, path: Path | None = None, **variables: str) -> Done:
    environment = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    if path:
        environment["PATH"] = str(path)
    return subprocess.run(
        [script, *arguments],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def programs(folder: Path, python: str) -> Path:
    """A folder of programs: what setup.sh needs of the shell, and `python3` as given."""
    folder.mkdir()
    for name in SHELL:
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    write_program(folder / "python3", python)
    return folder


def write_program(file: Path, text: str) -> None:
    file.write_text(f"#!{shutil.which('bash')}\n{text}\n", encoding="utf-8")
    file.chmod(0o755)


def test_it_tells_what_it_can_do(tmp_path: Path) -> None:
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

RELEASES = {"bookworm": "12", "trixie": "13"}


@pytest.fixture(params=RELEASES)
def pi(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The root of a fresh Raspberry Pi OS of 64 bit, as far as setup.sh looks at it."""
    return write_pi(tmp_path / "pi", request.param)


def write_pi(root: Path, codename: str) -> Path:
    for folder in ("etc", "proc/device-tree", "boot/firmware", "usr/bin", "opt"):
        (root / folder).mkdir(parents=True)
    (root / "etc/os-release").write_text(
        f'PRETTY_NAME="Debian GNU/Linux {RELEASES.get(codename, "")} ({codename})"\n'
        f"VERSION_CODENAME={codename}\nID=debian\n"
    )
    (root / "etc/rpi-issue").touch()
    (root / "proc/device-tree/model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    (root / "proc/meminfo").write_text("MemTotal:        8245844 kB\nMemFree: 1 kB\n")
    (root / "boot/firmware/config.txt").write_text("dtparam=audio=on\ncamera_auto_detect=1\n")
    write_program(root / "usr/bin/raspi-config", "exit 1")
    return root


def on(root: Path, *arguments: str, architecture: str = "arm64") -> Done:
    """Run setup.sh for the machine whose root is given."""
    programs = root.parent / "programs"
    programs.mkdir(exist_ok=True)
    write_program(programs / "dpkg", f"echo {architecture}")
    path = f"{programs}:{os.environ['PATH']}"
    return started(ROOT / "setup.sh", *arguments, TRUELIGHT_ROOT=str(root), PATH=path)


def content(root: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in root.rglob("*")}


def test_a_dry_install_names_its_steps_and_changes_nothing(pi: Path) -> None:
    before = content(pi)
    done = on(pi, "install", "--dry-run")
    assert done.returncode == 0, done.stderr
    would = [line.removeprefix("  would do: ") for line in done.stderr.splitlines()]
    for said in (
        "Installing system packages: python3-venv python3-systemd python3-lgpio python3-picamera2",
        f"Copying the program to {pi}/opt/truelight",
        f"Making a Python environment in {pi}/opt/truelight/.venv",
        "Switching I2C on, for the display: raspi-config nonint do_i2c 0",
        f"Writing {pi}/etc/systemd/system/truelight.service",
        "Making the user truelight",
        "Starting truelight.service with the machine from now on",
    ):
        assert said in would
    assert "  The camera: is so already" in would
    assert "Raspberry Pi 5 Model B Rev 1.0" in done.stderr
    assert content(pi) == before
