"""A choice in the console counts in a worker that is running already."""

from __future__ import annotations

from pathlib import Path

import pytest

from canvas_app import migrate, store
from canvas_app.interviews import options
from tests.processes.stage import Stage, Talk, until

pytestmark = pytest.mark.slow


def answered(stage: Stage) -> Talk:
    talk = stage.customer()
    stage.tap(talk)
    stage.until_card(talk, "Interview sent")
    stage.answer(talk)
    return talk


def notes(talk: Talk) -> list[str]:
    return [part.body or "" for part in talk.conversation.parts if part.part_type == "note"]


def test_a_running_worker_writes_the_next_result_as_it_was_chosen_meanwhile(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'koji.db'}"
    migrate.release(url)
    with Stage(url, tmp_path / "logs") as stage:
        stage.start_worker()
        stage.wait_until_healthy()
        first = answered(stage)
        until("it is written", lambda: "last_interview_sentiment" in first.contact.custom_attributes)
        chosen = {"attributes": {"sentiment": "Interview mood"}, "note": ["quality"]}
        with store.writing(stage.engine) as connection:
            options.write(connection, options.WRITE_BACK, chosen)
        second = answered(stage)
        until("it is written anew", lambda: "Interview mood" in second.contact.custom_attributes)
        assert "last_interview_sentiment" not in second.contact.custom_attributes
        [note] = until("the note is there", lambda: notes(second))
        assert "Quality" in note
        assert "Sentiment" not in note
        # The card of the web process, which is running as well, holds to the gate of now.
        with store.writing(stage.engine) as connection:
            options.write(connection, options.WRITE_BACK, {"min_quality": 5})
        third = answered(stage)
        stage.until_card(third, "of 5")
        assert "Interview mood" not in third.contact.custom_attributes
