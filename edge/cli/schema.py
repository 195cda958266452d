"""`truelight schema`: the JSON Schema of a finding."""

from __future__ import annotations

import argparse
import json

from edge.finding import Finding


def run(_: argparse.Namespace) -> int:
    """Print the schema, made from the types."""
    schema = Finding.model_json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    print(json.dumps(schema, indent=2, ensure_ascii=False))
    return 0
