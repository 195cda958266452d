"""What root does to sticks: `systemd/stick`, run as its units run it."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import volume
from volume import Stick, contents
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

OURS = {"TRUELIGHT-REPORT.html", "truelight-report.json"}
CANARY = "TRUELIGHT-IN-PROGRESS.txt"

MAKERS: dict[str, tuple[str, ...]] = {
    "vfat": ("mkfs.vfat", "-n", "MY STICK"),
    "exfat": ("mkfs.exfat", "-L", "MY STICK"),
    "ntfs": ("mkfs.ntfs", "-q", "-F", "-f", "-L", "MY STICK"),
    "ext4": ("mkfs.ext4", "-q", "-L", "MY STICK"),
    "btrfs": (),
    "crypto_LUKS": (),
    "empty": (),
}


def image(folder: Path, kind: str) -> Path:
    """A volume of this kind, as far as its first megabytes tell."""
    path = folder / f"{kind}.img"
    with path.open("wb") as file:
        file.truncate(16 * 1024**2)
        if kind == "crypto_LUKS":
            file.write(b"LUKS\xba\xbe\x00\x02")
        if kind == "btrfs":
            file.seek(0x10040)
            file.write(b"_BHRfS_M")
    if command := MAKERS[kind]:
        path_of_tools = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        subprocess.run(
            [*command, str(path)], check=True, capture_output=True, env={"PATH": path_of_tools}
        )
    return path


# ---- Mounting


def test_a_stick_is_mounted_and_announced(stick: Stick) -> None:
    facts = stick.plug()
    assert facts["name"] == "My Stick"
    assert facts["device"] == str(stick.dev / stick.name)
    assert facts["filesystem"] == "ext4"
    assert facts["error"] is None
    assert (stick.folder / "holiday" / "beach.mp4").stat().st_size == 300_000
    assert stick.status.stat().st_mode & 0o777 == 0o644


def test_nothing_is_left_of_a_stick_that_is_gone(stick: Stick) -> None:
    stick.plug()
    stick.do("unmount")
    assert list(stick.sticks.iterdir()) == []
    assert str(stick.folder) not in Path("/proc/self/mountinfo").read_text()
    stick.do("unmount")


def test_a_stick_that_is_plugged_in_again_is_another_one(stick: Stick) -> None:
    first = stick.plug()["plugged"]
    stick.do("unmount")
    assert stick.plug()["plugged"] != first


@pytest.mark.parametrize(
    ("kind", "driver", "options"),
    [
        ("vfat", "vfat", {"utf8", "umask=0022"}),
        ("exfat", "exfat", {"iocharset=utf8", "umask=0022"}),
        ("ntfs", "ntfs3", {"iocharset=utf8", "umask=0022"}),
        ("ext4", "ext4", set[str]()),
    ],
)
def test_each_format_gets_the_kernels_own_driver(
    tmp_path: Path, kind: str, driver: str, options: set[str]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with volume.stand_in(home, image(tmp_path, kind)) as stick:
        facts = stick.plug()
        assert (facts["filesystem"], facts["name"], facts["error"]) == (kind, "MY STICK", None)
        words = (home / "mount.log").read_text().split()
        assert words[:3] == ["-i", "-t", driver]
        safe = {"ro", "nosuid", "nodev", "noexec", "nosymfollow", "noatime"}
        assert safe | options <= set(words[4].split(","))


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("empty", "The stick is empty or damaged."),
        ("crypto_LUKS", "The stick is encrypted."),
        ("btrfs", "The stick's format is btrfs."),
    ],
)
def test_what_cannot_be_read_is_reported(tmp_path: Path, kind: str, says: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with volume.stand_in(home, image(tmp_path, kind)) as stick:
        facts = stick.plug()
        assert facts["error"] == says
        assert facts["remedy"]
        assert not stick.folder.exists()
        stick.do("unmount")
        assert not stick.status.exists()


def test_a_damaged_volume_is_reported(stick: Stick) -> None:
    device = stick.dev / stick.name
    with device.open("r+b") as file:
        # The superblock stays as it is, so that blkid calls it an ext4; all after it is lost.
        file.seek(2048)
        file.write(b"\xff" * 300_000)
        file.flush()
        os.fsync(file.fileno())
    if not stick.is_real:
        (stick.dev.parent / "tools" / "mount").write_text("#!/bin/sh\nexit 32\n")
    facts = stick.plug()
    assert facts["error"] == "The stick is damaged."
    assert not stick.folder.exists()


def test_a_device_that_is_gone_already_is_no_crash(stick: Stick, tmp_path: Path) -> None:
    stick.dev = tmp_path / "nowhere"
    assert stick.plug()["error"]


def test_the_systems_own_disk_is_left_alone(tmp_path: Path) -> None:
    with volume.stand_in(tmp_path) as stick:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        number = next(line.split()[2] for line in lines if line.split()[4] == "/")
        disk = stick.sys / "sdz"
        (disk / "sdz1").mkdir(parents=True)
        (disk / "sdz1" / "partition").write_text("1\n")
        (disk / "sdz1" / "dev").write_text("8:1\n")
        (disk / "sdz2").mkdir()
        (disk / "sdz2" / "dev").write_text(f"{number}\n")
        (stick.sys / "sdz1").rmdir()
        (stick.sys / "sdz1").symlink_to(disk / "sdz1")
        assert "belongs to this system" in stick.do("mount")
        assert list(stick.sticks.iterdir()) == []


@pytest.mark.parametrize("name", ["../etc", "sda1/..", "", "sda 1", "sda1;reboot"])
def test_a_name_that_no_device_has_is_refused(tmp_path: Path, name: str) -> None:
    done = subprocess.run(
        [*volume.SCRIPT, "mount", name, "--run", tmp_path], check=False, capture_output=True
    )
    assert done.returncode == 2


def told_by(tool: Path, then: str) -> Path:
    """Have a command write down its capabilities and mount namespace before it does `then`."""
    told = tool.with_suffix(".told")
    facts = "grep CapEff /proc/self/status; readlink /proc/self/ns/mnt"
    tool.write_text(f"#!/bin/sh\n{{ {facts}; }} >{told}\n{then}\n")
    tool.chmod(0o755)
    return told


def test_what_reads_a_strangers_bytes_has_no_capability(tmp_path: Path) -> None:
    with volume.stand_in(tmp_path) as stick:
        blkid = shutil.which("blkid", path=stick.environment["PATH"])
        told = told_by(tmp_path / "tools" / "blkid", f'exec {blkid} "$@"')
        command = ["setpriv", "--no-new-privs", *stick.command("mount")]
        subprocess.run(command, check=True, env=stick.environment)
        assert int(told.read_text().split()[1], 16) == 0
        assert stick.folder.is_symlink()


def test_a_stick_is_mounted_in_the_view_that_is_given(tmp_path: Path) -> None:
    """And it is searched in the unit's own."""
    with volume.stand_in(tmp_path) as stick:
        tools, given = tmp_path / "tools", tmp_path / "given"
        blkid = shutil.which("blkid", path=stick.environment["PATH"])
        searching = told_by(tools / "blkid", f'exec {blkid} "$@"')
        (tools / "mount").rename(tools / "mount-in-stead")
        mounting = told_by(tools / "mount", f'exec {tools / "mount-in-stead"} "$@"')
        # Anyone may have views of the file system as root of a user namespace.
        as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        view = "/proc/self/ns/mnt"
        inside = f'readlink {view} >"$0"; exec unshare --mount "$@" --view /proc/self/fd/0 <{view}'
        command = ["sh", "-c", inside, str(given), *stick.command("mount")]
        subprocess.run(
            ["unshare", *as_root, "--mount", *command], check=True, env=stick.environment
        )
        assert stick.folder.is_symlink()
        assert mounting.read_text().split()[-1] == given.read_text().strip()
        assert searching.read_text().split()[-1] != given.read_text().strip()


# ---- The report


def test_a_report_changes_nothing_else(stick: Stick) -> None:
    stick.plug()
    before = contents(stick.folder)
    stick.hand_over("<h1>Ünïcode</h1>" * 1000, '{"clips": 1}')
    assert stick.report() == "written"
    after = contents(stick.folder)
    assert after.keys() - before.keys() == OURS
    assert {name: after[name] for name in before} == before
    assert (stick.folder / "TRUELIGHT-REPORT.html").read_text() == "<h1>Ünïcode</h1>" * 1000
    assert (stick.folder / "truelight-report.json").read_text() == '{"clips": 1}'
    assert not (stick.box / "ready").exists()


def test_a_later_report_takes_the_place_of_the_first(stick: Stick) -> None:
    stick.plug()
    for page in ("first", "second"):
        stick.hand_over(page)
        assert stick.report() == "written"
    assert (stick.folder / "TRUELIGHT-REPORT.html").read_text() == "second"
    assert not list(stick.folder.glob("*.part"))


def test_a_folder_in_the_reports_place_costs_no_report(tmp_path: Path) -> None:
    """The page was written and the JSON was not: half a report."""
    with volume.stand_in(tmp_path) as stick:
        stick.plug()
        its = stick.folder.resolve()
        its.chmod(0o755)  # mounted read-only, which stops everybody but root
        (its / "truelight-report.json").mkdir()
        its.chmod(0o555)
        stick.hand_over("page", "{}")
        assert stick.report() == "written"
        assert (stick.folder / "TRUELIGHT-REPORT.html").read_text() == "page"
        assert (stick.folder / "truelight-report-2.json").read_text() == "{}"


def test_the_stick_says_that_it_is_being_written_to(stick: Stick) -> None:
    stick.plug()
    stick.hand_over()
    names: list[str] = []
    observer = Observer()
    observer.schedule(Names(names), str(stick.folder.resolve()))
    observer.start()
    assert stick.report() == "written"
    (stick.reports / "end").touch()
    deadline = time.monotonic() + 60
    while f"-{CANARY}" not in names and time.monotonic() < deadline:
        time.sleep(0.01)
    observer.stop()
    observer.join()
    page = "+TRUELIGHT-REPORT.html"
    assert names.index(f"+{CANARY}") < names.index(page) < names.index(f"-{CANARY}")


class Names(FileSystemEventHandler):
    """Keeps which names came (+) and went (-)."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def on_moved(self, event: FileSystemEvent) -> None:
        self._names.append(f"+{Path(os.fsdecode(event.dest_path)).name}")

    def on_deleted(self, event: FileSystemEvent) -> None:
        self._names.append(f"-{Path(os.fsdecode(event.src_path)).name}")


@pytest.mark.parametrize("delay", [0.05, 0.1, 0.15, 0.2])
def test_a_writer_that_is_ended_leaves_the_stick_in_order(stick: Stick, delay: float) -> None:
    stick.plug()
    before = contents(stick.folder)
    stick.hand_over("x" * 3_000_000)
    with subprocess.Popen(stick.command("report"), env=stick.environment) as writer:
        time.sleep(delay)
        writer.send_signal(signal.SIGTERM)
    after = contents(stick.folder)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() <= OURS
    if stick.is_real:
        assert "rw" not in stick.mount_options


def test_a_report_for_another_stick_is_not_written(stick: Stick) -> None:
    stick.plug()
    stick.hand_over()
    stick.do("unmount")
    stick.plug()
    assert stick.report() == "gone"
    assert not (stick.folder / "TRUELIGHT-REPORT.html").exists()


def test_a_stick_that_is_gone_gets_none(stick: Stick) -> None:
    stick.plug()
    stick.hand_over()
    stick.do("unmount")
    assert stick.report() == "gone"


def test_a_report_that_is_larger_than_the_stick_is_not_begun(stick: Stick) -> None:
    stick.plug()
    room = os.statvfs(stick.folder)
    size = min(room.f_bavail * room.f_frsize, 64 * 1024**2)
    before = contents(stick.folder)
    stick.hand_over("x" * size)
    assert stick.report() in ("full", "written")
    if stick.is_real:
        assert contents(stick.folder) == before


def a_link(stick: Stick) -> None:
    page = stick.box / "TRUELIGHT-REPORT.html"
    page.unlink()
    page.symlink_to("/etc/passwd")


def a_pipe(stick: Stick) -> None:
    page = stick.box / "TRUELIGHT-REPORT.html"
    page.unlink()
    os.mkfifo(page)


def a_giant(stick: Stick) -> None:
    with (stick.box / "TRUELIGHT-REPORT.html").open("r+b") as page:
        page.truncate(65 * 1024**2)


def nothing(stick: Stick) -> None:
    (stick.box / "truelight-report.json").unlink()


@pytest.mark.parametrize("trick", [a_link, a_pipe, a_giant, nothing])
def test_what_is_not_a_report_is_not_taken(stick: Stick, trick: Callable[[Stick], None]) -> None:
    stick.plug()
    before = contents(stick.folder)
    stick.hand_over()
    trick(stick)
    assert stick.report() == "failed"
    assert contents(stick.folder) == before


def test_a_box_that_is_a_link_is_not_entered(stick: Stick, tmp_path: Path) -> None:
    stick.plug()
    stick.hand_over()
    elsewhere = tmp_path / "elsewhere"
    stick.box.rename(elsewhere)
    stick.box.symlink_to(elsewhere)
    done = subprocess.run(stick.command("report"), check=False, env=stick.environment)
    assert done.returncode != 0
    assert (elsewhere / "ready").exists()


def test_a_stick_with_its_switch_on_keeps_the_report_out(tmp_path: Path) -> None:
    with volume.stand_in(tmp_path) as stick:
        (stick.sys / "sdz1" / "ro").write_text("1\n")
        stick.plug()
        stick.hand_over()
        assert stick.report() == "write-protected"
        assert "history" in (stick.box / "result").read_text().split("\n")[1]


def test_a_mount_that_hangs_is_given_up(tmp_path: Path) -> None:
    with volume.stand_in(tmp_path) as stick:
        (tmp_path / "tools" / "mount").write_text("#!/bin/sh\nexec sleep 600\n")
        with subprocess.Popen(
            stick.command("mount"), env=stick.environment, start_new_session=True
        ) as mounting:
            deadline = time.monotonic() + 60
            while not stick.folder.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            os.killpg(mounting.pid, signal.SIGTERM)
        stick.do("unmount")
        assert list(stick.sticks.iterdir()) == []
