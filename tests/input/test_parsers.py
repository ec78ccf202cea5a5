"""Every parser that no other module tries with anything: files, forms, settings, what stands in addresses.

Canvas requests, notifications, events, results, links, signatures and rule files have tests of their own.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import click
import hypothesis
import pytest
from hypothesis import given, strategies as st

from canvas_app import languages
from canvas_app.canvas.request import CanvasRequest
from canvas_app.cli import spreadsheets
from canvas_app.console import asked
from canvas_app.errors import BodyRefused, FieldsRefused, RuleRefused, SettingsError, StudyRefused
from canvas_app.intercom import notifications
from canvas_app.interviews import hours, rule_form, rulefile, study_form
from canvas_app.interviews.rulefile import RuleFileError
from canvas_app.koji import events, links
from canvas_app.settings import Settings
from canvas_app.spreadsheet_cells import as_typed
from canvas_app.vault import Vault
from tests.input import values
from tests.support.world import full_settings

HOSTS = ("koji.so",)
SETTINGS = full_settings("sqlite:////nowhere/koji.db")
# Surrogates stand for bytes that are no UTF-8: the environment and a form may hold them.
TEXT = values.text
STUDY_FIELDS = [
    "name", "api_key", "webhook_secret", "mode", "link_template", "anonymous", "credits", "remind_after_days",
    "enabled",
]  # fmt: skip
RULE_FIELDS = [
    "title", "event", "study", "delay", "rating_at_most", "tag", "tag_not", "role", "closed_by_person",
    "customer_parts_at_least", "characters_at_least", "business_hours", "share", "interviews_per_week",
    "credits_per_week",
]  # fmt: skip
few = hypothesis.settings(max_examples=60)


def is_storable(text: str | None) -> bool:
    """Whether a column can hold it: PostgreSQL keeps no zero byte, and no half of a surrogate pair."""
    return text is None or ("\0" not in text and text == text.encode("utf-8", "replace").decode())


CELL = st.sampled_from(
    [
        "link", "external_id", "email", "https://koji.so/i/1", "https://evil.example/", '"', '""', "a\nb",
        "\0", "mia@example.com", "=1+1", "", " ", "'", "\u2028", "x" * 140_000,
    ]
) | st.text(max_size=12)  # fmt: skip


@few
@given(
    st.binary(max_size=300)
    | st.lists(st.lists(CELL, max_size=5), max_size=6).map(
        lambda rows: "\n".join(",".join(row) for row in rows).encode("utf-8", "surrogatepass")
    )
    | st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=6).map(
        lambda rows: ("link;email\n" + "\n".join(";".join(row) for row in rows)).encode("utf-8", "replace")
    )
)
@hypothesis.example(b"\xef\xbb\xbflink,email\r\nhttps://koji.so/i,mia@example.com")
@hypothesis.example(b"link,external_id\nhttps://koji.so/i,\xc2\x85\n")
@hypothesis.example(b"link,external_id\nhttps://koji.so/i,a\x00b\n")
def test_a_file_of_links_gives_links_that_may_be_shown_or_says_why_not(raw: bytes) -> None:
    class File(type(Path())):  # type: ignore[misc]
        def read_bytes(self) -> bytes:
            return raw

    with contextlib.suppress(click.ClickException):
        for row in spreadsheets.read_links(File("links.csv"), HOSTS):
            if row.problem is None:
                assert links.allowed(row.link, HOSTS)
                assert row.external_id or row.email
                assert all(map(is_storable, (row.external_id, row.email, row.link)))
            else:
                assert raw.count(b"\n") + raw.count(b"\r") + 1 >= row.line >= 1


@given(values.json_value | TEXT)
def test_a_language_is_a_tag_or_none(value: Any) -> None:
    tag = languages.tag(value)
    assert tag is None or re.fullmatch(r"[A-Za-z0-9-]{1,35}", tag)
    assert tag is None or languages.tag(tag) == tag
    if isinstance(value, str):
        assert languages.with_broader(value)[:1] == (() if tag is None else (tag,))


@few
@given(
    st.sampled_from(["exit", "default"]) | TEXT,
    st.dictionaries(st.sampled_from(STUDY_FIELDS), TEXT | st.sampled_from(["1", "yes", "text", "pk_1"])),
)
def test_a_study_is_what_can_be_kept_or_every_mistake_is_told(slug: str, entered: dict[str, str]) -> None:
    try:
        study = study_form.new(slug, entered, settings=SETTINGS, others=[])
    except StudyRefused as refused:
        told = [*study_form.by_field(refused)]
        assert told
        assert all(is_storable(text) for one in told for text in one)
        return
    assert re.fullmatch(r"[a-z0-9_-]{1,64}", study.slug)
    assert is_storable(study.name)
    assert study.link_template is None or links.allowed(
        links.from_template(study.link_template, interview_id="a", contact_id="b", email="c", name="d"),
        SETTINGS.koji_link_hosts,
    )


@few
@given(
    TEXT | st.sampled_from(["de", "pt-BR", "default"]),
    st.dictionaries(st.sampled_from(["greeting", "invitation", "link_text", "thanks"]), TEXT),
)
def test_words_are_what_can_be_kept_or_refused(language: str, words: dict[str, str]) -> None:
    study = SETTINGS.default_study
    for change in (study_form.worded, study_form.reworded):
        with contextlib.suppress(StudyRefused):
            kept = change(study, language, words)
            assert is_storable(repr(kept.wording))


@few
@given(
    st.sampled_from(["low-rating"]) | TEXT,
    st.dictionaries(
        st.sampled_from(RULE_FIELDS),
        TEXT | st.sampled_from(["3", "yes", "2 hours", "conversation.rating.added", "mon-fri 09:00-17:00"]),
    ),
)
def test_a_rule_is_one_that_can_be_read_again_or_refused(slug: str, entered: dict[str, str]) -> None:
    try:
        rule = rule_form.entered(slug, entered, enabled=False, studies={"default"})
    except RuleRefused:
        return
    assert rulefile.read(rulefile.write([rule]), studies={"default"}) == [rule]


@few
@given(st.text(max_size=60) | TEXT)
def test_hours_are_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        hours.parse(text)
    assert hours.zone_of(text).key


@few
@given(st.dictionaries(st.sampled_from(sorted(set(Settings.model_fields) - {"on_heroku"})), TEXT, max_size=4))
def test_settings_are_read_or_every_problem_is_listed_without_its_value(changed: dict[str, str]) -> None:
    try:
        settings = Settings.load({}, **changed)
    except SettingsError as error:
        # What is shorter may stand there by chance.
        told = [value for value in changed.values() if len(value) >= 12 and value in str(error)]
        if told:
            raise AssertionError(f"a value is repeated: {told}") from None
        return
    assert settings.intercom_url.startswith(
        ("https://", "http://127.0.0.1", "http://localhost", "http://[::1]")
    )


@given(TEXT)
def test_what_a_page_says_about_where_a_list_goes_on_is_a_place_or_none(text: str) -> None:
    for one in (text, f"2026-11-20T10:00:00+00:00~{text}", f"{text}~1~2026-11-20T10:00:00+00:00"):
        place, seen = asked.place(one), asked.seen_on(one)
        assert place is None or (place.at.tzinfo is not None and place.id.isalnum())
        assert seen is None or seen.send_attempt < 10**9


@given(st.text())
def test_a_sealed_text_is_opened_or_lost(sealed: str) -> None:
    from canvas_app.errors import NotConfigured

    with pytest.raises(NotConfigured):
        Vault(["key"]).open(sealed)
    assert isinstance(as_typed(sealed), str)


DEPTHS = [500, 950, 1_000, 2_000, 100_000]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("begin", ["[", '{"a":'])
def test_what_is_nested_deep_is_read_or_refused_by_every_parser(depth: int, begin: str) -> None:
    deep = begin * depth + "1" + ("]" if begin == "[" else "}") * depth
    within = (
        '{"event": "interview.completed", "workspace_id": "w", "id": "n", "contact_id": "c", "topic": "t",'
    )
    for raw in (deep.encode(), f'{within} "data": {deep}, "stored_data": {deep}}}'.encode()):
        for parse in (CanvasRequest.parse, notifications.parse, events.parse):
            with contextlib.suppress(BodyRefused):
                parse(raw)
        from canvas_app.api import request

        with contextlib.suppress(BodyRefused, FieldsRefused):
            request.parse(raw, "application/json")
    with contextlib.suppress(RuleFileError):
        rulefile.read(f"rules = {'[' * depth}{']' * depth}", studies={"default"})
