"""`truelight schema`: the JSON Schema of a finding, made from the types."""

from __future__ import annotations

import argparse
import json


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    command = commands.add_parser(
        "schema",
        help="print the JSON Schema of what `scan --json` writes",
        description="Prints the JSON Schema of one line of `truelight scan --json`.",
    )
    command.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print the schema."""
    from edge.finding import Finding

    schema = Finding.model_json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    print(json.dumps(schema, indent=2, ensure_ascii=False))
    return 0
