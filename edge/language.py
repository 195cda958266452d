"""The language of what people read. One gettext catalogue serves page, findings and report.

The English text stands where the program uses it, and is the key of its translation. `_`
translates it for the present reader; `N_` only marks it, for texts that are shown later. Findings
and the daemon speak English: `translated` finds the marked template of a finished sentence, and
fills the translation of that template with the same parts.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from datetime import datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import gettext

DOMAIN: Final = "truelight"
ENGLISH: Final = "en"


class Language(NamedTuple):
    """A language that people may choose."""

    name: str
    """In that language."""
    decimal_mark: str
    day: str
    """How a date is written in digits, for `strftime`."""


LANGUAGES: Final[Mapping[str, Language]] = {
    ENGLISH: Language("English", ".", "%Y-%m-%d"),
    "de": Language("Deutsch", ",", "%d.%m.%Y"),
}

TEXTS: Final = frozenset(
    {
        "sentence",
        "share",
        "before",
        "after",
        "real",
        "fake",
        "kind",
        "how",
        "part",
        "place",
        "range",
    }
)
"""Parameters of templates that hold words of ours, to be translated too."""
NAMES: Final = frozenset(
    {"first", "second", "why", "codec", "stick", "clip", "file", "setting", "format"}
)
"""Those that hold any words. All others hold numbers."""

_FIELD = re.compile(r"\{(\w+)\}")
_DECIMAL = re.compile(r"-?\d+\.\d+")
_SENTENCES = re.compile(r"(?<=[.!?]) (?=[A-Z0-9])")

_language: ContextVar[str] = ContextVar("language", default=ENGLISH)


def current() -> str:
    """The code of the language that is spoken now: "en"."""
    return _language.get()


@contextlib.contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak a language of `LANGUAGES` within this context."""
    before = _language.set(language)
    try:
        yield
    finally:
        _language.reset(before)


def _(text: str) -> str:
    """The text in the reader's language; placeholders are filled in afterwards."""
    return _catalogue(current()).gettext(text) if text else ""


def N_(text: str) -> str:  # noqa: N802 (gettext's name)
    """The text itself, marked for the catalogue."""
    return text


def counted(one: str, many: str, number: int) -> str:
    """A text with `{number}` in it, in its singular or plural form."""
    return _catalogue(current()).ngettext(one, many, number).format(number=number)


def decimal(number: str) -> str:
    """A number as the reader writes it: "0,5"."""
    return number.replace(".", LANGUAGES[current()].decimal_mark)


def minute(when: datetime) -> str:
    """A date and time as the reader writes it: "22.11.2026 14:03"."""
    return f"{when:{LANGUAGES[current()].day} %H:%M}"


def translated(text: str) -> str:
    """A finished English text in the reader's language; the same text if it has no template."""
    language = current()
    return text if language == ENGLISH else _translation(language, text) or text


@lru_cache(maxsize=4096)
def _translation(language: str, text: str) -> str | None:
    """The text as a whole, or else each of its sentences; None if a part has no template."""
    if (whole := _by_template(language, text)) is not None:
        return whole
    sentences = _SENTENCES.split(text)
    parts = [_by_template(language, each) for each in sentences] if len(sentences) > 1 else [None]
    return " ".join(part for part in parts if part) if all(parts) else None


def _by_template(language: str, text: str) -> str | None:
    catalogue = _catalogue(language)
    if text in _templates(language):
        return catalogue.gettext(text)
    for pattern, template in _patterns(language):
        if found := pattern.fullmatch(text):
            parts = {name: _part(language, name, part) for name, part in found.groupdict().items()}
            return template.format(**parts)
    return None


def _part(language: str, name: str, part: str) -> str:
    if _DECIMAL.fullmatch(part):
        return part.replace(".", LANGUAGES[language].decimal_mark)
    if name not in TEXTS or not part:
        return part
    share = part.removesuffix(" %")
    if _DECIMAL.fullmatch(share):
        return f"{_part(language, '', share)} %"
    for first, rest in (
        (part[0], part[1:]),
        (part[0].upper(), part[1:]),
        (part[0].lower(), part[1:]),
    ):
        if said := _translation(language, first + rest):
            return said
    whole = _translation(language, f"{part}.")
    return whole.removesuffix(".") if whole else part


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    # Not before a text is shown: decoder processes only mark texts, and would start more slowly.
    import gettext
    from importlib.resources import files

    if language == ENGLISH:
        return gettext.NullTranslations()
    file = files("edge") / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.mo"
    with file.open("rb") as opened:
        return gettext.GNUTranslations(opened)


@cache
def _templates(language: str) -> Mapping[str, str]:
    """English texts and their translations; of those with a plural, both forms."""
    catalogue = _catalogue(language)
    texts: dict[str | tuple[str, int], str] = getattr(catalogue, "_catalog", {})
    return {text: said for text, said in texts.items() if isinstance(text, str) and text}


@cache
def _patterns(language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Texts with parameters as patterns, those with the most fixed words first."""
    made = [
        (len(_FIELD.sub("", text)), _pattern(text), said)
        for text, said in _templates(language).items()
        if _FIELD.search(text)
    ]
    made.sort(key=lambda each: -each[0])
    return tuple((pattern, said) for _length, pattern, said in made)


def _parameter(name: str) -> str:
    if name in {"sentence", "why"}:
        return ".*?"
    if name == "setting":
        return r"[a-z_]+(?:\.[a-z_]+)*"
    if name == "file":  # else it would take the beginning of a sentence around it
        return r"(?:(?!\. |: ).)*?"
    within_a_sentence = r"(?:(?!\. ).)*?"
    return within_a_sentence if name in TEXTS | NAMES else "-?[0-9.:]+"


def _pattern(text: str) -> re.Pattern[str]:
    """What a template gives when it is filled in; a parameter that comes twice is the same."""
    seen: set[str] = set()
    made = ""
    for at, piece in enumerate(_FIELD.split(text)):
        if not at % 2:
            made += re.escape(piece)
        elif piece in seen:
            made += f"(?P={piece})"
        else:
            seen.add(piece)
            made += f"(?P<{piece}>{_parameter(piece)})"
    return re.compile(made, re.DOTALL)
