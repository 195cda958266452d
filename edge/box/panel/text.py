"""Making text fit: wrapped, shortened in the middle, or scrolled. Widths are in points."""

from __future__ import annotations

from collections.abc import Iterator

from edge.box.panel.letters import GAP, width

ELLIPSIS = "…"
REST = 2.0
"""Seconds for which a line stands still before it scrolls, and a page before it is turned."""
PACE = 24.0
"""Points a second that a line scrolls."""
BREAKS = "-_./"
"""A word too long for a line is parted after one of these, if it has one."""


def shortened(text: str, room: int) -> str:
    """Text at most `room` wide: the middle gives way, both ends of a name tell more."""
    if width(text) <= room:
        return text
    room -= width(ELLIPSIS) + 2 * GAP
    head = fitting(text, room // 2)
    tail = fitting(text[::-1], room - width(head))[::-1]
    return f"{head.rstrip()}{ELLIPSIS}{tail.lstrip()}" if room > 0 else ""


def fitting(text: str, room: int) -> str:
    """As much of the text's beginning as is at most `room` wide."""
    taken = 0
    for at, character in enumerate(text):
        taken += width(character) + (GAP if at else 0)
        if taken > room:
            return text[:at]
    return text


def wrapped(text: str, room: int) -> list[str]:
    """The text in lines of at most `room`, parted at spaces, within a word only if need be."""
    lines = [""]
    for word in text.split():
        for part in _parts(word, room):
            longer = f"{lines[-1]} {part}".lstrip()
            if width(longer) <= room:
                lines[-1] = longer
            else:
                lines.append(part)
    return [line for line in lines if line]


def _parts(word: str, room: int) -> Iterator[str]:
    """A word in pieces of at most `room`, each as long as can be."""
    while width(word) > room and (head := fitting(word, room)):
        at = max(head.rfind(mark) for mark in BREAKS) + 1
        part = head[:at] if at > len(head) // 2 else head
        yield part
        word = word[len(part) :]
    yield fitting(word, room)


def page(lines: list[str], most: int, seconds: float) -> list[str]:
    """The `most` lines that are to be seen now: more of them are shown in turn."""
    pages = [lines[at : at + most] for at in range(0, len(lines), most)]
    return pages[int(seconds / (REST + most)) % len(pages)] if pages else []


def scrolled(overhang: float, seconds: float) -> int:
    """How many points a line that is `overhang` too long is moved to the left by now.

    It rests, moves to its end, rests, and begins anew.
    """
    if overhang <= 0:
        return 0
    moving = overhang / PACE
    now = seconds % (REST + moving + REST)
    return round(min(max(0.0, now - REST), moving) * PACE)
