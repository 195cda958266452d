"""In a machine for arm64 with its own kernel: what confines the decoder process, and one scan.

arm64.py FOLDER    with vm.img, vmlinuz and small.img, as tests/vm/arm64.sh makes them
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from machine import Machine

TESTS = "tests/scan/test_sandbox.py tests/scan/test_process.py -k 'not many_clips'"
PYTHON = "/opt/truelight/.venv/bin/python"


def main() -> None:
    machine = Machine(Path(sys.argv[1]), "arm64")
    try:
        seconds = machine.boot("true")
        print(f"booted within {seconds:.0f} s: {machine.ask('uname -mr')}", flush=True)
        print(machine.ask("truelight doctor --no-questions --only sandbox 2>&1 || true", 600))
        print(
            machine.ask(
                f"cd /var/tmp/source; {PYTHON} -m pytest -q -p no:cacheprovider -o timeout=1800"
                f" {TESTS} 2>&1 | tail -n 15; test ${{PIPESTATUS:-0}} = 0",
                3600,
            ),
            flush=True,
        )
        start = time.monotonic()
        clip = machine.ask("ls /var/tmp/clips/*.jpg /var/tmp/clips/*.mp4 | head -n 1")
        finding = json.loads(machine.ask(f"truelight scan --json {clip} 2>/dev/null", 1800))
        assert finding["verdict"] != "UNREADABLE", finding
        print(f"{clip}: {finding['verdict']} after {time.monotonic() - start:.0f} s")
    finally:
        machine.end()


main()
