"""How numbers, names and findings are written for people, the same wherever they are shown."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from edge.finding import Face, Finding, Model, Part, ReasonCode, Verdict
from edge.language import N_, _, counted, decimal

NOT_OURS = N_("(not from Truelight)")
"""Behind the name of a bundle that Truelight did not ship."""

SHORTCOMINGS = {
    ReasonCode.FACES_TOO_SMALL: N_("too small"),
    ReasonCode.TOO_DARK: N_("too dark"),
    ReasonCode.TOO_BLURRED: N_("too blurred"),
    ReasonCode.LOW_DETAIL: N_("without fine detail"),
    ReasonCode.TOO_NOISY: N_("too noisy"),
    ReasonCode.FALSE_COLOURS: N_("in false colours"),
    ReasonCode.SEEN_TOO_BRIEFLY: N_("seen too briefly"),
}
VERDICTS = {
    Verdict.REAL: N_("REAL"),
    Verdict.FAKE: N_("FAKE"),
    Verdict.UNSURE: N_("UNSURE"),
    Verdict.NO_FACE: N_("NO FACE"),
    Verdict.UNREADABLE: N_("UNREADABLE"),
}


def percent(probability: float, decimals: int = 0) -> str:
    """A probability in per cent, rounded down, never claiming certainty."""
    unit = 10**decimals
    if probability > 1 - 0.01 / unit:
        return _("over {number} %").format(number=decimal(f"{100 - 1 / unit:.{decimals}f}"))
    if probability < 0.01 / unit:
        return _("under {number} %").format(number=decimal(f"{1 / unit:.{decimals}f}"))
    return decimal(f"{math.floor(probability * 100 * unit + 1e-9) / unit:.{decimals}f} %")


def clock(seconds: float) -> str:
    """A time within a clip: 0:07, 12:34, 1:02:03."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def count(number: int, noun: str, nouns: str = "") -> str:
    """A number of things: "1 clip", "3 clips"; `nouns` if the plural has no s."""
    return f"{number} {noun if number == 1 else nouns or f'{noun}s'}"


def path_text(path: Path) -> str:
    r"""A path as valid Unicode: bytes that are not UTF-8 become `\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def one_line(text: str) -> str:
    """Text that cannot control a terminal: unprintable characters are written as escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def json_text(text: str) -> str:
    """The same JSON values, without a character that controls a terminal or turns its text around.

    In JSON, all but line feeds can only stand within strings.
    """
    return "".join(
        character if character.isprintable() or character == "\n" else json.dumps(character)[1:-1]
        for character in text
    )


def name_text(path: Path) -> str:
    """A file's name for every display, journal and terminal: a stranger chose it."""
    return one_line(path_text(Path(path.name)))


_PART_NAMES = {
    "track": (N_("video track {number}"), N_("in video track {number}")),
    "page": (N_("page {number}"), N_("on page {number}")),
    "picture": (N_("picture {number}"), N_("in picture {number}")),
    "video": (N_("the video behind the picture"), N_("in the video behind the picture")),
    "joined": (N_("joined file {number}"), N_("in joined file {number}")),
}


def part_text(part: Part | None, preposition: str = "") -> str:
    """Which part of a file: "page 3", "in video track 2"; empty for what players show."""
    if part is None:
        return ""
    return _PART_NAMES[part.kind][bool(preposition)].format(number=part.number)


_OTHER_PARTS: dict[str, Callable[[int], str]] = {
    "track": lambda number: counted(
        "{number} more video track", "{number} more video tracks", number
    ),
    "page": lambda number: counted("{number} more page", "{number} more pages", number),
    "picture": lambda number: counted("{number} more picture", "{number} more pictures", number),
    "video": lambda number: counted("{number} more video", "{number} more videos", number),
    "joined": lambda number: counted("{number} joined file", "{number} joined files", number),
}


def other_parts(finding: Finding) -> str:
    """What else in the file was scanned: "2 more pages, 1 more video"."""
    counts = Counter(part.kind for part in finding.parts)
    return ", ".join(_OTHER_PARTS[kind](number) for kind, number in counts.items())


def verdict_text(verdict: Verdict) -> str:
    """A verdict in words: "NO FACE"."""
    return _(VERDICTS[verdict])


def probability_text(probability: float | None) -> str:
    """A probability in per cent; empty if there is none."""
    return "" if probability is None else percent(probability)


def model_text(model: Model, *, version: bool = False) -> str:
    """A model's name, and that it is not from Truelight if so."""
    name = f"{model.name} {model.version}" if version else model.name
    return one_line(name) + (f" {_(NOT_OURS)}" if model.shipped is False else "")


def shortcomings(face: Face) -> str:
    """Why a face does not count: "too small, too dark"; empty if it counts."""
    return ", ".join(_(SHORTCOMINGS.get(reason.code, reason.code)) for reason in face.reasons)


def both_opinions(face: Face, finding: Finding) -> str:
    """The answers of both models: "truelight 43 %, thorough 76 %"; empty if only one was asked."""
    second = finding.second_opinion
    for view in second.faces if second else ():
        if second and view.id == face.id:
            first_answer, second_answer = view.probability_before, view.fake_probability
            return (
                f"{one_line(finding.model.name)} {percent(first_answer)}, "
                f"{one_line(second.model.name)} {percent(second_answer)}"
            )
    return ""
