"""`python -m edge.web.alive`: whether the page of this machine answers and its box works."""

from __future__ import annotations

import json
import ssl
import sys
import urllib.request

from edge.settings import load_settings


def main() -> int:
    """0 if both work, else 1."""
    # Its own certificate, asked from the machine itself: there is nobody in between.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    address = f"https://127.0.0.1:{load_settings().web.port}/api/v1/health"
    try:
        with urllib.request.urlopen(address, timeout=8, context=context) as answer:
            return int(json.load(answer)["status"] != "ok")
    except (OSError, ValueError) as failure:
        print(f"The page does not answer: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
