"""What may go wrong on the way out, and that the customer gets one message or none, and the rep the truth."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews import once
from canvas_app.interviews.tables import outside_writes
from canvas_app.settings import Settings
from tests.interviews.results import anonymous_study
from tests.support.world import (
    CONTACT,
    CONVERSATION,
    INTERCOM,
    KOJI,
    KOJI_ID,
    KOJI_LINK,
    OWN_ADMIN,
    REP,
    World,
    component,
    texts,
)

START = f"{KOJI}/api/v1/interviews/start"
REPLY = f"{INTERCOM}/conversations/{CONVERSATION}/reply"
NOTHING_RECEIVED = "Nothing has reached the customer."
NOT_FOUND = {"type": "error.list", "errors": [{"code": "not_found", "message": "Resource Not Found"}]}
OVER = once.CLAIM_SECONDS + 1


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


def tap(world: World) -> None:
    world.initialize()
    world.submit("send")
    world.run_jobs()


def replies(world: World) -> list[dict[str, Any]]:
    return world.calls("POST", "/reply$")


def assert_failed(world: World, reason: str) -> None:
    """It was given up, nothing went out, and the card says both and offers a way on."""
    interview = world.interview()
    assert (interview.state, interview.reason) == ("failed", reason)
    assert world.pending() == []
    card = world.initialize()
    assert NOTHING_RECEIVED in texts(card)
    assert component(card, "try_again") is not None


# Koji's start, and the personal link


@pytest.mark.parametrize(
    ("template", "answer", "link"),
    [
        (None, {}, KOJI_LINK),
        (
            None,
            {"interview_url": None, "interview": {"link": "https://www.koji.so/i/2"}},
            "https://www.koji.so/i/2",
        ),
        (
            "https://koji.so/r?i={interview_id}&c={contact_id}&e={email}&n={name}",
            {"interview_url": None},
            f"https://koji.so/r?i={KOJI_ID}&c={CONTACT}&e=mia%40example.com&n=Mia%20Chen",
        ),
        ("https://koji.so/r?i={interview_id}", {}, KOJI_LINK),
        (
            "https://koji.so/r?i={interview_id}",
            {"interview_url": "https://evil.example/i"},
            f"https://koji.so/r?i={KOJI_ID}",
        ),
        (
            None,
            {"interview_url": "https://evil.example/i", "link": "https://koji.so/i/3"},
            "https://koji.so/i/3",
        ),
    ],
    ids=[
        "answer",
        "answer, deeper",
        "template",
        "answer before template",
        "template for a foreign host",
        "second",
    ],
)
def test_where_the_personal_link_comes_from(
    world: World, template: str | None, answer: dict[str, Any], link: str
) -> None:
    if template:
        world.deploy(koji_link_template=template)
    world.intercom_knows_us()
    world.intercom_takes("reply")
    world.koji_starts(**answer)
    tap(world)
    interview = world.interview()
    assert (interview.state, interview.koji_link, interview.koji_interview_id) == ("sent", link, KOJI_ID)
    assert world.get(f"/i/{interview.link_token}").headers["Location"] == link


@pytest.mark.parametrize(
    ("template", "url", "reason"),
    [
        (None, None, "no_personal_link"),
        (None, "https://evil.example/i", "link_host_not_allowed"),
        (None, "http://koji.so/i", "link_host_not_allowed"),
        (None, "https://koji.so@evil.example/i", "link_host_not_allowed"),
        ("https://koji.so/" + "{name}" * 30, None, "link_too_long"),
    ],
)
def test_without_a_link_that_may_be_sent_nothing_goes_to_the_customer(
    world: World, template: str | None, url: str | None, reason: str
) -> None:
    if template:
        world.deploy(koji_link_template=template)
    world.intercom_knows_us()
    world.koji_starts(interview_url=url)
    world.initialize(contact={"id": CONTACT, "name": "n" * 100})
    world.submit("send", contact={"id": CONTACT, "name": "n" * 100})
    world.run_jobs()
    assert replies(world) == []
    assert_failed(world, reason)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (422, {"error": "invalid_request"}, "koji_refused"),
        (404, {}, "not_found"),
        (301, {}, "redirected"),
        (201, {"session_token": "x"}, "koji_no_id"),
        (409, {}, "koji_already_started"),
    ],
)
def test_a_start_that_will_never_work_is_given_up_at_once(
    world: World, status: int, body: dict[str, Any], reason: str
) -> None:
    world.intercom_knows_us()
    world.outside.post(START, status=status, json=body)
    tap(world)
    assert_failed(world, reason)


def test_a_conflict_that_names_the_interview_is_as_good_as_a_start(world: World) -> None:
    world.intercom_knows_us()
    world.intercom_takes("reply")
    world.outside.post(START, status=409, json={"interview_id": KOJI_ID, "interview_url": KOJI_LINK})
    tap(world)
    assert world.interview().state == "sent"


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ({"status": 500}, "server_error"),
        ({"status": 503}, "server_error"),
        ({"body": httpx.ConnectError("no")}, "unreachable"),
        ({"body": httpx.ReadTimeout("slow")}, "no_answer"),
        ({"status": 200, "body": "<html>"}, "answer_unreadable"),
        ({"status": 401}, "koji_token_refused"),
        ({"status": 402}, "koji_credits"),
        ({"status": 403}, "koji_scope_missing"),
    ],
)
def test_a_start_that_may_work_later_is_tried_again_and_the_card_says_what_holds_it_up(
    world: World, trouble: dict[str, Any], reason: str
) -> None:
    world.intercom_knows_us()
    world.intercom_takes("reply")
    world.outside.post(START, **trouble)
    tap(world)
    interview = world.interview()
    assert (interview.state, interview.reason) == ("sending", reason)
    [(name, pause)] = world.pending()
    assert name == "send"
    assert 1 <= pause <= 5
    assert "Sending" in texts(world.initialize())
    world.outside.remove("POST", START)
    world.koji_starts()
    # So that a refused key is tried again.
    world.let_time_pass(minutes=1)
    world.run_jobs(delayed=True)
    assert world.interview().state == "sent"
    assert len(replies(world)) == 1


def test_a_start_is_repeated_with_the_same_reference_and_the_first_link_stays(world: World) -> None:
    world.intercom_knows_us()
    world.outside.post(START, body=httpx.ReadTimeout("slow"))
    world.koji_starts()
    world.outside.post(REPLY, status=429, headers={"X-RateLimit-Reset": "0"})
    tap(world)
    world.run_jobs(delayed=True)
    references = {
        start["respondent"]["metadata"]["interview_ref"] for start in world.calls("POST", "/start$")
    }
    assert references == {world.interview().id}
    assert world.interview().koji_link == KOJI_LINK
    world.intercom_takes("reply")
    world.run_jobs(delayed=True)
    assert world.interview().state == "sent"
    assert len(world.calls("POST", "/start$")) == 2, "what was started is not started again"


def test_what_is_not_known_of_the_customer_is_left_out_of_the_start(world: World) -> None:
    world.vendors_are_well()
    nobody = {"type": "contact", "id": CONTACT, "name": None, "email": None}
    world.initialize(contact=nobody)
    world.submit("send", contact=nobody)
    world.run_jobs()
    [start] = world.calls("POST", "/start$")
    assert set(start["respondent"]) == {"external_id", "metadata"}
    assert "respondent_email" not in start["respondent"]["metadata"]
    assert "<p>Hi,</p>" in replies(world)[0]["body"]


# Whose workspace, whose token


def test_nothing_is_done_with_the_token_of_another_workspace(world: World) -> None:
    world.intercom_knows_us(id_code="ws2")
    world.submit("send")
    world.run_jobs()
    interview = world.interview()
    assert (interview.state, interview.reason) == ("failed", "other_workspace")
    assert [call.request.url for call in world.outside.calls] == [f"{INTERCOM}/me"]
    assert "another workspace" in texts(world.initialize())


def test_a_token_that_is_exchanged_between_start_and_message_posts_nothing_elsewhere(world: World) -> None:
    world.intercom_knows_us()
    world.koji_starts()
    world.outside.post(REPLY, status=429)
    tap(world)
    assert world.interview().koji_link is not None
    world.outside.reset()
    world.intercom_knows_us(id_code="ws2")
    world.deploy(intercom_access_token="the token of ws2".replace(" ", "-"))
    world.run_jobs(delayed=True)
    interview = world.interview()
    assert (interview.state, interview.reason) == ("failed", "other_workspace")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_intercom_token_is_told_and_tried_again_until_the_time_is_up(
    world: World, status: int
) -> None:
    world.intercom_knows_us()
    world.koji_starts()
    world.outside.post(REPLY, status=status, json={"type": "error.list", "errors": []})
    tap(world)
    assert world.interview().state == "sending"
    assert "tell the person who set the app up" in texts(world.initialize())
    world.let_time_pass(minutes=16)
    world.run_jobs(delayed=True)
    assert_failed(world, "intercom_token_refused" if status == 401 else "intercom_scope_missing")
    assert len(replies(world)) == 1


def test_a_setting_that_went_missing_is_told_and_tried_again(world: World) -> None:
    world.vendors_are_well()
    world.initialize()
    world.submit("send")
    world.deploy(koji_api_key=None)
    world.run_jobs()
    assert (world.interview().state, world.interview().reason) == ("sending", "not_configured")
    world.deploy()
    world.run_jobs(delayed=True)
    assert world.interview().state == "sent"


# The message


@pytest.mark.parametrize("reset_in", [40, 600])
def test_after_429_intercom_is_left_alone_at_least_as_long_as_it_says(world: World, reset_in: int) -> None:
    world.intercom_knows_us()
    world.koji_starts()
    world.outside.post(REPLY, status=429, headers={"X-RateLimit-Reset": str(int(time.time()) + reset_in + 1)})
    tap(world)
    [(_, pause)] = world.pending()
    assert reset_in - 1 <= pause <= reset_in * 1.2 + 2
    assert world.run_jobs() == []
    world.outside.remove("POST", REPLY)
    world.intercom_takes("reply")
    world.run_jobs(delayed=True)
    assert world.interview().state == "sent"
    assert len(replies(world)) == 2


def test_a_wait_that_would_be_too_long_ends_when_the_sends_time_is_up(world: World) -> None:
    world.intercom_knows_us()
    world.koji_starts()
    world.outside.post(REPLY, status=429, headers={"X-RateLimit-Reset": str(int(time.time()) + 3500)})
    tap(world)
    [(_, pause)] = world.pending()
    assert 15 * 60 - 5 <= pause <= 15 * 60 + 5, "the rep is told in time, and not when Intercom is ready"
    world.let_time_pass(seconds=pause)
    world.run_jobs(delayed=True)
    assert len(replies(world)) == 1
    assert_failed(world, "rate_limited")


@pytest.mark.parametrize(
    "trouble",
    [{"body": httpx.ReadTimeout("slow")}, {"status": 500}, {"status": 503}, {"body": httpx.ReadError("cut")}],
)
def test_a_message_of_unknown_fate_that_is_found_is_not_sent_again(
    world: World, trouble: dict[str, Any]
) -> None:
    world.intercom_knows_us()
    world.koji_starts()
    world.outside.post(REPLY, **trouble)
    tap(world)
    assert world.interview().state == "sending"
    [(_, pause)] = world.pending()
    assert pause >= once.CLAIM_SECONDS
    # An attempt that comes too early only waits on.
    world.run_jobs(delayed=True)
    assert world.interview().reason == "being_verified"
    assert len(replies(world)) == 1
    assert world.calls("GET", "/conversations/") == []
    world.let_time_pass(seconds=OVER)
    token = world.interview().link_token
    # Intercom may give the address back in another form, and the HTML escaped.
    world.intercom_shows("<p>Hi</p>", f'<p><a href="https://other.example/i/{token}?utm=1&amp;a=b">x</a></p>')
    world.run_jobs(delayed=True)
    assert world.interview().state == "sent"
    assert len(replies(world)) == 1


def test_a_message_of_unknown_fate_that_is_surely_not_there_is_sent(world: World) -> None:
    world.intercom_knows_us()
    world.koji_starts()
    world.outside.post(REPLY, body=httpx.ReadTimeout("slow"))
    world.intercom_takes("reply")
    tap(world)
    world.let_time_pass(seconds=OVER)
    world.intercom_shows("<p>Something else</p>")
    world.run_jobs(delayed=True)
    assert world.interview().state == "sent"
    assert len(replies(world)) == 2


@pytest.mark.parametrize("how", ["too many parts", "conversation gone", "fewer parts than there are"])
def test_a_message_whose_fate_cannot_be_learnt_is_not_sent_again_by_itself(world: World, how: str) -> None:
    world.intercom_knows_us()
    world.koji_starts()
    world.outside.post(REPLY, body=httpx.ReadTimeout("slow"))
    tap(world)
    world.let_time_pass(seconds=OVER)
    if how == "too many parts":
        world.intercom_shows(*["<p>x</p>"] * 500, total=812)
    elif how == "conversation gone":
        world.outside.get(f"{INTERCOM}/conversations/{CONVERSATION}", status=404, json=NOT_FOUND)
    else:
        world.intercom_shows("<p>x</p>", total=2)
    world.run_jobs(delayed=True)
    assert world.interview().state == "unknown"
    assert (len(replies(world)), world.pending()) == (1, [])
    card = world.initialize()
    assert "could not find out whether the message reached" in texts(card)
    for way in ("send", "try_again", "send_again"):
        assert component(card, way) is None
    # If the customer opens the link, the message was there.
    world.get(f"/i/{world.interview().link_token}")
    assert world.interview().state == "opened"


def test_looking_for_a_message_is_tried_again_while_intercom_is_away_and_then_given_up_as_unknown(
    world: World,
) -> None:
    world.intercom_knows_us()
    world.koji_starts()
    world.outside.post(REPLY, body=httpx.ReadTimeout("slow"))
    world.outside.get(f"{INTERCOM}/conversations/{CONVERSATION}", status=503)
    tap(world)
    world.let_time_pass(seconds=OVER)
    world.run_jobs(delayed=True)
    assert (world.interview().state, world.interview().reason) == ("sending", "server_error")
    world.let_time_pass(minutes=20)
    world.run_jobs(delayed=True)
    assert world.interview().state == "sending", "the send's time is up, but the message may be there"
    world.let_time_pass(hours=2)
    world.run_jobs(delayed=True)
    assert world.interview().state == "unknown"
    assert (len(replies(world)), world.pending()) == (1, [])


@pytest.mark.parametrize("done", [False, True], ids=["fate unknown", "message made, not recorded"])
def test_a_message_that_may_be_there_is_never_called_not_sent(world: World, done: bool) -> None:
    world.intercom_knows_us()
    world.koji_starts()
    world.outside.post(REPLY, body=httpx.ReadTimeout("slow"))
    tap(world)
    if done:
        with store.writing(world.engine) as connection:
            now = store.now(connection)
            connection.execute(sa.update(outside_writes).values(claim=None, done_at=now))
    # Before it is looked for, Intercom takes our token no longer, and then the time is up.
    world.let_time_pass(days=2)
    world.outside.upsert("GET", f"{INTERCOM}/me", status=401)
    world.run_jobs(delayed=True)
    assert world.interview().state == ("sent" if done else "unknown")
    assert NOTHING_RECEIVED not in texts(world.initialize())


@pytest.mark.parametrize(
    ("status", "reason"), [(400, "intercom_refused"), (404, "not_found"), (422, "intercom_refused")]
)
def test_a_refused_message_is_given_up(world: World, status: int, reason: str) -> None:
    world.intercom_knows_us()
    world.koji_starts()
    world.outside.post(REPLY, status=status, json=NOT_FOUND)
    world.outside.get(f"{INTERCOM}/admins/{REP['id']}", json={"type": "admin", "id": REP["id"]})
    tap(world)
    assert len(replies(world)) == 1
    assert_failed(world, reason)


def test_for_a_rep_who_has_left_the_configured_admin_writes_and_the_card_says_so(world: World) -> None:
    world.intercom_knows_us()
    world.koji_starts()
    world.outside.post(
        REPLY, status=400, json={"type": "error.list", "errors": [{"code": "admin_not_found"}]}
    )
    world.outside.get(f"{INTERCOM}/admins/{REP['id']}", status=404, json=NOT_FOUND)
    world.intercom_takes("reply")
    tap(world)
    interview = world.interview()
    assert (interview.state, interview.written_as_id) == ("sent", OWN_ADMIN)
    assert [reply["admin_id"] for reply in replies(world)] == [REP["id"], OWN_ADMIN]
    assert "no longer in this workspace" in texts(world.initialize())


def test_whether_the_rep_has_left_is_asked_again_when_intercom_does_not_tell(world: World) -> None:
    world.intercom_knows_us()
    world.koji_starts()
    world.outside.post(REPLY, status=400, json=NOT_FOUND)
    world.outside.post(REPLY, status=400, json=NOT_FOUND)
    world.intercom_takes("reply")
    world.outside.get(f"{INTERCOM}/admins/{REP['id']}", status=503)
    world.outside.get(f"{INTERCOM}/admins/{REP['id']}", status=404, json=NOT_FOUND)
    tap(world)
    assert world.interview().state == "sending"
    world.run_jobs(delayed=True)
    assert world.interview().state == "sent"
    assert world.interview().written_as_id == OWN_ADMIN


def test_without_a_rep_the_configured_admin_writes(world: World) -> None:
    world.vendors_are_well()
    world.initialize()
    world.submit("send", admin=None)
    world.run_jobs()
    assert [reply["admin_id"] for reply in replies(world)] == [OWN_ADMIN]
    assert world.interview().written_as_id is None


# Time


def test_a_send_that_comes_too_late_is_given_up_without_a_call(world: World) -> None:
    world.initialize()
    world.submit("send")
    world.let_time_pass(minutes=16)
    world.run_jobs()
    assert len(world.outside.calls) == 0
    assert_failed(world, "too_late")


def test_a_customer_who_is_quicker_than_our_books_has_opened_it(world: World) -> None:
    world.vendors_are_well()
    world.initialize()
    world.submit("send")

    def opens(_request: Any) -> tuple[int, dict[str, str], str]:
        assert world.get(f"/i/{world.interview().link_token}").status_code == 302
        return 200, {}, "{}"

    world.outside.remove("POST", REPLY)
    world.outside.add_callback("POST", REPLY, callback=opens)
    world.run_jobs()
    interview = world.interview()
    assert interview.state == "opened"
    assert interview.sent_at is not None


def test_an_interview_that_is_answered_before_it_is_recorded_as_sent_stays_answered(world: World) -> None:
    world.vendors_are_well()
    world.initialize()
    world.submit("send")
    world.set_interview(state="completed")
    assert world.run_jobs() == ["send"]
    assert world.interview().state == "completed"
    assert len(world.outside.calls) == 0


def test_a_fault_of_ours_is_tried_again_and_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.vendors_are_well()
    world.faults_wanted = True
    world.initialize()
    world.submit("send")
    with monkeypatch.context() as broken:
        broken.setattr("canvas_app.interviews.wording.invitation", lambda **_: 1 / 0)
        world.run_jobs()
    assert (world.interview().state, world.interview().reason) == ("sending", "internal_error")
    world.run_jobs(delayed=True)
    assert world.interview().state == "sent"


def test_who_is_asked_anonymously_is_not_named_to_koji(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "default_study", property(anonymous_study))
    world.vendors_are_well()
    tap(world)
    world.run_jobs()
    [start] = world.calls("POST", "/start$")
    assert set(start["respondent"]) == {"external_id", "metadata"}
    assert "respondent_email" not in start["respondent"]["metadata"]
    # The message is the rep's, who knows who it is.
    assert "<p>Hi Mia,</p>" in replies(world)[0]["body"]
