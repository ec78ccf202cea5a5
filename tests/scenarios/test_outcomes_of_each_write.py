"""Each outside write with each outcome: what the ledger and the card say, and how often the call was made.

The tests of sending and of writing back know the single cases better; this is the whole table.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from canvas_app import gates
from canvas_app.interviews import once
from tests.interviews.results import PUT, notes, receive, sent_and_ready
from tests.support.world import CONTACT, CONVERSATION, INTERCOM, KOJI, REP, World, texts

REPLY = f"{INTERCOM}/conversations/{CONVERSATION}/reply"
CALLS = {
    "koji_start": ("POST", f"{KOJI}/api/v1/interviews/start"),
    "message": ("POST", REPLY),
    "attributes": ("PUT", PUT),
    "note": ("POST", REPLY),
    "conversation_tag": ("POST", f"{INTERCOM}/conversations/{CONVERSATION}/tags"),
    "contact_tag": ("POST", f"{INTERCOM}/contacts/{CONTACT}/tags"),
}
SENDING = ("koji_start", "message")
# Their fate has to be found out before they may be made again.
ONCE = ("message", "note")

# What meets the first call, and the reason for which the next attempt is waited for.
FOR_NOW: dict[str, tuple[dict[str, Any], str]] = {
    "429": ({"status": 429}, "rate_limited"),
    "503": ({"status": 503}, "server_error"),
    "no answer": ({"body": httpx.ReadTimeout("slow")}, "no_answer"),
    "cut off": ({"body": httpx.RemoteProtocolError("cut")}, "no_answer"),
    "no connection": ({"body": httpx.ConnectTimeout("away")}, "unreachable"),
    "a page": ({"body": "<html>Please wait", "content_type": "text/html"}, "answer_unreadable"),
    "a page with 404": (
        {"status": 404, "body": "<html>No such host", "content_type": "text/html"},
        "answer_unreadable",
    ),
    "dead token": ({"status": 401}, "token_refused"),
}
FATE_IS_OPEN = ("503", "no answer", "cut off", "a page", "a page with 404")
WORDS = {
    "rate_limited": "too many calls",
    "server_error": "had a fault",
    "no_answer": "did not answer",
    "unreachable": "could not be reached",
    "answer_unreadable": "could not be read",
    "token_refused": "does not accept",
}

# What is final: the status, and with which state, reason and words it ends.
FOR_GOOD = {
    ("koji_start", 400): ("failed", "koji_refused", "Koji refused it"),
    ("koji_start", 404): ("failed", "not_found", "no longer there"),
    ("message", 400): ("failed", "intercom_refused", "Intercom refused it"),
    ("message", 404): ("failed", "not_found", "no longer there"),
    ("attributes", 400): ("failed", "intercom_refused", "Intercom refused it"),
    ("attributes", 404): ("failed", "not_found", "no longer there"),
    ("note", 400): ("failed", "intercom_refused", "Intercom refused it"),
    ("note", 404): ("written_back", "conversation_gone", "no longer has the conversation"),
    ("conversation_tag", 400): ("failed", "intercom_refused", "Intercom refused it"),
    # The note has found out and told already where the whole conversation is gone.
    ("conversation_tag", 404): ("written_back", None, "Open transcript"),
    ("contact_tag", 400): ("failed", "intercom_refused", "Intercom refused it"),
    ("contact_tag", 404): ("failed", "not_found", "no longer there"),
}


@pytest.mark.parametrize("write", CALLS)
def test_done(sqlite_world: World, write: str) -> None:
    meet(sqlite_world, write, {})
    assert_done(sqlite_world, write, calls=1)


@pytest.mark.parametrize("outcome", FOR_NOW)
@pytest.mark.parametrize("write", [write for write in CALLS if write not in ONCE])
def test_what_may_be_repeated_is_told_and_repeated(sqlite_world: World, write: str, outcome: str) -> None:
    fail_for_now(sqlite_world, write, outcome)
    recover(sqlite_world, write, there=False)
    assert_done(sqlite_world, write, calls=2)


# What decides whether it is made again stands in the database, so these run on both kinds.
@pytest.mark.parametrize(
    ("outcome", "there"),
    [*((outcome, False) for outcome in FOR_NOW), *((outcome, True) for outcome in FATE_IS_OPEN)],
)
@pytest.mark.parametrize("write", ONCE)
def test_what_must_not_be_repeated_is_told_and_made_again_only_if_it_is_not_there(
    world: World, write: str, outcome: str, there: bool
) -> None:
    fail_for_now(world, write, outcome)
    recover(world, write, there=there)
    assert_done(world, write, calls=1 if there else 2)
    assert len(world.calls("GET", "/conversations/")) == (outcome in FATE_IS_OPEN)


def fail_for_now(world: World, write: str, outcome: str) -> None:
    """The write fails so that it may work later; the card says why, and the next attempt waits."""
    trouble, reason = FOR_NOW[outcome]
    meet(world, write, trouble)
    interview = world.interview()
    assert interview.state == ("sending" if write in SENDING else "analysed")
    assert reason in (interview.reason or "")
    assert WORDS[reason] in texts(world.initialize())
    assert made(world, write) == 1
    assert len(world.pending()) == 1


@pytest.mark.parametrize(("write", "status"), FOR_GOOD, ids=str)
def test_what_will_never_work_is_told_and_given_up(sqlite_world: World, write: str, status: int) -> None:
    world = sqlite_world
    world.outside.get(f"{INTERCOM}/admins/{REP['id']}", json={"type": "admin", "id": REP["id"]})
    meet(world, write, {"status": status})
    state, reason, said = FOR_GOOD[write, status]
    interview = world.interview()
    assert (interview.state, interview.reason) == (state, reason)
    assert said in texts(world.initialize())
    assert made(world, write) == 1
    assert world.pending() == []
    if write in SENDING:
        assert "Nothing has reached the customer." in texts(world.initialize())
    else:
        # What will never work keeps nothing else from being written.
        assert [made(world, other) for other in CALLS if other not in (*SENDING, write)] == [1, 1, 1]


def meet(world: World, write: str, trouble: dict[str, Any]) -> None:
    """Let the write meet this, after all that comes before it went well."""
    if write in SENDING:
        world.vendors_are_well()
    else:
        sent_and_ready(world)
    if trouble:
        world.outside.upsert(*CALLS[write], **trouble)
    if write in SENDING:
        world.initialize()
        world.submit("send")
        world.run_jobs()
    else:
        receive(world)


def recover(world: World, write: str, *, there: bool) -> None:
    """The vendors are well again, and time has passed."""
    method, url = CALLS[write]
    if write == "koji_start":
        world.outside.remove(method, url)
        world.koji_starts()
    else:
        world.outside.upsert(method, url, json={"type": "conversation", "id": "1"})
    interview = world.interview()
    mark = {"message": interview.link_token, "note": f"koji-{interview.id}"}.get(write, "")
    world.intercom_shows("<p>Hello</p>", *([f"<p>{mark}</p>"] if there else []))
    # A claim is old enough to be looked into, and a paused wire may be tried again.
    world.let_time_pass(seconds=max(once.CLAIM_SECONDS, gates.PROBE_SECONDS) + 1)
    world.run_jobs(delayed=True)


def made(world: World, write: str) -> int:
    """How often the call was made. A message and a note are the same call."""
    if write in ONCE:
        calls = world.calls("POST", f"/{CONVERSATION}/reply$")
        kind = "comment" if write == "message" else "note"
        return sum(call["message_type"] == kind for call in calls)
    method, url = CALLS[write]
    return len(world.calls(method, f"{url}$"))


def assert_done(world: World, write: str, *, calls: int) -> None:
    interview = world.interview()
    assert made(world, write) == calls
    assert world.pending() == []
    if write in SENDING:
        assert interview.state == "sent"
        assert "Interview sent" in texts(world.initialize())
        return
    assert (interview.state, interview.reason) == ("written_back", None)
    assert "being written" not in texts(world.initialize())
    if write != "note":
        assert len(notes(world)) == 1
