"""How good a model is, in plain words: taken from what its bundle says was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.text import one_line


class Figure(Protocol):
    """Something that was measured: a share with its 95 % interval, and on what."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def value(self) -> float: ...  # noqa: D102
    @property
    def low(self) -> float | None: ...  # noqa: D102
    @property
    def high(self) -> float | None: ...  # noqa: D102
    @property
    def data(self) -> str: ...  # noqa: D102


class ModelSummary(Protocol):
    """What is known of a model; a bundle's manifest says it."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def licence(self) -> str: ...  # noqa: D102
    @property
    def summary(self) -> str: ...  # noqa: D102
    @property
    def figures(self) -> Sequence[Figure]: ...  # noqa: D102


@dataclass(frozen=True)
class Measured:
    """How the model did on some data."""

    data: str
    sentences: tuple[str, ...]


_RANKED = "AUC"
_SAID = {
    "false alarms (FAKE said of a real)": "Of 100 real ones it called {} FAKE.",
    "missed (REAL said of a fake)": "Of 100 fakes it called {} REAL.",
    "UNSURE, share": "Of 100 in all it was UNSURE of {}.",
}


def measured(card: ModelSummary) -> list[Measured]:
    """What was measured of verdicts, by the data it was measured on."""
    by_data: dict[str, dict[str, Figure]] = {}
    for figure in card.figures:
        by_data.setdefault(figure.data, {})[figure.name] = figure
    return [
        Measured(one_line(data), tuple(_sentences(figures)))
        for data, figures in by_data.items()
        if _RANKED in figures
    ]


def _sentences(figures: dict[str, Figure]) -> list[str]:
    ranked = (
        "Shown a real one and a fake, it finds the fake more suspicious in {} of 100 cases; "
        "50 would be guessing."
    )
    known = {_RANKED: ranked, **_SAID}
    return [
        words.format(_hundred(figures[name])) for name, words in known.items() if name in figures
    ]


def _hundred(figure: Figure) -> str:
    """A share of a hundred, with its interval: "66 (55 to 81)"."""
    told = f"{100 * figure.value:.0f}"
    if figure.low is not None and figure.high is not None:
        told += f" ({100 * figure.low:.0f} to {100 * figure.high:.0f})"
    return told
