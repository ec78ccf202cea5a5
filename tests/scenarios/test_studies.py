"""More than one study: each with its key and webhook secret, a rep who chooses, keys that are rotated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import responses

from canvas_app import store
from canvas_app.canvas import texts as words_on_cards
from canvas_app.canvas.plaintext import plain
from canvas_app.interviews import studies
from canvas_app.interviews.tables import interviews
from tests.interviews.test_words import GERMAN
from tests.support.world import INTERCOM, KOJI, KOJI_SECRET, World, component, texts

START = "/api/v1/interviews/start"
NOA = {"type": "contact", "id": "contact2", "name": "Noa Park", "email": "noa@example.com"}


def options(card: dict[str, Any]) -> list[str]:
    dropdown = component(card, "study")
    return [option["id"] for option in dropdown["options"]] if dropdown else []


def keys_at_koji(world: World) -> list[str]:
    """The keys that interviews were started with."""
    return [
        str(call.request.headers["Authorization"]).removeprefix("Bearer ")
        for call in world.outside.calls
        if str(call.request.url).endswith(START)
    ]


def switch(world: World, slug: str, *, on: bool) -> None:
    world.add_study(slug, enabled=on)


def choose(world: World, study: str | None, *, tap: str = "send", line: str = "", **changes: Any) -> Any:
    inputs = {"personal_line": line} | ({} if study is None else {"study": study})
    return world.submit(tap, inputs, **changes)


def reseal(world: World) -> int:
    """A worker starts."""
    with store.writing(world.engine) as connection:
        return studies.reseal(connection, world.settings)


# Two studies


def test_each_study_has_its_own_key_and_its_own_webhooks(world: World) -> None:
    world.vendors_are_well()
    world.intercom_takes("attributes", "tags")
    world.outside.put(f"{INTERCOM}/contacts/contact2", json={"type": "contact", "id": "contact2"})
    world.outside.post(f"{INTERCOM}/contacts/contact2/tags", json={"type": "tag", "id": "81"})
    world.add_study("exit", mode="voice")
    world.initialize()
    choose(world, "default")
    first = world.interview()
    world.run_jobs()
    world.initialize(contact=NOA)
    choose(world, "exit", contact=NOA)
    second = world.interview()
    world.run_jobs()
    assert (first.study, second.study) == ("default", "exit")
    assert keys_at_koji(world) == ["pk_live_key", "pk_exit"]
    assert [body.get("mode") for body in world.calls("POST", START)] == [None, "voice"]
    assert (first.credits, second.credits) == (1, 3)
    for interview, secret in ((first, KOJI_SECRET), (second, "whsec_exit")):
        ref = {"interview_ref": interview.id}
        body = world.result(metadata=ref, interview_id=f"k-{interview.study}", external_id=None)
        assert world.koji_event(body, secret="somebody-elses").status_code == 401
        assert world.koji_event(body, secret=secret).get_json() == {"status": "stored"}
    world.run_jobs()
    with store.reading(world.engine) as connection:
        states = connection.execute(interviews.select()).mappings().all()
    assert {row["study"]: row["state"] for row in states} == {
        "default": "written_back",
        "exit": "written_back",
    }


class TestASecretOfAStudysOwn:
    """It speaks of the interviews of its study: Koji's webhooks belong to a project."""

    def settled(self, world: World, secret: str, **changes: Any) -> str:
        """What becomes of the newest interview when a result of it is signed with this secret."""
        world.intercom_takes("attributes", "tags")
        assert world.koji_event(world.result(**changes), secret=secret).status_code == 200
        world.run_jobs()
        for _ in range(4):
            # An interview that is not known yet is waited for.
            world.run_jobs(delayed=True)
        return str(world.interview().state)

    @pytest.mark.parametrize(
        "changes",
        [{}, {"metadata": {}}, {"metadata": {}, "interview_id": None}],
        ids=["ref", "id", "contact"],
    )
    def test_changes_nothing_of_another_studys(self, world: World, changes: dict[str, Any]) -> None:
        world.add_study("exit")
        world.send()
        assert self.settled(world, "whsec_exit", **changes) == "sent"
        assert world.interview().result is None
        assert self.settled(world, KOJI_SECRET) == "written_back"

    def test_nor_of_a_studys_with_one_of_its_own(self, world: World) -> None:
        world.add_study("exit")
        world.add_study("beta")
        world.vendors_are_well()
        world.initialize()
        choose(world, "beta")
        world.run_jobs()
        assert self.settled(world, "whsec_exit") == "sent"
        assert self.settled(world, "whsec_beta") == "written_back"

    @pytest.mark.parametrize("secret", ["whsec_exit", KOJI_SECRET])
    def test_where_a_study_has_none_any_that_is_set_will_do(self, world: World, secret: str) -> None:
        world.add_study("exit")
        world.add_study("beta", webhook_secret=None)
        world.vendors_are_well()
        world.initialize()
        choose(world, "beta")
        world.run_jobs()
        assert self.settled(world, secret) == "written_back"

    def test_may_be_that_of_several(self, world: World) -> None:
        # Koji's newer pages set webhooks up for a whole workspace.
        world.add_study("exit", webhook_secret="shared")
        world.add_study("beta", webhook_secret="shared,older")
        world.vendors_are_well()
        world.initialize()
        choose(world, "beta")
        world.run_jobs()
        assert self.settled(world, "shared") == "written_back"

    def test_is_named_in_the_log_where_it_speaks_of_another(
        self, world: World, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        world.add_study("exit")
        world.send()
        self.settled(world, "whsec_exit")
        told = [line for line in log_lines() if line["event"] == "signed_for_another_study"]
        assert {line["interview"] for line in told} == {world.interview().id}


def test_a_change_of_a_webhook_secret_counts_at_once(world: World) -> None:
    world.send()
    world.add_study("exit", webhook_secret="first")
    event = world.result()
    assert world.koji_event(event, secret="first").status_code == 200
    world.add_study("exit", webhook_secret="second")
    assert world.koji_event({**event, "delivery_id": "2"}, secret="first").status_code == 401
    assert world.koji_event({**event, "delivery_id": "2"}, secret="second").status_code == 200


def test_the_results_of_a_study_that_is_off_still_come(world: World) -> None:
    world.add_study("exit")
    world.vendors_are_well()
    world.intercom_takes("attributes", "tags")
    world.initialize()
    choose(world, "exit")
    world.run_jobs()
    switch(world, "exit", on=False)
    assert world.koji_event(world.result(), secret="whsec_exit").status_code == 200
    world.run_jobs()
    assert world.interview().state == "written_back"
    # And nobody can be asked with it any more.
    assert options(world.submit("send_again")) == []


def test_what_was_switched_off_before_it_left_does_not_leave(world: World) -> None:
    world.add_study("exit")
    world.vendors_are_well()
    world.initialize()
    choose(world, "exit")
    switch(world, "exit", on=False)
    world.run_jobs()
    assert (world.interview().state, world.interview().reason) == ("failed", "study_off")
    assert keys_at_koji(world) == []
    assert "was switched off" in texts(world.initialize())
    # "Try again" would do the same: the rep is offered what there is.
    card = world.submit("try_again")
    assert words_on_cards.STUDY_GONE in texts(card)
    choose(world, None)
    assert world.interview().study == "default"


@pytest.mark.parametrize("own_secret", [KOJI_SECRET, ""])
def test_without_the_environments_key_the_card_works_with_another_study(
    world: World, own_secret: str
) -> None:
    world.vendors_are_well()
    world.add_study("exit")
    world.deploy(koji_api_key="", koji_webhook_secret=own_secret)
    card = world.initialize()
    assert "Exit for Mia Chen." in texts(card)
    assert options(card) == []
    choose(world, None)
    world.run_jobs()
    assert (world.interview().study, world.interview().state) == ("exit", "sent")
    assert keys_at_koji(world) == ["pk_exit"]
    assert world.get("/healthz").get_json()["missing"] == []
    assert "KOJI_" not in world.get("/").text
    assert world.koji_event(world.result(), secret="whsec_exit").status_code == 200
    # Where it is off, too, nobody can be asked; what has been asked is shown.
    switch(world, "exit", on=False)
    assert component(world.initialize(), "refresh") is not None
    assert "not set up" not in texts(world.last_canvas)
    card = world.initialize(contact=NOA)
    assert "a study that is switched on" in texts(card)
    assert component(card, "send") is None
    assert world.get("/healthz").get_json()["missing"] == ["KOJI_API_KEY"]


def test_without_any_secret_kojis_door_is_not_set_up(world: World) -> None:
    world.send()
    world.deploy(koji_webhook_secret="")
    world.add_study("exit", webhook_secret=None)
    answer = world.koji_event(world.result(), secret="any")
    assert (answer.status_code, answer.get_json()["error"]) == (503, "not_configured")
    assert "KOJI_WEBHOOK_SECRET" in texts(world.initialize())
    world.add_study("exit", webhook_secret="whsec")
    answer = world.koji_event(world.result(), secret="any")
    assert (answer.status_code, answer.get_json()["error"]) == (401, "signature_mismatch")
    assert component(world.initialize(), "refresh") is not None


# The rep's choice


def test_with_one_study_there_is_no_choice(world: World) -> None:
    world.add_study("exit", enabled=False)
    assert options(world.initialize()) == []


def test_the_rep_chooses_among_a_few(world: World) -> None:
    world.vendors_are_well()
    world.add_study("exit")
    world.add_study("beta", enabled=False)
    card = world.initialize()
    assert options(card) == ["default", "exit"]
    assert component(card, "study") == {
        "type": "dropdown",
        "id": "study",
        "value": "default",
        "options": [
            {"type": "option", "id": "default", "text": "Customer interview"},
            {"type": "option", "id": "exit", "text": "Exit"},
        ],
    }
    choose(world, "exit", line="Great talk.")
    assert (world.interview().study, world.interview().personal_line) == ("exit", "Great talk.")
    # A double tap is the same tap, whatever is chosen by then.
    choose(world, "default", current_canvas=card)
    assert world.count(interviews) == 1


@pytest.mark.parametrize("given", [None, "", ["exit"], {"a": 1}, 7])
def test_where_no_choice_comes_back_the_one_that_was_shown_is_meant(world: World, given: Any) -> None:
    world.add_study("exit")
    world.initialize()
    world.submit("send", {"study": given})
    assert world.interview().study == "default"


def test_where_no_stored_data_comes_back_the_choice_still_counts(world: World) -> None:
    world.add_study("exit", wording={"en": {"thanks": "Bye!"}})
    world.initialize()
    world.submit("send", {"study": "exit"}, current_canvas=None)
    assert world.interview().study == "exit"


@pytest.mark.parametrize("slug", ["nowhere", "off", "x" * 5000, "a\0b", "<b>"])
def test_a_study_that_is_not_offered_draws_the_card_anew_with_a_word(world: World, slug: str) -> None:
    world.add_study("exit")
    world.add_study("off", enabled=False)
    world.initialize()
    card = choose(world, slug, line="Great talk.")
    assert world.count(interviews) == 0
    [word, *_] = card["content"]["components"]
    assert (word["text"], word["style"]) == (words_on_cards.STUDY_GONE, "error")
    assert options(card) == ["default", "exit"]
    line = component(card, "personal_line")
    assert line is not None
    assert line["value"] == "Great talk."
    choose(world, "exit", line="Great talk.")
    assert world.interview().study == "exit"


def test_the_only_study_of_a_card_that_was_switched_off_is_not_replaced_in_silence(world: World) -> None:
    world.add_study("exit")
    world.deploy(koji_api_key="")
    world.initialize()
    world.deploy()
    switch(world, "exit", on=False)
    card = choose(world, None)
    assert world.count(interviews) == 0
    assert words_on_cards.STUDY_GONE in texts(card)
    assert "Customer interview for Mia Chen." in texts(card)


def test_a_study_whose_message_reads_otherwise_is_shown_before_it_goes_out(world: World) -> None:
    world.add_study("exit", wording={"default": {"invitation": "Why do you leave?"}})
    world.initialize()
    card = choose(world, "exit", line="Great talk.")
    assert world.count(interviews) == 0
    assert words_on_cards.OTHER_WORDS in texts(card)
    assert "Why do you leave?" in texts(card)
    line = component(card, "personal_line")
    assert line is not None
    assert line["value"] == "Great talk."
    dropdown = component(card, "study")
    assert dropdown is not None
    assert dropdown["value"] == "exit"
    choose(world, "exit")
    assert world.interview().study == "exit"


def test_a_study_whose_message_reads_the_same_is_sent_with_one_tap(world: World) -> None:
    # Its other words are for somebody else.
    world.add_study("exit", wording={"fr": {**GERMAN, "invitation": "Pourquoi?"}})
    world.initialize()
    choose(world, "exit")
    assert world.interview().study == "exit"


def test_words_that_were_changed_since_are_shown_before_they_go_out(world: World) -> None:
    world.vendors_are_well()
    world.initialize()
    world.add_study("default", wording={"default": {"thanks": "Many thanks!"}})
    card = choose(world, None)
    assert world.count(interviews) == 0
    assert words_on_cards.OTHER_WORDS in texts(card)
    choose(world, None)
    world.run_jobs()
    [message] = world.calls("POST", "/reply")
    assert "<p>Many thanks!</p>" in message["body"]


@pytest.mark.parametrize("study", ["default", "exit"])
def test_whichever_study_is_chosen_a_stale_offer_sends_nothing(world: World, study: str) -> None:
    world.add_study("exit")
    offer = world.initialize()
    choose(world, "default")
    # It is over without an answer, and stands in nobody's way.
    world.set_interview(state="cancelled")
    choose(world, study, current_canvas=offer)
    assert world.count(interviews) == 1
    world.initialize(contact=NOA)
    choose(world, study, contact=NOA, current_canvas=offer)
    assert world.count(interviews) == 1
    # The card that is drawn in its place is for this contact, and keeps the choice.
    choose(world, None, contact=NOA)
    assert (world.count(interviews), world.interview().study) == (2, study)


def test_an_endless_choice_on_a_card_that_is_too_old_does_no_harm(world: World) -> None:
    world.deploy(ask_again_days=30)
    world.send()
    world.set_interview(state="expired")
    world.add_study("exit")
    card = choose(world, "x" * 100_000, current_canvas={"stored_data": {"nonce": "too old"}})
    assert component(card, "send_anyway") is not None
    card = world.submit("send_anyway")
    dropdown = component(card, "study")
    assert dropdown is not None
    assert dropdown["value"] == "default"


def test_the_choice_goes_through_the_card_that_confirms(world: World) -> None:
    world.deploy(ask_again_days=30)
    world.send()
    world.set_interview(state="expired")
    world.add_study("exit")
    world.add_study("beta", wording={"default": {"invitation": "Will you test?"}})
    world.initialize(conversation={"id": "502"})
    card = choose(world, "exit", line="Great talk.", current_canvas=None, conversation={"id": "502"})
    assert component(card, "send_anyway") is not None
    card = world.submit("send_anyway", conversation={"id": "502"})
    assert options(card) == ["default", "beta", "exit"]
    dropdown = component(card, "study")
    assert dropdown is not None
    assert dropdown["value"] == "exit"
    # Another one, with another message: it is shown on the same kind of card.
    card = choose(world, "beta", tap="confirm_send", line="Hello.", conversation={"id": "502"})
    assert world.count(interviews) == 1
    assert "Will you test?" in texts(card)
    assert words_on_cards.OTHER_WORDS in texts(card)
    switch(world, "exit", on=False)
    card = choose(world, "exit", tap="confirm_send", line="Hello.", conversation={"id": "502"})
    assert world.count(interviews) == 1
    assert words_on_cards.STUDY_GONE in texts(card)
    choose(world, "beta", tap="confirm_send", line="Hello.", conversation={"id": "502"})
    choose(world, "beta", tap="confirm_send", line="Hello.", conversation={"id": "502"})
    assert (world.interview().study, world.interview().personal_line) == ("beta", "Hello.")
    assert world.count(interviews) == 2


def test_of_many_studies_the_last_used_come_first_and_the_others_on_more_pages(world: World) -> None:
    for number in range(14):
        world.add_study(f"s{number:02}")
    world.initialize()
    world.submit("send", {"study": "s12"}, current_canvas=None)
    world.set_interview(state="expired")
    card = world.submit("send_again")
    first = ["default", "s12", *(f"s{number:02}" for number in range(8))]
    assert options(card) == first
    card = choose(world, None, tap="more_studies", line="Great talk.")
    assert options(card) == [f"s{number:02}" for number in (3, 4, 5, 6, 7, 8, 9, 10, 11, 13)]
    line = component(card, "personal_line")
    assert line is not None
    assert line["value"] == "Great talk."
    assert options(choose(world, None, tap="more_studies")) == first
    choose(world, None, tap="more_studies")
    choose(world, "s13")
    assert world.interview().study == "s13"


@pytest.mark.parametrize("page", [None, -1, True, "1", 10**9, 1.5, [1]])
def test_a_page_that_is_none_leads_to_the_second(world: World, page: Any) -> None:
    for number in range(24):
        world.add_study(f"s{number:02}")
    card = world.submit("more_studies", current_canvas={"stored_data": {"page": page}})
    assert card["stored_data"]["page"] == 1
    assert component(card, "send") is not None


def test_more_studies_stays_on_the_card_that_confirms(world: World) -> None:
    for number in range(14):
        world.add_study(f"s{number:02}")
    world.deploy(ask_again_days=30)
    world.send()
    world.set_interview(state="expired")
    world.submit("send_again")
    card = world.submit("send_anyway")
    assert component(card, "confirm_send") is not None
    card = world.submit("more_studies")
    assert component(card, "confirm_send") is not None
    choose(world, "s13", tap="confirm_send")
    assert world.interview().study == "s13"


# The contact's language


def test_a_contact_reads_their_language_and_koji_is_told_it(world: World) -> None:
    world.vendors_are_well()
    world.add_study("default", wording={"de": {**GERMAN, "invitation": "<b>Mögen</b> Sie?"}}, mode="text")
    swiss = {"id": "contact1", "name": "Mia <Chen", "language_override": "de_ch", "role": "user"}
    card = world.initialize(contact=swiss)
    for shown in ("Hallo Mia,", plain("<b>Mögen</b> Sie?", 40), "Zum Interview", "Vielen Dank!"):
        assert shown in texts(card)
    world.submit("send", contact=swiss)
    world.run_jobs()
    interview = world.interview()
    assert (interview.language, interview.contact_role, interview.state) == ("de-CH", "user", "sent")
    [start] = world.calls("POST", START)
    assert (start["locale"], start["mode"]) == ("de-CH", "text")
    [message] = world.calls("POST", "/reply")
    assert "<p>Hallo Mia,</p>" in message["body"]
    assert "<p>&lt;b&gt;Mögen&lt;/b&gt; Sie?</p>" in message["body"]
    assert ">Zum Interview</a>" in message["body"]


def test_a_language_that_koji_does_not_take_costs_no_interview(world: World) -> None:
    world.intercom_knows_us()
    world.intercom_takes("reply")
    speaker = {"id": "contact1", "name": "Mia", "browser_language": "tlh"}
    refused: dict[str, Any] = {"status": 400, "json": {"error": "bad_request", "message": "locale"}}
    with_locale = [responses.matchers.json_params_matcher({"locale": "tlh"}, strict_match=False)]
    world.outside.post(f"{KOJI}{START}", match=with_locale, **refused)
    world.koji_starts()
    world.initialize(contact=speaker)
    world.submit("send", contact=speaker)
    world.run_jobs()
    assert world.interview().state == "sent"
    assert [body.get("locale") for body in world.calls("POST", START)] == ["tlh", None]


# SECRET_KEY is rotated


def test_a_rotation_of_the_secret_key_loses_nothing(world: World) -> None:
    world.vendors_are_well()
    world.add_study("exit")
    world.deploy(secret_key="newest-key,new-key")
    assert options(world.initialize()) == ["default", "exit"]
    assert reseal(world) == 2
    world.deploy(secret_key="newest-key")
    world.initialize()
    choose(world, "exit")
    world.run_jobs()
    assert (world.interview().state, keys_at_koji(world)) == ("sent", ["pk_exit"])
    assert world.koji_event(world.result(), secret="whsec_exit").status_code == 200


def test_a_dropped_secret_key_is_told_and_mended_by_listing_it_again(world: World) -> None:
    world.vendors_are_well()
    world.add_study("exit")
    world.initialize()
    choose(world, "exit")
    world.deploy(secret_key="another-key")
    world.run_jobs()
    assert (world.interview().state, world.interview().reason) == ("sending", "secret_lost")
    assert "key cannot be read any more" in texts(world.initialize())
    # Nobody can be asked with it; with the other one they can.
    card = world.initialize(contact=NOA)
    assert options(card) == []
    assert "Customer interview for Noa Park." in texts(card)
    # It cannot be told whether this is Koji: it is to come again.
    answer = world.koji_event(world.result(), secret="whsec_exit")
    assert (answer.status_code, answer.get_json()["error"]) == (503, "secret_lost")
    assert world.koji_event({"event": "study.published"}, secret=KOJI_SECRET).status_code == 200
    assert reseal(world) == 0
    world.deploy(secret_key="another-key,new-key")
    assert reseal(world) == 2
    world.run_jobs(delayed=True)
    assert (world.interview().state, keys_at_koji(world)) == ("sent", ["pk_exit"])
    assert world.koji_event(world.result(), secret="whsec_exit").status_code == 200


def test_when_the_only_key_is_lost_the_card_says_which(world: World) -> None:
    world.add_study("exit")
    world.deploy(koji_api_key="", secret_key="another-key")
    card = world.initialize()
    assert "the key of Exit" in texts(card)
    assert component(card, "send") is None
