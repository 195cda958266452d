"""`truelight schema`: the JSON Schema of a finding. `truelight scan --formats`: what is read."""

from __future__ import annotations

import argparse
import json

from edge.finding import Finding
from edge.scan.media.formats import READ
from edge.scan.media.unsupported import UNSUPPORTED


def run_formats(_: argparse.Namespace) -> int:
    """Print the table of formats."""
    for title, rows in (("Read:", READ), ("Recognised, and not read:", UNSUPPORTED)):
        print(title)
        for row in rows:
            print(f"  {row.name[0].upper()}{row.name[1:]}: {', '.join(row.endings) or 'any name'}")
    return 0


def run_schema(_: argparse.Namespace) -> int:
    """Print the schema, made from the types."""
    schema = Finding.model_json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    print(json.dumps(schema, indent=2, ensure_ascii=False))
    return 0
