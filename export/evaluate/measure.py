"""What `truelight-export evaluate` does: show clips or crops to a bundle under every condition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from edge.errors import TruelightError
from export.data.recompress import JPEGS, WAYS, degrade
from export.evaluate.records import PLAIN, Condition, Judged
from export.evaluate.scans import Film, judge_clips, judge_crops

if TYPE_CHECKING:
    from edge.scan.model.bundle import Bundle
    from edge.scan.scanner import Scanner

Tell = Callable[[str, int, int], None]
"""Is told what is being done, and how far that is."""

Changes = Mapping[str, object]
Open = Callable[[Changes], "Scanner"]
"""A scanner of the bundle as it is deployed, but for some settings."""

Keep = Callable[[Sequence[Judged]], None]
"""Is given all that is known whenever a condition is done with."""

ALONE: Final[Changes] = {"second_opinion.ask": "never"}


@dataclass(frozen=True)
class Wish:
    """What is to be measured besides clips as they are."""

    compressions: Sequence[str] = ()
    """Words of `WAYS`, or of `JPEGS` for crops."""
    frames: Sequence[int] = ()
    spread: bool = False
    second: Changes | None = None
    """Settings by which a second opinion is asked for."""
    cache: Path | None = None
    """Where recompressed clips are kept and looked for."""


@dataclass
class _Work:
    folder: Path
    tell: Tell
    keep: Keep
    judged: list[Judged] = field(default_factory=list)

    def clips(
        self, scanner: Scanner, condition: Condition, said: str, film: Film | None = None
    ) -> None:
        told = partial(self.tell, said)
        self.judged += judge_clips(scanner, self.folder, told, condition, film)
        self.keep(self.judged)


def measure_clips(open_: Open, folder: Path, wish: Wish, tell: Tell, keep: Keep) -> list[Judged]:
    """Judge the clips of a folder as they are, and under every condition that is wished for.

    Raises TruelightError as `judge_clips` does.
    """
    work = _Work(folder, tell, keep)
    with open_(ALONE) as scanner:
        frames = scanner.manifest.window.frames
        work.clips(scanner, PLAIN, "as they are")
        with ExitStack() as stack:
            cache = wish.cache or Path(stack.enter_context(TemporaryDirectory("-truelight")))
            for word in wish.compressions:
                name = WAYS[word].name
                work.clips(scanner, Condition(name), name, _film(word, cache))
    if wish.second is not None:
        with open_(wish.second) as scanner:
            work.clips(scanner, Condition(second=True), "with a second opinion")
    for count in wish.frames:
        with open_({**ALONE, **_frames(count, frames, wish.spread)}) as scanner:
            how = "spread" if wish.spread else "first"
            work.clips(
                scanner, Condition(frames=count, spread=wish.spread), f"{how} {count} frames"
            )
    return work.judged


def measure_crops(
    bundle: Bundle, folder: Path, share: float, wish: Wish, tell: Tell, keep: Keep
) -> list[Judged]:
    """Judge the crops of a folder as they are, and recompressed."""
    judged = judge_crops(bundle, folder, partial(tell, "as they are"), share)
    keep(judged)
    for word in wish.compressions:
        name, quality = JPEGS[word]
        told = partial(tell, name)
        judged += judge_crops(bundle, folder, told, share, Condition(name), quality)
        keep(judged)
    return judged


def chosen(words: str, known: Mapping[str, object]) -> tuple[str, ...]:
    """The compressions that a list of words with commas asks for; `all` is all of them.

    Raises TruelightError for a word that is not known.
    """
    asked = list(known) if words == "all" else words.split(",")
    if unknown := [word for word in asked if word not in known]:
        raise TruelightError(
            f"There is no compression {unknown[0]!r} here.", f"There are: {', '.join(known)}, all."
        )
    return tuple(asked)


def _film(word: str, cache: Path) -> Film:
    return lambda clip: degrade(clip, WAYS[word], cache)


def _frames(count: int, window: int, spread: bool) -> Changes:
    """Settings by which about `count` frames are judged.

    The first ones are taken one after the other, as published systems do. Spread over the clip are
    as many windows as come nearest to that number, at least one.
    """
    return {"scan.windows": max(1, round(count / window))} if spread else {"scan.first": count}
