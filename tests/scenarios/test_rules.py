"""Something happens in Intercom, and an interview goes out by itself, or the record says why not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews import options, studies
from canvas_app.interviews.tables import decisions, deliveries, interviews, theme_tags
from canvas_app.settings import Study
from tests.interviews.asks import write
from tests.interviews.test_delivering import HOME, intercom_takes_message
from tests.support.events import (
    BOT,
    BY_CONTACT,
    add_rule,
    all_is_well,
    closed,
    contact_tagged,
    conversation,
    decided,
    happens,
    intercom_has_contact,
    intercom_has_conversation,
    messages,
    notification,
    part,
    part_tagged,
    rated,
    rating,
    tag_list,
)
from tests.support.world import (
    CONTACT,
    CONVERSATION,
    INTERCOM,
    KOJI,
    OWN_ADMIN,
    PUBLIC_URL,
    WORKSPACE,
    World,
)

TAGGED = {"event": "contact.tag.created", "conditions": {"tag": "onboarded"}}


def asked(world: World, rule: str = "closed") -> None:
    """It went out, once, in the conversation; and the record says so."""
    assert decided(world)[-1] == (rule, "asked", None)
    assert world.interview().state == "sent"
    assert len(messages(world)) == 1


def not_asked(world: World, reason: str, rule: str = "closed") -> None:
    """Nothing went out, nothing waits, and the record says why."""
    assert decided(world)[-1] == (rule, "skipped", reason)
    assert messages(world) == []
    assert world.calls("POST", "/interviews/start") == []
    assert world.pending() == []


def deliveries_of(world: World) -> list[tuple[str, str | None, Any]]:
    with store.reading(world.engine) as connection:
        rows = connection.execute(sa.select(deliveries).order_by(deliveries.c.received_at))
        return [(row.state, row.reason, row.content) for row in rows]


# Topics, on both databases


def test_a_conversation_is_closed(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    happens(world, closed())
    asked(world)
    interview = world.interview()
    assert (interview.origin, interview.rule, interview.deliver) == ("rule", "closed", "conversation")
    assert (interview.contact_id, interview.conversation_id) == (CONTACT, CONVERSATION)
    assert (interview.contact_name, interview.contact_email) == ("Mia Chen", "mia@example.com")
    assert (interview.language, interview.contact_role, interview.credits) == ("de", "user", 1)
    [message] = messages(world)
    assert message["admin_id"] == OWN_ADMIN
    # It was closed, so it is closed again, and what was kept of the event is gone.
    assert interview.closed_again_at is None
    assert deliveries_of(world) == [("done", "asked", None)]


def test_a_conversation_is_rated(world: World) -> None:
    add_rule(world, "low", event="conversation.rating.added", conditions={"rating_at_most": 3})
    all_is_well(world)
    intercom_has_conversation(world, conversation_rating=rating(2))
    happens(world, rated(2))
    asked(world, "low")


@pytest.mark.parametrize("role", ["user", "lead"])
def test_a_contact_is_tagged(world: World, role: str) -> None:
    add_rule(world, "onboarded", **TAGGED)
    all_is_well(world)
    intercom_has_contact(world, "Onboarded", role=role)
    intercom_takes_message(world)
    happens(world, contact_tagged("Onboarded", role))
    assert decided(world) == [("onboarded", "asked", None)]
    # There is no conversation to speak in, so it is a new message.
    interview = world.interview()
    assert (interview.deliver, interview.conversation_id, interview.state) == ("message", HOME, "sent")
    [message] = world.calls("POST", "/messages$")
    assert message["to"] == {"type": role, "id": CONTACT}


def test_a_part_is_tagged(world: World) -> None:
    conditions = {"tag": ["churn risk"]}
    add_rule(world, "churn", event="conversation_part.tag.created", conditions=conditions)
    all_is_well(world)
    happens(world, part_tagged("Churn Risk"))
    asked(world, "churn")


def test_the_same_notification_twice_asks_once(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    event = closed()
    happens(world, event)
    assert world.intercom_event(event | {"delivery_attempts": 2}).get_json() == {"status": "seen_before"}
    world.run_jobs()
    asked(world)
    assert len(decided(world)) == 1


def test_other_topics_are_kept_and_ignored(world: World) -> None:
    add_rule(world)
    happens(world, notification("conversation.user.replied", conversation()))
    assert deliveries_of(world) == [("ignored", "unknown_topic", None)]


def test_without_a_rule_that_is_on_nothing_is_asked_of_anybody(world: World) -> None:
    add_rule(world, enabled=False)
    add_rule(world, "other", event="conversation.rating.added")
    happens(world, closed())
    assert deliveries_of(world) == [("ignored", "no_rule", None)]
    assert decided(world) == []


def test_an_event_of_another_workspace_is_none_of_our_business(world: World) -> None:
    add_rule(world)
    world.intercom_knows_us()
    happens(world, closed() | {"app_id": "ws2"})
    assert deliveries_of(world) == [("ignored", "other_workspace", None)]


def test_an_event_that_names_nobody_has_the_conversation_asked(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    happens(world, notification("conversation.admin.closed", conversation(part("close"), contacts=())))
    asked(world)


def test_nobody_in_it_at_all(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    intercom_has_conversation(world, contacts=())
    happens(world, notification("conversation.admin.closed", conversation(contacts=())))
    assert deliveries_of(world) == [("ignored", "nobody_named", None)]


def test_nothing_that_was_said_is_kept_anywhere(world: World) -> None:
    add_rule(world)
    item = conversation(part("close", body="planted words"), source={"body": "planted words"})
    world.intercom_event(notification("conversation.admin.closed", item))
    [(_, _, content)] = deliveries_of(world)
    assert content["contact_ids"] == [CONTACT]
    assert "planted" not in repr(content)


# Conditions


@pytest.mark.parametrize(
    ("value", "at_most", "reason"),
    [(3, 3, None), (1, 3, None), (4, 3, "rating_too_good"), (None, 3, "rating_unknown")],
)
def test_the_rating(sqlite_world: World, value: int | None, at_most: int, reason: str | None) -> None:
    world = sqlite_world
    conditions = {"rating_at_most": at_most}
    add_rule(world, "low", event="conversation.rating.added", conditions=conditions)
    all_is_well(world)
    intercom_has_conversation(world, conversation_rating=rating(value))
    happens(world, rated(value))
    asked(world, "low") if reason is None else not_asked(world, reason, "low")


def test_the_rating_that_stands_there_now_counts(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world, "low", event="conversation.rating.added", conditions={"rating_at_most": 3})
    all_is_well(world)
    intercom_has_conversation(world, conversation_rating=rating(5))
    happens(world, rated(2))
    not_asked(world, "rating_too_good", "low")


@pytest.mark.parametrize(
    ("on_contact", "on_conversation", "conditions", "reason"),
    [
        (["vip"], [], {"tag": "VIP"}, None),
        ([], ["vip"], {"tag": ["vip", "gold"]}, None),
        (["silver"], ["bronze"], {"tag": ["vip", "gold"]}, "tag_missing"),
        ([], [], {"tag": "vip"}, "tag_missing"),
        ([], [], {"tag_not": "vip"}, None),
        (["VIP"], [], {"tag_not": "vip"}, "tag_present"),
        ([], ["vip"], {"tag_not": ["gold", "vip"]}, "tag_present"),
    ],
)
def test_tags(
    sqlite_world: World,
    on_contact: list[str],
    on_conversation: list[str],
    conditions: dict[str, Any],
    reason: str | None,
) -> None:
    world = sqlite_world
    add_rule(world, conditions=conditions)
    all_is_well(world)
    intercom_has_contact(world, *on_contact)
    intercom_has_conversation(world, tags=tag_list(*on_conversation))
    happens(world, closed())
    asked(world) if reason is None else not_asked(world, reason)


def test_a_rule_about_a_tag_is_about_the_one_that_was_just_put_on(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world, "onboarded", **TAGGED)
    all_is_well(world)
    intercom_has_contact(world, "onboarded", "newsletter")
    happens(world, contact_tagged("newsletter"))
    not_asked(world, "tag_missing", "onboarded")


@pytest.mark.parametrize(("role", "reason"), [("lead", None), ("user", "other_role"), (None, "other_role")])
def test_the_role(sqlite_world: World, role: str | None, reason: str | None) -> None:
    world = sqlite_world
    add_rule(world, conditions={"role": "lead"})
    all_is_well(world)
    intercom_has_contact(world, role=role)
    happens(world, closed())
    asked(world) if reason is None else not_asked(world, reason)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (closed(), None),
        (closed(by=BOT), "not_closed_by_person"),
        (closed(app_package_code="another-app"), "not_closed_by_person"),
    ],
    ids=["person", "bot", "program"],
)
def test_closed_by_a_person(sqlite_world: World, event: dict[str, Any], reason: str | None) -> None:
    world = sqlite_world
    add_rule(world, conditions={"closed_by_person": True})
    all_is_well(world)
    happens(world, event)
    asked(world) if reason is None else not_asked(world, reason)


def test_who_closed_it_is_asked_where_the_event_does_not_tell(sqlite_world: World) -> None:
    world = sqlite_world
    conditions = {"closed_by_person": True}
    add_rule(world, "low", event="conversation.rating.added", conditions=conditions)
    all_is_well(world)
    intercom_has_conversation(world, part("close", created_at=1), part("close", author=BOT, created_at=2))
    happens(world, rated(1))
    not_asked(world, "not_closed_by_person", "low")


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ({"customer_parts_at_least": 3}, None),
        ({"customer_parts_at_least": 4}, "too_short"),
        ({"characters_at_least": 72}, None),
        ({"characters_at_least": 73}, "too_short"),
    ],
)
def test_long_enough(sqlite_world: World, conditions: dict[str, Any], reason: str | None) -> None:
    world = sqlite_world
    add_rule(world, conditions=conditions)
    all_is_well(world)
    # The first message has 57 characters. Markup, notes, teammates and bots do not count.
    intercom_has_conversation(
        world,
        part(body="<p>Yes,&nbsp;it&#39;s</p>", author=BY_CONTACT),
        part(body="<b>ok</b> <img src='x'>now", author=BY_CONTACT),
        part(body="<p>We have restarted it for you.</p>"),
        part(body="<p>Are you still there?</p>", author=BOT),
        part("note", body="<p>Look at this.</p>", author=BY_CONTACT),
        part("close"),
    )
    happens(world, closed())
    asked(world) if reason is None else not_asked(world, reason)


# Limits


def add_interview(world: World, **changes: Any) -> str:
    from canvas_app.interviews import ledger

    with store.writing(world.engine) as connection:
        now = store.now(connection)
        id_ = ledger.new_id()
        values: dict[str, Any] = {
            "id": id_,
            "workspace_id": WORKSPACE,
            "contact_id": CONTACT,
            "study": "default",
            "origin": "card",
            "state": "written_back",
            "link_token": id_,
            "send_attempt": 1,
            "created_at": now,
            "state_since": now,
            "send_before": now,
        }
        connection.execute(sa.insert(interviews).values(**values | changes))
    return id_


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


def test_who_was_asked_not_long_ago_is_not_asked_again(world: World) -> None:
    world.deploy(ask_again_days=30)
    add_rule(world)
    all_is_well(world)
    add_interview(world, sent_at=ago(days=29), created_at=ago(days=29))
    happens(world, closed())
    not_asked(world, "asked_recently")
    # The ledger knew it: Intercom was asked who we are, and nothing else.
    assert [call.request.url for call in world.outside.calls] == [f"{INTERCOM}/me"]


def test_who_was_asked_long_ago_is_asked_again(sqlite_world: World) -> None:
    world = sqlite_world
    world.deploy(ask_again_days=30)
    add_rule(world)
    all_is_well(world)
    add_interview(world, sent_at=ago(days=31), created_at=ago(days=31))
    happens(world, closed())
    asked(world)


def test_in_one_conversation_one_is_asked_once(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    add_interview(world, conversation_id=CONVERSATION, contact_id="somebody_else", sent_at=ago(days=300))
    happens(world, closed())
    not_asked(world, "asked_in_conversation")


@pytest.mark.parametrize("state", ["failed", "skipped"])
def test_what_never_went_out_does_not_count(sqlite_world: World, state: str) -> None:
    world = sqlite_world
    world.deploy(ask_again_days=30)
    add_rule(world)
    all_is_well(world)
    add_interview(world, conversation_id=CONVERSATION, state=state)
    happens(world, closed())
    asked(world)


@pytest.mark.parametrize(
    ("tags", "changes", "reason"),
    [
        (["koji_do_not_ask"], {}, "do_not_ask"),
        (["Koji_Do_Not_Ask"], {}, "do_not_ask"),
        ([], {"unsubscribed_from_emails": True}, "unsubscribed"),
        ([], {"marked_email_as_spam": True}, "blocked"),
        ([], {"blocked": True}, "blocked"),
    ],
)
def test_who_does_not_want_to_be_asked_is_not(
    sqlite_world: World, tags: list[str], changes: dict[str, Any], reason: str
) -> None:
    world = sqlite_world
    add_rule(world)
    all_is_well(world)
    intercom_has_contact(world, *tags, **changes)
    happens(world, closed())
    not_asked(world, reason)


def test_the_tag_that_forbids_asking_may_stand_on_the_conversation_too(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world)
    all_is_well(world)
    intercom_has_conversation(world, tags=tag_list("koji_do_not_ask"))
    happens(world, closed())
    not_asked(world, "do_not_ask")


def test_in_a_group_nobody_is_asked_by_itself(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world)
    all_is_well(world)
    intercom_has_conversation(world, contacts=(CONTACT, "somebody_else"))
    happens(world, closed())
    not_asked(world, "group_conversation")


@pytest.mark.parametrize("state", ["queued", "sending", "sent", "opened", "unknown"])
def test_while_an_interview_is_open_no_other_is_asked_for(world: World, state: str) -> None:
    add_rule(world)
    all_is_well(world)
    add_interview(world, state=state, send_before=ago(days=-1), sent_at=ago(days=1))
    happens(world, closed())
    assert decided(world) == [("closed", "skipped", "open_interview")]
    assert messages(world) == []


def test_one_whose_time_is_over_is_in_nobody_s_way(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world)
    all_is_well(world)
    add_interview(world, state="sent", sent_at=ago(days=15), created_at=ago(days=15))
    happens(world, closed())
    asked(world)


def test_while_one_is_planned_no_other_is_asked_for(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    add_interview(world, state="planned", not_before=ago(days=-3))
    happens(world, closed())
    not_asked(world, "planned_interview")


def test_of_a_share_the_same_contacts_are_asked_each_time(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world, limits={"share": 50})
    all_is_well(world)
    reasons: dict[str, set[str | None]] = {}
    for contact_id in [f"person{number}" for number in range(20)]:
        intercom_has_contact(world, contact_id=contact_id)
        intercom_has_conversation(world, part("close"), contacts=(contact_id,))
        for _ in range(2):
            event = notification(
                "conversation.admin.closed", conversation(part("close"), contacts=(contact_id,))
            )
            happens(world, event)
            reasons.setdefault(contact_id, set()).add(decided(world)[-1][2])
            with store.writing(world.engine) as connection:
                connection.execute(sa.update(interviews).values(state="failed", sent_at=None))
    assert all(len(found) == 1 for found in reasons.values())
    drawn = sum(found == {None} for found in reasons.values())
    assert 5 <= drawn <= 15


def test_a_week_s_interviews(world: World) -> None:
    add_rule(world, limits={"interviews_per_week": 2})
    all_is_well(world)
    for number, state in enumerate(["sent", "planned", "failed", "skipped"]):
        add_interview(
            world,
            contact_id=f"c{number}",
            rule="closed",
            state=state,
            created_at=ago(days=6),
            not_before=ago(hours=1) if state == "planned" else None,
        )
    happens(world, closed())
    not_asked(world, "week_full")
    with store.writing(world.engine) as connection:
        connection.execute(
            sa.update(interviews).where(interviews.c.contact_id == "c0").values(created_at=ago(days=8))
        )
    happens(world, closed())
    asked(world)


def test_a_week_s_credits(world: World) -> None:
    add_rule(world, study="voice", limits={"credits_per_week": 8})
    all_is_well(world)
    with store.writing(world.engine) as connection:
        studies.save(connection, world.settings, make_study(mode="voice"))
    for number in range(2):
        add_interview(world, contact_id=f"c{number}", rule="closed", credits=3)
    happens(world, closed())
    not_asked(world, "credits_used")
    with store.reading(world.engine) as connection:
        [row] = connection.execute(sa.select(decisions)).all()
    assert row.detail == "6 of 8 in seven days, and one costs 3"


def test_another_rule_s_interviews_do_not_count(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world, limits={"interviews_per_week": 1})
    all_is_well(world)
    add_interview(world, contact_id="c1", rule="another")
    add_interview(world, contact_id="c2", origin="card")
    happens(world, closed())
    asked(world)


# What we did ourselves


def test_our_own_closing_is_not_reacted_to(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    happens(world, closed())
    asked(world)
    for event in (
        closed(by={"type": "admin", "id": OWN_ADMIN}, app_package_code="koji"),
        # Payloads of an older version do not tell what a program has made.
        closed(by={"type": "admin", "id": OWN_ADMIN}),
    ):
        happens(world, event)
        assert decided(world)[-1] == ("closed", "skipped", "own_closing")
    assert len(messages(world)) == 1


def test_what_happens_to_our_own_message_is_not_reacted_to(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world, "churn", event="conversation_part.tag.created", conditions={"tag": "churn"})
    all_is_well(world)
    item = part(body=f"Start: {PUBLIC_URL}/i/token", conversation_id=CONVERSATION, author=BY_CONTACT)
    event = notification("conversation_part.tag.created", item | {"tags": tag_list("churn")["tags"]})
    happens(world, event)
    not_asked(world, "own_message", "churn")


@pytest.mark.parametrize("name", ["koji_negative_sentiment", "koji_pricing_friction"])
def test_tags_that_we_put_on_are_not_reacted_to(sqlite_world: World, name: str) -> None:
    world = sqlite_world
    add_rule(world, "tagged", event="contact.tag.created", conditions={"tag": name})
    all_is_well(world)
    with store.writing(world.engine) as connection:
        connection.execute(sa.insert(theme_tags).values(slug="pricing_friction"))
    happens(world, contact_tagged(name))
    not_asked(world, "own_tag", "tagged")


def test_a_tag_by_a_name_that_operators_have_chosen_is_our_own_too(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world, "tagged", event="contact.tag.created", conditions={"tag": "Call them"})
    all_is_well(world)
    with store.writing(world.engine) as connection:
        options.write(connection, options.WRITE_BACK, {"tags": {"negative": "Call Them"}})
    happens(world, contact_tagged("Call them"))
    not_asked(world, "own_tag", "tagged")


def test_a_tag_that_we_have_put_on_stays_our_own_when_another_name_is_chosen(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world, "tagged", event="contact.tag.created", conditions={"tag": "Call them"})
    all_is_well(world)
    write(world.engine, workspace_id=WORKSPACE, state="failed", contact_tags={"81": "Call them"})
    happens(world, contact_tagged("Call them"))
    not_asked(world, "own_tag", "tagged")


@pytest.mark.parametrize(
    ("browser", "language"), [("pt_br", "pt-BR"), ("de\0", None), ("planted words " * 9, None)]
)
def test_of_a_language_is_kept_what_is_one(world: World, browser: str, language: str | None) -> None:
    # What a browser says it speaks, whoever sits before it decides.
    add_rule(world)
    all_is_well(world)
    intercom_has_contact(world, browser_language=browser)
    happens(world, closed())
    asked(world)
    assert world.interview().language == language


def test_a_contact_without_a_name_and_an_address_is_asked(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    intercom_has_contact(world, name=None, email=None, role="lead")
    happens(world, closed())
    asked(world)
    assert (world.interview().contact_name, world.interview().contact_email) == (None, None)


# Several rules, repeated jobs, and what goes wrong


def test_the_first_rule_that_says_yes_asks(world: World) -> None:
    add_rule(world, "first", conditions={"role": "lead"})
    add_rule(world, "second")
    add_rule(world, "third")
    all_is_well(world)
    happens(world, closed())
    assert sorted(decided(world)) == [
        ("first", "skipped", "other_role"),
        ("second", "asked", None),
        ("third", "skipped", "another_rule"),
    ]
    assert len(messages(world)) == 1


def test_a_job_that_is_repeated_decides_nothing_anew(world: World) -> None:
    from canvas_app.interviews import triggers

    add_rule(world, "first", conditions={"role": "lead"})
    add_rule(world, "second")
    add_rule(world, "third")
    all_is_well(world)
    world.intercom_event(closed())
    _, args = world._take_job(delayed=False) or ("", [])
    for _ in range(3):
        triggers.decide(world.services, args[0])
    assert sorted(decided(world)) == [
        ("first", "skipped", "other_role"),
        ("second", "asked", None),
        ("third", "skipped", "another_rule"),
    ]
    assert world.count(interviews) == 1


def test_a_study_that_is_off_or_gone_asks_nobody(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world, study="voice")
    all_is_well(world)
    happens(world, closed())
    not_asked(world, "study_off")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (f"/contacts/{CONTACT}", "contact_gone"),
        (f"/conversations/{CONVERSATION}", "conversation_missing"),
    ],
)
def test_what_is_not_there_any_more(sqlite_world: World, address: str, reason: str) -> None:
    world = sqlite_world
    add_rule(world)
    all_is_well(world)
    error = {"type": "error.list", "errors": [{"code": "not_found", "message": "Not found"}]}
    world.outside.upsert("GET", INTERCOM + address, status=404, json=error)
    happens(world, closed())
    not_asked(world, reason)


def test_a_contact_that_was_merged_is_asked_as_the_one_it_lives_on_in(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world)
    all_is_well(world)
    link = {"Link": '</contacts/living>; rel="canonical"'}
    world.outside.upsert("GET", f"{INTERCOM}/contacts/{CONTACT}", status=410, json={}, headers=link)
    intercom_has_contact(world, contact_id="living")
    happens(world, closed())
    asked(world)
    assert world.interview().contact_id == "living"


def test_what_intercom_cannot_answer_now_is_asked_again(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    address = f"{INTERCOM}/contacts/{CONTACT}"
    world.outside.upsert("GET", address, status=503, json={})
    happens(world, closed())
    assert decided(world) == []
    assert world.pending() == [("react", 5.0)]
    intercom_has_contact(world)
    world.run_jobs(delayed=True)
    asked(world)


def test_what_intercom_never_answers_is_given_up_in_the_end(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world)
    all_is_well(world)
    world.outside.upsert("GET", f"{INTERCOM}/contacts/{CONTACT}", status=503, json={})
    happens(world, closed())
    for _ in range(20):
        world.run_jobs(delayed=True)
    [(state, reason, _)] = deliveries_of(world)
    assert (state, reason) == ("failed", "server_error")
    assert decided(world) == [("closed", "skipped", "not_decided")]
    assert world.pending() == []


def test_what_could_not_be_decided_about_for_a_day_asks_nobody(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    address = f"{INTERCOM}/contacts/{CONTACT}"
    world.outside.upsert("GET", address, status=503, json={})
    happens(world, closed())
    world.let_time_pass(hours=24, minutes=1)
    intercom_has_contact(world)
    world.run_jobs(delayed=True)
    assert decided(world) == [("closed", "skipped", "event_too_old")]
    assert world.count(interviews) == 0


def test_a_delay_counts_from_when_the_event_came_in(world: World) -> None:
    add_rule(world, delay="12 hours")
    all_is_well(world)
    address = f"{INTERCOM}/contacts/{CONTACT}"
    world.outside.upsert("GET", address, status=503, json={})
    happens(world, closed())
    world.let_time_pass(hours=10)
    intercom_has_contact(world)
    world.run_jobs(delayed=True)
    interview = world.interview()
    assert interview.not_before is not None
    assert interview.not_before - interview.created_at < timedelta(hours=2, seconds=1)


def test_without_a_token_that_is_taken_it_waits_for_one(sqlite_world: World) -> None:
    world = sqlite_world
    add_rule(world)
    world.outside.get(f"{INTERCOM}/me", status=401, json={})
    happens(world, closed())
    for _ in range(20):
        world.run_jobs(delayed=True)
    assert [name for name, _ in world.pending()] == ["react"]
    assert deliveries_of(world)[0][0] == "stored"


def test_an_event_that_no_job_is_at_is_taken_up_by_the_clock(world: World) -> None:
    add_rule(world)
    all_is_well(world)
    world.intercom_event(closed())
    world._take_job(delayed=False)
    world.tick("reconcile")
    assert world.pending() == []
    world.let_time_pass(minutes=11)
    world.tick("reconcile")
    world.run_jobs()
    asked(world)


def test_a_fault_of_ours_loses_nothing(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = sqlite_world
    add_rule(world)
    all_is_well(world)
    world.faults_wanted = True
    broken: Callable[..., Any] = lambda *_: 1 / 0  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr("canvas_app.interviews.people.look", broken)
        happens(world, closed())
    assert world.pending() == [("react", 5.0)]
    world.run_jobs(delayed=True)
    asked(world)


def make_study(**changes: Any) -> Study:
    values: dict[str, Any] = {
        "slug": "voice",
        "name": "Voice",
        "api_key": "pk_other",
        "link_template": None,
    }
    return Study(**(values | changes))


def test_a_rule_asks_with_its_own_study(world: World) -> None:
    add_rule(world, study="voice")
    all_is_well(world)
    with store.writing(world.engine) as connection:
        studies.save(connection, world.settings, make_study(mode="voice"))
    happens(world, closed())
    asked(world)
    assert (world.interview().study, world.interview().credits) == ("voice", 3)
    [call] = [call for call in world.outside.calls if str(call.request.url).startswith(KOJI)]
    assert call.request.headers["Authorization"] == "Bearer pk_other"
