"""What tests said on an emulated processor (tests/vm): a run goes on where it stopped."""

import os
import subprocess
import sys
from pathlib import Path

VM = Path(__file__).parent / "vm"
TESTS = """
from pathlib import Path
def test_first(): pass
def test_second(): assert Path("mended").exists(), "not yet"
def test_third(): pass
"""


def python(folder: Path, *arguments: str, program: str = "one") -> subprocess.CompletedProcess[str]:
    names = {"PYTHONPATH": str(VM), "KEPT": "kept", "PROGRAM": program}
    names["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | names,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    test = ("-m", "pytest", "-x", "-p", "no:cacheprovider", "-p", "emulated", "tests")
    told = (str(VM / "kept_results.py"), "kept")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_few.py").write_text(TESTS)

    python(tmp_path, *test)
    summary = python(tmp_path, *told, "one")
    assert summary.stdout.splitlines()[-1] == "1 passed, 1 failed, 1 not-reached"
    assert "failed tests/test_few.py::test_second" in summary.stdout
    assert summary.returncode == 1

    (tmp_path / "mended").touch()
    assert "2 passed, 1 deselected" in python(tmp_path, *test).stdout
    summary = python(tmp_path, *told, "one")
    assert (summary.stdout.splitlines()[-1], summary.returncode) == ("3 passed", 0)

    of_another = python(tmp_path, *told, "two")
    assert (of_another.stdout.strip(), of_another.returncode) == ("", 1)
    assert "3 passed" in python(tmp_path, *test, program="two").stdout
