"""What many tests stand on."""

from pathlib import Path

import pytest
from bundles import write_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that takes red faces for fake."""
    return write_bundle(tmp_path_factory.mktemp("models") / "red")
