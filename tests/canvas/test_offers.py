"""What a card hands out, and what a tap brings back."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from itsdangerous import TimestampSigner, URLSafeTimedSerializer

from canvas_app.canvas import offers
from canvas_app.canvas.offers import Offered
from canvas_app.canvas.request import CanvasRequest
from canvas_app.interviews.seen import Seen, seen
from tests.canvas.test_states import interview

KEYS = ("new-key", "old-key")
SINCE = datetime(2026, 11, 22, 12, 0, 1, 234567, tzinfo=UTC)
SHOWN = replace(interview("sent"), send_attempt=2, state_since=SINCE)


def request(**changes: Any) -> CanvasRequest:
    body = {
        "workspace_id": "ws1",
        "conversation": {"id": "501"},
        "contact": {"id": "contact1", "name": "Mia"},
        **changes,
    }
    return CanvasRequest.parse(json.dumps(body).encode())


def new_offer(newest_id: str | None = None, *, keys: Sequence[str] = KEYS) -> str:
    return offers.new_offer(keys, request(), newest_id, study="exit", words="0a1b2c")


def test_what_was_bound_comes_back_as_it_was() -> None:
    token = offers.bind(KEYS, request(), SHOWN)
    assert offers.seen_on(KEYS, request(), token) == seen(SHOWN) == Seen("i1", 2, SINCE)


@pytest.mark.parametrize(
    "changes",
    [{"workspace_id": "ws2"}, {"conversation": {"id": "502"}}, {"contact": {"id": "contact2"}}],
    ids=["workspace", "conversation", "contact"],
)
def test_it_is_good_on_its_own_card_only(changes: dict[str, Any]) -> None:
    token, offer = offers.bind(KEYS, request(), SHOWN), new_offer()
    assert offers.seen_on(KEYS, request(**changes), token) is None
    assert offers.offered(KEYS, request(**changes), offer) is None


@pytest.mark.parametrize(("seconds", "good"), [(24 * 3600 - 60, True), (24 * 3600 + 60, False), (-60, False)])
def test_it_is_good_for_a_day(monkeypatch: pytest.MonkeyPatch, seconds: int, good: bool) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(TimestampSigner, "get_timestamp", lambda _self: int(time.time()) - seconds)
        token, offer = offers.bind(KEYS, request(), SHOWN), new_offer()
    assert (offers.seen_on(KEYS, request(), token) is not None) is good
    assert (offers.offered(KEYS, request(), offer) is not None) is good


def test_a_key_that_is_not_utf_8_signs_as_well() -> None:
    # An environment variable of any bytes arrives with surrogate escapes.
    keys = ["\udcffabc"]
    assert offers.seen_on(keys, request(), offers.bind(keys, request(), SHOWN)) == seen(SHOWN)
    assert offers.offered(keys, request(), new_offer(keys=keys)) is not None


def test_it_is_good_while_the_key_that_signed_it_is_listed() -> None:
    token = offers.bind(["old-key"], request(), SHOWN)
    assert offers.seen_on(KEYS, request(), token) is not None
    assert offers.seen_on(["newest-key", "new-key"], request(), token) is None


def test_an_offer_binds_nothing_and_what_is_bound_is_no_offer() -> None:
    assert offers.seen_on(KEYS, request(), new_offer("i1")) is None
    assert offers.offered(KEYS, request(), offers.bind(KEYS, request(), SHOWN)) is None


@pytest.mark.parametrize("newest_id", [None, "i1"])
def test_an_offer_tells_what_was_the_newest_interview_and_what_it_showed(newest_id: str | None) -> None:
    nonce = new_offer(newest_id)
    offered = offers.offered(KEYS, request(), nonce)
    assert offered == Offered(offers.key(request(), nonce), newest_id, "exit", "0a1b2c")


@pytest.mark.parametrize("token", [None, "", "x", 7, ["x"], {"a": 1}, "é", "x" * 5000])
def test_anything_else_is_nothing(token: object) -> None:
    assert offers.seen_on(KEYS, request(), token) is None
    assert offers.offered(KEYS, request(), token) is None


def test_an_offer_of_the_version_before_names_no_study() -> None:
    # Cards stand open while a new version is released.
    shown = ["ws1", "contact1", "501", "i1", "7f9c2ba4e88f"]
    before = str(offers._signer(KEYS, offers._OFFER_SALT).dumps(shown))
    assert offers.offered(KEYS, request(), before) == Offered(offers.key(request(), before), "i1", None, None)


def test_the_form_is_that_of_the_library_either_way_round() -> None:
    # So that a release in which that was written otherwise reads these cards, and this one reads its cards.
    keys = [b"old-key", b"new-key"]
    usual: URLSafeTimedSerializer = URLSafeTimedSerializer(keys, salt=offers._OFFER_SALT)
    assert usual.loads(new_offer("i1"))[:4] == ["ws1", "contact1", "501", "i1"]
    long = ["ws1", "contact1", "501", "i1", "n", "exit" * 40, "0a1b2c"]
    compressed = str(usual.dumps(long))
    assert compressed.startswith(".")
    found = offers.offered(KEYS, request(), compressed)
    assert found is not None
    assert found.study == "exit" * 40


def test_an_offer_that_names_no_place_is_none() -> None:
    unbound = str(offers._signer(KEYS, offers._OFFER_SALT).dumps("7f9c2ba4e88f"))
    assert offers.offered(KEYS, request(), unbound) is None


def test_each_card_is_one_of_its_own() -> None:
    assert len({offers.bind(KEYS, request(), SHOWN) for _ in range(3)}) == 3


def test_every_change_makes_another_interview_to_see() -> None:
    others = [
        replace(SHOWN, send_attempt=3),
        replace(SHOWN, state_since=SINCE + timedelta(microseconds=1)),
        replace(SHOWN, id="i2"),
    ]
    assert seen(SHOWN) not in [seen(other) for other in others]
    # What is written beside the state does not make the rep's tap a tap on something else.
    assert seen(replace(SHOWN, contact_name="Mia C.")) == seen(SHOWN)


def test_two_taps_on_one_card_have_one_key() -> None:
    assert offers.key(request(), "t") == offers.key(request(), "t")
    others = {
        offers.key(request(conversation={"id": "502"}), "t"),
        offers.key(request(contact={"id": "contact2"}), "t"),
        offers.key(request(), "u"),
    }
    assert offers.key(request(), "t") not in others
    assert len(others) == 3
