"""A long run that was stopped goes on with the step it was at; two runs share the steps."""

from collections import Counter
from pathlib import Path

import pytest
from hostile.kept import do, done, numbers

STEPS = numbers(70, 25)


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    tried = []

    def step(name: str) -> Counter[str]:
        tried.append(name)
        if tried == STEPS[:2]:
            raise KeyboardInterrupt
        return Counter({"files": int(name)})

    with pytest.raises(KeyboardInterrupt):
        do(tmp_path, "kills", STEPS, Counter[str], step)
    assert done(tmp_path, "kills", Counter[str]) == [Counter({"files": 0})]
    do(tmp_path, "kills", STEPS, Counter[str], step)
    assert tried == ["000000", "000025", "000025", "000050"]
    assert sum(done(tmp_path, "kills", Counter[str]), Counter[str]()) == Counter({"files": 75})
    assert done(tmp_path, "cuts", Counter[str], STEPS) == []


def test_a_step_is_done_by_one_run(tmp_path: Path) -> None:
    tried = []

    def other(name: str) -> int:
        tried.append(name)
        return 1

    def step(name: str) -> int:
        do(tmp_path, "kills", STEPS, int, other)
        return 0

    do(tmp_path, "kills", STEPS, int, step)
    assert tried == STEPS[1:]
    assert done(tmp_path, "kills", int) == [0, 1, 1]
