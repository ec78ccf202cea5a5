"""Each way of delivery from the request to the result, and what may come in between."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from canvas_app import store
from canvas_app.canvas import reasons
from canvas_app.interviews import jobs, ledger, once, send
from tests.api.caller import Caller, connected
from tests.interviews.results import receive
from tests.interviews.test_delivering import HOME, begun, found, intercom_takes_message, messages
from tests.interviews.test_link_clearing import READY, URL
from tests.support.events import intercom_has_conversation, tag_list
from tests.support.world import CONTACT, CONVERSATION, INTERCOM, KOJI_LINK, OWN_ADMIN, PUBLIC_URL, World

CONTACT_URL = f"{INTERCOM}/contacts/{CONTACT}"


class Contact:
    """The contact as Intercom keeps it: what is written to their attributes is read from them."""

    def __init__(self, world: World) -> None:
        self.attributes: dict[str, Any] = {}
        self.unsubscribed = False
        # Every value that the two had, in order: the link, and since when.
        self.history: list[tuple[Any, Any]] = []
        world.outside.add_callback("GET", CONTACT_URL, self._get)
        world.outside.add_callback("PUT", CONTACT_URL, self._put)

    def _get(self, _request: Any) -> tuple[int, dict[str, str], str]:
        body = {
            "type": "contact",
            "id": CONTACT,
            "role": "user",
            "name": "Mia Chen",
            "email": "mia@example.com",
            "unsubscribed_from_emails": self.unsubscribed,
            "custom_attributes": self.attributes,
            "tags": {"type": "list", "data": [], "total_count": 0},
        }
        return 200, {"Content-Type": "application/json"}, json.dumps(body)

    def _put(self, request: Any) -> tuple[int, dict[str, str], str]:
        self.attributes |= json.loads(request.body)["custom_attributes"]
        now = (self.attributes.get(URL), self.attributes.get(READY))
        if not self.history or self.history[-1] != now:
            self.history.append(now)
        return self._get(request)

    @property
    def link(self) -> str | None:
        link: str | None = self.attributes.get(URL)
        return link

    def never_showed_a_wrong_link(self) -> bool:
        """Since when was never to be read without the link, which a Series would then have sent empty."""
        return all(url for url, ready in self.history if ready)


@pytest.fixture
def caller(world: World) -> Caller:
    caller = connected(world)
    world.koji_starts()
    return caller


@pytest.fixture
def mia(caller: Caller) -> Contact:
    return Contact(caller.world)


def status(caller: Caller) -> str:
    told: str = caller.status(caller.world.interview().id).get_json()["status"]
    return told


def test_a_reply_in_a_closed_conversation_goes_out_and_it_is_closed_again(
    caller: Caller, mia: Contact
) -> None:
    world = caller.world
    world.intercom_shows(state="closed")
    world.intercom_takes("reply")
    caller.ask(contact_id=CONTACT, conversation_id=CONVERSATION)
    world.outside.post(f"{INTERCOM}/conversations/{CONVERSATION}/parts", json={"id": CONVERSATION})
    job = world._take_job(delayed=False)
    assert job is not None
    jobs.send(world._call, world.services, *job[1])
    world.intercom_shows(f"<p>{world.interview().link_token}</p>", state="open")
    assert world.run_jobs() == ["close_again"]
    [reply] = world.calls("POST", "/reply$")
    assert (reply["message_type"], reply["admin_id"]) == ("comment", OWN_ADMIN)
    assert "Hi Mia" in reply["body"]
    assert status(caller) == "sent"
    assert len(world.calls("POST", "/parts$")) == 1


def test_a_personal_link_is_not_posted_in_a_conversation_of_somebody_else(
    caller: Caller, mia: Contact
) -> None:
    """A tool that mixes up two of its fields would send one customer's link, and name, to another."""
    world = caller.world
    reason = "conversation_of_another"
    intercom_has_conversation(world, contacts=("somebody-else",))
    caller.ask(contact_id=CONTACT, conversation_id=CONVERSATION)
    world.run_jobs()
    interview = world.interview()
    assert (interview.state, interview.reason) == ("failed", reason)
    assert world.calls("POST", "/reply$") == []
    assert reasons.in_words(reason) != f"The reason code is {reason}."


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        ({"contacts": (CONTACT, "another")}, "group_conversation"),
        ({"contacts": (CONTACT,), "tags": tag_list("Koji_do_not_ask")}, "do_not_ask"),
    ],
)
def test_a_conversation_that_others_read_or_that_says_no_gets_no_link(
    caller: Caller, mia: Contact, there: dict[str, Any], reason: str
) -> None:
    world = caller.world
    intercom_has_conversation(world, **there)
    caller.ask(contact_id=CONTACT, conversation_id=CONVERSATION)
    world.run_jobs()
    assert (world.interview().state, world.interview().reason) == ("skipped", reason)
    assert world.calls("POST", "/reply$") == []
    # Where nothing goes into the conversation, it has no say.
    world.let_time_pass(days=2)
    caller.ask(contact_id=CONTACT, conversation_id=CONVERSATION, deliver="none")
    world.run_jobs()
    assert world.interview().state == "sent"


def test_a_message_begins_a_conversation_in_which_the_note_is_left(caller: Caller, mia: Contact) -> None:
    world = caller.world
    intercom_takes_message(world)
    world.outside.post(f"{INTERCOM}/conversations/{HOME}/reply", json={"id": HOME})
    world.outside.post(f"{INTERCOM}/conversations/{HOME}/tags", json={"id": "81"})
    world.intercom_takes("tags")
    caller.ask(contact_id=CONTACT, deliver="message")
    world.run_jobs()
    assert (status(caller), len(messages(world))) == ("sent", 1)
    receive(world)
    assert status(caller) == "written_back"
    [note] = world.calls("POST", f"/conversations/{HOME}/reply$")
    assert note["message_type"] == "note"


def test_a_message_whose_answer_was_lost_is_found_and_its_note_has_a_home(
    caller: Caller, mia: Contact
) -> None:
    world = caller.world
    intercom_takes_message(world, body=httpx.ReadTimeout("slow"))
    caller.ask(contact_id=CONTACT, deliver="message")
    world.run_jobs()
    assert status(caller) == "sending"
    found(world, begun(world, HOME, world.interview().link_token))
    world.let_time_pass(seconds=once.CLAIM_SECONDS + 1)
    world.run_jobs(delayed=True)
    assert status(caller) == "sent"
    assert len(messages(world)) == 1
    assert world.interview().conversation_id == HOME


def test_a_message_whose_conversation_was_never_told_gets_its_note_all_the_same(
    caller: Caller, mia: Contact
) -> None:
    world = caller.world
    intercom_takes_message(world, json={"type": "admin_message", "id": "19"})
    world.outside.post(f"{INTERCOM}/conversations/{HOME}/reply", json={"id": HOME})
    world.outside.post(f"{INTERCOM}/conversations/{HOME}/tags", json={"id": "81"})
    world.intercom_takes("tags")
    caller.ask(contact_id=CONTACT, deliver="message")
    world.run_jobs()
    found(world, begun(world, HOME, world.interview().link_token))
    receive(world)
    assert status(caller) == "written_back"
    assert len(world.calls("POST", f"/conversations/{HOME}/reply$")) == 1


@pytest.mark.parametrize("opened", [False, True])
def test_a_message_of_which_nothing_can_be_learnt_is_unknown_unless_its_link_is_opened(
    caller: Caller, mia: Contact, opened: bool
) -> None:
    world = caller.world
    intercom_takes_message(world, status=500)
    caller.ask(contact_id=CONTACT, deliver="message")
    world.run_jobs()
    if opened:
        assert world.get(f"/i/{world.interview().link_token}").status_code == 302
    found(world, total=500)
    world.let_time_pass(minutes=11)
    world.run_jobs(delayed=True)
    assert status(caller) == ("opened" if opened else "unknown")
    assert len(messages(world)) == 1
    assert world.pending() == []


class TestAttribute:
    def sent(self, caller: Caller, **fields: Any) -> str:
        answer = caller.ask(**{"contact_id": CONTACT, "deliver": "attribute", **fields})
        caller.world.run_jobs()
        assert status(caller) == "sent"
        return str(answer.get_json()["interview_url"])

    def cleared(self, mia: Contact) -> bool:
        return not mia.attributes[URL] and not mia.attributes[READY] and mia.never_showed_a_wrong_link()

    def test_the_link_that_was_answered_at_once_is_the_one_that_stands_there(
        self, caller: Caller, mia: Contact
    ) -> None:
        url = self.sent(caller)
        assert mia.link == url
        assert mia.attributes[READY]
        assert mia.never_showed_a_wrong_link()
        path = url.removeprefix(PUBLIC_URL)
        assert caller.world.get(path).headers["Location"] == KOJI_LINK
        assert status(caller) == "opened"

    def test_it_is_cleared_when_it_is_answered(self, caller: Caller, mia: Contact) -> None:
        self.sent(caller)
        caller.world.intercom_takes("tags")
        receive(caller.world)
        assert self.cleared(mia)
        assert mia.attributes["last_interview_quality"] == 4
        assert status(caller) == "written_back"

    def test_it_is_cleared_when_the_answer_is_anonymous(self, caller: Caller, mia: Contact) -> None:
        self.sent(caller)
        receive(caller.world, respondent_email=None)
        assert self.cleared(mia)
        assert status(caller) == "not_written"

    def test_it_is_cleared_when_it_expires(self, caller: Caller, mia: Contact) -> None:
        self.sent(caller)
        world = caller.world
        world.let_time_pass(days=14, minutes=5)
        world.set_interview(check_at=None)
        world.tick("reconcile")
        world.run_jobs()
        assert status(caller) == "expired"
        assert self.cleared(mia)

    def test_it_is_cleared_when_a_rep_withdraws_it(self, caller: Caller, mia: Contact) -> None:
        self.sent(caller)
        world = caller.world
        world.initialize()
        world.submit("withdraw")
        world.submit("confirm_withdraw")
        world.run_jobs()
        assert status(caller) == "cancelled"
        assert self.cleared(mia)

    def test_it_is_cleared_when_a_reps_one_takes_its_place(self, caller: Caller, mia: Contact) -> None:
        self.sent(caller)
        world = caller.world
        old = world.interview()
        world.intercom_takes("reply")
        world.initialize()
        world.submit("send_anyway")
        world.submit("confirm_send")
        world.run_jobs()
        with store.reading(world.engine) as connection:
            assert ledger.existing(connection, old.id).reason == "replaced"
        assert world.interview().state == "sent"
        assert self.cleared(mia)

    def test_it_is_cleared_when_it_fails_half_way(self, caller: Caller, mia: Contact) -> None:
        world = caller.world
        caller.ask(contact_id=CONTACT, deliver="attribute")
        half = Contact._put

        def only_the_link(request: Any) -> tuple[int, dict[str, str], str]:
            if READY.encode() in request.body and b"null" not in request.body:
                return 400, {}, '{"type": "error.list", "errors": []}'
            return half(mia, request)

        world.outside.remove("PUT", CONTACT_URL)
        world.outside.add_callback("PUT", CONTACT_URL, only_the_link)
        world.run_jobs()
        assert status(caller) == "failed"
        assert mia.link is None
        assert self.cleared(mia)

    def test_a_newer_link_stays_whatever_comes_late(self, caller: Caller, mia: Contact) -> None:
        world = caller.world
        self.sent(caller)
        first = world.interview()
        world.let_time_pass(days=15)
        newer = self.sent(caller, conversation_id="888")
        assert mia.link == newer
        world.tick("reconcile")
        world.run_jobs()
        # A late answer to the first one, too.
        world.intercom_takes("tags")
        receive(world, metadata={"interview_ref": first.id}, interview_id="late")
        assert mia.link == newer
        assert mia.attributes[READY]
        assert mia.never_showed_a_wrong_link()

    @pytest.mark.parametrize("deliver", ["none", "attribute"])
    def test_an_old_link_goes_before_the_next_one_is_made(
        self, caller: Caller, mia: Contact, deliver: str
    ) -> None:
        """A step of a Series that asks for a new one and then waits for it would send the old one."""
        world = caller.world
        self.sent(caller)
        world.let_time_pass(days=15)
        caller.ask(contact_id=CONTACT, conversation_id="888", deliver=deliver)
        assert [name for name, _ in world.pending()] == ["clear_link", "send"]
        seen = len(mia.history)
        world.run_jobs()
        assert status(caller) == "sent"
        assert mia.history[seen + 1][0] is None, "first the old one goes"
        assert (mia.link is None) == (deliver == "none")
        assert mia.never_showed_a_wrong_link()

    def test_also_for_one_that_was_planned(self, caller: Caller, mia: Contact) -> None:
        world = caller.world
        self.sent(caller)
        caller.ask(contact_id=CONTACT, deliver="none", conversation_id="888", delay=16 * 86_400)
        world.let_time_pass(days=16, minutes=1)
        world.run_jobs(delayed=True)
        assert status(caller) == "sent"
        assert self.cleared(mia)

    def test_steps_that_are_repeated_change_nothing(self, caller: Caller, mia: Contact) -> None:
        world = caller.world
        caller.ask(contact_id=CONTACT, deliver="attribute")
        id_ = world.interview().id
        # As after a SIGKILL behind each step: it runs once more from its beginning.
        for step in (send.start, send.post):
            assert [step(world.services, id_)["kind"] for _ in range(2)] == ["done", "done"]
        world.run_jobs()
        assert status(caller) == "sent"
        assert len(world.calls("POST", "/start$")) == 1
        assert {url for url, _ in mia.history} == {mia.link}
        assert mia.never_showed_a_wrong_link()

    def test_an_answer_that_comes_before_the_sending_is_written_down_clears_it(
        self, caller: Caller, mia: Contact
    ) -> None:
        world = caller.world
        caller.ask(contact_id=CONTACT, deliver="attribute")
        id_ = world.interview().id
        send.start(world.services, id_)
        send.post(world.services, id_)
        world.intercom_takes("tags")
        world.koji_event(world.result())
        world.run_jobs()
        world.run_jobs(delayed=True)
        assert status(caller) == "written_back"
        assert self.cleared(mia)


class TestNone:
    def test_the_link_is_the_callers_to_bring(self, caller: Caller, mia: Contact) -> None:
        world = caller.world
        url = caller.ask(contact_id=CONTACT).get_json()["interview_url"]
        waiting = world.get(url.removeprefix(PUBLIC_URL))
        assert (waiting.status_code, "being prepared" in waiting.text) == (200, True)
        world.run_jobs()
        assert world.get(url.removeprefix(PUBLIC_URL)).headers["Location"] == KOJI_LINK
        assert status(caller) == "opened"
        assert not [
            call
            for call in world.outside.calls
            if call.request.method == "PUT" and "intercom" in str(call.request.url)
        ]

    def test_a_result_without_a_conversation_is_written_without_a_note(
        self, caller: Caller, mia: Contact
    ) -> None:
        world = caller.world
        world.intercom_takes("tags")
        caller.ask(contact_id=CONTACT)
        world.run_jobs()
        receive(world)
        assert status(caller) == "written_back"
        assert world.calls("POST", "/reply$") == []
        assert mia.attributes["last_interview_sentiment"] == "negative"

    def test_a_start_that_fails_is_told_kindly(self, caller: Caller, mia: Contact) -> None:
        world = caller.world
        world.outside.upsert("POST", "https://koji.so/api/v1/interviews/start", status=422, json={})
        url = caller.ask(contact_id=CONTACT).get_json()["interview_url"]
        world.run_jobs()
        told = caller.status(world.interview().id).get_json()
        assert (told["status"], told["reason"], told["interview_url"]) == ("failed", "koji_refused", None)
        page = world.get(url.removeprefix(PUBLIC_URL))
        assert "could not be started" in page.text
        assert "refresh" not in page.text


def test_a_link_in_the_attributes_goes_when_the_contact_is_not_to_be_asked_any_more(
    caller: Caller, mia: Contact
) -> None:
    world = caller.world
    caller.ask(contact_id=CONTACT, deliver="attribute")
    put = Contact._put
    world.outside.remove("PUT", CONTACT_URL)

    def only_the_link(request: Any) -> tuple[int, dict[str, str], str]:
        if READY.encode() in request.body and b"null" not in request.body:
            return 503, {}, ""
        return put(mia, request)

    world.outside.add_callback("PUT", CONTACT_URL, only_the_link)
    world.run_jobs()
    assert (status(caller), bool(mia.link)) == ("sending", True)
    mia.unsubscribed = True
    world.run_jobs(delayed=True)
    assert status(caller) == "skipped"
    world.tick("reconcile")
    world.run_jobs()
    assert not mia.link


@pytest.mark.parametrize("deliver", ["message", "attribute", "none"])
def test_a_delayed_one_goes_out_once_at_its_time(caller: Caller, mia: Contact, deliver: str) -> None:
    world = caller.world
    intercom_takes_message(world)
    url = caller.ask(contact_id=CONTACT, deliver=deliver, delay=7 * 86_400).get_json()["interview_url"]
    page = world.get(url.removeprefix(PUBLIC_URL))
    assert page.status_code == 200
    assert "It is planned for about" in page.text
    assert "CET" in page.text, "in the workspace's time zone"
    world.run_jobs(delayed=True)
    assert status(caller) == "planned", "it is woken up too early and waits on"
    world.let_time_pass(days=7)
    world.run_jobs(delayed=True)
    assert status(caller) == "sent"
    assert len(world.calls("POST", "/start$")) == 1
    assert world.get(url.removeprefix(PUBLIC_URL)).headers["Location"] == KOJI_LINK


def test_a_planned_one_that_a_reps_one_has_replaced_leads_nowhere(caller: Caller, mia: Contact) -> None:
    world = caller.world
    told = caller.ask(contact_id=CONTACT, delay=60).get_json()
    world.intercom_takes("reply")
    world.submit("send")
    world.run_jobs()
    after = caller.status(told["interview_id"]).get_json()
    assert (after["status"], after["reason"], after["interview_url"]) == ("skipped", "replaced", None)
    page = world.get(told["interview_url"].removeprefix(PUBLIC_URL))
    assert (page.status_code, "This interview is over" in page.text) == (410, True)
