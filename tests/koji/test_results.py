from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st

from canvas_app.koji.results import KojiResult, merge, parse_result
from tests.koji.forms import EXPECTED, KEYS, VALUES, WHOLE


def without(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in names}


class TestForms:
    @pytest.mark.parametrize(
        "obj",
        [
            WHOLE,
            {"data": WHOLE},
            {"payload": WHOLE},
            {"id": "evt_1", "status": "delivered", "url": "https://hooks.example", "data": WHOLE},
            {"data": {"interview": WHOLE}},
            {"interview": WHOLE},
            {
                "data": {
                    "interview": without(WHOLE, "sentiment", "quality_score", "themes"),
                    "analysis": {key: WHOLE[key] for key in ("sentiment", "quality_score", "themes")},
                }
            },
            {
                "data": {
                    **without(WHOLE, "respondent_email", "external_id", "metadata"),
                    "respondent": {
                        "id": "resp_9",
                        "email": "zoe@example.com",
                        "external_id": "abc",
                        "metadata": WHOLE["metadata"],
                    },
                }
            },
            {
                "data": {
                    **without(WHOLE, "respondent_email"),
                    "participant": {"email": "zoe@example.com"},
                }
            },
            {
                "data": {
                    **without(WHOLE, "respondent_email", "metadata"),
                    "metadata": {**dict(EXPECTED.metadata), "respondent_email": "zoe@example.com"},
                }
            },
            {**without(WHOLE, "study_id"), "study": {"id": "st_1"}},
            {**without(WHOLE, "study_id"), "project_id": "st_1"},
            {**without(WHOLE, "study_id"), "project": {"id": "st_1"}},
            {"data": {"results": WHOLE}},
            {"data": {"result": WHOLE}},
            {**without(WHOLE, "metadata"), "attributes": WHOLE["metadata"]},
            {**without(WHOLE, "metadata"), "participant_attributes": WHOLE["metadata"]},
            {**without(WHOLE, "status"), "state": "Completed"},
            {"interview": {"interview_id": "iv_1"}, "data": without(WHOLE, "interview_id")},
        ],
    )
    def test_the_same_result_comes_out_of_all(self, obj: dict[str, Any]) -> None:
        assert parse_result(obj) == EXPECTED

    def test_nothing(self) -> None:
        assert parse_result({}) == KojiResult()
        assert not parse_result({}).analysed

    def test_only_what_is_needed_is_kept(self) -> None:
        dumped = json.dumps(parse_result(WHOLE).model_dump(mode="json"))
        assert "secret words" not in dumped
        assert "green" not in dumped

    def test_its_repr_shows_no_address(self) -> None:
        assert "zoe@example.com" not in repr(parse_result(WHOLE))

    def test_it_survives_json(self) -> None:
        dumped = json.dumps(EXPECTED.model_dump(mode="json"))
        assert KojiResult.model_validate_json(dumped) == EXPECTED


class TestIds:
    @pytest.mark.parametrize(
        ("obj", "expected"),
        [
            ({"id": "a"}, "a"),
            ({"conversation_id": "conv_1"}, "conv_1"),
            ({"id": "evt", "conversation_id": "conv_1"}, "conv_1"),
            ({"id": "evt", "interview_id": "iv", "conversation_id": "conv"}, "iv"),
            ({"id": "evt", "data": {"id": "iv"}}, "iv"),
            ({"id": "evt", "data": {}}, None),
            ({"id": "evt", "interview": {"id": "iv"}}, "iv"),
            ({"data": {}, "interview_id": "iv"}, "iv"),
            ({"interview_id": 17}, "17"),
            ({"interview_id": "../x", "id": "iv"}, "iv"),
            ({"interview_id": True}, None),
        ],
    )
    def test_interview(self, obj: dict[str, Any], expected: str | None) -> None:
        assert parse_result(obj).koji_interview_id == expected

    @pytest.mark.parametrize(
        ("obj", "expected"),
        [
            ({"external_id": "a", "respondent_id": "b"}, "a"),
            ({"respondent_id": "b"}, "b"),
            ({"respondent": {"id": "resp"}}, None),
            ({"respondent": {"external_id": "a"}, "respondent_id": "b"}, "a"),
            ({"metadata": {"external_id": "a"}}, "a"),
            ({"external_id": 7}, "7"),
            ({"external_id": "x" * 256}, "x" * 255),
            ({"external_id": None}, None),
        ],
    )
    def test_external(self, obj: dict[str, Any], expected: str | None) -> None:
        assert parse_result(obj).external_id == expected

    def test_metadata_takes_text_and_numbers_only(self) -> None:
        values = {
            "interview_ref": {"a": 1},
            "intercom_workspace_id": True,
            "intercom_conversation_id": 503.0,
            "intercom_contact_id": None,
        }
        assert parse_result({"metadata": values}).metadata == {"intercom_conversation_id": "503"}
        assert parse_result({"metadata": "text"}).metadata == {}

    def test_metadata_is_cut(self) -> None:
        found = parse_result({"metadata": {"interview_ref": "x" * 256}}).metadata
        assert found == {"interview_ref": "x" * 255}

    def test_a_status_is_cut(self) -> None:
        assert parse_result({"status": "X" * 65}).status == "x" * 64


class TestIdentity:
    @pytest.mark.parametrize(
        "obj",
        [
            {"respondent_email": None},
            {"data": {"respondent_email": None}},
            {"respondent": {"email": None}},
            {"data": {"participant": {"email": None}}},
            {"respondent_email": ""},
            {"respondent_email": "anonymous"},
            {"respondent_email": None, "metadata": {"respondent_email": "zoe@example.com"}},
            {"respondent_email": "zoe@example.com", "anonymous": True},
            {"data": {"interview": {"is_anonymous": "true"}}},
            {"data": {"respondent": {"anonymous": 1}}},
            {"study": {"anonymous_mode": True}, "respondent_email": "zoe@example.com"},
            {"anonymous": True, "data": {"respondent_email": "zoe@example.com"}},
            {"respondent": None},
            {"metadata": {"anonymous": True}, "respondent_email": "zoe@example.com"},
            # When in doubt nothing is written.
            {"respondent_email": False},
            {"respondent_email": 5},
            {"respondent_email": []},
            {"respondent_email": ["zoe@example.com"]},
        ],
    )
    def test_anonymous(self, obj: dict[str, Any]) -> None:
        result = parse_result(obj)
        assert result.identity == "anonymous"
        assert result.email is None

    @pytest.mark.parametrize(
        "obj",
        [
            {},
            {"respondent": {}},
            {"metadata": {"interview_ref": "a"}},
            {"anonymous": False},
        ],
    )
    def test_absent(self, obj: dict[str, Any]) -> None:
        assert parse_result(obj).identity == "absent"

    def test_named(self) -> None:
        result = parse_result({"respondent_email": "zoe@example.com", "anonymous": False})
        assert (result.identity, result.email) == ("named", "zoe@example.com")

    @pytest.mark.parametrize("key", ["respondent_email", "participant_email", "email"])
    @pytest.mark.parametrize("person", ["respondent", "participant"])
    def test_every_name_of_the_address(self, person: str, key: str) -> None:
        for obj in ({key: "zoe@example.com"}, {person: {key: "zoe@example.com"}}):
            result = parse_result(obj)
            assert (result.identity, result.email) == ("named", "zoe@example.com")

    @pytest.mark.parametrize(
        "key", ["anonymous", "is_anonymous", "anonymized", "anonymised", "anonymous_mode"]
    )
    def test_every_name_of_the_flag(self, key: str) -> None:
        result = parse_result({key: True, "respondent_email": "zoe@example.com"})
        assert (result.identity, result.email) == ("anonymous", None)

    def test_an_address_is_cut(self) -> None:
        assert parse_result({"email": "@" + "x" * 320}).email == "@" + "x" * 319


class TestSentiment:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("positive", "positive"),
            (" Negative ", "negative"),
            ("MIXED", "mixed"),
            ("neutral", "neutral"),
            ({"label": "positive", "score": 0.9}, "positive"),
            ({"overall": "mixed"}, "mixed"),
            ({"score": 0.9}, None),
            ("very negative", None),
            ("", None),
            (-0.7, None),
            (["negative"], None),
            (True, None),
            (None, None),
        ],
    )
    def test_exact_words_only(self, value: object, expected: str | None) -> None:
        assert parse_result({"sentiment": value}).sentiment == expected

    @pytest.mark.parametrize(
        "obj",
        [
            *({name: "mixed"} for name in ("sentiment", "overall_sentiment", "sentiment_label")),
            *({"sentiment": {name: "mixed"}} for name in ("label", "sentiment", "overall", "value", "name")),
        ],
    )
    def test_every_name(self, obj: dict[str, Any]) -> None:
        assert parse_result(obj).sentiment == "mixed"


class TestQuality:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (1, 1.0),
            (5, 5.0),
            (3.5, 3.5),
            ("4", 4.0),
            ("4.2", 4.2),
            ({"score": 4}, 4.0),
            ({"value": "4"}, 4.0),
            ({"overall": 4, "depth": 2}, 4.0),
            (0, None),
            (0.99, None),
            (5.01, None),
            (85, None),
            ("high", None),
            (True, None),
            ({"score": True}, None),
            ({"depth": 4}, None),
            (None, None),
            (float("nan"), None),
        ],
    )
    def test_one_to_five(self, value: object, expected: float | None) -> None:
        assert parse_result({"quality_score": value}).quality == expected

    @pytest.mark.parametrize(
        "obj",
        [
            *({name: 2} for name in ("quality_score", "quality")),
            *({"quality": {name: 2}} for name in ("score", "value", "overall", "quality_score")),
        ],
    )
    def test_every_name(self, obj: dict[str, Any]) -> None:
        assert parse_result(obj).quality == 2


class TestThemes:
    @pytest.mark.parametrize(
        ("themes", "expected", "top"),
        [
            (["a", "b"], ("a", "b"), "a"),
            ("a", ("a",), "a"),
            ([{"name": "a"}, {"title": "b"}, {"label": "c"}, {"theme": "d"}], ("a", "b", "c", "d"), "a"),
            ([{"name": "a", "frequency": 1}, {"name": "b", "frequency": 3}], ("a", "b"), "b"),
            ([{"name": "a", "count": "2"}, {"name": "b", "count": 2}], ("a", "b"), "a"),
            (["a", {"name": "b", "mentions": 2}], ("a", "b"), "b"),
            (["a", "A", " a ", "b"], ("a", "b"), "a"),
            ([None, 5, "", {}, {"id": 3}, "a"], ("a",), "a"),
            (["x\x00y\n"], ("x y",), "x y"),
            (["t" * 300], ("t" * 255,), "t" * 255),
            ([str(n) for n in range(10)], tuple("0123456"), "0"),
            ([], (), None),
            (None, (), None),
            ({"name": "a"}, ("a",), "a"),
        ],
    )
    def test_forms(self, themes: object, expected: tuple[str, ...], top: str | None) -> None:
        result = parse_result({"themes": themes})
        assert (result.themes, result.top_theme) == (expected, top)

    @pytest.mark.parametrize("name", ["themes", "key_themes"])
    def test_every_name(self, name: str) -> None:
        assert parse_result({name: ["a", "b"]}).themes == ("a", "b")

    @pytest.mark.parametrize("name", ["top_theme", "primary_theme", "main_theme"])
    @pytest.mark.parametrize("value", ["b", {"name": "b"}])
    def test_a_named_top_theme_wins(self, name: str, value: object) -> None:
        result = parse_result({"themes": [{"name": "a", "frequency": 9}], name: value})
        assert (result.themes, result.top_theme) == (("a",), "b")

    def test_the_most_frequent_may_be_beyond_the_seventh(self) -> None:
        themes = [{"name": f"t{number}", "frequency": number} for number in range(9)]
        assert parse_result({"themes": themes}).top_theme == "t8"

    @pytest.mark.parametrize(("place", "top"), [(99, "b"), (100, "a")])
    def test_a_hundred_are_looked_at(self, place: int, top: str) -> None:
        themes: list[object] = ["a"] * 101
        themes[place] = {"name": "b", "frequency": 1}
        assert parse_result({"themes": themes}).top_theme == top


class TestUrl:
    @pytest.mark.parametrize(
        ("obj", "expected"),
        [
            ({"transcript_url": "https://a.example", "url": "https://b.example"}, "https://a.example"),
            ({"interview_url": "https://a.example", "url": "https://b.example"}, "https://a.example"),
            ({"url": "https://b.example"}, "https://b.example"),
            ({"url": "https://hook.example", "data": {}}, None),
            ({"transcript_url": "https://a.example/\x00"}, None),
            ({"transcript_url": "https://a.example/" + "a" * 2048}, None),
            ({"transcript_url": ""}, None),
            ({"transcript_url": {"href": "x"}}, None),
        ],
    )
    def test_as_sent_or_not_at_all(self, obj: dict[str, Any], expected: str | None) -> None:
        assert parse_result(obj).transcript_url == expected


class TestMoment:
    @pytest.mark.parametrize(
        ("obj", "day"),
        [
            ({"completed_at": "2026-05-01", "timestamp": "2026-05-02"}, 1),
            ({"timestamp": "2026-05-02", "data": {"completed_at": "2026-05-01"}}, 1),
            ({"timestamp": "2026-05-02", "data": {}}, 2),
            ({"analysed_at": "2026-05-03", "created_at": "2026-05-01"}, 3),
            ({"analyzed_at": "2026-05-03"}, 3),
            ({"completed_at": "soon", "created_at": "2026-05-04"}, 4),
        ],
    )
    def test_when_it_was_answered(self, obj: dict[str, Any], day: int) -> None:
        assert parse_result(obj).occurred_at == datetime(2026, 5, day, tzinfo=UTC)


class TestMerge:
    def test_empty_never_overwrites(self) -> None:
        assert merge(EXPECTED, KojiResult()) == EXPECTED
        assert merge(KojiResult(), EXPECTED) == EXPECTED

    def test_newer_values_win(self) -> None:
        newer = KojiResult(quality=2.0, themes=("c",), top_theme="c", metadata={"interview_ref": "ref-2"})
        merged = merge(EXPECTED, newer)
        assert (merged.quality, merged.themes, merged.top_theme) == (2.0, ("c",), "c")
        assert merged.metadata == {**EXPECTED.metadata, "interview_ref": "ref-2"}
        assert merged.sentiment == "negative"

    @pytest.mark.parametrize("swapped", [False, True])
    def test_anonymous_for_good(self, swapped: bool) -> None:
        anonymous = KojiResult(identity="anonymous")
        pair = (anonymous, EXPECTED) if swapped else (EXPECTED, anonymous)
        merged = merge(*pair)
        assert (merged.identity, merged.email) == ("anonymous", None)
        # What was said is kept all the same, whichever came first.
        assert (merged.quality, merged.themes) == (EXPECTED.quality, EXPECTED.themes)

    def test_absent_does_not_undo_a_name(self) -> None:
        assert merge(EXPECTED, KojiResult(quality=3)).identity == "named"
        assert merge(KojiResult(quality=3), KojiResult()).identity == "absent"


@pytest.mark.parametrize(
    ("result", "analysed"),
    [
        (KojiResult(), False),
        (KojiResult(status="completed", email="a@b"), False),
        (KojiResult(sentiment="mixed"), True),
        (KojiResult(themes=("a",)), True),
        (KojiResult(quality=1), True),
    ],
)
def test_analysed(result: KojiResult, analysed: bool) -> None:
    assert result.analysed is analysed


@given(st.dictionaries(KEYS, VALUES, max_size=8), st.dictionaries(KEYS, VALUES, max_size=8))
def test_whatever_comes_a_storable_result_comes_out(one: dict[str, Any], other: dict[str, Any]) -> None:
    for result in (parse_result(one), merge(parse_result(one), parse_result(other))):
        dumped = json.dumps(result.model_dump(mode="json"), ensure_ascii=False, allow_nan=False)
        assert b"\x00" not in dumped.encode("utf-8")
        assert "\\u0000" not in dumped
        assert KojiResult.model_validate_json(dumped) == result
        assert result.identity != "anonymous" or result.email is None


@given(st.dictionaries(KEYS, VALUES, max_size=8))
def test_merging_with_itself_changes_nothing(obj: dict[str, Any]) -> None:
    result = parse_result(obj)
    assert merge(result, result) == result
