"""What is written to Intercom when a result is here: attributes, the note, tags."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
import responses
import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews import once, write_back
from canvas_app.interviews.tables import GENERATED, interviews, theme_tags
from tests.interviews.results import PUT, UNKNOWN_ATTRIBUTE, attributes, event, notes, receive, sent_and_ready
from tests.support.world import (
    CONTACT,
    CONVERSATION,
    INTERCOM,
    KOJI_ID,
    OWN_ADMIN,
    World,
    full_settings,
    texts,
)

REPLY = f"{INTERCOM}/conversations/{CONVERSATION}/reply"
ATTRIBUTES = f"{INTERCOM}/data_attributes"
NOT_FOUND = {"type": "error.list", "errors": [{"code": "not_found"}]}


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sent_and_ready(sqlite_world)


def tags_by_name(world: World, **ids: str) -> None:
    """Intercom gives each tag an id of its own."""

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        name = str(request.body.decode()).split('"')[3]
        return 200, {}, f'{{"type": "tag", "id": "{ids[name]}", "name": "{name}"}}'

    world.outside.remove("POST", f"{INTERCOM}/tags")
    world.outside.add_callback("POST", f"{INTERCOM}/tags", callback=answer)


def next_interview(world: World) -> None:
    """Another interview of the same contact, sent from another conversation."""
    conversation = {"id": "502"}
    world.outside.post(f"{INTERCOM}/conversations/502/reply", json={"type": "conversation", "id": "502"})
    world.outside.post(f"{INTERCOM}/conversations/502/tags", json={"type": "tag", "id": "1"})
    world.outside.upsert(
        "POST",
        "https://koji.so/api/v1/interviews/start",
        status=201,
        json={"interview_id": "k2", "interview_url": "https://koji.so/i/2"},
    )
    world.initialize(conversation=conversation)
    world.submit("send_again", conversation=conversation)
    world.submit("send", conversation=conversation)
    world.run_jobs()
    assert world.interview().koji_interview_id == "k2"


def on_contact(world: World) -> list[tuple[str, str]]:
    """What was done to the contact's tags, in order."""
    done = []
    for call in world.outside.calls:
        path = str(call.request.url)
        if call.request.method == "POST" and path == f"{INTERCOM}/contacts/{CONTACT}/tags":
            done.append(("on", str(call.request.body).split('"')[3]))
        if call.request.method == "DELETE" and f"/contacts/{CONTACT}/" in path:
            done.append(("off", path.rpartition("/")[2]))
    return done


# Attributes


def test_a_missing_attribute_is_created_once_and_the_write_repeated(world: World) -> None:
    world.outside.upsert("PUT", PUT, status=400, json=UNKNOWN_ATTRIBUTE)
    world.outside.put(PUT, json={"type": "contact", "id": CONTACT})
    world.outside.get(
        ATTRIBUTES,
        json={
            "type": "list",
            "data": [{"name": "last_interview_at", "model": "contact", "data_type": "date"}],
        },
    )
    world.outside.post(ATTRIBUTES, json={"type": "data_attribute"})
    receive(world)
    created = {body["name"]: body["data_type"] for body in world.calls("POST", "/data_attributes")}
    assert created == {
        "last_interview_sentiment": "string",
        "last_interview_top_theme": "string",
        "last_interview_quality": "float",
        "last_interview_url": "string",
    }
    assert len(attributes(world)) == 2
    assert attributes(world)[0] == attributes(world)[1]
    assert world.interview().state == "written_back"


def test_an_archived_attribute_is_named_and_note_and_tags_are_written_all_the_same(world: World) -> None:
    archived = {
        "name": "last_interview_sentiment",
        "model": "contact",
        "data_type": "string",
        "archived": True,
    }
    world.outside.upsert("PUT", PUT, status=400, json=UNKNOWN_ATTRIBUTE)
    world.outside.get(ATTRIBUTES, json={"type": "list", "data": [archived]})
    receive(world)
    assert world.calls("POST", "/data_attributes") == [], "it is there, and Intercom takes no second one"
    assert (len(notes(world)), len(world.calls("POST", f"/conversations/{CONVERSATION}/tags"))) == (1, 1)
    interview = world.interview()
    assert (interview.state, interview.reason) == ("failed", "attribute_archived")
    assert interview.attributes_written_at is None
    card = texts(world.initialize())
    assert "Pricing friction" in card
    assert "An attribute of ours is archived in Intercom." in card


def test_an_archived_attribute_that_this_result_does_not_set_is_in_nobodys_way(world: World) -> None:
    archived = {"name": "last_interview_url", "model": "contact", "data_type": "string", "archived": True}
    world.outside.upsert("PUT", PUT, status=400, json=UNKNOWN_ATTRIBUTE)
    world.outside.put(PUT, json={"type": "contact", "id": CONTACT})
    world.outside.get(ATTRIBUTES, json={"type": "list", "data": [archived]})
    world.outside.post(ATTRIBUTES, json={"type": "data_attribute"})
    receive(world, transcript_url=...)
    assert world.interview().state == "written_back"


def test_an_attribute_that_intercom_does_not_know_right_after_it_was_created_is_waited_for(
    world: World,
) -> None:
    world.outside.upsert("PUT", PUT, status=400, json=UNKNOWN_ATTRIBUTE)
    world.outside.get(ATTRIBUTES, json={"type": "list", "data": []})
    world.outside.post(ATTRIBUTES, json={"type": "data_attribute"})
    receive(world)
    assert (world.interview().state, world.interview().reason) == ("analysed", "attribute_not_ready")
    assert "does not know the new attributes yet" in texts(world.initialize())
    assert len(world.pending()) == 1
    world.outside.upsert("PUT", PUT, json={"type": "contact", "id": CONTACT})
    world.run_jobs(delayed=True)
    assert world.interview().state == "written_back"


def test_a_merged_contact_is_followed_once_and_the_ledger_follows(world: World) -> None:
    merged = {"Link": '<https://api.intercom.io/contacts/contact2>; rel="canonical"'}
    world.outside.upsert("PUT", PUT, status=410, headers=merged)
    world.outside.put(f"{INTERCOM}/contacts/contact2", json={"type": "contact", "id": "contact2"})
    world.outside.post(f"{INTERCOM}/contacts/contact2/tags", json={"type": "tag", "id": "81"})
    receive(world)
    assert world.interview().state == "written_back"
    assert world.interview().contact_id == "contact2"
    assert len(world.calls("PUT", "/contacts/contact2")) == 1
    assert world.calls("POST", "/contacts/contact1/tags") == []


def test_the_contacts_earlier_interviews_follow_a_merge_so_that_their_tags_are_found(world: World) -> None:
    tags_by_name(world, koji_negative_sentiment="81", koji_positive_sentiment="83")
    receive(world)
    next_interview(world)
    merged = {"Link": '<https://api.intercom.io/contacts/contact2>; rel="canonical"'}
    world.outside.upsert("PUT", PUT, status=410, headers=merged)
    world.outside.put(f"{INTERCOM}/contacts/contact2", json={"type": "contact", "id": "contact2"})
    world.outside.delete(f"{INTERCOM}/contacts/contact2/tags/81", json={"type": "tag", "id": "81"})
    world.outside.post(f"{INTERCOM}/contacts/contact2/tags", json={"type": "tag", "id": "83"})
    receive(world, interview_id="k2", sentiment="positive", completed_at="2026-11-21T10:00:00Z")
    assert world.interview().state == "written_back"
    assert len(world.calls("DELETE", "/contacts/contact2/tags/81")) == 1
    with store.reading(world.engine) as connection:
        assert set(connection.execute(sa.select(interviews.c.contact_id)).scalars()) == {"contact2"}


def test_an_older_result_does_not_overwrite_a_newer_one_that_a_merge_brings_to_light(world: World) -> None:
    older = event(world, completed_at="2026-11-01T10:00:00Z")
    with store.writing(world.engine) as connection:
        # The contact that this one was merged into has answered since.
        columns = [column for column in interviews.c if column.name not in GENERATED]
        newer = dict(connection.execute(sa.select(*columns)).mappings().one())
        newer |= {
            "id": "n" * 32,
            "contact_id": "contact2",
            "request_key": "another",
            "link_token": "another",
            "koji_interview_id": "k2",
            "state": "written_back",
            "result_at": newer["created_at"],
            "attributes_written_at": newer["created_at"],
        }
        connection.execute(sa.insert(interviews).values(newer))
    merged = {"Link": '<https://api.intercom.io/contacts/contact2>; rel="canonical"'}
    world.outside.upsert("PUT", PUT, status=410, headers=merged)
    world.outside.put(f"{INTERCOM}/contacts/contact2", json={"type": "contact", "id": "contact2"})
    world.koji_event(older)
    world.run_jobs()
    assert world.calls("PUT", "/contacts/contact2") == []
    assert world.calls("POST", "/contacts/contact2/tags") == []
    assert len(notes(world)) == 1


@pytest.mark.parametrize("link", [None, '<https://api.intercom.io/contacts/contact2>; rel="canonical"'])
def test_a_merge_that_leads_nowhere_is_given_up(world: World, link: str | None) -> None:
    headers = {"Link": link} if link else {}
    again = {"Link": '<https://api.intercom.io/contacts/contact3>; rel="canonical"'}
    world.outside.upsert("PUT", PUT, status=410, headers=headers)
    world.outside.put(f"{INTERCOM}/contacts/contact2", status=410, headers=again)
    world.outside.post(f"{INTERCOM}/contacts/contact2/tags", json={"type": "tag", "id": "81"})
    receive(world)
    assert (world.interview().state, world.interview().reason) == ("failed", "contact_merged")
    assert len(attributes(world)) == (2 if link else 1)
    assert len(notes(world)) == 1
    card = world.initialize(contact={"id": world.interview().contact_id})
    assert "merged" in texts(card)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://koji.so/t/" + "x" * 237, True),
        ("https://koji.so/t/" + "x" * 238, False),
        ("https://evil.example/t", False),
        ("javascript:alert(1)", False),
        ("http://koji.so/t", False),
    ],
    ids=["255 characters", "256 characters", "foreign host", "script", "not https"],
)
def test_a_transcript_address_is_an_attribute_as_it_is_or_not_at_all(
    world: World, url: str, kept: bool
) -> None:
    receive(world, transcript_url=url)
    assert attributes(world)[0].get("last_interview_url") == (url if kept else None)
    [note] = notes(world)
    # The note has room for a long one; one that leads elsewhere is not shown anywhere.
    assert (url in note["body"]) is url.startswith("https://koji.so/")
    assert world.interview().state == "written_back"
    assert (url in texts(world.initialize())) is url.startswith("https://koji.so/")


def test_what_is_not_known_overwrites_nothing(world: World) -> None:
    world.outside.get(f"https://koji.so/api/v1/interviews/{KOJI_ID}", status=404)
    receive(world, sentiment=..., themes=..., transcript_url=...)
    for _ in range(6):
        world.run_jobs(delayed=True)
    assert set(attributes(world)[0]) == {"last_interview_at", "last_interview_quality"}


def test_a_theme_is_cut_to_what_an_attribute_holds(world: World) -> None:
    receive(world, themes=["t" * 255 + "endless"], top_theme="t" * 300)
    assert len(attributes(world)[0]["last_interview_top_theme"]) == 255


# The note


def test_hostile_themes_are_text_in_the_note(world: World) -> None:
    receive(
        world, themes=["<img src=x onerror=alert(1)>", '"><a href="https://evil.example">tap</a>', "&amp;"]
    )
    [note] = notes(world)
    for part in ("<img", "<a href", "onerror=alert(1)>"):
        assert part not in note["body"].replace('<a href="https://koji.so/t/1">', "")
    assert "&lt;img src=x onerror=alert(1)&gt;" in note["body"]
    assert "&amp;amp;" in note["body"]
    assert note["admin_id"] == OWN_ADMIN


@pytest.mark.parametrize("found", [True, False])
def test_a_note_of_unknown_fate_is_looked_for(world: World, found: bool) -> None:
    world.outside.upsert("POST", REPLY, body=httpx.ReadTimeout("slow"))
    receive(world)
    assert world.interview().state == "analysed"
    [(_, pause)] = world.pending()
    assert pause >= once.CLAIM_SECONDS
    world.let_time_pass(seconds=once.CLAIM_SECONDS + 1)
    world.outside.upsert("POST", REPLY, json={"type": "conversation", "id": CONVERSATION})
    reference = f"<p>Reference: koji-{world.interview().id}</p>"
    world.intercom_shows("<p>Hello</p>", *([reference] if found else []))
    world.run_jobs(delayed=True)
    assert world.interview().state == "written_back"
    assert len(notes(world)) == (1 if found else 2)
    assert len(world.calls("POST", f"/conversations/{CONVERSATION}/tags")) == 1


def test_a_note_whose_fate_cannot_be_learnt_is_not_repeated_and_the_rest_is_written(world: World) -> None:
    world.outside.upsert("POST", REPLY, body=httpx.ReadTimeout("slow"))
    receive(world)
    world.let_time_pass(seconds=once.CLAIM_SECONDS + 1)
    world.intercom_shows(*["<p>x</p>"] * 500, total=900)
    world.run_jobs(delayed=True)
    assert len(notes(world)) == 1
    assert (world.interview().state, world.interview().reason) == ("written_back", "note_unknown")
    assert len(world.calls("POST", f"/contacts/{CONTACT}/tags")) == 1
    card = texts(world.initialize())
    assert "could not be learnt whether the note was posted" in card
    assert "Pricing friction" in card


@pytest.mark.parametrize("status", [400, 422])
def test_a_note_that_is_refused_for_another_reason_is_a_failure_and_the_rest_is_written(
    world: World, status: int
) -> None:
    world.outside.upsert("POST", REPLY, status=status, json={"type": "error.list", "errors": []})
    receive(world)
    assert (world.interview().state, world.interview().reason) == ("failed", "intercom_refused")
    assert len(attributes(world)) == 1
    assert len(world.calls("POST", f"/contacts/{CONTACT}/tags")) == 1
    card = texts(world.initialize())
    assert "Intercom refused it." in card
    assert "Pricing friction" in card


def test_where_the_conversation_is_gone_the_contact_keeps_what_was_written(world: World) -> None:
    world.outside.upsert("POST", REPLY, status=404, json=NOT_FOUND)
    world.outside.upsert("POST", f"{INTERCOM}/conversations/{CONVERSATION}/tags", status=404, json=NOT_FOUND)
    receive(world)
    assert (world.interview().state, world.interview().reason) == ("written_back", "conversation_gone")
    assert len(attributes(world)) == 1
    assert len(world.calls("POST", f"/contacts/{CONTACT}/tags")) == 1
    assert "no longer has the conversation, so there is no note" in texts(world.initialize())


# Tags


def test_themes_of_the_allow_list_become_tags_beside_the_sentiment(world: World) -> None:
    tags_by_name(world, koji_negative_sentiment="81", koji_slow_exports="82")
    with store.writing(world.engine) as connection:
        connection.execute(sa.insert(theme_tags), [{"slug": "slow_exports"}, {"slug": "never_heard"}])
    receive(world)
    assert [tag["name"] for tag in world.calls("POST", f"{INTERCOM}/tags$")] == [
        "koji_negative_sentiment",
        "koji_slow_exports",
    ]
    assert [tag["id"] for tag in world.calls("POST", f"/conversations/{CONVERSATION}/tags")] == ["81", "82"]
    assert on_contact(world) == [("on", "81"), ("on", "82")]
    assert world.interview().contact_tags == {"81": "koji_negative_sentiment", "82": "koji_slow_exports"}


def test_a_tag_that_was_made_anew_is_put_on_although_its_former_id_was_remembered(world: World) -> None:
    tags_by_name(world, koji_negative_sentiment="82")
    world.services.tag_ids.of(["koji_negative_sentiment"], lambda _name: "81")
    path = f"{INTERCOM}/conversations/{CONVERSATION}/tags"

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        gone = '"81"' in request.body.decode()
        return (404, {}, json.dumps(NOT_FOUND)) if gone else (200, {}, '{"type": "tag", "id": "82"}')

    world.outside.remove("POST", path)
    world.outside.add_callback("POST", path, callback=answer)
    world.outside.delete(f"{path}/81", status=404, json=NOT_FOUND)
    world.outside.delete(f"{INTERCOM}/contacts/{CONTACT}/tags/81", status=404, json=NOT_FOUND)
    receive(world)
    assert (world.interview().state, world.interview().reason) == ("written_back", None)
    assert [tag["id"] for tag in world.calls("POST", f"/conversations/{CONVERSATION}/tags")] == ["81", "82"]
    assert world.interview().conversation_tags == {"82": "koji_negative_sentiment"}
    assert world.interview().contact_tags == {"82": "koji_negative_sentiment"}


def test_the_outdated_tag_is_taken_off_the_contact_before_the_new_one_goes_on(world: World) -> None:
    tags_by_name(world, koji_negative_sentiment="81", koji_positive_sentiment="83")
    receive(world)
    next_interview(world)
    world.outside.delete(f"{INTERCOM}/contacts/{CONTACT}/tags/81", json={"type": "tag", "id": "81"})
    receive(world, interview_id="k2", sentiment="positive", completed_at="2026-11-21T10:00:00Z")
    assert on_contact(world) == [("on", "81"), ("off", "81"), ("on", "83")]
    with store.reading(world.engine) as connection:
        remembered = connection.execute(
            sa.select(interviews.c.contact_tags).order_by(interviews.c.created_at)
        ).scalars()
        assert list(remembered) == [None, {"83": "koji_positive_sentiment"}]


def test_a_tag_that_both_interviews_have_stays_on_the_contact(world: World) -> None:
    tags_by_name(world, koji_negative_sentiment="81")
    receive(world)
    next_interview(world)
    receive(world, interview_id="k2", completed_at="2026-11-21T10:00:00Z")
    assert on_contact(world) == [("on", "81"), ("on", "81")]


@pytest.mark.parametrize("status", [200, 404])
def test_when_a_result_is_corrected_its_own_old_tag_comes_off_the_contact_and_the_conversation(
    world: World, status: int
) -> None:
    tags_by_name(world, koji_negative_sentiment="81", koji_positive_sentiment="83")
    receive(world)
    body = NOT_FOUND if status == 404 else {"type": "tag", "id": "81"}
    for owner in (f"contacts/{CONTACT}", f"conversations/{CONVERSATION}"):
        world.outside.delete(f"{INTERCOM}/{owner}/tags/81", status=status, json=body)
    receive(world, sentiment="positive")
    assert on_contact(world) == [("on", "81"), ("off", "81"), ("on", "83")]
    assert world.calls("DELETE", f"/conversations/{CONVERSATION}/tags/81$") == [{"admin_id": OWN_ADMIN}]
    assert [tag["id"] for tag in world.calls("POST", f"/conversations/{CONVERSATION}/tags")] == ["81", "83"]
    assert world.interview().state == "written_back"


def takes_tags_off(world: World) -> None:
    for owner in (f"contacts/{CONTACT}", f"conversations/{CONVERSATION}"):
        world.outside.delete(f"{INTERCOM}/{owner}/tags/81", json={"type": "tag", "id": "81"})


def test_without_tag_contact_the_corrected_results_old_tag_comes_off_the_conversation_too(
    world: World,
) -> None:
    tags_by_name(world, koji_negative_sentiment="81", koji_positive_sentiment="83")
    takes_tags_off(world)
    world.deploy(tag_contact=False)
    receive(world)
    receive(world, sentiment="positive")
    assert len(world.calls("DELETE", f"/conversations/{CONVERSATION}/tags/81$")) == 1
    assert on_contact(world) == []


@pytest.mark.parametrize("owner", [f"contacts/{CONTACT}", f"conversations/{CONVERSATION}"])
def test_a_tag_of_which_nobody_knows_whether_it_went_on_comes_off_when_it_is_outdated(
    world: World, owner: str
) -> None:
    tags_by_name(world, koji_negative_sentiment="81", koji_positive_sentiment="83")
    takes_tags_off(world)
    world.outside.upsert("POST", f"{INTERCOM}/{owner}/tags", status=502, json={})
    receive(world)
    world.outside.upsert("POST", f"{INTERCOM}/{owner}/tags", json={"type": "tag", "id": "83"})
    receive(world, sentiment="positive")
    assert len(world.calls("DELETE", f"/{owner}/tags/81$")) == 1
    after = world.interview()
    assert after.contact_tags == after.conversation_tags == {"83": "koji_positive_sentiment"}
    # Those that waited write the same, and what is off is not taken off again.
    while world.pending():
        world.run_jobs(delayed=True)
    assert len(world.calls("DELETE", f"/{owner}/tags/81$")) == 1


def test_tags_of_an_older_version_are_known_to_be_on_the_conversation_as_well(world: World) -> None:
    tags_by_name(world, koji_negative_sentiment="81", koji_positive_sentiment="83")
    takes_tags_off(world)
    receive(world)
    world.set_interview(conversation_tags=None)
    receive(world, sentiment="positive")
    assert len(world.calls("DELETE", f"/conversations/{CONVERSATION}/tags/81$")) == 1


def test_tags_that_went_on_while_the_result_turned_out_anonymous_are_remembered(world: World) -> None:
    def turned_out(_request: Any) -> tuple[int, dict[str, str], str]:
        world.set_interview(state="failed", reason="anonymous_after_writing")
        return 200, {}, '{"type": "tag", "id": "81"}'

    url = f"{INTERCOM}/contacts/{CONTACT}/tags"
    world.outside.remove("POST", url)
    world.outside.add_callback("POST", url, callback=turned_out)
    receive(world)
    assert world.interview().contact_tags == {"81": "koji_negative_sentiment"}


def test_a_tag_that_a_corrected_result_still_has_stays_on_the_conversation(world: World) -> None:
    tags_by_name(world, koji_negative_sentiment="81")
    receive(world)
    receive(world, "quality_scored", quality_score=5)
    assert world.calls("DELETE", "/tags/") == []


def test_a_tag_that_the_conversation_never_takes_goes_on_the_contact_all_the_same(world: World) -> None:
    tags_by_name(world, koji_negative_sentiment="81")
    refused = {"type": "error.list", "errors": [{"code": "parameter_invalid"}]}
    world.outside.upsert("POST", f"{INTERCOM}/conversations/{CONVERSATION}/tags", status=400, json=refused)
    receive(world)
    assert on_contact(world) == [("on", "81")]
    assert world.interview().contact_tags == {"81": "koji_negative_sentiment"}
    assert (world.interview().state, world.interview().reason) == ("failed", "intercom_refused")


def test_without_tag_contact_only_the_conversation_is_tagged(world: World) -> None:
    settings = full_settings(world.settings.database_url, tag_contact=False)
    world.services = dataclasses.replace(world.services, settings=settings)
    receive(world)
    assert len(world.calls("POST", f"/conversations/{CONVERSATION}/tags")) == 1
    assert on_contact(world) == []


# An older interview, another workspace


def test_an_older_result_leaves_the_contact_alone_and_its_note_on_its_own_conversation(world: World) -> None:
    tags_by_name(world, koji_negative_sentiment="81", koji_positive_sentiment="83")
    older = event(world, completed_at="2026-11-01T10:00:00Z")
    world.set_interview(state="expired")
    next_interview(world)
    receive(world, interview_id="k2", sentiment="positive", completed_at="2026-11-21T10:00:00Z")
    assert world.koji_event(older).get_json() == {"status": "stored"}
    world.run_jobs()
    assert [put["last_interview_sentiment"] for put in attributes(world)] == ["positive"]
    assert on_contact(world) == [("on", "83")]
    own = [note for note in world.calls("POST", f"/{CONVERSATION}/reply$") if note["message_type"] == "note"]
    assert len(own) == 1
    assert "negative" in own[0]["body"]
    assert [tag["id"] for tag in world.calls("POST", f"/conversations/{CONVERSATION}/tags")] == ["81"]


def test_an_older_result_leaves_a_newer_ones_tags_alone_also_where_its_attributes_were_refused(
    world: World,
) -> None:
    tags_by_name(world, koji_negative_sentiment="81", koji_positive_sentiment="83")
    older = event(world, completed_at="2026-11-01T10:00:00Z")
    world.set_interview(state="expired")
    next_interview(world)
    world.outside.upsert("PUT", PUT, status=400, json={"type": "error.list", "errors": []})
    receive(world, interview_id="k2", sentiment="positive", completed_at="2026-11-21T10:00:00Z")
    assert world.interview().state == "failed"
    world.outside.upsert("PUT", PUT, json={"type": "contact", "id": CONTACT})
    world.koji_event(older)
    world.run_jobs()
    assert on_contact(world) == [("on", "83")]
    assert world.interview().contact_tags == {"83": "koji_positive_sentiment"}


def test_a_newer_result_overwrites_an_older_one(world: World) -> None:
    receive(world, completed_at="2026-11-01T10:00:00Z")
    next_interview(world)
    receive(world, interview_id="k2", sentiment="neutral", completed_at="2026-11-21T10:00:00Z")
    assert [put["last_interview_sentiment"] for put in attributes(world)] == ["negative", "neutral"]


def test_nothing_is_written_into_another_workspace(world: World) -> None:
    settings = full_settings(world.settings.database_url, intercom_access_token="another")
    world.services = dataclasses.replace(world.services, settings=settings)
    world.outside.remove("GET", f"{INTERCOM}/me")
    world.intercom_knows_us(id_code="ws2")
    before = [call.request.url for call in world.outside.calls]
    receive(world)
    after = [call.request.url for call in world.outside.calls]
    assert after == [*before, f"{INTERCOM}/me"]
    assert (world.interview().state, world.interview().reason) == ("failed", "other_workspace")


# Repeated, and without anything to do


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_dead_token_is_told_and_the_result_waits(world: World, method: responses.HTTPMethod) -> None:
    world.outside.upsert(method, REPLY if method == "POST" else PUT, status=401)
    receive(world)
    assert (world.interview().state, world.interview().reason) == ("analysed", "intercom_token_refused")
    assert len(world.pending()) == 1
    assert "tell the person who set the app up" in texts(world.initialize())


def test_each_step_may_be_repeated(world: World) -> None:
    receive(world)
    interview = world.interview()
    for write in (write_back.write_attributes, write_back.write_note, write_back.write_tags):
        assert write(world.services, interview.id)["kind"] == "done"
    assert len(notes(world)) == 1


def test_there_is_nothing_to_write_without_a_result(world: World) -> None:
    for write in (write_back.write_attributes, write_back.write_note, write_back.write_tags):
        for id_ in (world.interview().id, "gone"):
            assert write(world.services, id_)["reason"] == "nothing_to_write"


def test_an_interview_without_a_conversation_has_attributes_and_contact_tags(world: World) -> None:
    world.set_interview(conversation_id=None)
    receive(world)
    assert world.interview().state == "written_back"
    assert notes(world) == []
    assert on_contact(world) == [("on", "81")]


def test_the_time_of_the_attributes_is_the_interviews_own(world: World) -> None:
    receive(world, completed_at=...)
    at = attributes(world)[0]["last_interview_at"]
    with store.reading(world.engine) as connection:
        assert abs(store.now(connection).timestamp() - at) < timedelta(minutes=1).total_seconds()
