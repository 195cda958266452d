"""In a machine for arm64 with its own kernel: what confines the decoder process, and a scan.

arm64.py FOLDER EXPECTED    FOLDER with vm.img, vmlinuz, small.img and share/, as tests/vm/arm64.sh
                            makes them; EXPECTED: what another machine says of its clips, JSON lines
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from emulated import NOT_BY_QEMU_USER
from machine import Machine

HERE = Path(__file__).parent
PYTHON = "/opt/truelight/.venv/bin/python"
SOURCE = "/var/tmp/source"
MODELS = "/opt/truelight/third_party/blazeface"
EVERYTHING = "confined by every layer and has a user of its own"


def main() -> None:
    folder = Path(sys.argv[1])
    machine = Machine(folder, "arm64")
    try:
        start = time.monotonic()
        kernel = machine.booted("uname -mr; getconf PAGESIZE")
        print(f"booted within {time.monotonic() - start:.0f} s: {kernel}", flush=True)
        truelight = f"{PYTHON} {SOURCE}/tests/vm/emulated.py"
        doctor = machine.ask(f"{truelight} doctor --no-questions --only sandbox 2>&1 || true", 1800)
        print(doctor, flush=True)
        assert EVERYTHING in " ".join(doctor.split()), doctor
        pytest = (
            f"cd {SOURCE}; export PYTHONPATH=tests/vm TRUELIGHT_MODELS={MODELS};"
            f" {PYTHON} -m pytest -q -rfEsx -p no:cacheprovider -p emulated -o timeout=3600"
        )
        print(machine.ask(f"{pytest} {' '.join(NOT_BY_QEMU_USER)} 2>&1", 7200), flush=True)
        start = time.monotonic()
        found = machine.ask(
            f"{truelight} scan --json /var/tmp/clips 2>/dev/null || [ $? -le 1 ]", 7200
        )
        (folder / "found.jsonl").write_text(found)
        same = [sys.executable, HERE / "same_findings.py", sys.argv[2], folder / "found.jsonl"]
        subprocess.run(same, check=True)
        print(f"the same findings, through the decoder's unit: {time.monotonic() - start:.0f} s")
    finally:
        machine.end()


main()
