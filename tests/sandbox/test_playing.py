"""The controls of the inbox page, as forms of a browser without scripts and as its script uses them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import seed

if TYPE_CHECKING:
    import httpx

    from sandbox.server import Sandbox
    from tests.sandbox.fake_app import FakeApp

PAGE = "/inbox/1001"


def press(pages: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Send one of the page's forms, and follow to the page that it ends on."""
    return pages.post(f"{PAGE}/{path}?contact={seed.MARTA}", data=fields, follow_redirects=True)


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_closing_and_closing_again(pages: httpx.Client, sandbox: Sandbox, fake_app: FakeApp) -> None:
    page = press(pages, "close")
    assert (page.status_code, page.url.params["kept"]) == (200, "1")
    assert "Ada Byrne closed the conversation" in text_of(page.text)
    assert sandbox.state.intercom.conversation("1001").state == "closed"
    again = press(pages, "close")
    assert again.status_code == 400
    assert 'role="status">This conversation is closed already.</p>' in again.text
    # Nothing of this asks the application for a card anew, but the very first look does.
    assert [kind for kind, _, _ in fake_app.requests] == ["initialize"]


def test_the_bot_closes(pages: httpx.Client) -> None:
    assert "Fin (bot) closed the conversation" in text_of(press(pages, "close", by="bot").text)


def test_the_customer_rates_and_writes(pages: httpx.Client, sandbox: Sandbox) -> None:
    page = text_of(press(pages, "rating", score="2", remark='Too <slow> & "late"').text)
    assert "Rated 2 of 5: “Too &lt;slow&gt; &amp; &#34;late&#34;”" in page
    assert "Marta Lindqvist rated the conversation" in page
    assert press(pages, "rating", score="9").status_code == 400
    assert press(pages, "rating").status_code == 400
    assert "And &lt;another&gt; thing" in press(pages, "say", text="And <another> thing").text
    rating = sandbox.state.intercom.conversation("1001").rating
    assert rating is not None
    assert rating.score == 2


def test_tags_come_and_go(pages: httpx.Client, sandbox: Sandbox) -> None:
    state = sandbox.state.intercom
    page = press(pages, "contact/tags", name="<b>vip</b>").text
    [tag_id] = state.contact(seed.MARTA).tags
    assert f'data-key="contact-tag:{tag_id}">&lt;b&gt;vip&lt;/b&gt;' in page
    assert f"/contact/tags/{tag_id}/remove" in page
    press(pages, f"contact/tags/{tag_id}/remove")
    assert state.tags_on_contact(seed.MARTA) == set()
    assert press(pages, f"contact/tags/{tag_id}/remove").status_code == 400
    part = state.conversation("1001").parts[0]
    page = press(pages, f"parts/{part.id}/tags", name="bug").text
    assert f'data-key="part-tag:{part.id}:{part.tags[0]}">bug' in page


def test_a_contact_wants_no_emails_or_calls_them_spam_and_takes_it_back(
    pages: httpx.Client, api: httpx.Client, sandbox: Sandbox
) -> None:
    assert "Emails Subscribed Unsubscribe Spam No Mark as spam" in text_of(pages.get(PAGE).text)
    page = press(pages, "contact/mail", unsubscribed_from_emails="yes").text
    assert "Emails Unsubscribed Subscribe Spam No" in text_of(page)
    page = press(pages, "contact/mail", marked_email_as_spam="yes").text
    assert "Emails Unsubscribed Subscribe Spam Marked as spam Take back" in text_of(page)
    told = api.get(f"/contacts/{seed.MARTA}").json()
    assert (told["unsubscribed_from_emails"], told["marked_email_as_spam"]) == (True, True)
    press(pages, "contact/mail", unsubscribed_from_emails="no")
    press(pages, "contact/mail", marked_email_as_spam="no")
    contact = sandbox.state.intercom.contact(seed.MARTA)
    assert (contact.unsubscribed_from_emails, contact.marked_email_as_spam) == (False, False)


def test_a_merged_contact_is_followed(pages: httpx.Client, sandbox: Sandbox, fake_app: FakeApp) -> None:
    assert press(pages, "contact/merge").status_code == 400
    page = press(pages, "contact/merge", into=seed.TOM)
    assert page.url.params["contact"] == seed.TOM
    assert "Tom Becker" in page.text
    assert sandbox.state.intercom.contact(seed.MARTA).merged_into == seed.TOM
    assert fake_app.requests[-1][0] == "initialize", "another person, another card"


def test_archived_and_deleted_contacts_are_still_shown(pages: httpx.Client, sandbox: Sandbox) -> None:
    assert "Archived" in press(pages, "contact/archive").text
    page = text_of(press(pages, "contact/delete").text)
    assert "Deleted contact" in page
    assert "Marta" not in page.replace("Hi Marta", "")
    assert sandbox.state.intercom.contact(seed.MARTA).gone == "deleted"


def test_a_series_step_shows_what_came_back(pages: httpx.Client, fake_app: FakeApp) -> None:
    page = press(pages, "series", deliver="none", study="second", method="POST")
    assert page.url.fragment == "calls"
    payload = {"contact_id": seed.MARTA, "deliver": "none", "study": "second"}
    assert fake_app.calls[0][:2] == ("POST", payload)
    for kept in ('<option value="none" selected>', 'name="study" value="second"', "<option selected>POST"):
        assert kept in page.text
    assert '<span class="pill good">201</span>' in page.text
    assert "&#34;interview_id&#34;: &#34;i1&#34;" in page.text
    assert "interview_id" not in pages.get(f"{PAGE}?contact={seed.MARTA}").text, "a fresh look shows none"


def test_a_connector_shows_each_try(pages: httpx.Client, fake_app: FakeApp) -> None:
    fake_app.api_answer = {"interview": {"id": "i1"}}
    page = press(pages, "connector", template='{"c": "{{contact.id}}"}', outdated="1")
    assert re.findall(r'pill (\w+)">(\d+)', page.text) == [("bad", "401"), ("good", "201")]
    assert "Intercom could not use this: interview is nested" in page.text
    assert "{&#34;c&#34;: &#34;{{contact.id}}&#34;}</textarea>" in page.text
    assert press(pages, "connector", template="{").status_code == 400


@pytest.mark.parametrize("path", ["close", "contact/delete"])
def test_nobody_can_act_on_what_is_not_there(pages: httpx.Client, path: str) -> None:
    assert pages.post(f"/inbox/9999/{path}").status_code == 404
    assert pages.post(f"{PAGE}/{path}?contact={seed.TOM}").status_code == 404


def scripted(pages: httpx.Client, path: str, **fields: str) -> Any:
    headers = {"X-Fragment": "act"}
    answer = pages.post(f"{PAGE}/{path}?contact={seed.MARTA}", data=fields, headers=headers)
    assert answer.status_code == 200
    return answer.json()


def test_the_script_is_answered_with_what_it_needs(pages: httpx.Client) -> None:
    assert scripted(pages, "close") == {"notice": None, "moved": None}
    assert scripted(pages, "close") == {"notice": "This conversation is closed already."}
    called = scripted(pages, "series", deliver="none")
    assert '<span class="pill good">201</span>' in called["calls"]
    assert "<html" not in called["calls"]
    moved = scripted(pages, "contact/merge", into=seed.TOM)["moved"]
    assert moved == f"/inbox/1001?contact={seed.TOM}"


def test_hostile_names_are_only_text_in_the_controls(pages: httpx.Client) -> None:
    text = pages.get("/inbox/1002").text
    assert re.findall(r"<script(?! src=)", text) == []
    assert 'option value="66a1f0c0d1b2a3948576e002"' not in text, "nobody is merged into themselves"
    assert "&lt;script&gt;alert(1)" in pages.get(PAGE).text
