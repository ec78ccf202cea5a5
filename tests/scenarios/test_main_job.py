"""The main job: one tap in the inbox, the result back on the conversation."""

from __future__ import annotations

from tests.support.world import CONTACT, CONVERSATION, KOJI_LINK, REP, World, component, texts


def test_from_the_tap_to_the_note(world: World) -> None:
    world.vendors_are_well()
    card = world.initialize()
    assert component(card, "send") is not None
    assert len(world.outside.calls) == 0

    world.submit("send", {"personal_line": "It was great to talk <today>."})
    assert world.run_jobs() == ["send"], texts(world.last_canvas)

    [started] = world.calls("POST", "/api/v1/interviews/start")
    interview = world.interview()
    assert started == {
        "respondent": {
            "external_id": CONTACT,
            "display_name": "Mia Chen",
            "metadata": {
                "intercom_workspace_id": "ws1",
                "intercom_conversation_id": CONVERSATION,
                "intercom_contact_id": CONTACT,
                "respondent_email": "mia@example.com",
                "interview_ref": interview.id,
            },
        }
    }
    [reply] = world.calls("POST", f"/conversations/{CONVERSATION}/reply")
    assert (reply["message_type"], reply["type"], reply["admin_id"]) == ("comment", "admin", REP["id"])
    assert "Hi Mia," in reply["body"]
    assert "It was great to talk &lt;today&gt;." in reply["body"]
    link = f"https://interviews.example.com/i/{interview.link_token}"
    assert f'<a href="{link}">Start the interview</a>' in reply["body"]
    assert component(world.initialize(), "refresh") is not None
    assert "Ada Byrne" in texts(world.last_canvas)

    opened = world.get(f"/i/{interview.link_token}")
    assert (opened.status_code, opened.headers["Location"]) == (302, KOJI_LINK)
    assert world.interview().state == "opened"

    world.intercom_takes("attributes", "tags")
    assert world.koji_event(world.result()).get_json() == {"status": "stored"}
    assert world.run_jobs() == ["forward"]
    [put] = world.calls("PUT", f"/contacts/{CONTACT}$")
    assert put["custom_attributes"] == {
        "last_interview_at": 1795168800,
        "last_interview_sentiment": "negative",
        "last_interview_top_theme": "Pricing friction",
        "last_interview_quality": 4.0,
        "last_interview_url": "https://koji.so/t/1",
    }
    [_, note] = world.calls("POST", f"/conversations/{CONVERSATION}/reply")
    assert (note["message_type"], note["admin_id"]) == ("note", "7")
    assert "Pricing friction" in note["body"]
    assert world.calls("POST", "/tags$")[0] == {"name": "koji_negative_sentiment"}
    assert world.calls("POST", f"/conversations/{CONVERSATION}/tags") == [{"id": "81", "admin_id": "7"}]
    assert world.calls("POST", f"/contacts/{CONTACT}/tags") == [{"id": "81"}]
    assert world.interview().state == "written_back"
    card = world.initialize()
    assert component(card, "open_transcript") is not None
    assert "Pricing friction" in texts(card)
