"""Canvas Kit's two requests, end to end in the web process."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
from itsdangerous import TimestampSigner, URLSafeSerializer, URLSafeTimedSerializer

from canvas_app import create_app, gates, store
from canvas_app.canvas import reasons, views
from canvas_app.interviews.tables import interviews, pauses, workers, workspaces
from tests.support.said import statements
from tests.support.world import CONTACT, CONVERSATION, WORKSPACE, World, component, full_settings, texts

OTHER = {"type": "contact", "id": "contact2", "name": "Noah Park"}
CARD_SETTINGS = (
    "SECRET_KEY",
    "PUBLIC_URL",
    "INTERCOM_ACCESS_TOKEN",
    "KOJI_API_KEY",
    "KOJI_WEBHOOK_SECRET",
)


def rows(world: World) -> dict[str, list[Any]]:
    with store.reading(world.engine) as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table))]
            for table in interviews.metadata.sorted_tables
        }


def worker_seen(world: World, **ago: float) -> None:
    with store.writing(world.engine) as connection:
        connection.execute(sa.insert(workers).values(executor_id="w", renewed_at=store.now(connection)))
    world.let_time_pass(**ago)


# Both databases


@pytest.mark.parametrize("conversation", ["501", "502"], ids=["here", "elsewhere"])
@pytest.mark.parametrize(
    "state",
    [None, "queued", "sent", "opened", "unknown", "written_back", "not_written", "failed", "cancelled"],
)
def test_initialize_reads_twice_writes_nothing_and_calls_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch, state: str | None, conversation: str
) -> None:
    if state:
        world.initialize()
        world.submit("send")
        world.set_interview(
            state=state, result={"sentiment": "positive"} if state == "written_back" else None
        )
    before = rows(world)
    with statements(world, monkeypatch) as said:
        world.initialize(conversation={"id": conversation})
    assert len(said) in (1, 2)
    assert all(statement.startswith("SELECT") for statement in said)
    assert rows(world) == before
    assert len(world.outside.calls) == 0


@pytest.mark.parametrize("own_key", ["pk_live_key", ""], ids=["with the environment's key", "without"])
@pytest.mark.parametrize("count", [1, 3, 25])
def test_initialize_reads_twice_however_many_studies_there_are(
    world: World, monkeypatch: pytest.MonkeyPatch, count: int, own_key: str
) -> None:
    for number in range(count):
        world.add_study(f"s{number}", enabled=number % 3 != 1)
    world.deploy(koji_api_key=own_key)
    with statements(world, monkeypatch) as said:
        card = world.initialize()
    assert component(card, "send") is not None
    assert (component(card, "study") is not None) is (count > 1 or bool(own_key))
    assert len(said) in (1, 2)


def test_a_tap_writes_the_row_and_its_job_in_one_transaction(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.initialize()
    with statements(world, monkeypatch) as said:
        world.submit("send")
    assert said.count("COMMIT") == 1
    assert (world.count(interviews), world.pending()) == (1, [("send", 0.0)])


# One database is enough


def test_the_selected_participant_of_a_group_is_whom_the_card_is_about(sqlite_world: World) -> None:
    world = sqlite_world
    group = {"id": "501", "contacts": {"contacts": [{"id": CONTACT}, {"id": "contact2"}]}}
    world.initialize(conversation=group, contact=OTHER)
    assert "Noah Park" in texts(world.last_canvas)
    world.submit("send", conversation=group, contact=OTHER)
    assert world.interview().contact_id == "contact2"
    assert component(world.initialize(conversation=group), "send") is not None


def test_the_contacts_old_name_is_understood(sqlite_world: World) -> None:
    world = sqlite_world
    world.initialize(contact=None, customer=OTHER)
    world.submit("send", contact=None, customer=OTHER)
    assert (world.interview().contact_id, world.interview().contact_name) == ("contact2", "Noah Park")


@pytest.mark.parametrize("place", ["top", "canvas"])
def test_stored_data_is_found_at_either_place(sqlite_world: World, place: str) -> None:
    world = sqlite_world
    stored = world.initialize()["stored_data"]
    given = {"stored_data": stored} if place == "top" else {"current_canvas": {"stored_data": stored}}
    world.submit("send", **{"current_canvas": None, **given})
    # The very same card again after the interview is over: it was that offer's, so nothing new is made.
    world.set_interview(state="expired")
    world.submit("send", **{"current_canvas": None, **given})
    assert world.count(interviews) == 1


@pytest.mark.parametrize("nonce", [None, "", 7, ["a"], {"a": 1}])
def test_stored_data_of_another_form_does_no_harm(sqlite_world: World, nonce: Any) -> None:
    sqlite_world.submit("send", current_canvas=None, stored_data={"nonce": nonce})
    assert sqlite_world.interview().request_key is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"contact": None}, "There is no customer in this conversation."),
        ({"conversation": None}, "There is no conversation here"),
    ],
)
@pytest.mark.parametrize("door", ["initialize", "submit"])
def test_without_a_customer_or_a_conversation_the_card_says_so(
    sqlite_world: World, door: str, changes: dict[str, Any], said: str
) -> None:
    world = sqlite_world
    card = world.initialize(**changes) if door == "initialize" else world.submit("send", **changes)
    assert said in texts(card)
    assert component(card, "refresh") is not None
    assert world.count(interviews) == 0


@pytest.mark.parametrize("missing", CARD_SETTINGS)
def test_a_missing_setting_is_named_and_nothing_can_be_sent(
    sqlite_url: str, sqlite_world: World, missing: str
) -> None:
    empty: Any = () if missing in ("SECRET_KEY", "KOJI_WEBHOOK_SECRET") else None
    app = create_app(full_settings(sqlite_url, **{missing.lower(): empty}))
    world = World(
        app=app, engine=sqlite_world.engine, settings=sqlite_world.settings, outside=sqlite_world.outside
    )
    for card in (world.initialize(), world.submit("send")):
        assert missing in texts(card)
        assert "python -m canvas_app doctor" in texts(card)
        assert [name for name in CARD_SETTINGS if name in texts(card)] == [missing]
    assert world.count(interviews) == 0
    app.extensions["koji_for_intercom"].engine.dispose()


def test_on_heroku_a_database_file_counts_as_missing(sqlite_url: str, sqlite_world: World) -> None:
    app = create_app(full_settings(sqlite_url).model_copy(update={"on_heroku": True}))
    world = World(
        app=app, engine=sqlite_world.engine, settings=sqlite_world.settings, outside=sqlite_world.outside
    )
    assert "DATABASE_URL" in texts(world.initialize())
    app.extensions["koji_for_intercom"].engine.dispose()


def test_the_card_of_another_workspace_than_the_tokens_is_not_set_up(sqlite_world: World) -> None:
    world = sqlite_world
    world.send()
    card = world.initialize(workspace_id="ws2")
    assert "another workspace" in texts(card)
    assert component(card, "send") is None
    assert component(world.initialize(), "refresh") is not None


@pytest.mark.parametrize("door", ["initialize", "submit"])
def test_while_the_database_is_away_there_is_a_card_and_no_error(
    tmp_path: Path, sqlite_world: World, door: str
) -> None:
    app = create_app(full_settings(f"sqlite:///{tmp_path / 'empty.db'}"))
    world = World(
        app=app, engine=sqlite_world.engine, settings=sqlite_world.settings, outside=sqlite_world.outside
    )
    card = world.initialize() if door == "initialize" else world.submit("send")
    assert "cannot reach its database" in texts(card)
    assert component(card, "refresh") is not None
    app.extensions["koji_for_intercom"].engine.dispose()


def test_the_personal_line_goes_with_the_tap(sqlite_world: World) -> None:
    world = sqlite_world
    world.initialize()
    world.submit("send", {"personal_line": "  Great\ntalk \u202e" + "x" * 400})
    line = world.interview().personal_line or ""
    assert line.startswith("Great talk x")
    assert len(line) == 300


@pytest.mark.parametrize("value", [["a", "list"], None, 7, "", " \n "])
def test_a_personal_line_of_another_form_is_none(sqlite_world: World, value: Any) -> None:
    sqlite_world.initialize()
    sqlite_world.submit("send", {"personal_line": value})
    assert sqlite_world.interview().personal_line is None


def test_hostile_names_stay_text(sqlite_world: World) -> None:
    world = sqlite_world
    hostile = {
        "id": CONTACT,
        "name": "[tap](https://evil.example) <b>" + "n" * 9000 + "\0",
        "email": "e" * 9000,
    }
    world.initialize(contact=hostile)
    assert "](https" not in texts(world.last_canvas)
    world.submit("send", contact=hostile, admin={"id": "991", "name": "**Bold** " + "a" * 5000})
    assert "**" not in texts(world.last_canvas)
    assert len(world.interview().contact_name or "") <= 200


@pytest.mark.parametrize("component_id", ["refresh", "unheard of", None, "send_again", "try_again"])
def test_any_other_tap_only_draws_the_card(sqlite_world: World, component_id: str | None) -> None:
    world = sqlite_world
    world.initialize()
    world.submit(cast(str, component_id))
    assert component(world.last_canvas, "send") is not None
    assert world.count(interviews) == 0


@pytest.mark.parametrize("state", ["written_back", "not_written", "expired", "cancelled", "failed"])
def test_another_one_can_be_sent_when_the_last_one_is_over(sqlite_world: World, state: str) -> None:
    world = sqlite_world
    world.initialize()
    world.submit("send")
    world.set_interview(state=state)
    offer = world.submit("send_again")
    assert component(offer, "send") is not None
    world.submit("send")
    assert world.count(interviews) == 2


@pytest.mark.parametrize("state", ["queued", "sending", "sent", "opened", "unknown"])
def test_another_one_cannot_be_sent_while_one_is_open(sqlite_world: World, state: str) -> None:
    world = sqlite_world
    world.initialize()
    world.submit("send")
    world.set_interview(state=state)
    for tap in ("send_again", "try_again", "send"):
        assert component(world.submit(tap, current_canvas=None), "send") is None
    assert world.count(interviews) == 1


def test_a_result_whose_writing_failed_is_not_sent_again_by_try_again(sqlite_world: World) -> None:
    world = sqlite_world
    world.initialize()
    world.submit("send")
    world.set_interview(state="failed", result={"sentiment": "positive"})
    world.submit("try_again")
    assert world.count(interviews) == 1


def test_times_are_told_in_the_workspaces_zone(sqlite_world: World) -> None:
    world = sqlite_world
    world.send()
    assert " CET" in texts(world.initialize()) or " CEST" in texts(world.last_canvas)
    with store.writing(world.engine) as connection:
        connection.execute(sa.update(workspaces).values(timezone="Nowhere"))
    assert " UTC" in texts(world.initialize())


@pytest.mark.parametrize(("seconds_ago", "told"), [(5, False), (40, True), (None, True)])
def test_a_rep_who_waits_is_told_when_no_worker_runs(
    sqlite_world: World, seconds_ago: float | None, told: bool
) -> None:
    world = sqlite_world
    world.initialize()
    if seconds_ago is not None:
        worker_seen(world, seconds=seconds_ago)
    assert ("is not running" in texts(world.submit("send"))) is told


def test_a_pause_is_told_on_the_card_and_the_offer_stays(sqlite_world: World) -> None:
    world = sqlite_world
    with store.writing(world.engine) as connection:
        now = store.now(connection)
        connection.execute(
            sa.insert(pauses).values(
                gate=gates.key_of("intercom", "intercom-token"),
                operation=gates.EVERYTHING,
                reason="intercom_token_refused",
                since=now,
                probe_at=now,
            )
        )
    card = world.initialize()
    [notice, *_] = card["content"]["components"]
    assert (notice["text"], notice["style"]) == (reasons.in_words("intercom_token_refused"), "error")
    assert component(card, "send") is not None


# The offer, and how long it is good for


def drawn_ago(monkeypatch: pytest.MonkeyPatch, **ago: float) -> contextlib.AbstractContextManager[None]:
    """Within it the clock by which an offer is signed is behind."""

    @contextmanager
    def behind() -> Iterator[None]:
        seconds = timedelta(**ago).total_seconds()
        with monkeypatch.context() as patched:
            patched.setattr(TimestampSigner, "get_timestamp", lambda _self: int(time.time() - seconds))
            yield

    return behind()


def assert_drawn_anew(world: World, tapped: dict[str, Any], line: str = "") -> None:
    """Nothing was sent, and the offer stands there again with the line that was typed."""
    assert world.count(interviews) == 0
    assert world.pending() == []
    assert component(world.last_canvas, "send") is not None
    assert world.last_canvas["stored_data"] != tapped["stored_data"]
    field = component(world.last_canvas, "personal_line")
    assert field is not None
    assert field.get("value", "") == line


def test_an_offer_is_good_for_a_day(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = sqlite_world
    with drawn_ago(monkeypatch, hours=23.9):
        world.initialize()
    world.submit("send")
    assert world.count(interviews) == 1


def test_an_older_offer_is_drawn_anew_and_nothing_is_sent(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sqlite_world
    with drawn_ago(monkeypatch, hours=24.1):
        old = world.initialize()
    world.submit("send", {"personal_line": "Great talk."})
    assert_drawn_anew(world, old, "Great talk.")
    # A tap on what is drawn now is a tap on what the rep reads now.
    world.submit("send", {"personal_line": "Great talk."})
    assert world.interview().personal_line == "Great talk."


def test_a_tap_that_somebody_kept_does_nothing_a_day_later_however_often_it_comes(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sqlite_world
    with drawn_ago(monkeypatch, days=2):
        kept = world.initialize()
    for _ in range(3):
        world.submit("send", current_canvas=kept)
        assert_drawn_anew(world, kept)


def test_an_offer_from_the_future_is_drawn_anew(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with drawn_ago(monkeypatch, hours=-2):
        future = sqlite_world.initialize()
    sqlite_world.submit("send")
    assert_drawn_anew(sqlite_world, future)


def _signed(key: str, salt: str) -> str:
    return str(URLSafeTimedSerializer(key, salt=salt).dumps([WORKSPACE, CONTACT, CONVERSATION, None, "abc"]))


@pytest.mark.parametrize(
    "nonce",
    [
        "abc",
        ".",
        "..",
        "x" * 5000,
        "é\ud800",
        _signed("somebody-elses-key", "offer"),
        _signed("new-key", "personal-link"),
        _signed("new-key", "itsdangerous"),
        str(URLSafeSerializer("new-key", salt="offer").dumps("abc")),
        _signed("new-key", "offer")[:-1],
        "A" + _signed("new-key", "offer"),
        # As the version before made them: bound to nothing.
        str(URLSafeTimedSerializer("new-key", salt="offer").dumps("abc")),
    ],
    # The signatures hold the time, and two workers that share the tests must call them the same.
    ids=range(12),
)
def test_an_offer_that_is_not_ours_is_drawn_anew_and_nothing_is_sent(sqlite_world: World, nonce: str) -> None:
    world = sqlite_world
    tapped = {"stored_data": {"nonce": nonce}}
    world.submit("send", {"personal_line": "Hello."}, current_canvas=tapped)
    assert_drawn_anew(world, tapped, "Hello.")


@pytest.mark.parametrize(("key", "good"), [("new-key", True), ("old-key", True), ("dropped-key", False)])
def test_an_offer_is_good_while_the_key_that_signed_it_is_listed(
    sqlite_world: World, key: str, good: bool
) -> None:
    # The world's keys are "new-key,old-key".
    nonce = _signed(key, "offer")
    sqlite_world.submit("send", current_canvas={"stored_data": {"nonce": nonce}})
    assert sqlite_world.count(interviews) == (1 if good else 0)


def test_each_offer_has_a_nonce_of_its_own_that_the_newest_key_signs(sqlite_world: World) -> None:
    nonces = [sqlite_world.initialize()["stored_data"]["nonce"] for _ in range(2)]
    assert len(set(nonces)) == 2
    for nonce in nonces:
        assert URLSafeTimedSerializer("new-key", salt="offer").loads(nonce)


# Try again

BO = {"type": "admin", "id": "992", "name": "Bo Lind"}


def failed_with_line(world: World) -> None:
    world.initialize()
    world.submit("send", {"personal_line": "Great talk."})
    world.set_interview(state="failed", reason="too_late")
    for _job in world.pending():
        world._take_job(delayed=False)


def test_try_again_sends_the_same_words_for_the_teammate_who_wrote_them(sqlite_world: World) -> None:
    world = sqlite_world
    failed_with_line(world)
    world.submit("try_again")
    assert world.count(interviews) == 2
    assert (world.interview().state, world.interview().personal_line) == ("queued", "Great talk.")


@pytest.mark.parametrize(
    "changes",
    [
        {"admin": BO},
        {"admin": None},
        {"conversation": {"id": "502"}},
        {"admin": BO, "conversation": {"id": "502"}},
    ],
    ids=["another teammate", "nobody known", "another conversation", "both"],
)
def test_try_again_elsewhere_or_by_somebody_else_shows_the_words_before_they_go_out(
    sqlite_world: World, changes: dict[str, Any]
) -> None:
    world = sqlite_world
    failed_with_line(world)
    offer = world.submit("try_again", **changes)
    assert (world.count(interviews), world.pending()) == (1, [])
    field = component(offer, "personal_line")
    assert field is not None
    assert field["value"] == "Great talk."
    assert component(offer, "send") is not None
    world.submit("send", {"personal_line": "Great talk, says Bo."}, **changes)
    sent = world.interview()
    assert (world.count(interviews), sent.personal_line) == (2, "Great talk, says Bo.")
    assert sent.asked_by_id == (changes.get("admin", {"id": "991"}) or {}).get("id")
    assert sent.conversation_id == changes.get("conversation", {"id": "501"})["id"]


# What stands in the way of a tap


def over_here_and_open_elsewhere(world: World) -> str:
    """This conversation's own interview is over, another conversation's is open; the id of that one."""
    world.initialize()
    world.submit("send")
    world.set_interview(state="written_back", result={"identity": "named", "sentiment": "positive"})
    world.submit("send_again", conversation={"id": "502"})
    world.submit("send", conversation={"id": "502"})
    assert world.count(interviews) == 2
    return world.interview().id


def put_into(world: World, interview_id: str, state: str) -> None:
    with store.writing(world.engine) as connection:
        this = interviews.c.id == interview_id
        connection.execute(sa.update(interviews).where(this).values(state=state))


def test_a_blocked_tap_shows_the_open_interview_as_it_is_after_watching(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sqlite_world
    elsewhere = over_here_and_open_elsewhere(world)
    monkeypatch.setattr(views, "_watch", lambda interview_id: put_into(world, interview_id, "sent"))
    card = world.submit("send", current_canvas=None)
    assert world.interview().id == elsewhere
    assert "In another conversation" in texts(card)
    assert "Interview sent" in texts(card)
    assert "Sending" not in texts(card)


def test_what_stood_in_the_way_and_is_over_after_watching_leaves_the_card_of_this_conversation(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sqlite_world
    over_here_and_open_elsewhere(world)
    monkeypatch.setattr(views, "_watch", lambda interview_id: put_into(world, interview_id, "cancelled"))
    card = world.submit("send", current_canvas=None)
    assert world.count(interviews) == 2
    assert "In another conversation" not in texts(card)
    assert component(card, "send_again") is not None


# Time that is up


def test_what_was_not_answered_in_time_has_expired_and_another_can_be_sent(sqlite_world: World) -> None:
    world = sqlite_world
    world.send()
    world.let_time_pass(days=world.settings.open_days - 1)
    assert component(world.initialize(), "send_again") is None
    world.let_time_pass(days=2)
    card = world.initialize()
    assert "was not answered. Its link ended" in texts(card)
    assert component(card, "send_again") is not None
    assert world.interview().state == "sent", "a card only reads"
    world.submit("send_again")
    world.submit("send")
    assert (world.count(interviews), world.interview().state) == (2, "queued")
    assert world.run_jobs() == ["send"]
    assert world.interview().state == "sent"


def test_a_tap_on_an_offer_is_not_blocked_by_what_has_expired(sqlite_world: World) -> None:
    # The card was drawn in another conversation, before the interview there was over.
    world = sqlite_world
    world.send()
    world.let_time_pass(days=world.settings.open_days + 1)
    world.submit("send", current_canvas=None, conversation={"id": "502"})
    assert (world.count(interviews), world.interview().conversation_id) == (2, "502")


# Watching for a moment


def in_a_moment(world: World, act: Any) -> threading.Thread:
    def run() -> None:
        until = time.monotonic() + 5
        while time.monotonic() < until and not world.count(interviews):
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_tap_waits_a_moment_and_normally_says_sent_at_once(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sqlite_world
    monkeypatch.setattr(views, "_WATCH_SECONDS", 5.0)
    monkeypatch.setattr(views, "_WATCH_EVERY_SECONDS", 0.01)
    world.initialize()
    worker = in_a_moment(world, lambda: world.set_interview(state="sent"))
    assert "Interview sent" in texts(world.submit("send"))
    worker.join(5)


def test_a_tap_does_not_wait_for_long(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_WATCH_SECONDS", 0.15)
    monkeypatch.setattr(views, "_WATCH_EVERY_SECONDS", 0.05)
    sqlite_world.initialize()
    begun = time.monotonic()
    assert "Sending" in texts(sqlite_world.submit("send"))
    assert 0.15 <= time.monotonic() - begun < 2


def test_when_many_watch_already_a_tap_answers_at_once(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_WATCH_SECONDS", 30.0)
    monkeypatch.setattr(views, "_watchers", threading.BoundedSemaphore(1))
    sqlite_world.initialize()
    begun = time.monotonic()
    with views._watchers:
        assert "Sending" in texts(sqlite_world.submit("send"))
    assert time.monotonic() - begun < 5
    assert views._watchers.acquire(blocking=False), "and gives back what it takes"


def test_a_card_is_json_with_the_canvas_alone(sqlite_world: World) -> None:
    body = json.dumps(sqlite_world.canvas_body()).encode()
    answer = sqlite_world.post_canvas("/canvas/initialize", body)
    assert answer.content_type == "application/json"
    assert set(answer.get_json()) == {"canvas"}
    assert set(answer.get_json()["canvas"]) == {"content", "stored_data"}
    assert WORKSPACE not in answer.text
