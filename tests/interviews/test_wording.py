"""What the customer reads, and what the note says."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from canvas_app.interviews import wording, words
from canvas_app.interviews.words import Words
from canvas_app.koji.results import KojiResult

URL = "https://interviews.example.com/i/token"
HOSTILE = "<script>alert('x')</script><a href=\"https://evil.example\">tap</a> & \u202eboo {{ 7*7 }}"
# Everything that our own templates and nobody else may write.
OWN_TAGS = re.compile(r'</?(p|b|ul|li)>|<a href="[^"<>]*">|</a>')


def invitation(name: str | None = None, line: str | None = None) -> str:
    return wording.invitation(contact_name=name, personal_line=line, url=URL)


def note(**changes: object) -> str:
    result = KojiResult(
        sentiment="negative", quality=3.5, themes=("Pricing", "SSO", "Exports", "Fourth"), top_theme="Pricing"
    )
    return wording.note(
        result.model_copy(update=changes),
        study_name="Customer interview",
        transcript_url="https://koji.so/t/1?a=1&b=2",
        reference=wording.note_reference("abc"),
    )


@pytest.mark.parametrize(
    ("name", "greeting"),
    [
        ("Mia Chen", "Hi Mia,"),
        ("  Mia  ", "Hi Mia,"),
        ("Zoë-Anne", "Hi Zoë-Anne,"),
        ("李 小龙", "Hi 李,"),
        (None, "Hi,"),
        ("", "Hi,"),
        ("mia@example.com", "Hi,"),
        ("12345", "Hi,"),
        ("- -", "Hi,"),
        ("\u200b\u202e", "Hi,"),
        ("<b>Mia<b> Chen", "Hi &lt;b&gt;Mia&lt;b&gt;,"),
        # An address that would become a link in the message.
        ("https://evil.example Mia", "Hi,"),
        ("evil.example/win", "Hi,"),
        ("mailto:win", "Hi,"),
        ("@everyone", "Hi,"),
    ],
)
def test_the_greeting_uses_a_first_name_only_where_one_is_known(name: str | None, greeting: str) -> None:
    assert f"<p>{greeting}</p>" in invitation(name)


def test_an_endless_name_does_not_fill_the_message() -> None:
    assert len(invitation("M" * 5000)) < len(invitation("M")) + 60


def test_the_link_is_in_the_message_once_and_as_a_link() -> None:
    assert invitation("Mia").count(URL) == 1
    assert f'<a href="{URL}">' in invitation("Mia")


def test_a_personal_line_is_one_paragraph_of_its_own_and_text_only() -> None:
    body = invitation("Mia", f"Great talk!\n\n{HOSTILE}")
    assert "<p>Great talk! &lt;script&gt;" in body
    assert "{{ 7*7 }}" in body
    assert "\u202e" not in body


def test_without_a_personal_line_there_is_no_empty_paragraph() -> None:
    assert "<p></p>" not in invitation("Mia", "  \n ")
    assert invitation("Mia", None).count("<p>") == invitation("Mia", "Hello.").count("<p>") - 1


@given(name=st.text(max_size=80), line=st.text(max_size=400))
def test_no_name_and_no_line_can_write_html_into_the_message(name: str, line: str) -> None:
    left = OWN_TAGS.sub("", invitation(name, line))
    assert "<" not in left
    assert ">" not in left


def test_the_preview_says_what_the_message_says() -> None:
    preview = wording.invitation_preview(contact_name="Mia <b>Chen", personal_line="R & D <3")
    assert preview[:2] == ("Hi Mia,", "R & D <3")
    assert "Start the interview" in preview
    assert not any("href" in part for part in preview)


GERMAN = Words(
    "Hallo {first_name},",
    "<b>Erzählen</b> Sie & mehr?",
    "Zum {first_name}-Interview",
    "Danke!",
    "Noch {first_name}?",
)


def test_the_message_is_in_the_words_of_the_study() -> None:
    body = wording.invitation(contact_name="Mia <i>", personal_line="Great talk.", url=URL, said=GERMAN)
    assert [line for line in body.splitlines() if line] == [
        "<p>Hallo Mia,</p>",
        "<p>Great talk.</p>",
        "<p>&lt;b&gt;Erzählen&lt;/b&gt; Sie &amp; mehr?</p>",
        f'<p><a href="{URL}">Zum Mia-Interview</a></p>',
        "<p>Danke!</p>",
    ]


def test_the_reminder_is_in_the_same_words_with_a_paragraph_of_its_own() -> None:
    body = wording.reminder(contact_name="Mia <i>", url=URL, said=GERMAN)
    assert [line for line in body.splitlines() if line] == [
        "<p>Hallo Mia,</p>",
        "<p>Noch Mia?</p>",
        f'<p><a href="{URL}">Zum Mia-Interview</a></p>',
        "<p>Danke!</p>",
    ]


def test_the_preview_is_in_the_same_words() -> None:
    preview = wording.invitation_preview(contact_name=None, personal_line=None, said=GERMAN)
    assert preview == ("Hallo,", "<b>Erzählen</b> Sie & mehr?", "Zum-Interview", "Danke!")


@given(text=st.text(max_size=100), name=st.text(max_size=30))
def test_no_word_of_an_operator_can_write_html_into_the_message(text: str, name: str) -> None:
    said = Words(text, text, text, text, text)
    left = OWN_TAGS.sub("", wording.invitation(contact_name=name, personal_line=None, url=URL, said=said))
    assert "<" not in left
    assert ">" not in left


def test_the_note_names_theme_sentiment_quality_three_themes_and_the_transcript() -> None:
    body = note()
    for said in ("Top theme: Pricing", "Sentiment: negative", "Quality: 3.5 of 5", "Pricing; SSO; Exports"):
        assert said in body
    assert "Fourth" not in body
    assert '<a href="https://koji.so/t/1?a=1&amp;b=2">' in body
    assert "koji-abc" in body


def test_what_is_not_known_is_left_out_of_the_note() -> None:
    body = wording.note(KojiResult(), study_name="", transcript_url=None, reference="koji-abc")
    assert "Quality: unknown of 5" in body
    for word in ("Top theme", "Sentiment", "Themes", "href", "None"):
        assert word not in body


@given(theme=st.text(max_size=300), study=st.text(max_size=100))
def test_no_theme_can_write_html_into_the_note(theme: str, study: str) -> None:
    body = wording.note(
        KojiResult(themes=(theme,), top_theme=theme),
        study_name=study,
        transcript_url=None,
        reference="koji-abc",
    )
    left = OWN_TAGS.sub("", body)
    assert "<" not in left
    assert ">" not in left


@pytest.mark.parametrize(("value", "said"), [(4.0, "4"), (3.5, "3.5"), (3.14159, "3.1"), (None, "unknown")])
def test_a_quality_is_said_as_people_say_it(value: float | None, said: str) -> None:
    assert wording.number(value) == said


@pytest.mark.parametrize(
    "name", ["Mia", "<b>Mia</b>", "O'Neil&Sons", "&amp;", "{first_name}", "Zoë", "\\1", "%s", "{}"]
)
@pytest.mark.parametrize("said", [words.DEFAULT, GERMAN], ids=["ours", "an operator's"])
def test_the_preview_with_a_name_is_what_the_template_makes_of_it(name: str, said: Words) -> None:
    said = replace(said, link_text="<i>{first_name}</i>, start & <3")
    preview = wording.invitation_preview(contact_name=name, personal_line=None, said=said)
    assert preview == wording._paragraphs(wording.first_name(name), None, said)
    # The same as with a line that is empty, which is rendered for each card.
    assert preview == wording.invitation_preview(contact_name=name, personal_line="", said=said)
