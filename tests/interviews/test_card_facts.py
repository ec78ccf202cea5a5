"""What the card reads of the ledger and around it, on both databases."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews import card_facts, ledger
from canvas_app.interviews.states import ENDED_WITHOUT_ANSWER, OPEN_STATES, STATES
from canvas_app.interviews.tables import workers, workspaces
from tests.interviews.asks import NOW, write

DAY = timedelta(days=1)
CLOSED = sorted(set(STATES) - set(OPEN_STATES))


def shown(engine: Engine, *conversations: str | None) -> list[str | None]:
    """Which interview the card of this contact shows in these conversations."""
    with store.reading(engine) as connection:
        facts = [
            card_facts.read(connection, "ws1", "contact1", conversation, token_fingerprint="f")
            for conversation in conversations
        ]
    return [fact.interview.id if fact.interview else None for fact in facts]


def test_the_card_reads_the_newest_interview_of_this_conversation_first(engine: Engine) -> None:
    write(engine, age=3 * DAY, state="not_written")
    newest_here = write(engine, age=2 * DAY, state="written_back")
    elsewhere = write(engine, age=DAY, state="sent", conversation_id="502")
    write(engine, contact_id="contact2", state="sent")
    assert shown(engine, "501", "502", "503", None) == [newest_here.id, *[elsewhere.id] * 3]
    with store.reading(engine) as connection:
        nobody = card_facts.read(connection, "ws1", "contact9", "501", token_fingerprint="f")
        foreign = card_facts.read(connection, "ws2", "contact1", "501", token_fingerprint="f")
    assert (nobody.interview, foreign.interview) == (None, None)


def test_one_that_ended_without_an_answer_does_not_hide_what_happened_elsewhere_since(
    engine: Engine,
) -> None:
    before = write(engine, age=4 * DAY, state="written_back", conversation_id="502")
    ended = write(engine, age=3 * DAY, state="failed")
    for state in ENDED_WITHOUT_ANSWER:
        with store.writing(engine) as connection:
            ledger.change(connection, ended.id, only_from=STATES, state=state)
        assert shown(engine, "501", "502") == [ended.id, before.id]
    since = write(engine, age=2 * DAY, state="sent", conversation_id="503")
    for state in ENDED_WITHOUT_ANSWER:
        with store.writing(engine) as connection:
            ledger.change(connection, ended.id, only_from=STATES, state=state)
        assert shown(engine, "501", "502", "503") == [since.id, before.id, since.id]


def test_one_that_ended_without_an_answer_is_not_hidden_by_an_older_result(engine: Engine) -> None:
    # Else the rep who has sent another one would never read that it failed, nor could try again.
    write(engine, age=2 * DAY, state="written_back")
    ended = write(engine, age=DAY, state="failed")
    assert shown(engine, "501", "502") == [ended.id, ended.id]


def test_the_card_reads_this_tokens_workspace_and_the_newest_sign_of_a_worker(engine: Engine) -> None:
    with store.reading(engine) as connection:
        empty = card_facts.read(connection, "ws1", "contact1", "501", token_fingerprint="new")
    assert (empty.timezone, empty.token_workspace_id, empty.worker_seen_at) == (None, None, None)
    read = {"admin_id": "7", "token_fingerprint": "old", "timezone": "UTC", "read_at": NOW - DAY}
    with store.writing(engine) as connection:
        connection.execute(
            sa.insert(workspaces),
            [
                read | {"workspace_id": "before", "timezone": "Asia/Tokyo", "read_at": NOW - 2 * DAY},
                read | {"workspace_id": "old"},
            ],
        )
        connection.execute(
            sa.insert(workers),
            [
                {"executor_id": "a", "renewed_at": NOW - DAY},
                {"executor_id": "b", "renewed_at": NOW},
            ],
        )
        # The new token has not told its workspace yet: it may be any, and its clocks probably say the same.
        facts = card_facts.read(connection, "ws1", "contact1", "501", token_fingerprint="new")
        assert (facts.timezone, facts.token_workspace_id) == ("UTC", None)
        berlin = {"workspace_id": "ws1", "timezone": "Europe/Berlin", "token_fingerprint": "new"}
        # However long ago: a token belongs to one workspace.
        connection.execute(sa.insert(workspaces).values(read | berlin | {"read_at": NOW - 9 * DAY}))
        facts = card_facts.read(connection, "ws1", "contact1", "501", token_fingerprint="new")
    assert (facts.timezone, facts.token_workspace_id) == ("Europe/Berlin", "ws1")
    assert facts.worker_seen_at == NOW
    assert facts.now.tzinfo is not None


def test_the_card_knows_the_contacts_newest_interview_whichever_it_shows(engine: Engine) -> None:
    here = write(engine, age=2 * DAY, state="written_back")
    newest = write(engine, age=DAY, state="failed", conversation_id="502")
    with store.reading(engine) as connection:
        facts = card_facts.read(connection, "ws1", "contact1", "501", token_fingerprint="f")
        nobody = card_facts.read(connection, "ws1", "contact9", "501", token_fingerprint="f")
    assert facts.interview is not None
    assert (facts.interview.id, facts.newest_id, nobody.newest_id) == (here.id, newest.id, None)
