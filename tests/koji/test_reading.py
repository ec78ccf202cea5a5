from __future__ import annotations

import math
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from canvas_app.errors import BodyRefused
from canvas_app.koji import reading

# pytest cannot make an id of a larger one; it is beyond the largest float all the same.
HUGE = 10**4000
MOMENT = datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC)


class TestJson:
    @pytest.mark.parametrize("raw", [b"", b" \n", b"{}", b"\xef\xbb\xbf{}"])
    def test_empty(self, raw: bytes) -> None:
        assert reading.json_object(raw) == {}

    @pytest.mark.parametrize(
        "raw",
        [
            b"[]",
            b"null",
            b'"text"',
            b"5",
            b"{",
            b"{'a': 1}",
            b"event=ping",
            b"\xff\xfe{\x00}\x00",
            b'{"a": "\xff"}',
            b'{"a": NaN}',
            b'{"a": Infinity}',
            b'{"a": -Infinity}',
            b'{"a": 1, "a": 2}',
            b'{"a": {"b": 1, "b": 1}}',
            b'{"a":' + b"[" * 100_000,
            b'{"a":' * 100_000,
            b'{"a":' + b"9" * 10_000 + b"}",
        ],
        ids=lambda raw: repr(raw[:20]),
    )
    def test_refused(self, raw: bytes) -> None:
        with pytest.raises(BodyRefused) as caught:
            reading.json_object(raw)
        # A decoding error holds the whole body, which must not travel on with this one.
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("  two\t words \n", "two words"),
        ("a\x00b\x07c", "a b c"),
        ("a\u202eb", "ab"),
        ("a\u2028b", "a b"),
        ("a\ud800b", "a b"),
        ("x" * 20, "x" * 10),
        ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
        ("", None),
        ("\x00\n", None),
        (None, None),
        (5, None),
        (["a"], None),
        # Four times the limit is looked at, and no more.
        (" " * 39 + "x", "x"),
        (" " * 40 + "x", None),
    ],
)
def test_clean(value: object, expected: str | None) -> None:
    assert reading.clean(value, 10) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("iv_1-A", "iv_1-A"),
        (17, "17"),
        ("a" * 128, "a" * 128),
        ("a" * 129, None),
        ("", None),
        ("a/b", None),
        ("a\n", None),
        ("caf\u00e9", None),
        (True, None),
        (1.0, None),
        (10**18 - 1, "9" * 18),
        (1 - 10**18, "-" + "9" * 18),
        (10**18, None),
        (-(10**18), None),
        (HUGE, None),
        (None, None),
        ({}, None),
    ],
)
def test_identifier(value: object, expected: str | None) -> None:
    assert reading.identifier(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (5, "5"),
        (5.0, "5"),
        (5.5, "5.5"),
        (True, None),
        (math.nan, None),
        (math.inf, None),
        (1e15 - 1, "9" * 15),
        (1 - 1e15, "-" + "9" * 15),
        (1e15, None),
        (-1e15, None),
        (1e300, None),
        (10**18 - 1, "9" * 18),
        (1 - 10**18, "-" + "9" * 18),
        (10**18, None),
        (-(10**18), None),
        (HUGE, None),
        (None, None),
        ([], None),
    ],
)
def test_scalar_text(value: object, expected: str | None) -> None:
    assert reading.scalar_text(value, 100) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (4, 4.0),
        (4.5, 4.5),
        ("4.5", 4.5),
        (" 4 ", 4.0),
        (True, None),
        ("4,5", None),
        ("4/5", None),
        ("1e3", None),
        ("nan", None),
        ("\u0664", None),
        (10**15 - 1, 1e15 - 1),
        (1 - 10**15, 1 - 1e15),
        (10**15, None),
        (-(10**15), None),
        (math.nan, None),
        (math.inf, None),
        (HUGE, None),
        (None, None),
        ([], None),
    ],
)
def test_number(value: object, expected: float | None) -> None:
    assert reading.number(value) == expected


@pytest.mark.parametrize("value", [True, 1, "true", "True", " yes ", "1"])
def test_truthy(value: object) -> None:
    assert reading.truthy(value)


@pytest.mark.parametrize("value", [False, 0, 2, "false", "", "no", None, [], {"a": 1}, 1.0])
def test_not_truthy(value: object) -> None:
    assert not reading.truthy(value)


@pytest.mark.parametrize(
    "value",
    [
        "2026-05-28T20:26:40Z",
        "2026-05-28T20:26:40+00:00",
        "2026-05-28T22:26:40.000+02:00",
        "2026-05-28 20:26:40",
        " 2026-05-28T20:26:40Z ",
        1_780_000_000,
        1_780_000_000.0,
        1_780_000_000_000,
        "1780000000",
        "1780000000000",
        "2026-05-28T20:26:40Z" + " " * 44,  # 64 characters.
    ],
)
def test_moment(value: object) -> None:
    found = reading.moment(value)
    assert found == MOMENT
    assert found.tzinfo is UTC


def test_the_first_moment_that_is_believed() -> None:
    assert reading.moment("2000-01-01T00:00:00Z") == datetime(2000, 1, 1, tzinfo=UTC)


def test_a_time_without_a_zone_is_utc_wherever_this_runs() -> None:
    with pytest.MonkeyPatch.context() as machine:
        machine.setenv("TZ", "JST-9")
        time.tzset()
        found = reading.moment("2026-05-28T20:26:40")
    time.tzset()
    assert found == MOMENT


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "",
        "yesterday",
        "2026-13-01",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-05-28T20:26:40Z" + " " * 45,
        "1999-12-31T23:59:59Z",
        "2100-01-01T00:00:00Z",
        0,
        -5,
        10**14,
        HUGE,
        math.nan,
        math.inf,
        [],
    ],
)
def test_no_moment(value: object) -> None:
    assert reading.moment(value) is None


@given(st.text())
def test_cleaning_twice_changes_nothing(value: str) -> None:
    once = reading.clean(value, 50)
    assert once is None or (len(once) <= 50 and reading.clean(once, 50) == once)
    if once is not None:
        once.encode("utf-8")
