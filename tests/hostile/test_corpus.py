"""Bad files are answered one by one: none takes long, ends the program, or leaves anything."""

import gc
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from hostile.corpus import MOST_SECONDS, corpus, held, processor_time, valid_files
from hostile.forked import forked
from waiting import until

from edge.scan.scanner import Scanner
from edge.settings import Settings

pytestmark = pytest.mark.timeout(900)

COUNT = 2000
SHARES = 10
FEW_MEGAPIXELS = 3000
"""A quarter of what is allowed: this test is to be over soon."""


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return valid_files(tmp_path_factory.mktemp("valid"))


@pytest.mark.parametrize("share", range(SHARES))
def test_a_corpus_of_bad_files(
    bundle: Path, valid: dict[str, bytes], tmp_path: Path, share: int
) -> None:
    changes = {"model.bundle": str(bundle), "decode.megapixels": FEW_MEGAPIXELS}
    verdicts, slow = set(), []
    # Every tenth file gets a decoder process that is started as the program starts it.
    way = forked() if share else nullcontext()
    with way, Scanner(Settings().changed("test", changes)) as scanner:
        scanner.wait()
        gc.collect()  # what earlier tests left
        before = held()
        for name, content in list(corpus(valid, COUNT, seed=7))[share::SHARES]:
            path = tmp_path / name
            path.write_bytes(content)
            start = time.monotonic()
            finding = scanner.scan(path)
            if time.monotonic() - start > MOST_SECONDS:
                slow.append((name, content))
            assert "program failed" not in finding.reasons[0].text, (name, finding.reasons)
            verdicts.add(finding.verdict)
            path.unlink()
        until(lambda: held() == before, what=lambda: f"{held()} instead of {before}")
    for name, content in slow:  # or was the machine busy?
        assert processor_time(name, content) < MOST_SECONDS, name
    assert {"UNREADABLE", "NO_FACE"} <= verdicts


def test_the_same_seed_gives_the_same_files(valid: dict[str, bytes]) -> None:
    first, second, other = (dict(corpus(valid, 200, seed)) for seed in (7, 7, 8))
    assert first == second
    assert len(first) == 200
    assert sum(first[name] != other[name] for name in first if name in other) > 50
