"""Checks of the machine (disk, heat, power, clock) and of the program and its data."""

from __future__ import annotations

from pathlib import Path

from edge.box.health import (
    VCGENCMD,
    Throttled,
    decode_throttled,
    read_celsius,
    read_free_megabytes,
    throttled_words,
)
from edge.doctor.context import INSTALL, REINSTALL, Context, Result, State
from edge.settings import MACHINE, read_layer
from edge.text import count

USER = "truelight"
GROUPS = ("gpio", "i2c", "video")
FILE_SYSTEMS = ("vfat", "exfat", "ntfs3", "ext4")
LOGS = "journalctl -b -u truelight"
ROOM = "Delete old recordings, or use a larger card."
COOLING = "Improve the airflow, or add a heat sink with a fan."
SUPPLY = "Use the Pi's own power supply, and a short cable."
_PLACED = "opt/truelight/.placed"
"""`setup.sh install` lists here what it put into the system, a path a line."""
_WARM = 10.0
"""Degrees below `health.hot` at which a warning begins."""
_EARLIEST_YEAR = 2026
_NOW = Throttled.UNDER_VOLTAGE | Throttled.CAPPED | Throttled.THROTTLED | Throttled.SOFT_LIMIT

# ---- The machine


def check_board(context: Context) -> Result:
    """Name the Pi's model."""
    if not context.board:
        return Result(State.ABSENT, "This machine is not a Raspberry Pi.")
    return Result(State.OK, f"{context.board}.")


def check_disk(context: Context) -> Result:
    """Measure the room for recordings and the history."""
    folder, least = context.settings.store_folder, context.settings.store.free_megabytes
    free = read_free_megabytes(folder)
    if free is None:
        return Result(State.FAILURE, f"Cannot read the free space of {folder}.")
    room = f"{free / 1000:.1f} GB" if free >= 1000 else f"{free:.0f} MB"
    sentence = f"{room} free for {folder}."
    if free < least:
        return Result(State.FAILURE, f"{sentence} Recording needs {least} MB.", ROOM)
    if free < 2 * least:
        return Result(State.WARNING, sentence, ROOM)
    return Result(State.OK, sentence)


def check_temperature(context: Context) -> Result:
    """Read the processor's temperature."""
    celsius, hot = read_celsius(context.root / "sys/class/thermal"), context.settings.health.hot
    if celsius is None:
        return Result(State.ABSENT, "This machine has no temperature sensor.")
    sentence = f"{celsius:.0f} °C."
    if celsius < hot - _WARM:
        return Result(State.OK, sentence)
    state = State.FAILURE if celsius >= hot else State.WARNING
    return Result(state, f"{sentence} The limit is {hot:.0f} °C.", COOLING)


def check_power(context: Context) -> Result:
    """Read what the Pi's firmware noticed about supply and heat since the start."""
    bits = decode_throttled(context.run_program([VCGENCMD, "get_throttled"]))
    if bits is None:
        return Result(State.ABSENT, "This machine does not report its power supply.")
    if not bits:
        return Result(State.OK, "No under-voltage since the machine was switched on.")
    under = bits & (Throttled.UNDER_VOLTAGE | Throttled.WAS_UNDER_VOLTAGE)
    words = ", ".join(throttled_words(bits))
    return Result(
        State.FAILURE if bits & _NOW else State.WARNING,
        f"{words[0].upper()}{words[1:]} ({bits:#x}).",
        SUPPLY if under else COOLING,
    )


def check_clock(context: Context) -> Result:
    """Check whether the times in history and reports are right."""
    now = context.now()
    sentence = f"{now:%Y-%m-%d %H:%M} UTC"
    if now.year < _EARLIEST_YEAR:
        remedy = "Connect to a network for a minute, or: sudo date --set '2030-01-31 12:00'"
        return Result(State.FAILURE, f"{sentence} is wrong.", remedy)
    if (context.root / "run/systemd/timesync/synchronized").exists():
        return Result(State.OK, f"{sentence}, set by the network.")
    if not context.board or (context.root / "dev/rtc0").exists():
        return Result(State.OK, f"{sentence}, by this machine's own clock.")
    sentence = f"{sentence} may be wrong: no network has set it, and there is no battery clock."
    remedy = "Connect to a network for a minute if reports need the right time."
    return Result(State.WARNING, sentence, remedy)


# ---- The program


def check_settings(context: Context) -> Result:
    """Count the machine's own settings; invalid ones are reported by the command itself."""
    if not MACHINE.is_file():
        return Result(State.OK, "All defaults.")
    return Result(State.OK, f"{MACHINE} sets {count(len(read_layer(MACHINE)), 'value')}.")


def check_service(context: Context) -> Result:
    """Check whether the daemon runs."""
    service = context.service
    if not service:
        return Result(State.ABSENT, "Not installed as a service.")
    doing, restarts = service.get("StatusText", ""), service.get("NRestarts", "0")
    active = service["ActiveState"]
    if active == "active" and restarts not in ("0", ""):
        sentence = f"Running, restarted {restarts} times. {doing}".strip()
        return Result(State.WARNING, sentence, LOGS)
    if active in ("active", "activating", "reloading"):
        word = "Running" if active == "active" else "Starting"
        return Result(State.OK, f"{word}. {doing}".strip())
    if active == "failed":
        return Result(State.FAILURE, "Failed.", LOGS)
    return Result(State.WARNING, "Not running.", "sudo systemctl start truelight")


def check_sticks(context: Context) -> Result:
    """Check whether a USB stick would be mounted and read."""
    root, placed = context.root, context.root / _PLACED
    if not placed.is_file():
        remedy = INSTALL if context.board else ""
        return Result(State.ABSENT, "Not installed: USB sticks are not mounted.", remedy)
    paths = [root / line.lstrip("/") for line in placed.read_text().splitlines()]
    missing = [str(path) for path in paths if not path.is_symlink() and not path.exists()]
    if missing:
        return Result(State.FAILURE, f"Missing: {', '.join(missing)}.", REINSTALL)
    if problem := _user_problem(root / "etc"):
        return Result(State.FAILURE, problem, REINSTALL)
    runtime = root / "run/truelight/sticks"
    if not runtime.is_dir():
        remedy = "Restart the machine, or: sudo systemd-tmpfiles --create"
        return Result(State.FAILURE, f"Missing: {runtime}.", remedy)
    return _kernel_warning(context) or Result(
        State.OK, f"Installed, for {', '.join(FILE_SYSTEMS)}."
    )


def _kernel_warning(context: Context) -> Result | None:
    """A warning if the kernel lacks a file system, or uses whatever is plugged in."""
    root = context.root
    unknown = [name for name in FILE_SYSTEMS if not _kernel_supports(root, name)]
    if unknown:
        sentence = f"The kernel does not support {', '.join(unknown)}."
        return Result(State.WARNING, sentence, "Update: sudo apt full-upgrade")
    hubs = (root / "sys/bus/usb/devices").glob("usb*/authorized_default")
    if any(_lines(hub) != ["0"] for hub in hubs) and not context.settings.usb.upkeep:
        sentence = "A keyboard or network card that is plugged in would be used."
        return Result(State.WARNING, sentence, "sudo systemctl restart truelight-usb")
    return None


def _user_problem(etc: Path) -> str:
    """What the daemon's user lacks, in a sentence; empty if nothing."""
    users = [line.split(":")[0] for line in _lines(etc / "passwd")]
    if USER not in users:
        return f"There is no user {USER}."
    groups = [line.split(":") for line in _lines(etc / "group")]
    member = {group[0] for group in groups if USER in group[-1].split(",")}
    lacking = [name for name in GROUPS if name not in member]
    return f"The user {USER} is not in the groups {', '.join(lacking)}." if lacking else ""


def _kernel_supports(root: Path, name: str) -> bool:
    """Whether the kernel has a file system, loaded, built in or as a module."""
    if any(line.split()[-1] == name for line in _lines(root / "proc/filesystems")):
        return True
    release = "".join(_lines(root / "proc/sys/kernel/osrelease")).strip()
    folder = root / "lib/modules" / release
    return any(
        Path(line.partition(":")[0]).name.startswith(f"{name}.ko")
        for file in ("modules.dep", "modules.builtin")
        for line in _lines(folder / file)
    )


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()
    except OSError:
        return []


def check_model(context: Context) -> Result:
    """Load the bundle, which verifies its hashes and its golden vector."""
    from edge.scan.model.bundle import load_bundle

    bundle = load_bundle(context.settings.bundle_folder, context.settings.scan.threads)
    name = f"{bundle.info.path.name} {bundle.manifest.version}"
    return Result(State.OK, f"{name} gives the answers it gave when it was exported.")


_ALWAYS_UNSURE = "By itself the first model is UNSURE of every clip with a face."


def check_second(context: Context) -> Result:
    """Load the model for second opinions, or find out why none is asked."""
    from edge.scan.model.bundle import load_bundle
    from edge.scan.model.bundle_info import read_bundle
    from edge.scan.model.second_opinion import Absence, NoSecondModel, find_second

    settings = context.settings
    first = read_bundle(settings.bundle_folder).manifest
    found = find_second(settings, first, context.root / "proc/meminfo")
    if isinstance(found, NoSecondModel):
        decides = first.thresholds.real > 0 or first.thresholds.fake < 1
        state = State.ABSENT if decides else State.WARNING
        sentence = found.sentence if decides else f"{found.sentence} {_ALWAYS_UNSURE}"
        faults = {Absence.OTHER_MODEL: State.WARNING, Absence.UNUSABLE: State.FAILURE}
        return Result(faults.get(found.why, state), sentence, found.remedy)
    load_bundle(found, settings.scan.threads)
    name = f"{found.path.name} {found.manifest.version}"
    sentence = f"{name} gives the answers it gave when it was exported; asked if {first.name} "
    return Result(State.OK, f"{sentence}is unsure.")


def check_detector(context: Context) -> Result:
    """Verify the files of the face detector."""
    from edge.scan.faces.detector import FULL_RANGE, SHORT_RANGE, read_model

    for name in (FULL_RANGE, SHORT_RANGE):
        read_model(name)
    return Result(State.OK, "The face detector's files are complete and unchanged.")


def check_sandbox(context: Context) -> Result:
    """Try what confines the processes that read strangers' clips and models."""
    from edge.scan.media.confinement import try_confinement
    from edge.scan.model.process import try_confinement as try_model

    found = try_confinement()
    tried = [found, try_model()] if found.unit_expected else [found]
    failing = [each for each in tried if each.missing]
    sentence = " ".join(each.summary for each in failing or tried)
    if not failing:
        return Result(State.OK, sentence)
    needed = {"limits", "no_new_privs", "seccomp"}
    serious = any(not needed <= set(each.layers) for each in failing)
    remedy = "Update the system (Linux 6.12 has all layers), and install libseccomp2."
    if all(each.missing == each.kind.own_user for each in failing):
        sockets = " ".join(each.kind.socket for each in failing)
        remedy = f"sudo systemctl restart {sockets} truelight"
    return Result(State.FAILURE if serious else State.WARNING, sentence, remedy)


def check_web(context: Context) -> Result:
    """Check whether the page is on, and whether the daemon listens for it."""
    page = context.unit("truelight-web.service", "ActiveState")
    if not page:
        return Result(State.ABSENT, "The page is not installed as a service.")
    if page["ActiveState"] == "failed":
        return Result(State.FAILURE, "The page failed.", "journalctl -b -u truelight-web")
    if page["ActiveState"] == "inactive":
        return Result(State.ABSENT, "The page is off.", "sudo truelight web on")
    if not (context.root / "run/truelight/web/box.sock").exists():
        sentence = "The page is on, and the daemon does not listen for it."
        return Result(State.FAILURE, sentence, "sudo systemctl restart truelight")
    return Result(State.OK, f"The page is on, at port {context.settings.web.port}.")


def check_history(context: Context) -> Result:
    """Read the history."""
    from edge.history.reader import open_history

    folder = context.settings.store_folder
    history = open_history(folder)
    if history is None:
        return Result(State.ABSENT, f"Empty: nothing has been judged in {folder}.")
    with history:
        number = sum(sum(history.counts(visit.id).values()) for visit in history.visits())
    return Result(State.OK, f"{count(number, 'finding')} in {folder}.")
