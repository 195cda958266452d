"""JSON for programs: a line for each object; `truelight schema`: the schema of a finding."""

from __future__ import annotations

import argparse
import json
import sys

from edge.finding import Finding
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


def run(_: argparse.Namespace) -> int:
    """Print the schema, made from the types."""
    schema = Finding.model_json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    print(json.dumps(schema, indent=2, ensure_ascii=False))
    return 0
