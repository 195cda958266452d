"""The API keeps to its OpenAPI document: schemathesis sends what it allows and what it forbids."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from serving import Serving

from edge.client import Client

PHASES = ("--phases", "fuzzing,stateful", "--max-examples", "2")
FULL = ("--max-examples", "25")
"""All phases, some minutes: TRUELIGHT_CONTRACT=full .venv/bin/pytest tests/web/test_contract.py."""
LEFT_OUT = ("--exclude-path-regex", "events", "--exclude-method", "PATCH")
"""Streams do not end; pieces of an upload have a media type of their own (see test_api)."""


@pytest.mark.timeout(3600 if os.environ.get("TRUELIGHT_CONTRACT") == "full" else 300)
def test_the_api_keeps_to_its_document(serving: Serving, client: Client, tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(client._get("/api/v1/openapi.json")))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--no-color"),
            *("--config-file", Path(__file__).with_name("schemathesis.toml")),
            *("run", document, "--url", serving.address, *LEFT_OUT),
            *("-H", f"Authorization: Bearer {client._token}"),
            *(FULL if os.environ.get("TRUELIGHT_CONTRACT") == "full" else PHASES),
            *("--seed", "1", "--request-timeout", "60"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr
    assert " generated" in done.stdout
