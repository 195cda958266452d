"""A virtual machine that does what it is asked over a virtio port. Made by `machine.sh`."""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

KINDS = {
    "amd64": ("qemu-system-x86_64", "-machine", "q35,sata=off,smbus=off,i8042=off"),
    "arm64": ("qemu-system-aarch64", "-machine", "virt"),
}
EMULATED = {
    # Its clock counts instructions, a thousand million a second, and real time only while it waits:
    # however slow the emulator is, nothing in the machine comes too late.
    "amd64": ("-cpu", "Nehalem", "-accel", "tcg,tb-size=512", "-icount", "shift=0,sleep=on"),
    "arm64": ("-cpu", "cortex-a72", "-accel", "tcg,thread=multi,tb-size=512"),
}
VIRTUAL = ("-cpu", "host", "-accel", "kvm")
CONSOLES = {"amd64": "ttyS0", "arm64": "ttyAMA0"}
# An emulated machine on a busy one is slow, and systemd must not give up.
PATIENT = "systemd.default_timeout_start_sec=1800 systemd.default_device_timeout_sec=1800"
# What costs an emulator most: other page tables at each system call, against holes that an emulated
# processor does not have, clearing memory, and testing the kernel's ciphers.
LEAN = (
    "mitigations=off init_on_alloc=0 cryptomgr.notests audit=0 transparent_hugepage=never"
    " no_timer_check rcupdate.rcu_cpu_stall_suppress=1 nowatchdog"
)
# And what no box needs: consoles to log in at, and mounts and modules that nobody asks for.
MASKED = (
    "getty.target", "dev-hugepages.mount", "dev-mqueue.mount", "e2scrub_reap.service",
    "modprobe@configfs.service", "modprobe@drm.service", "modprobe@efi_pstore.service",
    "modprobe@fuse.service", "proc-sys-fs-binfmt_misc.automount", "systemd-binfmt.service",
    "sys-fs-fuse-connections.mount", "sys-kernel-config.mount", "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount", "systemd-logind.service", "systemd-random-seed.service",
    "systemd-update-utmp.service", "systemd-user-sessions.service",
)  # fmt: skip
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
    """The machine of a folder with vm.img, vmlinuz and small.img.

    What it writes goes to run.qcow2 beside them: vm.img stays as it was made.
    """

    def __init__(
        self,
        folder: Path,
        architecture: str = "amd64",
        memory: int = 2048,
        *,
        alone: bool = False,
    ) -> None:
        """`alone`: who does what it is asked is the only process; the image must know that."""
        self.folder = folder
        self._port, self._monitor = folder / "asked", folder / "monitor"
        self._disk, self._kept = folder / "run.qcow2", folder / "kept.json"
        self._sticks = 0
        kernel = folder / "vmlinuz"
        virtual = architecture == "amd64" and kvm_boots(kernel, folder / "kvm.log")
        self.kind = "by KVM" if virtual else "emulated"
        words = (
            f"root=/dev/vda rw console={CONSOLES[architecture]} panic=-1 quiet {LEAN} {PATIENT}",
            *(f"systemd.mask={unit}" for unit in MASKED),
            *(("ALONE=1",) if alone else ()),
        )
        self._command = [
            *KINDS[architecture],
            *(VIRTUAL if virtual else EMULATED[architecture]),
            # Emulated processors wait for each other while their threads wait for a real one.
            *("-m", str(memory), "-smp", "2" if virtual else "1", "-nodefaults"),
            *("-kernel", kernel, "-initrd", folder / "small.img", "-append", " ".join(words)),
            *("-drive", f"file={self._disk},format=qcow2,if=virtio,cache=unsafe"),
            *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
            *("-chardev", f"socket,id=asked,path={self._port},server=on,wait=off"),
            *("-device", "virtserialport,chardev=asked,name=asked"),
            # And room for one more controller.
            *("-device", "pcie-root-port,id=spare,chassis=1"),
            *("-device", "qemu-xhci,id=xhci", "-nic", "none", "-no-reboot", "-display", "none"),
            *("-serial", f"file:{folder}/console.log"),
            *("-monitor", f"unix:{self._monitor},server=on,wait=off"),
        ]

    def boot(self, script: str, *devices: str) -> float:
        """Boot with these USB devices until this script has ended; how many seconds it took."""
        start = time.monotonic()
        for _ in range(MOST_BOOTS):
            self._kept.unlink(missing_ok=True)
            self._disk.unlink(missing_ok=True)
            image = ("-f", "qcow2", "-F", "raw", "-b", self.folder / "vm.img", self._disk)
            subprocess.run(("qemu-img", "create", "-q", *image), check=True)
            self._start(*devices)
            try:
                self.ask(script, BOOT_SECONDS)
            except SystemExit as failure:
                print(f"{failure}\nbooting again", flush=True)
                self.end()
            else:
                return time.monotonic() - start
        raise SystemExit("it does not boot")

    def keep(self) -> None:
        """Keep its present state, for `resume`. Nothing may be plugged in."""
        assert "rror" not in (answer := self.order("savevm booted", 900)), answer
        self._kept.write_text(self._described())

    def kept(self) -> bool:
        """Whether a state of this machine was kept."""
        return self._kept.exists() and self._kept.read_text() == self._described()

    def _described(self) -> str:
        image = (self.folder / "vm.img").stat()
        return json.dumps([*map(str, self._command), image.st_mtime_ns])

    def resume(self) -> None:
        """Start it in the state that was kept."""
        self._start("-loadvm", "booted")

    def _start(self, *more: str) -> None:
        for path in (self._port, self._monitor):
            path.unlink(missing_ok=True)
        self._process = subprocess.Popen((*self._command, *more), stdin=subprocess.DEVNULL)
        self.until("it starts", lambda: self._port.exists() and self._monitor.exists(), 60)
        self._host = socket.socket(socket.AF_UNIX)
        self.until("its port answers", lambda: self._host.connect_ex(str(self._port)) == 0, 60)

    def ask(self, script: str, seconds: float = 900) -> str:
        """Have the system run a script as root; what it says."""
        self._host.sendall(json.dumps(script).encode() + b"\n")
        self._host.settimeout(0.1)
        line = bytearray()

        def answered() -> bool:
            try:
                line.extend(self._host.recv(1 << 16))
            except (TimeoutError, ConnectionError):
                return False
            return line.endswith(b"\n")

        self.until(f"an answer to {script}", answered, seconds)
        status, output = json.loads(line)
        assert status == 0, f"{script}\n{output}\nstatus {status}"
        return str(output).strip()

    def until(self, what: str, ready: Callable[[], bool], seconds: float) -> float:
        """Wait for it, as long as the machine lives; how many seconds it took.

        On a busy machine an emulator may wait most of its time for a processor: that does not count
        for the limit.
        """
        start, starved = time.monotonic(), self.starved()
        while not ready():
            waited = time.monotonic() - start - (self.starved() - starved)
            if waited > seconds or self._process.poll() is not None:
                console = (self.folder / "console.log").read_text(errors="replace")
                raise SystemExit(f"not within {seconds} s: {what}\n{console[-3000:]}")
            time.sleep(0.02)
        return time.monotonic() - start

    def plug(
        self,
        image: Path,
        *,
        protected: bool = False,
        port: str = "",
        uas: bool = False,
        slow: bool = False,
    ) -> None:
        """Plug in a stick that is an image of its content, at a port as in "1.2" or at any.

        It speaks the newer protocol of fast disks if `uas`. A slow one takes 4 MB a second.
        """
        self._sticks += 1
        name = f"stick{self._sticks}"
        flag = ",readonly=on" if protected else ",throttling.bps-write=4000000" if slow else ""
        self.order(f"drive_add 0 if=none,id={name},file={image},format=raw{flag}")
        at = port and f",port={port}"
        if uas:
            self.add(f"usb-uas{at}", name)
            answer = self.order(f"device_add scsi-hd,bus={name}.0,drive={name}")
            answer += self.order(f"qom-set /machine/peripheral/{name} attached true")
            assert "rror" not in answer, answer
        else:
            self.add(f"usb-storage,drive={name},removable=on{at}", name)

    def pull(self, number: int = 0) -> None:
        """Pull out the last stick, or another by its number."""
        self.remove(f"stick{number or self._sticks}")

    def add(self, device: str, name: str) -> None:
        """Plug in another USB device, as QEMU calls it."""
        answer = self.order(f"device_add {device},id={name},bus=xhci.0")
        assert "rror" not in answer, answer

    def remove(self, name: str) -> None:
        """Pull it out."""
        self.order(f"device_del {name}")

    def seconds(self) -> float:
        """The processor time that it has had, in seconds."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def starved(self) -> float:
        """How many seconds its busiest thread was ready to run, and no processor was free."""
        longest = 0
        for thread in Path(f"/proc/{self._process.pid}/task").glob("*/schedstat"):
            with suppress(OSError):  # it has ended
                longest = max(longest, int(thread.read_text().split()[1]))
        return longest / 1e9

    def end(self) -> None:
        """Switch it off at once."""
        self._host.close()
        self._process.kill()
        self._process.wait()

    def order(self, line: str, seconds: float = 60) -> str:
        """A line to QEMU's monitor; its answer."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(seconds)
            monitor.connect(str(self._monitor))
            while b"(qemu)" not in monitor.recv(4096):
                pass
            monitor.sendall(line.encode() + b"\n")
            answer = b""
            while not answer.endswith(b"(qemu) "):
                answer += monitor.recv(4096)
        return re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", answer.decode(errors="replace"))
