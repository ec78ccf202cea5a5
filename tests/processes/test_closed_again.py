"""An automatic message into a closed conversation, by real processes and a stand-in that reopens it."""

from __future__ import annotations

import pytest

from canvas_app.interviews.ask import ask
from canvas_app.interviews.ledger import Ask
from canvas_app.settings import Settings
from tests.processes.stage import Stage, until
from tests.support.databases import on_sqlite

pytestmark = pytest.mark.slow


@on_sqlite
def test_it_is_closed_again_and_the_customer_has_the_message(stage: Stage) -> None:
    stage.start_worker()
    stage.wait_until_healthy()
    talk = stage.customer()
    talk.conversation.state = "closed"
    environment = stage.app.environment
    settings = Settings.load(
        {},
        database_url=stage.database_url,
        secret_key=environment["SECRET_KEY"],
        public_url=environment["PUBLIC_URL"],
    )
    request = Ask(stage.intercom.workspace_id, talk.contact.id, talk.conversation.id, "default", "rule")
    ask(stage.engine, stage._jobs, settings, request)
    stage.until_card(talk, "Interview sent")
    until("the conversation is closed again", lambda: talk.conversation.state == "closed")
    stage.until_nothing_is_left_to_do()
    assert len(stage.links(talk)) == 1
    kinds = [part.part_type for part in talk.conversation.parts]
    assert kinds == ["open", "close"]
