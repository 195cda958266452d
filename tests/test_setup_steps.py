"""The steps of setup.sh, taken for real, in the root of a machine that nobody runs."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from contextlib import suppress
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest
from frontdoor import ROOT
from machines import content, steps, write_pi, write_program
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from edge.settings import load_settings, read_layer


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    """The root of a fresh Raspberry Pi OS."""
    return write_pi(tmp_path / "pi", "trixie")


def test_the_boot_configuration_is_changed_once_and_restored(pi: Path) -> None:
    (pi / "usr/bin/raspi-config").unlink()
    boot = pi / "boot/firmware/config.txt"
    boot.write_text("# mine\ndtparam=audio=on\n[pi4]\narm_boost=1\n")
    before = boot.read_text()
    said = steps(pi, "mkdir -p $OPT; switch_on_i2c; switch_on_camera")
    assert "Switching I2C on" in said
    assert "Switching the camera on" in said
    changed = boot.read_text()
    for line in ("dtparam=i2c_arm=on", "camera_auto_detect=1"):
        assert f"# Truelight begin\n[all]\n{line}\n# Truelight end\n" in changed
    assert steps(pi, "switch_on_i2c; switch_on_camera").count("already done") == 2
    assert boot.read_text() == changed
    steps(pi, "boot_remove")
    assert boot.read_text() == before


@pytest.mark.parametrize(
    "line",
    ["dtparam=i2c_arm=on", "dtparam=spi=on,i2c_arm=on", "dtparam=i2c=on,i2c_baudrate=400000"],
)
def test_what_is_switched_on_stays_as_it_is(pi: Path, line: str) -> None:
    boot = pi / "boot/firmware/config.txt"
    boot.write_text(f"{line}\ncamera_auto_detect=0\ndtoverlay=imx708\n")
    before = boot.read_text()
    assert steps(pi, "switch_on_i2c; switch_on_camera").count("already done") == 2
    assert boot.read_text() == before


def test_what_is_placed_is_taken_back(pi: Path) -> None:
    (pi / "opt/truelight").mkdir()
    before = content(pi)
    said = steps(pi, "place_everything")
    assert said.count("Writing ") >= 8
    unit = pi / "etc/systemd/system/truelight.service"
    assert unit.read_bytes() == (ROOT / "systemd/truelight.service").read_bytes()
    hook = pi / "usr/lib/systemd/system-shutdown/truelight-halted"
    assert os.access(hook, os.X_OK)
    again = steps(pi, "place_everything")
    assert "Writing" not in again
    unit.write_text("spoilt")
    assert f"Writing {unit}" in steps(pi, "place_everything")
    steps(pi, "remove_placed; rm -r $OPT; mkdir $OPT")
    assert {path for path in content(pi) if path.is_file()} == {
        path for path in before if path.is_file()
    }


def test_what_is_no_longer_needed_goes(pi: Path) -> None:
    placed = pi / "opt/truelight/.placed"
    placed.parent.mkdir()
    old, others = pi / "etc/systemd/system/truelight-old.service", pi / "etc/other"
    old.parent.mkdir(parents=True)
    old.touch()
    others.touch()
    placed.write_text(f"{old}\n")
    steps(pi, "place_everything")
    assert not old.exists()
    assert others.exists()
    assert str(old) not in placed.read_text()


def test_the_program_is_copied_without_what_only_checks_need(pi: Path, tmp_path: Path) -> None:
    source = tmp_path / "checkout"
    shutil.copytree(ROOT / "setup", source / "setup")
    shutil.copytree(ROOT / "constraints", source / "constraints")
    for name in ("CHANGELOG.md", "LICENSE", "NOTICE", "README.md", "pyproject.toml", "setup.sh"):
        (source / name).touch()
    for name in (
        "config",
        "docs",
        "edge/__pycache__",
        "export",
        "models/truelight",
        "samples/clips",
    ):
        (source / name).mkdir(parents=True)
    for name in ("systemd", "tests", ".git", ".venv"):
        (source / name).mkdir()
        (source / name / "file").touch()
    (source / "edge/a.py").write_text("a = 1\n")
    (source / "edge/__pycache__/a.pyc").touch()
    (source / "models/truelight/bundle.json").write_text("{}")
    home = pi / "opt/truelight"
    script = f"SYSTEM_PYTHON={sys.executable}; copy_program"
    assert "Copying the program" in steps(pi, script, source)
    assert (home / "edge/a.py").read_text() == "a = 1\n"
    assert list((home / "edge").rglob("a.*.pyc")), "compiled, since the box may not write there"
    assert (home / "constraints/run.txt").is_file()
    for name in ("tests", ".git", ".venv", "samples/clips", "edge/__pycache__/a.pyc", ".new"):
        assert not (home / name).exists(), name
    assert "already done" in steps(pi, script, source)
    # Here two bundles get weights from elsewhere; only one is still in want of the same later.
    for name, wanted in (("models/same", "weights"), ("models/other", "others")):
        (source / name).mkdir()
        (source / name / "bundle.json").write_text(hashlib.sha256(wanted.encode()).hexdigest())
    steps(pi, script, source)
    for name in ("same", "other"):
        (home / "models" / name / "tower.onnx").write_text("weights")
    # The next version has another file, and finds a bundle that somebody made.
    (home / "models/mine").mkdir()
    (source / "edge/a.py").rename(source / "edge/b.py")
    steps(pi, script, source)
    assert [path.name for path in (home / "edge").glob("*.py")] == ["b.py"]
    assert (home / "models/mine").is_dir()
    assert (home / "models/same/tower.onnx").read_text() == "weights"
    assert not (home / "models/other/tower.onnx").exists()
    assert (home / "models/truelight/bundle.json").exists()


def test_this_machines_settings_are_written_once(pi: Path) -> None:
    overlay = pi / "etc/truelight/truelight.yaml"
    steps(pi, "write_overlay")
    settings = load_settings(overlay)
    assert settings.store_folder == Path("/var/lib/truelight")
    assert len(read_layer(overlay)) == 1
    overlay.write_text("camera: {kind: none}\n")
    steps(pi, "write_overlay")
    assert overlay.read_text() == "camera: {kind: none}\n"


def test_every_example_in_this_machines_settings_is_allowed(tmp_path: Path) -> None:
    text = (ROOT / "config/machine.yaml").read_text(encoding="utf-8")
    examples = re.sub(r"^# (\w+:|  \w+: .+)$", r"\1", text, flags=re.MULTILINE)
    assert examples != text
    file = tmp_path / "all.yaml"
    file.write_text(examples)
    assert load_settings(file).camera.kind == "none"


def test_every_file_for_the_system_is_placed_or_run_where_it_is(pi: Path) -> None:
    steps(pi, "mkdir -p $OPT; place_everything")
    placed = {path.read_bytes() for path in pi.rglob("*") if path.is_file()}
    units = "".join(path.read_text() for path in (ROOT / "systemd").glob("*.service"))
    for file in (ROOT / "systemd").iterdir():
        if f"/opt/truelight/systemd/{file.name}" not in units:
            assert file.read_bytes() in placed, file.name


# ---- The lock files


@pytest.mark.parametrize(
    ("shared", "major", "lock"),
    [("true", 1, "run-numpy1"), ("true", 2, "run"), ("false", 1, "run")],
)
def test_a_box_keeps_to_the_major_version_of_the_systems_numpy(
    tmp_path: Path, shared: str, major: int, lock: str
) -> None:
    (tmp_path / "pyvenv.cfg").write_text(f"include-system-site-packages = {shared}\n")
    write_program(tmp_path / "python", f"echo {major}")
    said = steps(tmp_path, f"VENV={tmp_path} SYSTEM_PYTHON={tmp_path}/python; say $(run_lock)")
    assert said.strip() == str(ROOT / f"constraints/{lock}.txt")


def test_a_system_without_numpy_takes_the_usual_lock(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").write_text("include-system-site-packages = true\n")
    write_program(tmp_path / "python", "exit 1")
    said = steps(tmp_path, f"VENV={tmp_path} SYSTEM_PYTHON={tmp_path}/python; say $(run_lock)")
    assert said.strip() == str(ROOT / "constraints/run.txt")


def test_pip_refuses_a_package_that_is_not_the_locked_one(tmp_path: Path) -> None:
    wheel = tmp_path / "small-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("small.py", "")
        archive.writestr("small-1.0.dist-info/METADATA", "Name: small\nVersion: 1.0\n")
        archive.writestr("small-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("small-1.0.dist-info/RECORD", "")
    lock = tmp_path / "lock.txt"
    install = f"pip_install_locked {tmp_path}/venv Trying {lock}"
    script = f"(PIP_NO_INDEX=1 PIP_FIND_LINKS={tmp_path} {install}) || true"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    lock.write_text(f"small==1.0 --hash=sha256:{'0' * 64}\n")
    assert "DO NOT MATCH THE HASHES" in steps(tmp_path, script)
    lock.write_text(f"small==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    assert "Trying: done" in steps(tmp_path, script)


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOR_RUN = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
FOR_TEST = [
    requirement
    for extra in ("export", "dev")
    for requirement in PROJECT["project"]["optional-dependencies"][extra]
    if Requirement(requirement).name != "torch"
]
FOLDERS = {"edge", "export", "samples", "setup", "systemd", "tests"}
"""With code that locked packages run."""
MACHINES = [
    {"python_version": python, "python_full_version": f"{python}.0", "platform_machine": machine}
    for python in ("3.11", "3.12", "3.13", "3.14")
    for machine in ("aarch64", "x86_64")
]


def locked(name: str, machine: dict[str, str]) -> dict[str, Version]:
    """The releases that a lock file has for a machine; every one has a hash."""
    text = (ROOT / f"constraints/{name}.txt").read_text(encoding="utf-8").replace("\\\n", "")
    releases: dict[str, Version] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        pin, _, hashes = line.partition("--hash=sha256:")
        assert hashes, line
        requirement = Requirement(pin.strip())
        (exact,) = requirement.specifier
        assert exact.operator == "=="
        if requirement.marker is None or requirement.marker.evaluate(machine):
            releases[canonicalize_name(requirement.name)] = Version(exact.version)
    return releases


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: "-".join(machine.values()))
def test_every_lock_has_what_the_project_asks_for(machine: dict[str, str]) -> None:
    run, test = locked("run", machine), locked("test", machine)
    torch = locked("torch", machine) | locked("torch-needs", machine)
    asked = [(run, FOR_RUN), (test, FOR_TEST), (torch, ["torch>=2.9,<3"])]
    if machine["python_version"] == "3.11":
        asked.append((locked("run-numpy1", machine), [*FOR_RUN, "numpy<2"]))
    for releases, requirements in asked:
        for requirement in map(Requirement, requirements):
            if requirement.marker is None or requirement.marker.evaluate(machine):
                release = releases.get(canonicalize_name(requirement.name))
                assert release is not None, f"run ./setup.sh lock: {requirement}"
                assert release in requirement.specifier, f"run ./setup.sh lock: {requirement}"
    # What is tested is what is installed.
    assert run.items() <= test.items()
    assert {name: test[name] for name in torch.keys() & test.keys()}.items() <= torch.items()


def test_pip_checks_the_releases_of_the_python_that_it_is_asked_about() -> None:
    """It reads markers for the Python that runs it."""
    for python, release in (("3.11", "3.0"), ("3.14", "3.1")):
        command = [sys.executable, "setup/locked_for.py", "constraints/fuzz.txt", python]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        said = done.stdout
        assert "mfusepy==" in said
        if platform.machine() == "x86_64":
            assert f"atheris=={release}." in said
            assert said.count("atheris==") == 1


def test_what_is_imported_is_asked_for() -> None:
    """Else the next ./setup.sh lock leaves it out. What a requirement brings along counts too."""
    extras = PROJECT["project"]["optional-dependencies"]
    asked = [Requirement(each) for each in (*FOR_RUN, *chain(*extras.values()))]
    brought: set[str] = {"truelight"}
    while asked:
        requirement = asked.pop()
        if (name := canonicalize_name(requirement.name)) in brought:
            continue
        brought.add(name)
        with suppress(metadata.PackageNotFoundError):  # not on this machine
            further = map(Requirement, metadata.requires(name) or ())
            asked += [each for each in further if each.marker is None or each.marker.evaluate()]
    installed = metadata.packages_distributions()
    code = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(code) > 100
    for path in code:
        text = path.read_text(encoding="utf-8")
        for module in re.findall(r"^\s*(?:import|from) (\w+)", text, re.M):
            names = set(map(canonicalize_name, installed.get(module, ())))
            assert not names or names & brought, f"{path}: pyproject.toml does not name {module}"


def test_no_lock_names_a_place() -> None:
    for file in (ROOT / "constraints").iterdir():
        text = file.read_text(encoding="utf-8")
        assert "://" not in text, file.name
        assert "-index" not in text, file.name
