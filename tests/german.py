"""Finds what is still English in a German page: sentences of the catalogue, and common words."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "setup"))
import texts

_FIELD = re.compile(r"\{\w*\}")
_WORDS = re.compile(
    r"\b(the|and|is|are|were|with|this|that|of|from|be|it|not|none|only|face|frames?|seconds?|"
    r"file|files|folder|unknown|judged|scanned|shows|January|February|March|May|June|July|"
    r"October|December)\b"
)
"""Words that German does not have."""
_DECIMAL = re.compile(r"(?<![\w.:/-])\d+\.\d+(?=\s?(%|MB|GB|s\b|px|°C|Bilder))")
"""A number as only English writes it."""


@cache
def _english() -> tuple[re.Pattern[str], ...]:
    """Every text of the catalogue that has another translation, its parameters anything."""
    found = []
    for message in texts.read("de"):
        ids = [message.id] if isinstance(message.id, str) else list(message.id)
        said = [message.string] if isinstance(message.string, str) else list(message.string or ())
        for text, german in zip(ids, said, strict=False):
            fixed = _FIELD.sub("", text)
            if text and text != german and len(re.findall(r"[A-Za-z]{2,}", fixed)) >= 2:
                pieces = [re.escape(piece) for piece in _FIELD.split(text)]
                found.append(re.compile(r"\b" * text[0].isalpha() + ".{0,200}?".join(pieces)))
    return tuple(found)


def english_in(text: str) -> Iterator[str]:
    """What a German reader would stumble over in a text."""
    text = " ".join(text.split(" "))
    for pattern in _english():
        if found := pattern.search(text):
            yield found[0]
    for pattern in (_WORDS, _DECIMAL):
        for found in pattern.finditer(text):
            yield text[max(0, found.start() - 40) : found.end() + 40]
