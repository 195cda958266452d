"""Where the box and the system's units hand things to each other.

`systemd/tmpfiles.conf` makes these folders; where it did not, as on a laptop, there are none.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

RUNTIME: Final = Path(os.environ.get("RUNTIME_DIRECTORY", "/run/truelight"))

STICKS: Final = RUNTIME / "sticks"
"""Root mounts `NAME/` here and writes `NAME.json`; the box only reads."""

REPORTS: Final = RUNTIME / "reports"
"""The box leaves `NAME/` here with a report for the stick NAME, root takes it from there."""

POWER_OFF: Final = RUNTIME / "power" / "off"
"""When the box makes this file, root switches the machine off."""
