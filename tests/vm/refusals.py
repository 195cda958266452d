"""What is plugged into a virtual machine that is no stick: refused, or used where it should be."""

from __future__ import annotations

import json

from machine import Machine
from plugging import NOTHING_LEFT, STICKS, plugged

INTRUDERS = ("usb-kbd", "usb-net", "usb-mouse")
USED = "grep ^N: /proc/bus/input/devices | sort; ls /sys/class/net"


def try_intruders(machine: Machine) -> None:
    """What is not storage is refused when it is plugged in."""
    before = machine.ask(USED)
    for device in INTRUDERS:
        machine.add(f"{device},port=1", "intruder")
        refused(machine, "*", device, before)
        machine.remove("intruder")
        machine.ask(f"while ls {STICKS}/usb-*.json; do sleep 0.2; done")


def try_later_controller(machine: Machine) -> None:
    """A controller that comes after the guard is guarded too."""
    before = machine.ask(USED)
    machine.order("device_add qemu-xhci,id=second,bus=spare")
    machine.ask("while [ ! -e /sys/bus/usb/devices/usb4 ]; do sleep 0.5; done")
    machine.order("device_add usb-kbd,id=intruder,bus=second.0")
    refused(machine, "[34]-*", "usb-kbd at a controller that comes later", before)


def try_upkeep(machine: Machine) -> None:
    """A keyboard that was refused works for upkeep, and is no longer shown as refused."""
    machine.add("usb-kbd,port=1", "upkeep")
    refused(machine, "*", "usb-kbd", machine.ask(USED))
    machine.ask("printf 'usb:\\n  upkeep: true\\n' >>/etc/truelight/truelight.yaml")
    machine.ask("systemctl restart truelight-usb")
    machine.ask("while ! grep 'QEMU USB Keyboard' /proc/bus/input/devices; do sleep 0.5; done")
    assert machine.ask(f"ls {STICKS}") == ""
    print("usb-kbd: works for upkeep, and is no longer shown as refused")


def refused(machine: Machine, name: str, device: str, before: str) -> None:
    """Wait until a device is refused; nothing of it is used."""
    status = f"{STICKS}/usb-{name}.json"
    facts = json.loads(
        machine.ask(
            f"for _ in $(seq 300); do cat {status} 2>/dev/null && exit; sleep 0.2; done; exit 1"
        )
    )
    assert facts["error"].startswith("USB device refused"), facts
    machine.ask("udevadm settle")
    assert machine.ask(USED) == before
    print(f"{device}: {facts['error']}", flush=True)


def try_hub(machine: Machine) -> None:
    """A hub with a stick and a keyboard behind it: the stick is used, the keyboard is not."""
    before = machine.ask(USED)
    machine.add("usb-hub,port=1", "hub")
    machine.ask("while [ ! -e /sys/bus/usb/drivers/hub/*-1:1.0 ]; do sleep 0.2; done")
    print("hub: used", flush=True)
    machine.add("usb-kbd,port=1.2", "behind")
    refused(machine, "*-1.2", "usb-kbd behind a hub", before)
    with plugged(machine, machine.folder / "boot.img", "sda", port="1.1") as facts:
        assert facts["error"] is None, facts
        print(f"hub: a stick behind it is mounted {facts['seconds']:.1f} s after plugging in")
        machine.remove("behind")
        machine.ask(f"while ls {STICKS}/usb-*.json; do sleep 0.2; done")
    with_hub = plugged(machine, machine.folder / "boot.img", "sda", port="1.1")
    with_hub.__enter__()
    machine.remove("hub")
    machine.ask(f"for _ in $(seq 300); do {NOTHING_LEFT} && exit; sleep 0.2; done; exit 1")
    print("hub: pulled out with a stick in it, nothing is left")
