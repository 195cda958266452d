"""Draws docs/images/page.png: the page on a phone, while the second of two clips is judged.

.venv/bin/python docs/images/page.py     (after ./setup.sh test, which installs chromium)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "web")]

from browser import browser  # noqa: E402
from serving import Serving  # noqa: E402
from walking import PHONE, Person  # noqa: E402

CLIPS = ("pasted-face.mp4", "one-person.mp4")
HEIGHT = 1180
"""What fits beside the text: the clips that were sent, the box, and what is being judged."""


def main() -> None:
    """Send two samples, and take the picture when the second is halfway."""
    with tempfile.TemporaryDirectory() as folder, browser() as window:
        serving = Serving(Path(folder), {}, "--no-tls")
        try:
            person = Person(window, serving, PHONE)
            person.open(f"/pair#code={serving.code().replace(' ', '')}")
            person.click("form[action='/pair'] button")
            person.is_at("/")
            person.sees(".status", "Ready", seconds=300)
            person.chooses("#file", *(ROOT / "samples" / "clips" / clip for clip in CLIPS))
            person.click("#upload button")
            person.sees("#recent a", CLIPS[0], seconds=600)
            person.sees("#queue .row span", "left", seconds=600)
            size = {"width": PHONE, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
            window.ask("Emulation.setDeviceMetricsOverride", **size)
            (ROOT / "docs" / "images" / "page.png").write_bytes(window.screenshot())
        finally:
            serving.end()


if __name__ == "__main__":
    main()
