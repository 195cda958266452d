"""A virtual machine that does what it is asked over a shared folder. Made by `machine.sh`."""

from __future__ import annotations

import os
import platform
import re
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

KINDS = {
    "amd64": ("qemu-system-x86_64", "-machine", "q35"),
    "arm64": ("qemu-system-aarch64", "-machine", "virt"),
}
# A newer CPU than Nehalem panics at times.
EMULATED = {
    "amd64": ("-cpu", "Nehalem", "-accel", "tcg,thread=multi,tb-size=512"),
    "arm64": ("-cpu", "cortex-a72", "-accel", "tcg,thread=multi,tb-size=512"),
}
VIRTUAL = ("-cpu", "host", "-accel", "kvm")
CONSOLES = {"amd64": "ttyS0", "arm64": "ttyAMA0"}
# An emulated machine on a busy one is slow, and systemd must not give up.
PATIENT = "systemd.default_timeout_start_sec=1800 systemd.default_device_timeout_sec=1800"
BOOT_SECONDS = 1800
KVM_SECONDS = 10
MOST_BOOTS = 3
"""An emulated kernel panics now and then."""


def kvm_boots(kernel: Path, log: Path) -> bool:
    """Whether KVM boots a kernel: it may be there and boot nothing."""
    if platform.machine() != "x86_64" or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    log.write_bytes(b"")
    words = ("-kernel", kernel, "-append", "console=ttyS0 panic=-1", "-serial", f"file:{log}")
    command = (*KINDS["amd64"], *VIRTUAL, *words, "-m", "512", "-display", "none", "-no-reboot")
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as trial:
        start = time.monotonic()
        while b"Linux version" not in log.read_bytes():
            if trial.poll() is not None or time.monotonic() - start > KVM_SECONDS:
                break
            time.sleep(0.1)
        trial.kill()
    return b"Linux version" in log.read_bytes()


class Machine:
    """The machine of a folder with vm.img, vmlinuz, small.img and share/."""

    def __init__(self, folder: Path, architecture: str = "amd64", image: str = "vm.img") -> None:
        self.folder = folder
        self._share = folder / "share"
        self._monitor = folder / "monitor"
        self._sticks = 0
        kernel = folder / "vmlinuz"
        console = CONSOLES[architecture]
        words = f"root=/dev/vda rw console={console} panic=-1 no_timer_check quiet {PATIENT}"
        virtual = architecture == "amd64" and kvm_boots(kernel, folder / "kvm.log")
        print("by KVM" if virtual else "emulated", flush=True)
        share = f"local,id=host,path={self._share},security_model=none"
        drive = f"file={folder}/{image},format=raw,if=virtio,cache=unsafe"
        self._command = [
            *("nice", *KINDS[architecture], "-m", "2048", "-smp", "2"),
            *(VIRTUAL if virtual else EMULATED[architecture]),
            *("-kernel", kernel, "-initrd", folder / "small.img", "-append", words),
            *("-drive", drive, "-fsdev", share),
            *("-device", "virtio-9p-pci,fsdev=host,mount_tag=host"),
            *("-device", "qemu-xhci,id=xhci", "-nic", "none", "-no-reboot"),
            *("-display", "none", "-serial", f"file:{folder}/console.log"),
            *("-monitor", f"unix:{self._monitor},server,nowait"),
        ]
        self._boot()

    def _boot(self) -> None:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)

    def booted(self, script: str) -> str:
        """Wait until the system has booted and run this script, which says that it is ready."""
        for _ in range(MOST_BOOTS):
            try:
                return self.ask(script, BOOT_SECONDS)
            except SystemExit as failure:
                print(f"{failure}\nbooting again", flush=True)
                self.end()
                self._boot()
        raise SystemExit("it does not boot")

    def ask(self, script: str, seconds: float = 900) -> str:
        """Have the system run a script as root; what it says."""
        (self._share / "status").unlink(missing_ok=True)
        (self._share / "ask.new").write_text(script)
        (self._share / "ask.new").rename(self._share / "ask")
        self.until(f"an answer to {script}", (self._share / "status").exists, seconds)
        output = (self._share / "output").read_text(errors="replace")
        status = (self._share / "status").read_text().strip()
        assert status == "0", f"{script}\n{output}\nstatus {status}"
        return output.strip()

    def until(self, what: str, ready: Callable[[], bool], seconds: float) -> float:
        """Wait for it, as long as the machine lives; how many seconds it took."""
        start = time.monotonic()
        while not ready():
            if time.monotonic() - start > seconds or self._process.poll() is not None:
                console = (self.folder / "console.log").read_text(errors="replace")
                raise SystemExit(f"not within {seconds} s: {what}\n{console[-3000:]}")
            time.sleep(0.1)
        return time.monotonic() - start

    def plug(self, image: Path, *, protected: bool = False) -> None:
        """Plug in a stick that is an image of its content."""
        self._sticks += 1
        name = f"stick{self._sticks}"
        flag = ",readonly=on" if protected else ""
        self.order(f"drive_add 0 if=none,id={name},file={image},format=raw{flag}")
        self.order(f"device_add usb-storage,id={name},bus=xhci.0,drive={name},removable=on")

    def pull(self) -> None:
        """Pull out the last stick."""
        self.order(f"device_del stick{self._sticks}")

    def add(self, device: str, name: str) -> None:
        """Plug in another USB device, as QEMU calls it."""
        self.order(f"device_add {device},id={name},bus=xhci.0")

    def remove(self, name: str) -> None:
        """Pull it out."""
        self.order(f"device_del {name}")

    def end(self) -> None:
        """Switch it off at once."""
        self._process.kill()
        self._process.wait()

    def order(self, line: str) -> str:
        """A line to QEMU's monitor; its answer."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(60)
            monitor.connect(str(self._monitor))
            while b"(qemu)" not in monitor.recv(4096):
                pass
            monitor.sendall(line.encode() + b"\n")
            answer = b""
            while not answer.endswith(b"(qemu) "):
                answer += monitor.recv(4096)
        return re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", answer.decode(errors="replace"))
