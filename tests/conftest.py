"""What many tests stand on."""

import signal
from pathlib import Path

import pytest
from bundles import write_bundle
from hypothesis import settings

# How long an example takes depends on the machine and on what else it does.
settings.register_profile("truelight", deadline=None)
settings.load_profile("truelight")

# Started in the background of a script, this program is deaf to Ctrl-C, and so would be all that
# tests start and then interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that takes red faces for fake."""
    return write_bundle(tmp_path_factory.mktemp("models") / "red")


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: red.mp4, pale.mp4, two.mp4 (a red face and a pale one), red.jpg, nobody.mp4."""
    from redpale import write_clips

    return write_clips(tmp_path_factory.mktemp("clips"))
