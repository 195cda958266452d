"""The language of what people read. Every text of the page goes through `_`."""

from __future__ import annotations


def _(text: str) -> str:
    """The text in the reader's language; placeholders are filled in afterwards."""
    return text
