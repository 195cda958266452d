"""Recipes of `truelight-export train`: the documented one, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from frontdoor import ROOT

from edge.errors import TruelightError
from export.cli.train import TrainingRecipe
from export.data.folders import read_recipe

DOCUMENTED = ROOT / "docs" / "training.yaml"


def test_the_documented_recipe_is_valid_and_names_every_key() -> None:
    recipe = read_recipe(DOCUMENTED, TrainingRecipe)
    assert recipe.phases[0].rate == 2e-3
    assert recipe.folders[0] == DOCUMENTED.parent / "dfdc-crops"
    text = DOCUMENTED.read_text(encoding="utf-8")
    for name in TrainingRecipe.model_fields:
        assert re.search(rf"^(# )?{name}:", text, re.MULTILINE), name


def test_a_recipe_that_is_wrong_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    for text, message in (
        ("folders: []", "folders: "),
        ("folders: [a]\nphase: []", "phase: Extra inputs are not permitted"),
        ("folders: [a]\nphases: [{side: 16, steps: 1, batch: 2, rate: 1}]", "phases.0.side: "),
        ("folders: [a]\nlayers: [3, 4]", "layers"),
        ("folders: [a]\nhead: {only: true}", "head.only needs a checkpoint in start"),
        ("folders: [a]\nfeatures: x\nonline_teacher: {tuned: t, tower: w}", "exclude each other"),
        ("folders: [a", "is not YAML"),
    ):
        file.write_text(text)
        with pytest.raises(TruelightError, match=re.escape(message)):
            read_recipe(file, TrainingRecipe)
