"""The program and what it keeps: settings, service, sticks, models, detector, history."""

from __future__ import annotations

from pathlib import Path

from edge.doctor.context import AGAIN, INSTALL, Check, Patient, State
from edge.errors import TruelightError
from edge.settings import MACHINE, read_layer

USER = "truelight"
GROUPS = ("gpio", "i2c", "video")
FILE_SYSTEMS = ("vfat", "exfat", "ntfs3", "ext4")
_PLACED = "opt/truelight/.placed"
"""Where `setup.sh install` notes what it put into the system, a path a line."""


def check_settings(patient: Patient) -> Check:
    """This machine's own; wrong ones do not get here, `rounds` tells of them."""
    if not MACHINE.is_file():
        return Check("settings", State.OK, "All is as shipped.")
    number = len(read_layer(MACHINE))
    return Check("settings", State.OK, f"{MACHINE} is right ({number} set there).")


def check_service(patient: Patient) -> Check:
    """Whether the box runs."""
    said = patient.service
    if not said:
        return Check("service", State.ABSENT, "Truelight is not installed as a service here.")
    doing = said.get("StatusText", "")
    if said["ActiveState"] == "active":
        again = said.get("NRestarts", "0")
        if again not in ("0", ""):
            sentence = f"It runs, but had to be started again {again} times. {doing}".strip()
            return Check("service", State.WARNING, sentence, "journalctl -b -u truelight")
        return Check("service", State.OK, f"It runs. {doing}".strip())
    if said["ActiveState"] in ("activating", "reloading"):
        return Check("service", State.OK, f"It is starting. {doing}".strip())
    if said["ActiveState"] == "failed":
        return Check("service", State.FAILURE, "It failed.", "journalctl -b -u truelight")
    return Check("service", State.WARNING, "It does not run.", "sudo systemctl start truelight")


def check_sticks(patient: Patient) -> Check:
    """Whether a stick that is plugged in would be mounted, and by whom."""
    placed = patient.root / _PLACED
    if not placed.is_file():
        sentence = "Not installed as a box: sticks are not mounted here."
        return Check("sticks", State.ABSENT, sentence, INSTALL if patient.board else "")
    targets = [patient.root / line.lstrip("/") for line in placed.read_text().splitlines()]
    gone = [str(path) for path in targets if not path.is_symlink() and not path.exists()]
    if gone:
        return Check("sticks", State.FAILURE, f"{', '.join(gone)} is missing.", AGAIN)
    if outside := _user_lacks(patient.root / "etc"):
        return Check("sticks", State.FAILURE, outside, AGAIN)
    runtime = patient.root / "run/truelight/sticks"
    if not runtime.is_dir():
        remedy = "Restart the machine, or: sudo systemd-tmpfiles --create"
        return Check("sticks", State.FAILURE, f"The folder {runtime} is missing.", remedy)
    unknown = [name for name in FILE_SYSTEMS if not _kernel_knows(patient.root, name)]
    if unknown:
        sentence = f"The kernel does not read sticks with {', '.join(unknown)}."
        return Check("sticks", State.WARNING, sentence, "Update the system: sudo apt full-upgrade")
    return Check("sticks", State.OK, f"The rules are in place, for {', '.join(FILE_SYSTEMS)}.")


def _user_lacks(etc: Path) -> str:
    """What the box's user lacks, in a sentence; empty if nothing."""
    users = [line.split(":") for line in _lines(etc / "passwd")]
    if USER not in [user[0] for user in users]:
        return f"There is no user {USER}."
    groups = [line.split(":") for line in _lines(etc / "group")]
    member = {group[0] for group in groups if USER in group[-1].split(",")}
    lacking = [name for name in GROUPS if name not in member]
    return f"The user {USER} is not in {', '.join(lacking)}." if lacking else ""


def _kernel_knows(root: Path, name: str) -> bool:
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


def check_model(patient: Patient) -> Check:
    """Load the bundle: every file has its hash, both graphs answer the golden vector."""
    from edge.scan.model.bundle import load_bundle

    try:
        bundle = load_bundle(patient.settings.bundle_folder, patient.settings.scan.threads)
    except TruelightError as failure:
        return Check("model", State.FAILURE, failure.message, failure.remedy)
    sentence = f"{bundle.path.name}, version {bundle.manifest.version}, answers as it was exported."
    return Check("model", State.OK, sentence)


def check_second(patient: Patient) -> Check:
    """The model that is asked for a second opinion, or why none is."""
    from edge.scan.model.bundle import load_bundle, read_manifest
    from edge.scan.model.second_opinion import Absence, NoSecondModel, find_second

    settings = patient.settings
    try:
        first, _ = read_manifest(settings.bundle_folder)
        found = find_second(settings, first, patient.root / "proc/meminfo")
        if isinstance(found, NoSecondModel):
            faults = {Absence.OTHER_MODEL: State.WARNING, Absence.UNUSABLE: State.FAILURE}
            state = faults.get(found.why, State.ABSENT)
            return Check("second", state, found.sentence, found.remedy)
        load_bundle(found.folder, settings.scan.threads)
    except TruelightError as failure:
        return Check("second", State.FAILURE, failure.message, failure.remedy)
    name, version = found.folder.name, found.manifest.version
    sentence = f"{name}, version {version}, answers as it was exported; asked if {first.name} "
    return Check("second", State.OK, f"{sentence}is unsure.")


def check_detector(patient: Patient) -> Check:
    """The files of the face detector."""
    from edge.scan.downloads import FULL_RANGE, SHORT_RANGE, read_model

    try:
        for name in (FULL_RANGE, SHORT_RANGE):
            read_model(name)
    except TruelightError as failure:
        return Check("detector", State.FAILURE, failure.message, failure.remedy)
    return Check("detector", State.OK, "The face detector's models are the right ones.")


def check_history(patient: Patient) -> Check:
    """Whether what was found in the past can be read."""
    from edge.history.reader import open_archive

    folder = patient.settings.store_folder
    try:
        archive = open_archive(folder)
        if archive is None:
            return Check("history", State.ABSENT, f"Nothing was judged yet that {folder} keeps.")
        with archive:
            number = sum(sum(archive.counts(visit.id).values()) for visit in archive.visits())
    except TruelightError as failure:
        return Check("history", State.FAILURE, failure.message, failure.remedy)
    return Check("history", State.OK, f"{number} finding{'s' * (number != 1)} in {folder}.")
