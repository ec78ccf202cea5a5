"""Addresses that lead out of the console."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import Engine

from canvas_app.console import outward
from tests.interviews.asks import write
from tests.support.world import full_settings


@pytest.mark.parametrize(
    ("region", "host"),
    [("us", "app.intercom.com"), ("eu", "app.eu.intercom.com"), ("au", "app.au.intercom.com")],
)
def test_lead_into_the_workspace_s_own_region(engine: Engine, region: str, host: str) -> None:
    settings = full_settings("sqlite:///x.db", intercom_region=region)
    interview = write(engine)
    assert outward.conversation(settings, interview) == f"https://{host}/a/inbox/ws1/inbox/conversation/501"
    assert (
        outward.contact(settings, interview) == f"https://{host}/a/apps/ws1/users/contact1/all-conversations"
    )
    assert outward.transcript(settings, interview) is None


@pytest.mark.parametrize("contact", ["email:abc", "../x", "a b", "x?y", "x" * 65])
def test_what_is_no_id_leads_nowhere(engine: Engine, contact: str) -> None:
    settings = full_settings("sqlite:///x.db")
    interview = write(
        engine, contact_id=contact[:64] if len(contact) < 65 else "x/" * 30, conversation_id=None
    )
    assert outward.contact(settings, interview) is None
    assert outward.conversation(settings, interview) is None
