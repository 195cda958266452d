"""What may be plugged in: root's script on a folder that looks like /sys, and udev's rules."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import udev
import yaml
from frontdoor import ROOT

RULES = udev.parse(ROOT / "systemd" / "98-truelight-usb.rules")
STORAGE, UAS, HUB = (0x08, 0x06, 0x50), (0x08, 0x06, 0x62), (0x09, 0, 0)
KEYBOARD, NETWORK = (0x03, 0x01, 0x01), (0x02, 0x06, 0)
REFUSED = "Only USB sticks may be plugged in."


class Machine:
    """A machine with two host controllers, and a keyboard that was in when it started."""

    def __init__(self, root: Path) -> None:
        self.devices = root / "sys" / "bus" / "usb" / "devices"
        self.sticks = root / "run" / "sticks"
        self.settings = root / "truelight.yaml"
        self.root = root
        self.sticks.mkdir(parents=True)
        self.default = root / "sys" / "module" / "usbcore" / "parameters" / "authorized_default"
        self.default.parent.mkdir(parents=True)
        self.default.write_text("1")
        self.add_controller("usb1")
        self.add_controller("usb2")
        self.plug("1-1", descriptors(KEYBOARD))

    def add_controller(self, hub: str) -> None:
        """The root hub of a controller, as the kernel has it after its driver took it."""
        (self.devices / hub).mkdir(parents=True)
        (self.devices / hub / "authorized_default").write_text(self.default.read_text())

    def plug(self, name: str, content: bytes) -> Path:
        """A device as the kernel has it after it came."""
        device = self.devices / name
        device.mkdir()
        (device / "authorized").write_text(
            (self.devices / f"usb{name[0]}" / "authorized_default").read_text()
        )
        (device / "descriptors").write_bytes(content)
        (device / "idVendor").write_text("1d6b\n")
        (device / "idProduct").write_text("0104\n")
        facts = {
            "ACTION": "add",
            "SUBSYSTEM": "usb",
            "ENV{DEVTYPE}": "usb_device",
            "ATTR{authorized}": (device / "authorized").read_text(),
        }
        if "RUN" in udev.apply(RULES, facts):
            self.do("judge", name)
        return device

    def is_used(self, name: str) -> bool:
        return (self.devices / name / "authorized").read_text() == "1"

    def do(self, *words: str) -> str:
        places = {"--sys": "sys", "--run": "run", "--settings": "truelight.yaml"}
        options = [str(word) for key, at in places.items() for word in (key, self.root / at)]
        script = str(ROOT / "systemd" / "usb")
        done = subprocess.run(
            [sys.executable, "-IB", script, *words, *options],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def descriptors(*interfaces: tuple[int, int, int], device_class: int = 0) -> bytes:
    """A device's descriptors: device, one configuration, interfaces with an endpoint each."""
    device = bytes((18, 1, 0, 2, device_class, *(0,) * 13))
    configuration = bytes((9, 2, *(0,) * 7))
    endpoint = bytes((7, 5, 0x81, 2, 0, 2, 0))
    parts = [bytes((9, 4, at, 0, 1, *each, 0)) + endpoint for at, each in enumerate(interfaces)]
    return device + configuration + b"".join(parts)


@pytest.mark.parametrize(
    ("interfaces", "used"),
    [
        ([STORAGE], True),
        ([STORAGE, UAS], True),
        ([HUB], True),
        ([KEYBOARD], False),
        ([NETWORK, (0x0A, 0, 0)], False),
        ([STORAGE, KEYBOARD], False),
        ([STORAGE, (0xFF, 0, 0)], False),
        ([(0x08, 0x04, 0x00)], False),
        ([], False),
    ],
)
def test_storage_and_hubs_are_used_and_nothing_else(
    machine: Machine, interfaces: list[tuple[int, int, int]], used: bool
) -> None:
    machine.do("guard")
    assert machine.is_used("1-1"), "what was in stays"
    machine.plug("2-1.4", descriptors(*interfaces))
    assert machine.is_used("2-1.4") == used
    told = machine.sticks / "usb-2-1.4.json"
    assert told.exists() != used
    if not used:
        facts = json.loads(told.read_text())
        assert facts["error"].startswith("USB device refused")
        assert facts["remedy"] == REFUSED
    machine.do("forget", "2-1.4")
    assert list(machine.sticks.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"\x12", b"\x09\x04\0", descriptors(STORAGE)[:-9], bytes(70_000)]
)
def test_descriptors_that_make_no_sense_are_refused_or_read(
    machine: Machine, content: bytes
) -> None:
    machine.do("guard")
    machine.plug("1-2", content)
    assert machine.is_used("1-2") == (b"\x08\x06\x50" in content)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "usb: {upkeep: true}",
            "usb:\n  upkeep: true\n",
            "usb:\n\n  # mine\n  upkeep: true # now",
        ),
        *("usb: {upkeep: false}", "usb:\n  upkeep: false\n", "", "# usb: {upkeep: true}"),
        *("stick:\n  report: true\n", "usb:\nstick:\n  report: true\n"),
    ],
)
def test_a_setting_for_upkeep_allows_everything(machine: Machine, text: str) -> None:
    """Root's script reads it without a YAML parser, and as that would."""
    machine.settings.write_text(text)
    wanted = ((yaml.safe_load(text) or {}).get("usb") or {}).get("upkeep", False)
    machine.do("guard")
    machine.plug("1-2", descriptors(KEYBOARD))
    assert machine.is_used("1-2") == wanted


def test_what_was_refused_is_used_when_the_guard_ends(machine: Machine) -> None:
    machine.do("guard")
    machine.plug("1-2", descriptors(KEYBOARD))
    assert list(machine.sticks.iterdir())
    machine.do("open")
    assert machine.is_used("1-2")
    assert list(machine.sticks.iterdir()) == [], "it is no longer shown as refused"
    machine.plug("1-3", descriptors(KEYBOARD))
    assert machine.is_used("1-3")


def test_controllers_that_come_later_are_guarded_too(machine: Machine) -> None:
    """A driver that is a module, or a card, may come after the guard."""
    machine.do("guard")
    machine.add_controller("usb3")
    machine.plug("3-1", descriptors(KEYBOARD))
    machine.plug("3-2", descriptors(STORAGE))
    assert (machine.is_used("3-1"), machine.is_used("3-2")) == (False, True)
    machine.do("open")
    machine.add_controller("usb4")
    machine.plug("4-1", descriptors(KEYBOARD))
    assert machine.is_used("4-1")


def test_a_kernel_without_usb_has_nothing_to_guard(machine: Machine) -> None:
    """In a container or a small virtual machine; half of it missing stays a failure."""
    shutil.rmtree(machine.root / "sys" / "module")
    with pytest.raises(subprocess.CalledProcessError):
        machine.do("guard")
    shutil.rmtree(machine.root / "sys")
    assert "this kernel has none" in machine.do("guard")
    assert "this kernel has none" in machine.do("open")


def test_only_names_of_devices_are_taken(machine: Machine) -> None:
    for name in ("..", "usb1", "1-1/..", "1-1.2.3.4.5.6.7.8", ""):
        with pytest.raises(subprocess.CalledProcessError):
            machine.do("judge", name)


def test_udev_asks_about_devices_and_not_their_parts() -> None:
    facts = {"ACTION": "add", "SUBSYSTEM": "usb", "ENV{DEVTYPE}": "usb_interface"}
    assert udev.apply(RULES, facts | {"ATTR{authorized}": "0"}) == {}
    device = facts | {"ENV{DEVTYPE}": "usb_device"}
    assert udev.apply(RULES, device | {"ATTR{authorized}": "1"}) == {}
    assert udev.apply(RULES, device | {"ATTR{authorized}": "0"})["RUN"].endswith("judge %k")
    gone = udev.apply(RULES, device | {"ACTION": "remove"})
    assert gone["RUN"].endswith("forget %k")
