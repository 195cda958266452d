"""What only root may do for Truelight: mount sticks, unmount them, write a report onto one.

    mount NAME        read-only, at /run/truelight/sticks/NAME, for /dev/NAME
    unmount NAME
    report NAME       from /run/truelight/reports/NAME, where the daemon left it

Started by units of systemd as `python3 -IB FOLDER`. It touches strangers' file systems and what a
daemon without rights left behind, so it stands alone: the system's Python with its standard
library, `mount`, `umount` and `blkid`.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from device import Stick
from mounting import mount, unmount
from report import report

NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")

VERBS = {"mount": mount, "unmount": unmount, "report": report}


def main() -> None:
    """Parse and do."""
    parser = argparse.ArgumentParser(prog="truelight-stick", description=__doc__.split("\n")[0])
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("name", help="of a block device, as in sda1")
    parser.add_argument("--view", type=Path, help="a mount namespace, to mount in")
    parser.add_argument("--run", type=Path, default=Path("/run/truelight"))
    parser.add_argument("--dev", type=Path, default=Path("/dev"))
    parser.add_argument("--sys", type=Path, default=Path("/sys/class/block"))
    given = parser.parse_args()
    if not NAME.fullmatch(given.name):
        parser.error("NAME is not a device's")
    VERBS[given.verb](Stick(given.name, given.run, given.dev, given.sys, given.view))


main()
