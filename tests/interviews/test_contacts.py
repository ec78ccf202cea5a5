"""Finding out who an interview of the API is for, before anything starts."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from canvas_app import store
from canvas_app.intercom.models import Contact
from canvas_app.interviews import contacts, ledger
from canvas_app.interviews.requested import Requested, request
from canvas_app.interviews.tables import interviews
from tests.interviews.asks import make_ask
from tests.support.world import CONTACT, INTERCOM, KOJI, WORKSPACE, World

EMAIL = "mia@example.com"
SEARCH = f"{INTERCOM}/contacts/search"


def person(id_: str = CONTACT, **changes: Any) -> dict[str, Any]:
    return {
        "type": "contact",
        "id": id_,
        "role": "user",
        "email": EMAIL,
        "name": "Mia Chen",
        "created_at": 1_700_000_000,
        "tags": {"type": "list", "data": [], "total_count": 0},
        **changes,
    }


def found(world: World, *people: dict[str, Any]) -> None:
    """Intercom's search finds these people, who can be read as well."""
    for one in people:
        world.outside.upsert("GET", f"{INTERCOM}/contacts/{one['id']}", json=one)
    world.outside.upsert(
        "POST", SEARCH, json={"type": "list", "data": list(people), "total_count": len(people)}
    )
    for one in people:
        # Who is found is asked about once more, right before anything is sent.
        world.outside.upsert("GET", f"{INTERCOM}/contacts/{one['id']}", json=one)


def ask(world: World, **changes: Any) -> None:
    values: dict[str, Any] = {
        "contact_id": None,
        "email": EMAIL,
        "conversation_id": None,
        "study": "default",
        "deliver": "none",
    }
    request(world.engine, world.services.jobs, world.settings, WORKSPACE, Requested(**values | changes), None)


def starts(world: World) -> list[dict[str, Any]]:
    return world.calls("POST", "/start$")


@pytest.fixture
def ready(world: World) -> World:
    """A world whose Intercom and Koji answer; on both databases."""
    world.vendors_are_well()
    return world


def test_the_contact_with_the_address_is_found_and_written_down(ready: World) -> None:
    found(ready, person())
    ask(ready)
    ready.run_jobs()
    interview = ready.interview()
    assert (interview.state, interview.contact_id) == ("sent", CONTACT)
    assert (interview.contact_name, interview.contact_email, interview.contact_role) == (
        "Mia Chen",
        EMAIL,
        "user",
    )
    [search] = ready.calls("POST", "/contacts/search$")
    assert search["query"] == {"field": "email", "operator": "=", "value": EMAIL}
    [start] = starts(ready)
    assert start["respondent"]["external_id"] == CONTACT
    assert start["respondent"]["display_name"] == "Mia Chen"
    assert start["respondent"]["metadata"]["respondent_email"] == EMAIL


@pytest.mark.parametrize(
    ("people", "chosen"),
    [
        ([("a", "user", EMAIL)], "a"),
        ([("a", "lead", EMAIL), ("b", "user", EMAIL), ("c", "user", EMAIL)], "b"),
        ([("a", "lead", EMAIL), ("b", "lead", EMAIL)], "a"),
        ([("a", "user", "other@example.com"), ("b", "lead", "MIA@Example.com")], "b"),
        ([("a", None, EMAIL)], "a"),
        ([("a", "user", None)], None),
        ([], None),
    ],
)
def test_of_several_the_newest_user_and_then_the_newest_lead(
    people: list[tuple[str, str | None, str | None]], chosen: str | None
) -> None:
    listed = [Contact(id=id_, role=role, email=email) for id_, role, email in people]
    contact = contacts.chosen(listed, EMAIL)
    assert (contact.id if contact else None) == chosen


def test_the_search_is_read_newest_first(sqlite_world: World) -> None:
    found(sqlite_world, person("old", created_at=1), person("new", created_at=3), person("mid", created_at=2))
    listed = sqlite_world.services.intercom.search_contacts_by_email(EMAIL)
    assert [contact.id for contact in listed] == ["new", "mid", "old"]


def test_somebody_who_is_not_found_yet_is_looked_for_ever_more_rarely_for_a_day(sqlite_world: World) -> None:
    world = sqlite_world
    world.vendors_are_well()
    found(world)
    ask(world)
    world.run_jobs()
    assert (world.interview().state, world.interview().reason) == ("sending", "contact_not_found")
    pauses = []
    while world.interview().state == "sending":
        [(_, pause)] = world.pending()
        pauses.append(pause)
        world.let_time_pass(seconds=pause)
        world.run_jobs(delayed=True)
    assert (world.interview().state, world.interview().reason) == ("failed", "contact_not_found")
    assert world.pending() == []
    assert pauses == sorted(pauses) or pauses[-1] < 3600, "the last one ends with the time"
    assert max(pauses) <= 3600
    assert 86_000 < sum(pauses) < 90_000
    assert len(pauses) < 60
    assert starts(world) == []


def test_somebody_who_is_found_at_last_is_asked(sqlite_world: World) -> None:
    world = sqlite_world
    world.vendors_are_well()
    found(world)
    ask(world)
    world.run_jobs()
    found(world, person())
    world.run_jobs(delayed=True)
    assert world.interview().state == "sent"


def test_one_who_has_an_open_interview_is_not_asked(ready: World) -> None:
    found(ready, person())
    ask(ready)
    with store.writing(ready.engine) as connection:
        now = store.now(connection)
        ledger.create(
            connection,
            make_ask(),
            id_="other",
            link_token="t",
            public_url=None,
            now=now,
            send_before=now,
        )
        ours = ledger.newest(connection, interviews.c.origin == "api", by=interviews.c.created_at)
    assert ours is not None
    ready.run_jobs()
    with store.reading(ready.engine) as connection:
        after = ledger.existing(connection, ours.id)
        other = ledger.existing(connection, "other")
    assert (after.state, after.reason) == ("skipped", "open_interview")
    assert contacts.is_placeholder(after.contact_id), "nothing of the contact's is tied to it"
    assert other.state == "queued"
    assert (starts(ready), ready.pending()) == ([], [])


def test_one_whose_open_interview_was_not_answered_in_time_is_asked(ready: World) -> None:
    found(ready, person())
    ask(ready, email=None, contact_id=CONTACT)
    ready.set_interview(state="sent", sent_at=ready.interview().created_at)
    ready.let_time_pass(days=15)
    ask(ready)
    ready.run_jobs()
    assert ready.interview().state == "sent"
    assert ready.interview().contact_id == CONTACT


def test_one_who_was_asked_recently_is_not_asked(sqlite_world: World) -> None:
    world = sqlite_world
    world.deploy(ask_again_days=30)
    world.vendors_are_well()
    found(world, person())
    ask(world, email=None, contact_id=CONTACT)
    world.set_interview(state="cancelled", sent_at=world.interview().created_at)
    world.run_jobs()
    ask(world)
    world.run_jobs()
    assert (world.interview().state, world.interview().reason) == ("skipped", "asked_recently")
    assert starts(world) == []


def test_what_is_planned_for_them_gives_way(sqlite_world: World) -> None:
    world = sqlite_world
    world.vendors_are_well()
    found(world, person())
    ask(world, email=None, contact_id=CONTACT, delay=timedelta(days=3))
    planned = world.interview()
    ask(world)
    world.run_jobs()
    with store.reading(world.engine) as connection:
        after = ledger.existing(connection, planned.id)
    assert (after.state, after.reason) == ("skipped", "replaced")


def test_two_addresses_of_one_contact_make_one_interview(ready: World) -> None:
    found(ready, person())
    ready.outside.post(
        SEARCH, json={"type": "list", "data": [person(email="m@example.com")], "total_count": 1}
    )
    ask(ready)
    ask(ready, email="m@example.com")
    ready.run_jobs()
    assert len(starts(ready)) == 1
    with store.reading(ready.engine) as connection:
        rows = connection.execute(interviews.select()).all()
    assert sorted((row.state, row.reason) for row in rows) == [
        ("sent", None),
        ("skipped", "open_interview"),
    ]


def test_a_planned_one_is_looked_up_when_its_time_has_come(sqlite_world: World) -> None:
    world = sqlite_world
    world.vendors_are_well()
    found(world, person())
    ask(world, delay=timedelta(hours=2))
    world.run_jobs(delayed=True)
    assert world.interview().state == "planned"
    assert world.calls("POST", "/contacts/search$") == []
    world.let_time_pass(hours=2)
    world.run_jobs(delayed=True)
    assert (world.interview().state, world.interview().contact_id) == ("sent", CONTACT)


class TestById:
    """Of a contact whose id was given, the name, the address and the role are not known yet."""

    def contact(self, world: World, id_: str = CONTACT, **answer: Any) -> None:
        world.outside.upsert("GET", f"{INTERCOM}/contacts/{id_}", **answer)

    def test_what_is_known_of_them_is_written_down(self, ready: World) -> None:
        self.contact(ready, json=person(role="lead", language_override="de"))
        ask(ready, email=None, contact_id=CONTACT)
        ready.run_jobs()
        interview = ready.interview()
        assert (interview.state, interview.contact_name, interview.contact_email, interview.contact_role) == (
            "sent",
            "Mia Chen",
            EMAIL,
            "lead",
        )
        assert interview.language == "de"
        [start] = starts(ready)
        assert start["respondent"]["display_name"] == "Mia Chen"

    def test_nobody_with_this_id_is_told(self, sqlite_world: World) -> None:
        sqlite_world.vendors_are_well()
        self.contact(sqlite_world, status=404, json={"type": "error.list", "errors": []})
        ask(sqlite_world, email=None, contact_id=CONTACT)
        sqlite_world.run_jobs()
        interview = sqlite_world.interview()
        assert (interview.state, interview.reason) == ("failed", "contact_not_found")
        assert starts(sqlite_world) == []

    def merged(self, world: World) -> None:
        self.contact(
            world,
            status=410,
            headers={"Link": f'<{INTERCOM}/contacts/other>; rel="canonical"'},
            json={"type": "error.list", "errors": [{"code": "contact_merged", "message": "x"}]},
        )
        self.contact(world, "other", json=person("other"))

    def test_one_who_was_merged_is_followed(self, ready: World) -> None:
        self.merged(ready)
        ask(ready, email=None, contact_id=CONTACT)
        ready.run_jobs()
        assert (ready.interview().state, ready.interview().contact_id) == ("sent", "other")
        [start] = starts(ready)
        assert start["respondent"]["external_id"] == "other"

    def test_unless_the_other_one_has_an_open_interview(self, ready: World) -> None:
        self.merged(ready)
        ask(ready, email=None, contact_id="other")
        ask(ready, email=None, contact_id=CONTACT)
        ready.run_jobs()
        with store.reading(ready.engine) as connection:
            rows = connection.execute(interviews.select()).all()
        assert {row.contact_id: (row.state, row.reason) for row in rows} == {
            "other": ("sent", None),
            CONTACT: ("skipped", "open_interview"),
        }

    @pytest.mark.parametrize("status", [429, 503])
    def test_intercom_may_be_busy(self, sqlite_world: World, status: int) -> None:
        sqlite_world.vendors_are_well()
        self.contact(sqlite_world, status=status)
        ask(sqlite_world, email=None, contact_id=CONTACT)
        sqlite_world.run_jobs()
        assert sqlite_world.interview().state == "sending"
        self.contact(sqlite_world, json=person())
        sqlite_world.let_time_pass(minutes=1)
        sqlite_world.run_jobs(delayed=True)
        assert sqlite_world.interview().state == "sent"


def test_a_rep_who_taps_has_told_all_that_is_needed(sqlite_world: World) -> None:
    sqlite_world.send()
    assert not [call for call in sqlite_world.outside.calls if re.search("/contacts/", str(call.request.url))]
    assert len(sqlite_world.calls("POST", re.escape(KOJI))) == 1


class TestWhoIsNotToBeAsked:
    """The limits that only Intercom knows are looked at when it is known who it is."""

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"unsubscribed_from_emails": True}, "unsubscribed"),
            ({"marked_email_as_spam": True}, "blocked"),
            ({"tags": {"type": "list", "data": [{"id": "5"}], "total_count": 1}}, "do_not_ask"),
        ],
    )
    @pytest.mark.parametrize("by", ["id", "address"])
    def test_nothing_starts_and_nothing_is_sent(
        self, sqlite_world: World, by: str, changes: dict[str, Any], reason: str
    ) -> None:
        world = sqlite_world
        world.vendors_are_well()
        found(world, person(**changes))
        tags = [{"type": "tag", "id": "5", "name": "koji_do_not_ask"}]
        world.outside.get(f"{INTERCOM}/contacts/{CONTACT}/tags", json={"type": "list", "data": tags})
        if by == "id":
            ask(world, email=None, contact_id=CONTACT, deliver="message")
        else:
            ask(world, deliver="message")
        world.run_jobs()
        interview = world.interview()
        assert (interview.state, interview.reason) == ("skipped", reason)
        assert (starts(world), world.calls("POST", "/messages$"), world.pending()) == ([], [], [])
