"""The doctor's checks of the program: service, sticks, model, history, sandbox."""

from pathlib import Path

import pytest
from examined import SERVICE, changed, check, machine, write

from edge.doctor.context import Result, State
from edge.history.writer import History
from edge.scan.child_messages import LAYERS
from edge.scan.confinement import DECODER, MODEL, Confinement, Kind
from edge.scan.media import confinement
from edge.scan.model import process


# ---- The program
def test_the_service(root: Path) -> None:
    assert check("service", machine(root)).state is State.ABSENT
    for service, result in (
        (SERVICE.format("active", "Ready", 0), Result(State.OK, "Running. Ready")),
        (SERVICE.format("activating", "", 0), Result(State.OK, "Starting.")),
        (
            SERVICE.format("active", "Ready", 3),
            Result(
                State.WARNING, "Running, restarted 3 times. Ready", "journalctl -b -u truelight"
            ),
        ),
        (
            SERVICE.format("failed", "", 5),
            Result(State.FAILURE, "Failed.", "journalctl -b -u truelight"),
        ),
    ):
        assert check("service", machine(root, systemctl=service)) == result


@pytest.fixture
def installed(root: Path) -> Path:
    """A root with everything that USB sticks need."""
    rule = root / "etc/udev/rules.d/99-truelight.rules"
    write(rule, "")
    write(root / "opt/truelight/.placed", "/etc/udev/rules.d/99-truelight.rules\n")
    write(root / "etc/passwd", "root:x:0:0::/root:/bin/sh\ntruelight:x:990:990::/:/bin/false\n")
    write(root / "etc/group", "gpio:x:1:pi,truelight\ni2c:x:2:truelight\nvideo:x:3:truelight\n")
    (root / "run/truelight/sticks").mkdir(parents=True)
    write(root / "proc/filesystems", "nodev\tproc\n\text4\n\tvfat\n")
    write(root / "proc/sys/kernel/osrelease", "6.12.1\n")
    write(root / "lib/modules/6.12.1/modules.dep", "kernel/fs/exfat/exfat.ko.xz:\n")
    write(root / "lib/modules/6.12.1/modules.builtin", "kernel/fs/ntfs3/ntfs3.ko\n")
    return root


def test_usb_sticks_are_read(installed: Path) -> None:
    expected = Result(State.OK, "Installed, for vfat, exfat, ntfs3, ext4.")
    assert check("sticks", machine(installed)) == expected


def test_ports_that_nobody_guards_are_named(installed: Path) -> None:
    hub = installed / "sys/bus/usb/devices/usb1"
    hub.mkdir(parents=True)
    for value, state in (("1", State.WARNING), ("0", State.OK)):
        (hub / "authorized_default").write_text(f"{value}\n")
        assert check("sticks", machine(installed)).state is state


@pytest.mark.parametrize(
    ("file", "text", "state", "sentence"),
    [
        ("opt/truelight/.placed", None, State.ABSENT, "Not installed"),
        ("etc/udev/rules.d/99-truelight.rules", None, State.FAILURE, "99-truelight.rules."),
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\n", State.FAILURE, "no user truelight"),
        ("etc/group", "gpio:x:1:truelight\n", State.FAILURE, "not in the groups i2c, video"),
        ("lib/modules/6.12.1/modules.builtin", "", State.WARNING, "not support ntfs3"),
    ],
)
def test_what_usb_sticks_lack(
    installed: Path, file: str, text: str | None, state: State, sentence: str
) -> None:
    if text is None:
        (installed / file).unlink()
    else:
        write(installed / file, text)
    result = check("sticks", machine(installed))
    assert (result.state, sentence in result.sentence) == (state, True), result
    assert result.remedy


def test_the_model_answers_its_golden_vector(root: Path, bundle: Path) -> None:
    well = changed(machine(root), model__bundle=str(bundle))
    assert check("model", well).state is State.OK
    gone = check("model", changed(well, model__bundle=str(root / "none")))
    assert (gone.state, str(root / "none") in gone.sentence) == (State.FAILURE, True)


def test_the_detectors_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check("detector", machine(root)).state is State.OK
    monkeypatch.setenv("TRUELIGHT_MODELS", str(root))
    assert check("detector", machine(root)).state is State.FAILURE


def test_the_history(root: Path) -> None:
    assert check("history", machine(root)).state is State.ABSENT
    store = root / "store"
    store.mkdir()
    with History(store, 10, 10) as history:
        history.open_visit("stick", "HOLIDAY")
    assert check("history", machine(root)).sentence == f"0 findings in {store}."
    for file in store.iterdir():
        file.write_bytes(b"no database at all" * 100)
    assert check("history", machine(root)).state is State.FAILURE


def test_the_sandbox(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complete = Result(State.OK, "The decoder process is confined by every layer.")
    assert check("sandbox", machine(root)) == complete
    for held, state in (
        (("limits", "no_new_privs", "seccomp"), State.WARNING),
        (("limits", "no_new_privs", "landlock_files"), State.FAILURE),
        ((), State.FAILURE),
    ):
        found = Confinement(held, own_user=False, unit_expected=False)
        monkeypatch.setattr(confinement, "try_confinement", lambda found=found: found)
        result = check("sandbox", machine(root))
        assert result.state is state
        assert "(Landlock, Linux 6.7)" in result.sentence
        assert "libseccomp2" in result.remedy


@pytest.mark.parametrize("kind", [DECODER, MODEL])
@pytest.mark.parametrize(
    ("layers", "own_user", "state", "remedy"),
    [
        (tuple(LAYERS), True, State.OK, ""),
        (tuple(LAYERS), False, State.WARNING, "sudo systemctl restart {socket} truelight"),
        (tuple(LAYERS)[:-1], True, State.FAILURE, "libseccomp2"),
    ],
)
def test_the_sandbox_of_a_box(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: Kind,
    layers: tuple[str, ...],
    own_user: bool,
    state: State,
    remedy: str,
) -> None:
    """There the process of a model is tried as well, and both have users of their own."""
    found = {each: Confinement(tuple(LAYERS), True, True, each) for each in (DECODER, MODEL)}
    found[kind] = Confinement(layers, own_user, True, kind)
    monkeypatch.setattr(confinement, "try_confinement", lambda: found[DECODER])
    monkeypatch.setattr(process, "try_confinement", lambda: found[MODEL])
    result = check("sandbox", machine(root))
    assert result.state is state
    assert found[kind].summary in result.sentence
    assert remedy.format(socket=kind.socket) in result.remedy
    other = MODEL if kind is DECODER else DECODER
    assert (found[other].summary in result.sentence) == (state is State.OK)
