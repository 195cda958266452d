"""Lines of JSON for programs."""

from __future__ import annotations

import sys

from edge.skipped import Skipped, SkippedLine
from edge.text import json_text


def print_json(text: str) -> None:
    """Print one line of JSON at once, in UTF-8 whatever the terminal's encoding."""
    sys.stdout.buffer.write(json_text(text).encode() + b"\n")
    sys.stdout.buffer.flush()


def print_skipped(skipped: Skipped) -> None:
    """Print what is not judged as the last line of JSON, if there is anything."""
    if skipped.total:
        print_json(SkippedLine(counts=skipped.counts, files=skipped.files).model_dump_json())
