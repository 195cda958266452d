"""In a machine for arm64 with its own kernel: what confines the decoder process, and a scan.

arm64.py TREE FOLDER EXPECTED [TEST...]
                                 TREE: a system with the program, tests and clips, as
                                 tests/vm/arm64.sh makes it; FOLDER: with vmlinuz and small.img;
                                 EXPECTED: what another machine says of the clips, JSON lines;
                                 TEST: files, or names, of tests; BY_A_KERNEL without

The kernel starts one script instead of systemd, and the machine is off when that ends.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

from emulated import BY_A_KERNEL, NOT_BY_QEMU_USER

HERE = Path(__file__).parent
TIMEOUT = 3 * 3600
KEPT = "/var/tmp/kept"
CONFINED = "The decoder process is confined by every layer"
TRUELIGHT = "/opt/truelight/.venv/bin/python tests/vm/emulated.py"
SCRIPT = f"""#!/bin/sh
export HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
export TRUELIGHT_MODELS=/opt/truelight/third_party/blazeface
export PYTHONPATH=/var/tmp/source/tests/vm:/var/tmp/packages
date --set=@{int(time.time())} >/dev/null
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /etc/truelight # tests expect the settings that the program is shipped with
mkdir -p /dev/shm {KEPT} && mount -t tmpfs shm /dev/shm
rm -f {KEPT}/*
cd /var/tmp/source
# lo, up
python3 -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 0x49))'
(uname -mr; getconf PAGESIZE) >{KEPT}/kernel
/opt/truelight/.venv/bin/python -m pytest -v -rfEsx -p no:cacheprovider -p emulated \\
    -o timeout=3600 TESTS 2>&1 | tee {KEPT}/tests >/dev/console
{TRUELIGHT} doctor --no-questions --only sandbox >{KEPT}/doctor 2>&1
{TRUELIGHT} scan --json /var/tmp/clips >{KEPT}/findings 2>{KEPT}/scan
sync
mount -o remount,ro /
echo o >/proc/sysrq-trigger
sleep 60
"""


def main() -> None:
    tree, folder = map(Path, sys.argv[1:3])
    assert all(name.startswith(BY_A_KERNEL) for name in NOT_BY_QEMU_USER), "shown nowhere"
    image = folder / "vm.img"
    begin = tree / "usr/local/sbin/begin"
    tests = sys.argv[4:] or BY_A_KERNEL
    begin.write_text(SCRIPT.replace("TESTS", " ".join(tests)))
    begin.chmod(0o755)
    image.unlink(missing_ok=True)
    make = ("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, image, "6G")
    subprocess.run(make, check=True)
    start = time.monotonic()
    words = (
        "root=/dev/vda rw console=ttyAMA0 quiet mitigations=off audit=0 init=/usr/local/sbin/begin"
    )
    subprocess.run(
        [
            *("qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a76", "-m", "2048"),
            # Its clock counts instructions: on a busy machine it would wait in vain for itself.
            *("-accel", "tcg,tb-size=512", "-icount", "shift=0,sleep=on"),
            *("-kernel", folder / "vmlinuz", "-initrd", folder / "small.img"),
            *("-append", words, "-no-reboot", "-nic", "none"),
            *("-drive", f"file={image},format=raw,if=virtio,cache=unsafe", "-display", "none"),
            *("-serial", f"file:{folder}/console.log", "-monitor", "none"),
        ],
        stdin=subprocess.DEVNULL,
        timeout=TIMEOUT,
        check=True,
    )
    print(kept(image, "kernel"), said := kept(image, "doctor"), sep="\n")
    assert CONFINED in " ".join(said.split())
    (folder / "found.jsonl").write_text(kept(image, "findings"))
    same = [sys.executable, HERE / "same_findings.py", sys.argv[3], folder / "found.jsonl"]
    subprocess.run(same, check=True)
    print(results := kept(image, "tests"))
    assert re.search(r"\d passed", results) and not re.search(r"\d (failed|error)", results)
    print(f"the machine was on for {time.monotonic() - start:.0f} s")


def kept(image: Path, name: str) -> str:
    """A file that the script has written."""
    read = ("debugfs", "-R", f"cat {KEPT}/{name}", image)
    return subprocess.run(read, capture_output=True, text=True, check=True).stdout.strip()


main()
