"""Reason codes in the rep's words."""

from __future__ import annotations

import re

import pytest

from canvas_app import errors, http_outcomes
from canvas_app.canvas import reasons
from canvas_app.canvas.cards import SENTENCE_LIMIT
from canvas_app.interviews import rulebook
from canvas_app.settings import PROJECT_ROOT

_CODE = re.compile(
    r"""(?:reason="|reason = "|problem="|return None, "|\b(?:later|permanent)\(")([a-z_]+)\""""
)
# What a rep never sees: refusals at a door, what is only logged, and what ends without a word.
_UNSEEN = {
    "signature_missing",
    "signature_malformed",
    "signature_mismatch",
    "signature_stale",
    "body_unreadable",
    "body_incomplete",
    "koji_interview_not_found",
    "unknown_interview",
}


def codes() -> list[str]:
    """Every reason that the wires and the domain may leave in the ledger, read from their source."""
    files = [PROJECT_ROOT / "canvas_app" / "http_outcomes.py"]
    for package in ("interviews", "intercom", "koji"):
        files += sorted((PROJECT_ROOT / "canvas_app" / package).glob("*.py"))
    found = {code for file in files for code in _CODE.findall(file.read_text())}
    # Some are put together of a wire's name and an ending.
    endings = ("token_refused", "scope_missing", "refused")
    found |= {f"{wire}_{ending}" for wire in ("intercom", "koji") for ending in endings}
    found |= set(http_outcomes.PUT_OFF) | {
        errors.ContactMerged.default_reason,
        errors.UnknownAttribute.default_reason,
    }
    return sorted(found - _UNSEEN)


def test_the_codes_are_found() -> None:
    assert {"rate_limited", "answer_too_large", "other_workspace", "too_slow", "link_too_long"} <= set(
        codes()
    )


@pytest.mark.parametrize("code", codes())
def test_every_code_that_a_rep_may_see_has_words_that_fit_on_the_card(code: str) -> None:
    words = reasons.in_words(code)
    assert words is not None
    assert code not in words, "there are no words for it yet"
    assert words[0].isupper()
    assert words.endswith(".")
    assert len(words) <= SENTENCE_LIMIT


def test_a_code_without_words_is_shown_so_that_it_can_be_told_on() -> None:
    assert reasons.in_words("brand_new") == "The reason code is brand_new."


def test_no_code_means_no_words() -> None:
    assert reasons.in_words(None) is None


@pytest.mark.parametrize("code", rulebook.REASONS)
def test_every_reason_of_a_rule_s_has_words_too(code: str) -> None:
    test_every_code_that_a_rep_may_see_has_words_that_fit_on_the_card(code)
