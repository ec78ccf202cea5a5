"""The words of the message: by language, with a fall-back, and what an operator may not write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from canvas_app.interviews import words
from canvas_app.interviews.words import DEFAULT

GERMAN = {
    "greeting": "Hallo {first_name},",
    "invitation": "erzählen Sie uns mehr?",
    "link_text": "Zum Interview",
    "thanks": "Vielen Dank!",
}
PORTUGUESE = {**GERMAN, "greeting": "Olá {first_name},", "thanks": "Obrigado!"}


@pytest.mark.parametrize(
    ("language", "greeting", "thanks"),
    [
        ("de", "Hallo {first_name},", "Vielen Dank!"),
        ("de-AT", "Hallo {first_name},", "Vielen Dank!"),
        ("DE_at", "Hallo {first_name},", "Vielen Dank!"),
        ("pt", "Olá {first_name},", "Obrigado!"),
        # What Brazil does not word is Portuguese all the same.
        ("pt-BR", "Oi {first_name},", "Obrigado!"),
        ("pt-PT", "Olá {first_name},", "Obrigado!"),
        ("fr", DEFAULT.greeting, DEFAULT.thanks),
        (None, DEFAULT.greeting, DEFAULT.thanks),
        ("", DEFAULT.greeting, DEFAULT.thanks),
        ("German", DEFAULT.greeting, DEFAULT.thanks),
    ],
)
def test_a_contact_reads_their_language_else_the_broader_one_else_the_default(
    language: str | None, greeting: str, thanks: str
) -> None:
    wording = {"de": GERMAN, "pt": PORTUGUESE, "pt-BR": {"greeting": "Oi {first_name},"}}
    found = words.chosen(wording, language)
    assert (found.greeting, found.thanks) == (greeting, thanks)


@pytest.mark.parametrize(
    ("language", "thanks"), [("fr", "Vielen Dank!"), (None, "Vielen Dank!"), ("en", "Ta!")]
)
def test_the_default_of_a_study_may_be_worded_too(language: str | None, thanks: str) -> None:
    assert words.chosen({"default": GERMAN, "en": {"thanks": "Ta!"}}, language).thanks == thanks


@pytest.mark.parametrize(
    "wording",
    [{}, {"de": None}, {"de": "Hallo"}, {"de": {"greeting": 7, "invitation": None, "thanks": " \u200b"}}],
)
def test_what_is_stored_in_another_form_is_passed_over(wording: dict[str, Any]) -> None:
    assert words.chosen(wording, "de") == DEFAULT


def test_each_part_is_one_line_and_no_longer_than_a_person_reads() -> None:
    found = words.chosen({"de": {"greeting": "Hallo\n\n{first_name}\u202e,", "invitation": "x" * 5000}}, "de")
    assert found.greeting == "Hallo {first_name},"
    assert len(found.invitation) == words.LONGEST["invitation"]


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("Hallo {first_name},", "Mia", "Hallo Mia,"),
        ("Hallo {first_name},", None, "Hallo,"),
        ("{first_name}, hallo!", "Mia", "Mia, hallo!"),
        ("{first_name}, hallo!", None, "Hallo!"),
        ("{first_name}", None, ""),
        ("Mögen Sie, {first_name}?", None, "Mögen Sie,?"),
        ("vielen Dank!", None, "vielen Dank!"),
        ("Hallo {first_name}, {first_name}!", "Mia", "Hallo Mia, Mia!"),
        # A name is text, and no second placeholder.
        ("Hallo {first_name},", "{first_name}", "Hallo {first_name},"),
    ],
)
def test_the_name_is_filled_in_or_leaves_no_gap(text: str, name: str | None, said: str) -> None:
    assert words.filled(text, name) == said


def test_other_words_of_the_message_have_another_fingerprint() -> None:
    german = words.chosen({"de": GERMAN}, "de")
    other = replace(german, thanks="Danke!")
    assert len({words.fingerprint(found) for found in (DEFAULT, other, german)}) == 3
    # Those of the reminder are not part of the message that was shown.
    assert words.fingerprint(replace(german, reminder="Noch einmal:")) == words.fingerprint(german)


def test_a_reminder_is_never_in_another_language_than_its_message() -> None:
    assert words.chosen({}, "de").reminder == DEFAULT.reminder
    # Without words of its own it says what the invitation says.
    assert words.chosen({"de": GERMAN}, "de").reminder == GERMAN["invitation"]
    worded = {"de": {**GERMAN, "reminder": "Noch einmal:"}, "de-AT": {"invitation": "Servus?"}}
    assert words.chosen(worded, "de").reminder == "Noch einmal:"
    assert words.chosen(worded, "de-AT").reminder == "Servus?"
    assert words.problems({"de": GERMAN}, "de") == []
    assert words.problems({"de": {**GERMAN, "reminder": "{x}"}}, "de") != []


@pytest.mark.parametrize(
    ("wording", "language"),
    [
        ({"de": GERMAN}, "de"),
        # The rest is in Portuguese, or in English.
        ({"pt": PORTUGUESE, "pt-BR": {"thanks": "Valeu!"}}, "pt-BR"),
        ({"en-GB": {"thanks": "Ta!"}}, "en-GB"),
        ({"default": {"thanks": "Ta!"}}, "default"),
    ],
)
def test_good_words_have_no_problem(wording: dict[str, dict[str, str]], language: str) -> None:
    assert words.problems(wording, language) == []


def test_every_problem_is_named_with_its_part() -> None:
    wording = {"de": {"greeting": "Hallo {name},", "invitation": "x" * 601, "thanks": " "}}
    assert words.problems(wording, "de") == [
        "greeting (de): has a brace that is not of {first_name}, the only placeholder",
        "invitation (de): is longer than 600 characters",
        "thanks (de): is empty",
        "de: lacks link_text, so that a part of the message would be in English",
    ]
    nameless = {"de": {**GERMAN, "greeting": " {first_name},"}}
    assert words.problems(nameless, "de") == ["greeting (de): says nothing where no name is known"]
