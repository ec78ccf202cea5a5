"""What the card needs to know, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import gates, store
from canvas_app.interviews import card_facts, ledger, studies
from canvas_app.interviews.card_facts import CardFacts
from canvas_app.interviews.states import ENDED_WITHOUT_ANSWER, STATES
from canvas_app.interviews.tables import pauses, workers, workspaces
from canvas_app.settings import Study
from tests.interviews.asks import NOW, write
from tests.support.world import full_settings

DAY = timedelta(days=1)
SETTINGS = full_settings("sqlite:///x.db")


def looked_up(
    engine: Engine,
    contact_id: str = "contact1",
    conversation_id: str | None = "501",
    *,
    workspace_id: str = "ws1",
    token_fingerprint: str = "f",
) -> CardFacts:
    return card_facts.read(
        engine,
        SETTINGS,
        workspace_id,
        contact_id,
        conversation_id,
        token_fingerprint=token_fingerprint,
    )


def shown(engine: Engine, *conversations: str | None) -> list[str | None]:
    """Which interview the card of this contact shows in these conversations."""
    facts = [looked_up(engine, conversation_id=conversation) for conversation in conversations]
    return [fact.interview.id if fact.interview else None for fact in facts]


def test_the_card_reads_the_newest_interview_of_this_conversation_first(engine: Engine) -> None:
    write(engine, age=3 * DAY, state="not_written")
    newest_here = write(engine, age=2 * DAY, state="written_back")
    elsewhere = write(engine, age=DAY, state="sent", conversation_id="502")
    write(engine, contact_id="contact2", state="sent")
    assert shown(engine, "501", "502", "503", None) == [newest_here.id, *[elsewhere.id] * 3]
    nobody = looked_up(engine, "contact9")
    foreign = looked_up(engine, workspace_id="ws2")
    assert (nobody.interview, foreign.interview) == (None, None)


def test_one_that_ended_without_an_answer_does_not_hide_what_happened_elsewhere_since(
    engine: Engine,
) -> None:
    before = write(engine, age=4 * DAY, state="written_back", conversation_id="502")
    ended = write(engine, age=3 * DAY, state="failed")
    for state in set(ENDED_WITHOUT_ANSWER) - {"skipped"}:
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


def test_one_that_a_limit_said_no_to_hides_nothing(engine: Engine) -> None:
    # Another program asked for it, and nothing was sent: there may be an open one that can be withdrawn.
    skipped = write(engine, state="skipped")
    assert shown(engine, "501", "502") == [skipped.id, skipped.id]
    elsewhere = write(engine, age=3 * DAY, state="written_back", conversation_id="502")
    assert shown(engine, "501", "502", "503") == [elsewhere.id] * 3
    here = write(engine, age=2 * DAY, state="sent")
    assert shown(engine, "501", "502", "503") == [here.id, elsewhere.id, here.id]
    assert looked_up(engine).newest_id == skipped.id, "an offer is bound to it all the same"


def test_the_card_reads_this_tokens_workspace_and_the_newest_sign_of_a_worker(engine: Engine) -> None:
    empty = looked_up(engine, token_fingerprint="new")
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
    facts = looked_up(engine, token_fingerprint="new")
    assert (facts.timezone, facts.token_workspace_id) == ("UTC", None)
    berlin = {"workspace_id": "ws1", "timezone": "Europe/Berlin", "token_fingerprint": "new"}
    with store.writing(engine) as connection:
        # However long ago: a token belongs to one workspace.
        connection.execute(sa.insert(workspaces).values(read | berlin | {"read_at": NOW - 9 * DAY}))
    facts = looked_up(engine, token_fingerprint="new")
    assert (facts.timezone, facts.token_workspace_id) == ("Europe/Berlin", "ws1")
    assert facts.worker_seen_at == NOW
    assert facts.now.tzinfo is not None


def test_the_card_knows_the_contacts_newest_interview_whichever_it_shows(engine: Engine) -> None:
    here = write(engine, age=2 * DAY, state="written_back")
    newest = write(engine, age=DAY, state="failed", conversation_id="502")
    facts = looked_up(engine)
    nobody = looked_up(engine, "contact9")
    assert facts.interview is not None
    assert (facts.interview.id, facts.newest_id, nobody.newest_id) == (here.id, newest.id, None)


def facts(engine: Engine) -> CardFacts:
    return looked_up(engine)


def save(engine: Engine, slug: str, **changes: Any) -> None:
    values = {"name": slug.title(), "api_key": f"key-of-{slug}", "link_template": None, **changes}
    with store.writing(engine) as connection:
        studies.save(connection, SETTINGS, Study(slug=slug, **values))


def test_without_any_row_there_is_the_environments_study(engine: Engine) -> None:
    found = facts(engine)
    assert found.studies == (SETTINGS.default_study,)
    assert found.used_at == {}


def test_the_studies_come_with_the_rest_those_that_are_off_too(engine: Engine) -> None:
    save(engine, "exit")
    save(engine, "beta", enabled=False, mode="voice", wording={"de": {"thanks": "Danke!"}})
    save(engine, "default", anonymous=True)
    write(engine, state="sent")
    found = facts(engine)
    with store.reading(engine) as connection:
        assert list(found.studies) == studies.listed(connection, SETTINGS)
    assert [(study.slug, study.api_key, study.enabled) for study in found.studies] == [
        ("default", "pk_live_key", True),
        ("beta", "key-of-beta", False),
        ("exit", "key-of-exit", True),
    ]
    assert found.studies[0].anonymous
    assert found.studies[1].wording == {"de": {"thanks": "Danke!"}}
    assert found.interview is not None
    assert (found.interview.study, found.interview.state) == ("default", "sent")


def test_when_each_study_was_asked_with_last_is_known(engine: Engine) -> None:
    for slug in ("exit", "beta", "never"):
        save(engine, slug)
    write(engine, age=3 * DAY, state="expired", study="exit")
    write(engine, age=2 * DAY, state="expired", study="exit", contact_id="contact2")
    write(engine, age=DAY, state="expired", study="beta")
    write(engine, age=5 * DAY, state="expired")
    assert facts(engine).used_at == {
        "exit": NOW - 2 * DAY,
        "beta": NOW - DAY,
        "default": NOW - 5 * DAY,
    }


def test_a_pause_of_a_study_that_is_on_is_told(engine: Engine) -> None:
    save(engine, "beta")
    save(engine, "exit")
    with store.writing(engine) as connection:
        gate, moment = gates.key_of("koji", "key-of-exit"), {"since": NOW, "probe_at": NOW}
        connection.execute(
            sa.insert(pauses).values(gate=gate, operation="*", reason="koji_token_refused", **moment)
        )
    assert facts(engine).paused == "koji_token_refused"
    save(engine, "exit", enabled=False)
    assert facts(engine).paused is None
