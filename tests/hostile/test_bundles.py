"""Hostile model bundles: refused in a sentence, or without harm. `hostile.bundles` tries all."""

import random
from pathlib import Path

import pytest
from bundles import write_bundle
from hostile.bundle_files import MANIFESTS
from hostile.bundles import KINDS, answer, write

from edge.scan.model.bundle_info import list_bundles

pytestmark = pytest.mark.timeout(300)

ROUNDS = 3
USABLE = {
    "manifest, texts with controls",
    "manifest, 100,000 figures",
}
"""Kinds whose manifest is valid."""
SOMETIMES = {"manifest, bits flipped", "manifest, wrong types", "manifest, a key missing"}
LATER = {"file, a folder", "file, a link outside", "file, a link to a device", "file, a pipe"}
LATER |= {"file, missing", "file, a link to itself"}
"""Kinds that are found later, unless it is the manifest that they replace."""


def test_a_hostile_manifest_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_text("secret")
    for number in range(ROUNDS * len(MANIFESTS)):
        name = list(MANIFESTS)[number % len(MANIFESTS)]
        MANIFESTS[name](write_bundle(tmp_path / f"{number:03}"), random.Random(number))
    listed = list_bundles(tmp_path)
    assert len(listed) == ROUNDS * len(MANIFESTS)
    for number, each in enumerate(listed):
        name = list(MANIFESTS)[number % len(MANIFESTS)]
        if name not in SOMETIMES | LATER:
            assert (each.problem is None) is (name in USABLE), (name, each.problem)
        if each.problem:
            assert each.problem.message.isprintable(), name
            assert len(each.problem.message) < 1000, name


@pytest.mark.parametrize(
    ("name", "came", "says"),
    [
        ("graph, weights outside", "refused", "cannot be run by ONNX Runtime"),
        ("graph, a function that calls itself", "refused", ""),
        ("golden, 200 MB of zeros", "refused", "is too large"),
        ("graph, NaN for a red face", "UNREADABLE", "returned invalid data"),
        ("graph, 1 million features", "UNREADABLE", "returned invalid data"),
    ],
)
def test_a_hostile_bundle_does_no_harm(name: str, came: str, says: str) -> None:
    found = answer(list(KINDS).index(name))
    assert (found.came, found.wrong) == (came, ""), found
    assert says in found.text


def test_the_same_number_gives_the_same_bundle(tmp_path: Path) -> None:
    assert len(KINDS) >= 40
    for name in ("manifest, bits flipped", "graph, bits flipped", "golden, sizes that lie"):
        number, made = list(KINDS).index(name), []
        for place in (tmp_path / f"{number}", tmp_path / f"{number} again"):
            place.mkdir()
            _, bundle = write(place, number)
            made.append({file.name: file.read_bytes() for file in bundle.iterdir()})
        first, second = ({k: v for k, v in each.items() if k != "golden.npz"} for each in made)
        assert first == second
