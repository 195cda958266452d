"""setup.sh as people start it, and the machines it is started on: roots that nobody runs."""

import os
import shutil
import subprocess
from pathlib import Path

from frontdoor import ROOT

Done = subprocess.CompletedProcess[str]


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


def write_program(file: Path, text: str) -> None:
    file.write_text(f"#!{shutil.which('bash')}\n{text}\n", encoding="utf-8")
    file.chmod(0o755)


RELEASES = {"bookworm": "12", "trixie": "13"}


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


PARTS = ("steps", "packages", "program", "checks", "machine", "place", "install", "uninstall")


def steps(root: Path, script: str, source: Path = ROOT) -> str:
    """What steps of setup.sh say that are taken for real, in another root."""
    loaded = " ".join(f'. "{ROOT}/setup/{part}.sh";' for part in PARTS)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f'ROOT="{source}"; {loaded} {script}'],
        env=os.environ | {"TRUELIGHT_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr
