"""What many tests stand on."""

from pathlib import Path

import pytest
from bundles import write_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that takes red faces for fake."""
    return write_bundle(tmp_path_factory.mktemp("models") / "red")


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: red.mp4, pale.mp4, two.mp4 (a red face and a pale one), red.jpg, nobody.mp4."""
    from redpale import write_clips

    return write_clips(tmp_path_factory.mktemp("clips"))
