"""How numbers, names and findings are written for people, the same wherever they are shown."""

from __future__ import annotations

import math
import os
from pathlib import Path

from edge.finding import Face, Finding, ReasonCode, Verdict
from edge.language import N_, _, decimal

SHORTCOMINGS = {
    ReasonCode.FACES_TOO_SMALL: N_("too small"),
    ReasonCode.TOO_DARK: N_("too dark"),
    ReasonCode.TOO_BLURRED: N_("too blurred"),
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


def count(number: int, noun: str) -> str:
    """A number of things: "1 clip", "3 clips"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def path_text(path: Path) -> str:
    r"""A path as valid Unicode: bytes that are not UTF-8 become `\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def one_line(text: str) -> str:
    """Text that cannot control a terminal: unprintable characters are written as escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def name_text(path: Path) -> str:
    """A file's name for every display, journal and terminal: a stranger chose it."""
    return one_line(path_text(Path(path.name)))


def verdict_text(verdict: Verdict) -> str:
    """A verdict in words: "NO FACE"."""
    return _(VERDICTS[verdict])


def probability_text(probability: float | None) -> str:
    """A probability in per cent; empty if there is none."""
    return "" if probability is None else percent(probability)


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
