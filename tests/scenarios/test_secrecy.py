"""What must stay out of our database, out of the log and out of Intercom: transcripts, tokens, secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import log
from tests.interviews.results import GET
from tests.support.world import CLIENT_SECRET, INTERCOM, KOJI, KOJI_ID, KOJI_LINK, KOJI_SECRET, World

SPOKEN = "I-told-the-interviewer-in-confidence"
SESSION = "session-token-of-the-interview"
SECRETS = [CLIENT_SECRET, KOJI_SECRET, "intercom-token", "pk_live_key", "new-key", "old-key", SESSION]
# Where Koji might put what was said, under names of all kinds.
TRANSCRIPT: dict[str, Any] = {
    "transcript": [{"role": "user", "content": SPOKEN}],
    "messages": [{"text": SPOKEN}],
    "summary": SPOKEN,
    "quotes": [SPOKEN],
    "analysis": {"transcript": SPOKEN, "summary": SPOKEN, "answers": {"q1": SPOKEN}},
}
PERSONAL = [
    "mia@example.com",
    "Mia Chen",
    "Nice-to-meet-you",
    "ada@example.com",
    "Pricing friction",
    KOJI_LINK,
]


def everything_stored(world: World) -> str:
    """Every column of every table, the durable engine's included."""
    found: list[str] = []
    inspector = sa.inspect(world.engine)
    with world.engine.connect() as connection:
        schemas = [None] if world.engine.dialect.name == "sqlite" else ["public", "dbos"]
        for schema in schemas:
            for table in inspector.get_table_names(schema=schema):
                name = f'"{schema}"."{table}"' if schema else f'"{table}"'
                rows = connection.exec_driver_sql(f"SELECT * FROM {name}").all()  # noqa: S608 - names of tables
                found += [repr(tuple(row)) for row in rows]
    return "\n".join(found)


@pytest.fixture
def logged() -> Callable[[], str]:
    """All that the app logs at its most talkative, in the form in which it is written."""
    log.configure(level=logging.DEBUG)
    written = io.StringIO()
    [handler] = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    return written.getvalue


def test_neither_transcripts_nor_secrets_are_stored_or_logged(
    world: World, logged: Callable[[], str]
) -> None:
    world.intercom_knows_us()
    world.koji_starts(session_token=SESSION, **TRANSCRIPT)
    world.intercom_takes("reply", "attributes", "tags")
    world.outside.get(GET, json={"id": KOJI_ID, "quality_score": 4, "sentiment": "mixed", **TRANSCRIPT})
    world.initialize()
    world.submit("send", {"personal_line": "Nice-to-meet-you"})
    world.run_jobs()
    stored = everything_stored(world)
    assert "Nice-to-meet-you" in stored, "the search would find it"
    body = world.result(quality_score=None, sentiment=None, **TRANSCRIPT)
    assert world.koji_event(body).status_code == 200
    stored += everything_stored(world)
    assert SPOKEN not in stored, "not while it waits, either"
    assert world.run_jobs() == ["forward"]
    assert world.interview().state == "written_back"
    world.koji_event({**body, "event": "interview.unheard_of"})
    card = json.dumps(world.initialize())

    stored += everything_stored(world) + "".join(world.step_results)
    said = logged()
    assert "forward_attempt" in said, "the log was on"
    told = json.dumps(
        world.calls("P", INTERCOM) + world.calls("PUT", INTERCOM) + world.calls("POST", INTERCOM)
    )
    for place, text in (("database", stored), ("log", said), ("Intercom", told), ("card", card)):
        for secret in [SPOKEN, *SECRETS]:
            assert secret not in text, (place, secret)
    for word in [*PERSONAL, world.interview().link_token]:
        assert word not in said, word


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500])
def test_what_a_vendor_says_in_an_error_is_neither_stored_nor_logged(
    sqlite_world: World, logged: Callable[[], str], status: int
) -> None:
    world = sqlite_world
    world.intercom_knows_us()
    said_by_vendor = {
        "type": "error.list",
        "errors": [{"code": "bad", "message": f"{SPOKEN} intercom-token"}],
    }
    world.outside.post(
        f"{KOJI}/api/v1/interviews/start", status=status, json={"message": SPOKEN, "error": SPOKEN}
    )
    world.initialize()
    world.submit("send")
    world.run_jobs()
    world.outside.remove("POST", f"{KOJI}/api/v1/interviews/start")
    world.koji_starts()
    world.outside.post(f"{INTERCOM}/conversations/501/reply", status=status, json=said_by_vendor)
    world.outside.get(f"{INTERCOM}/admins/991", status=status, json=said_by_vendor)
    # So that a refused key is tried again.
    world.let_time_pass(minutes=1)
    world.submit("try_again")
    world.run_jobs(delayed=True)
    assert len(world.calls("POST", "/reply$")) >= 1
    said = logged()
    assert "send_attempt" in said
    for text in (said, everything_stored(world), "".join(world.step_results), json.dumps(world.initialize())):
        assert SPOKEN not in text


def test_an_anonymous_answer_leaves_nothing_of_its_content(world: World) -> None:
    world.send()
    world.koji_event(world.result(respondent_email=None, themes=["told-anonymously"], sentiment="negative"))
    world.run_jobs()
    assert (world.interview().state, world.interview().reason) == ("not_written", "anonymous")
    stored = everything_stored(world)
    for said in ("told-anonymously", "negative", "koji.so/t/1"):
        assert said not in stored


def test_a_fault_does_not_quote_what_it_was_handling(
    sqlite_world: World, logged: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sqlite_world
    world.faults_wanted = True
    world.send()

    def break_down(*_args: Any) -> None:
        raise ValueError(f"could not handle {SPOKEN}")

    monkeypatch.setattr("canvas_app.interviews.forward._merge", break_down)
    world.koji_event(world.result(note=SPOKEN))
    world.run_jobs()
    said = logged()
    assert "job_failed" in said
    assert SPOKEN not in said
