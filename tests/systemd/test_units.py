"""The units as systemd reads them. No systemd has to run for it."""

import configparser
import grp
import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from frontdoor import ROOT

SYSTEMD = ROOT / "systemd"
KINDS = (".path", ".service", ".slice", ".socket")
UNITS = sorted(path for path in SYSTEMD.iterdir() if path.suffix in KINDS)
MOST_EXPOSED = {
    "truelight.service": 1.0,
    "truelight-decoder@.service": 1.0,
    "truelight-model@.service": 1.0,
    "truelight-poweroff.service": 2.0,
    "truelight-report@.service": 2.0,
    "truelight-stick@.service": 2.0,
    "truelight-usb.service": 2.0,
    "truelight-web.service": 1.5,
}

CONFINED = ("truelight-decoder@.service", "truelight-model@.service")
"""What reads strangers' files: clips, and models."""


def do(*command: object) -> str:
    """What a command says, both ways; it must succeed."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units, with the program where they look for it."""
    folder = tmp_path_factory.mktemp("units")
    program = folder / "opt" / ".venv" / "bin" / "truelight"
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    (program.parent / "python").touch(0o755)
    for unit in UNITS:
        text = unit.read_text().replace("/opt/truelight", str(folder / "opt"))
        (folder / unit.name).write_text(text)
    return folder


def section(unit: str, name: str) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(SYSTEMD / unit)
    return parser[name]


def test_systemd_has_nothing_to_say_about_the_units(units: Path) -> None:
    assert do("systemd-analyze", "verify", *(units / unit.name for unit in UNITS)) == ""


def test_a_stick_that_is_in_at_boot_starts_in_some_order(units: Path, tmp_path: Path) -> None:
    """systemd breaks a circle by leaving something out: the stick's report, or its unmounting."""
    for unit in units.glob("truelight*"):
        shutil.copy(unit, tmp_path)
    stick = tmp_path / "truelight-stick@sda.service"
    shutil.copy(units / "truelight-stick@.service", stick)
    assert do("systemd-analyze", "verify", "basic.target", stick) == ""


@pytest.mark.parametrize("unit", MOST_EXPOSED)
def test_units_are_hardly_exposed(units: Path, unit: str) -> None:
    table = do("systemd-analyze", "security", "--offline=true", "--no-pager", units / unit)
    exposure = float(re.findall(r"exposure level for .*: ([0-9.]+)", table)[0])
    assert exposure <= MOST_EXPOSED[unit]


def test_the_page_shares_nothing_with_the_daemon_but_socket_and_spool() -> None:
    page, daemon = (section(f"truelight{name}.service", "Service") for name in ("-web", ""))
    assert page["User"] != daemon["User"]
    assert "SupplementaryGroups" not in page
    shared = set(page["ReadWritePaths"].split()) & set(daemon["ReadWritePaths"].split())
    assert shared == {"/var/spool/truelight"}
    assert "-/var/lib/truelight" in page["InaccessiblePaths"].split()
    assert daemon["PrivateNetwork"] == "yes"


@pytest.mark.parametrize("unit", ["truelight.service", *CONFINED])
def test_who_reads_strangers_files_may_enter_the_sandbox(unit: str) -> None:
    """systemd 252 has these calls in no set that the units allow."""
    allowed = (SYSTEMD / unit).read_text()
    for call in ("seccomp", "landlock_create_ruleset", "landlock_restrict_self"):
        assert re.search(rf"^SystemCallFilter=(?!~).*\b{call}\b", allowed, re.MULTILINE), call


@pytest.mark.parametrize("unit", CONFINED)
def test_who_reads_strangers_files_owns_nothing(unit: str) -> None:
    user = unit.partition("@")[0]
    service = section(unit, "Service")
    assert service["User"] == service["Group"] == user
    assert "SupplementaryGroups" not in service
    assert f"m {user}" not in (SYSTEMD / "sysusers.conf").read_text()
    assert section(f"{user}.socket", "Socket")["SocketMode"] == "0600"
    daemon = (SYSTEMD / "truelight.service").read_text()
    assert re.search(rf"^Wants=.*\b{user}\.socket\b", daemon, re.MULTILINE)
    uninstall = (ROOT / "setup/uninstall.sh").read_text()
    assert f" {user} " in uninstall, "its user stays"


def test_clips_and_models_are_confined_alike() -> None:
    """By the same lines, but for these."""
    ours, theirs = (
        {line for line in (SYSTEMD / unit).read_text().splitlines() if line[:1] not in "#"}
        for unit in CONFINED
    )
    names = {line.partition("=")[0] for line in ours ^ theirs}
    assert names == {
        *("Description", "ExecStart", "User", "Group"),
        *("MemoryMax", "LimitAS", "LimitCPU", "ProcSubset"),
    }


def test_the_daemon_never_ends_up_failed() -> None:
    """After 20 starts in 73 s with a read-only disk the box stayed dark."""
    assert section("truelight.service", "Unit")["StartLimitIntervalSec"] == "0"
    assert section("truelight.service", "Service")["Restart"] == "always"


def test_the_mount_point_does_not_hang_on_the_daemons_life() -> None:
    service = section("truelight.service", "Service")
    assert "RuntimeDirectory" not in service
    folders = (SYSTEMD / "tmpfiles.conf").read_text()
    for folder in (*service["ReadWritePaths"].split(), "/run/truelight/sticks"):
        assert re.search(rf"^d {folder} ", folders, re.MULTILINE)


def test_sticks_are_mounted_in_the_view_of_the_machine() -> None:
    """In that of the unit nobody else would see them."""
    service = section("truelight-stick@.service", "Service")
    assert service["StandardInput"] == "file:/proc/1/ns/mnt"
    for key in ("ExecStart", "ExecStopPost"):
        assert service[key].endswith(" --view /proc/self/fd/0")


@pytest.mark.parametrize("verb", ["mount", "unmount", "report"])
def test_what_the_units_start_understands_them(verb: str) -> None:
    lines = [
        line
        for unit in UNITS
        for line in unit.read_text().splitlines()
        if line.startswith("Exec") and f" {verb} %i" in line
    ]
    assert lines
    for line in lines:
        command = line.split("=", 1)[1].replace("/opt/truelight", str(ROOT))
        command = command.replace("/usr/bin/python3", sys.executable)
        done = subprocess.run(
            [*command.replace("%i", "..").split()], check=False, capture_output=True, text=True
        )
        assert "NAME is not a device's" in done.stderr


def test_the_user_gets_its_groups(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    (etc / "sysusers.d").mkdir(parents=True)
    shutil.copy(SYSTEMD / "sysusers.conf", etc / "sysusers.d" / "truelight.conf")
    do("systemd-sysusers", f"--root={tmp_path}", "truelight.conf")
    assert "truelight:" in (etc / "passwd").read_text()
    groups = {
        line.split(":")[0]: line.split(":")[3] for line in (etc / "group").read_text().splitlines()
    }
    wanted = section("truelight.service", "Service")["SupplementaryGroups"].split()
    assert {name for name, members in groups.items() if members == "truelight"} == set(wanted)


def test_the_folders_are_made(tmp_path: Path) -> None:
    """Owned by the user who runs this: only root can give them to others."""
    me, mine = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    text = (SYSTEMD / "tmpfiles.conf").read_text()
    lines = [line.split() for line in text.splitlines() if line.startswith("d ")]
    own = [f"d {path} {mode} {me} {mine}\n" for _, path, mode, _, _ in lines]
    (tmp_path / "etc" / "tmpfiles.d").mkdir(parents=True)
    (tmp_path / "etc" / "tmpfiles.d" / "truelight.conf").write_text("".join(own))
    for name, entry in (
        ("passwd", f"{me}:x:{os.geteuid()}:{os.getegid()}::/:/bin/sh"),
        ("group", f"{mine}:x:{os.getegid()}:"),
    ):
        (tmp_path / "etc" / name).write_text(entry + "\n")
    do("systemd-tmpfiles", "--create", f"--root={tmp_path}", "truelight.conf")
    for _, path, mode, user, group in lines:
        made = tmp_path / path.lstrip("/")
        assert made.stat().st_mode & 0o7777 == int(mode, 8)
        assert {user, group} == {"root"} or {user, group} <= {"truelight", "truelight-web"}
    assert ["d", "/run/truelight/sticks", "0755", "root", "root"] in lines


def test_the_shell_script_is_clean() -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    do(shellcheck, SYSTEMD / "truelight-halted")
    done = subprocess.run([SYSTEMD / "truelight-halted", "reboot"], check=False)
    assert done.returncode == 0
