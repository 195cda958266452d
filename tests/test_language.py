"""Every text has a translation, and what is stored in English is read in the reader's language."""

from __future__ import annotations

import gettext
import io
import re
import sys
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.mofile import write_mo

from edge.language import ENGLISH, LANGUAGES, _, counted, speaking, translated
from edge.scan.media.protocol import FAULTS, ClipError, Fault
from edge.scan.media.unsupported import UNSUPPORTED
from edge.settings import allowed
from edge.text import percent
from edge.web.languages import wanted

sys.path.append(str(Path(__file__).parent.parent / "setup"))
import texts


def test_the_settings_know_every_language() -> None:
    assert allowed("language.report") == " or ".join(LANGUAGES)


OTHERS = sorted(set(LANGUAGES) - {ENGLISH})
FIELD = re.compile(r"\{\w*\}")


def forms(message: Message) -> list[tuple[str, str]]:
    """A text with its translation; of one with a plural, both forms."""
    if isinstance(message.id, str):
        return [(message.id, str(message.string))]
    assert message.string is not None
    return list(zip(message.id, message.string, strict=True))


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_has_a_translation_with_the_same_parameters(language: str) -> None:
    known = texts.read(language)
    for wants in texts.collected():
        files = tuple(file for file, _line in wants.locations)
        if not wants.id or all(file.startswith("models/") for file in files):
            continue  # what a new model says of itself may be translated later
        message = known.get(wants.id if isinstance(wants.id, str) else wants.id[0])
        assert message, f"{wants.id} is not in the catalogue: run setup/texts.py"
        for text, said in forms(message):
            assert said, f"{text} has no translation"
            assert sorted(FIELD.findall(said)) == sorted(FIELD.findall(text)), text
            assert said[-1] == text[-1] or text[-1] not in ".:?", text


@pytest.mark.parametrize("language", OTHERS)
def test_the_program_reads_what_was_translated(language: str) -> None:
    made = io.BytesIO()
    write_mo(made, texts.read(language))
    made.seek(0)
    file = texts.LOCALE / language / "LC_MESSAGES" / "truelight.mo"
    with file.open("rb") as opened:
        in_use = gettext.GNUTranslations(opened)
    assert vars(in_use)["_catalog"] == vars(gettext.GNUTranslations(made))["_catalog"]


@pytest.mark.parametrize("language", OTHERS)
def test_a_finished_sentence_finds_its_template(language: str) -> None:
    for message in texts.read(language):
        if not message.id or not isinstance(message.id, str):
            continue  # what has a plural is never stored
        parts = dict.fromkeys(re.findall(r"\{(\w+)\}", message.id), "12")
        parts |= {"setting": "web.port"} if "setting" in parts else {}
        with speaking(language):
            finished = translated(message.id.format(**parts))
        assert finished == str(message.string).format(**parts)


def test_why_a_file_cannot_be_read_is_said_in_german() -> None:
    for fault in FAULTS:
        numbers = (120, 30) if fault is Fault.TOO_LARGE else (1,)
        message = str(ClipError(fault, *numbers))
        with speaking("de"):
            assert translated(message) != message
    for number, known in enumerate(UNSUPPORTED):
        with speaking("de"):
            assert known.name not in translated(ClipError(Fault.UNSUPPORTED, number).message)


@pytest.mark.parametrize(
    ("english", "german"),
    [
        (
            "Face 2 looks swapped. Highest probability of FAKE 97 %; FAKE threshold: 82.5 %.",
            "Gesicht 2 wirkt ausgetauscht. "
            "Höchste Wahrscheinlichkeit für FAKE 97 %; Schwelle für FAKE: 82,5 %.",
        ),
        (
            "Both models together: the face looks swapped. "
            "Probability of FAKE over 99.9 %; FAKE threshold: 82 %.",
            "Beide Modelle zusammen: Das Gesicht wirkt ausgetauscht. "
            "Wahrscheinlichkeit für FAKE über 99,9 %; Schwelle für FAKE: 82 %.",
        ),
        (
            "The answer lies in between. "
            "Probability of FAKE 43 %; REAL threshold: none, FAKE threshold: 82 %.",
            "Die Antwort liegt dazwischen. "
            "Wahrscheinlichkeit für FAKE 43 %; Schwelle für ECHT: keine, Schwelle für FAKE: 82 %.",
        ),
        (
            "This model alone never says REAL or FAKE: that takes a second opinion. "
            "Highest probability of FAKE 43 %.",
            "Dieses Modell allein sagt nie ECHT oder FAKE: Dazu braucht es eine Zweitmeinung. "
            "Höchste Wahrscheinlichkeit für FAKE 43 %.",
        ),
        (  # of an older history
            "The clip is too long: only its first 9:59 was scanned.",
            "Der Clip ist zu lang: Nur sein Anfang bis 9:59 wurde geprüft.",
        ),
        (
            "There is no second opinion: there are too many faces.",
            "Es gibt keine Zweitmeinung: Es sind zu viele Gesichter.",
        ),
        (
            "The program failed on this clip: ValueError('The file is empty.').",
            "Das Programm ist an diesem Clip gescheitert: ValueError('The file is empty.').",
        ),
        ("Remove the stick.", "Remove the stick."),
        ("A sentence of a later version. The file is empty.",) * 2,
    ],
)
def test_sentences_are_translated_whole_or_not_at_all(english: str, german: str) -> None:
    assert translated(english) == english
    with speaking("de"):
        assert translated(english) == german


def test_numbers_are_written_as_the_language_writes_them() -> None:
    with speaking("de"):
        assert percent(0.9995, 1) == "über 99,9 %"
        assert percent(0.425, 1) == "42,5 %"
        assert counted("{number} crop", "{number} crops", 1) == "1 Ausschnitt"
    assert percent(0.425, 1) == "42.5 %"
    assert (_("REAL"), _("")) == ("REAL", "")


@pytest.mark.parametrize(
    ("cookies", "accepted", "language"),
    [
        ("", "", "en"),
        ("", "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("", "fr, en;q=0.5, de;q=0.7", "de"),
        ("", "de;q=0, en;q=0.1", "en"),
        ("", "de;q=nonsense", "en"),
        ("language=en; other=1", "de", "en"),
        ("language=de", "en", "de"),
        ("language=../../etc", "de", "de"),
        ("\x00=;;", "fr", "en"),
    ],
)
def test_the_chosen_language_comes_first_then_the_browsers(
    cookies: str, accepted: str, language: str
) -> None:
    assert wanted(cookies, accepted) == language
