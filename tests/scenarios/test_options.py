"""What operators choose counts from the next decision on, also for what is half done."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from canvas_app import store
from canvas_app.interviews import options, themes
from canvas_app.interviews.options import ATTRIBUTE_NAMES
from tests.interviews.results import PUT, attributes, notes, receive, sent_and_ready
from tests.support.world import CONTACT, CONVERSATION, INTERCOM, World, component, texts

RENAMED = {"sentiment": "Interview mood", "url": "Interview transcript"}


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


def choose(world: World, **value: Any) -> None:
    """As the console writes it."""
    with store.writing(world.engine) as connection:
        options.write(connection, options.WRITE_BACK, value)


def tags_by_name(world: World, **ids: str) -> None:
    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        name = str(request.body.decode()).split('"')[3]
        return 200, {}, f'{{"type": "tag", "id": "{ids[name.replace(" ", "_")]}", "name": "{name}"}}'

    world.outside.remove("POST", f"{INTERCOM}/tags")
    world.outside.add_callback("POST", f"{INTERCOM}/tags", callback=answer)


def tagged(world: World) -> list[str]:
    return [tag["name"] for tag in world.calls("POST", f"{INTERCOM}/tags$")]


class TestNames:
    def test_the_next_result_is_written_under_the_names_of_now(self, world: World) -> None:
        sent_and_ready(world)
        choose(world, attributes=RENAMED)
        receive(world)
        [written] = attributes(world)
        assert written["Interview mood"] == "negative"
        assert written["Interview transcript"] == "https://koji.so/t/1"
        assert written["last_interview_quality"] == 4
        assert not {"last_interview_sentiment", "last_interview_url"} & set(written)
        assert world.interview().attribute_names == {
            "last_interview_at": "at",
            "Interview mood": "sentiment",
            "last_interview_top_theme": "top_theme",
            "last_interview_quality": "quality",
            "Interview transcript": "url",
        }

    def test_what_stands_under_an_old_name_is_emptied_by_the_next_writing(self, world: World) -> None:
        sent_and_ready(world)
        receive(world)
        choose(world, attributes=RENAMED)
        receive(world, sentiment="positive")
        assert attributes(world)[1]["Interview mood"] == "positive"
        assert attributes(world)[2:] == [{"last_interview_sentiment": None}, {"last_interview_url": None}]
        receive(world, sentiment="mixed")
        assert len(attributes(world)) == 5, "what is empty is not emptied again"
        assert attributes(world)[4]["Interview mood"] == "mixed"

    def test_also_what_an_earlier_version_has_written_without_remembering_its_names(
        self, world: World
    ) -> None:
        sent_and_ready(world)
        receive(world)
        world.set_interview(attribute_names=None)
        choose(world, attributes=RENAMED)
        receive(world, sentiment="positive")
        assert attributes(world)[2:] == [{"last_interview_sentiment": None}, {"last_interview_url": None}]

    def test_what_may_have_been_written_before_the_names_changed_is_emptied_too(self, world: World) -> None:
        """The call was made, its answer was lost, and then the names were changed."""
        sent_and_ready(world)
        world.outside.upsert("PUT", PUT, body=httpx.ReadTimeout("slow"))
        receive(world)
        assert world.interview().state == "analysed"
        choose(world, attributes=RENAMED)
        world.outside.upsert("PUT", PUT, json={"type": "contact", "id": CONTACT})
        world.run_jobs(delayed=True)
        assert world.interview().state == "written_back"
        assert attributes(world)[1]["Interview mood"] == "negative"
        assert attributes(world)[2:] == [{"last_interview_sentiment": None}, {"last_interview_url": None}]

    def test_where_emptying_fails_it_is_made_up_for(self, world: World) -> None:
        sent_and_ready(world)
        receive(world)
        choose(world, attributes={"url": "Interview transcript"})
        fails = True

        def answer(request: Any) -> tuple[int, dict[str, str], str]:
            if b"last_interview_url" in request.body and fails:
                return 503, {}, "{}"
            return 200, {}, f'{{"type": "contact", "id": "{CONTACT}"}}'

        world.outside.remove("PUT", PUT)
        world.outside.add_callback("PUT", PUT, callback=answer)
        receive(world, sentiment="positive")
        assert world.interview().state == "analysed"
        fails = False
        world.run_jobs(delayed=True)
        assert world.interview().state == "written_back"
        assert attributes(world)[-1] == {"last_interview_url": None}
        assert world.interview().attribute_names is not None
        assert "last_interview_url" not in (world.interview().attribute_names or {})

    @pytest.mark.parametrize("status", [403, 422])
    def test_what_was_written_stays_known_where_emptying_is_refused(self, world: World, status: int) -> None:
        """Nobody may say that nothing was written, also if the result turns out to be anonymous."""
        sent_and_ready(world)
        world.set_interview(conversation_id=None)
        world.outside.upsert("PUT", PUT, status=422, json={})
        world.outside.upsert("POST", f"{INTERCOM}/tags", status=422, json={})
        receive(world)
        assert world.interview().state == "failed"
        choose(world, attributes={"url": "Interview transcript"})

        def answer(request: Any) -> tuple[int, dict[str, str], str]:
            refused = b"last_interview_url" in request.body
            return (status if refused else 200), {}, f'{{"type": "contact", "id": "{CONTACT}"}}'

        world.outside.remove("PUT", PUT)
        world.outside.add_callback("PUT", PUT, callback=answer)
        receive(world, sentiment="positive")
        assert "Interview transcript" in attributes(world)[1]
        assert world.interview().state != "written_back"
        receive(world, respondent_email=None)
        assert (world.interview().state, world.interview().reason) == ("failed", "anonymous_after_writing")

    def test_a_name_that_is_used_for_something_else_now_is_not_emptied(self, world: World) -> None:
        sent_and_ready(world)
        receive(world)
        swapped = {
            "sentiment": ATTRIBUTE_NAMES["top_theme"],
            "top_theme": ATTRIBUTE_NAMES["sentiment"],
        }
        choose(world, attributes=swapped)
        receive(world, sentiment="positive")
        assert len(attributes(world)) == 2
        assert attributes(world)[1]["last_interview_top_theme"] == "positive"
        assert attributes(world)[1]["last_interview_sentiment"] == "Pricing friction"

    def test_a_missing_attribute_is_created_by_the_name_of_now(self, world: World) -> None:
        sent_and_ready(world)
        choose(world, attributes=RENAMED)
        unknown = "Custom attribute 'Interview mood' does not exist"
        world.outside.upsert(
            "PUT",
            PUT,
            status=400,
            json={"type": "error.list", "errors": [{"code": "parameter_invalid", "message": unknown}]},
        )
        world.outside.put(PUT, json={"type": "contact", "id": CONTACT})
        world.outside.get(f"{INTERCOM}/data_attributes", json={"type": "list", "data": []})
        world.outside.post(f"{INTERCOM}/data_attributes", json={"type": "data_attribute"})
        receive(world)
        created = {body["name"]: body["data_type"] for body in world.calls("POST", "/data_attributes")}
        assert created["Interview mood"] == "string"
        assert "last_interview_sentiment" not in created


class TestGate:
    def test_a_result_below_it_is_recorded_and_the_card_says_which_gate_it_was(self, world: World) -> None:
        sent_and_ready(world)
        choose(world, min_quality=4.5)
        receive(world)
        assert (world.interview().state, world.interview().reason) == ("not_written", "low_quality")
        assert attributes(world) == notes(world) == []
        assert "4.5" in texts(world.initialize())

    def test_a_lower_one_lets_the_next_result_through(self, world: World) -> None:
        sent_and_ready(world)
        world.deploy(min_quality=5)
        choose(world, min_quality=2)
        receive(world, quality_score=2)
        assert world.interview().state == "written_back"

    def test_what_is_tried_again_is_held_to_the_gate_of_now(self, world: World) -> None:
        sent_and_ready(world)
        world.outside.upsert("PUT", PUT, status=503, json={})
        receive(world)
        assert world.interview().state == "analysed"
        choose(world, min_quality=4.5)
        world.run_jobs(delayed=True)
        # What was tried may be there, so that "nothing was written" would not be true.
        assert (world.interview().state, world.interview().reason) == ("failed", "low_quality_after_writing")
        assert notes(world) == []


class TestNote:
    def test_has_the_chosen_parts_and_always_its_reference(self, world: World) -> None:
        sent_and_ready(world)
        choose(world, note=["sentiment", "transcript"])
        receive(world)
        [note] = notes(world)
        assert "Sentiment: negative" in note["body"]
        assert "https://koji.so/t/1" in note["body"]
        for left_out in ("Quality", "Top theme", "Themes", "Pricing"):
            assert left_out not in note["body"]
        assert f"koji-{world.interview().id}" in note["body"]

    def test_without_parts_says_that_there_is_an_interview_and_is_found_when_its_fate_is_unknown(
        self, world: World
    ) -> None:
        sent_and_ready(world)
        choose(world, note=[])
        receive(world)
        [note] = notes(world)
        assert "<ul>" not in note["body"]
        assert "Koji interview: Customer interview" in note["body"]
        assert f"koji-{world.interview().id}" in note["body"]


class TestTags:
    def test_the_chosen_tag_goes_on_and_the_outdated_one_comes_off_whatever_its_name_is_now(
        self, world: World
    ) -> None:
        sent_and_ready(world)
        tags_by_name(world, koji_negative_sentiment="81", Call_them="84")
        receive(world)
        choose(world, tags={"negative": "Call them"})
        for owner in (f"contacts/{CONTACT}", f"conversations/{CONVERSATION}"):
            world.outside.delete(f"{INTERCOM}/{owner}/tags/81", json={"type": "tag", "id": "81"})
        receive(world, themes=["Something else"])
        assert tagged(world) == ["koji_negative_sentiment", "Call them"]
        assert len(world.calls("DELETE", f"/contacts/{CONTACT}/tags/81$")) == 1
        assert len(world.calls("DELETE", f"/conversations/{CONVERSATION}/tags/81$")) == 1
        assert world.interview().contact_tags == {"84": "Call them"}

    def test_a_sentiment_may_have_none(self, world: World) -> None:
        sent_and_ready(world)
        choose(world, tags={"negative": None})
        receive(world)
        assert tagged(world) == []
        assert world.interview().state == "written_back"

    def test_a_theme_that_is_allowed_becomes_one(self, world: World) -> None:
        sent_and_ready(world)
        tags_by_name(world, koji_negative_sentiment="81", koji_slow_exports="82")
        with store.writing(world.engine) as connection:
            themes.allow(connection, {"slow_exports"})
        receive(world)
        assert tagged(world) == ["koji_negative_sentiment", "koji_slow_exports"]


class TestFrequency:
    def answered(self, world: World) -> None:
        sent_and_ready(world)
        receive(world)

    def test_a_cap_holds_for_the_next_tap(self, world: World) -> None:
        self.answered(world)
        world.submit("send_again")
        assert component(world.last_canvas, "send") is not None
        choose(world, ask_again_days=30)
        world.submit("send")
        assert "Asked recently" in texts(world.last_canvas)
        world.submit("send_again")
        assert "Asked recently" in texts(world.last_canvas)

    def test_no_cap_opens_the_way_at_once(self, world: World) -> None:
        world.deploy(ask_again_days=30)
        self.answered(world)
        world.submit("send_again")
        assert "Asked recently" in texts(world.last_canvas)
        choose(world, ask_again_days=0)
        world.submit("send_again")
        assert component(world.last_canvas, "send") is not None

    def test_what_was_forgotten_meanwhile_is_not_counted_on(self, world: World) -> None:
        choose(world, ask_again_days=400)
        world.deploy(retention_days=10)
        self.answered(world)
        world.let_time_pass(days=11)
        world.submit("send_again")
        assert component(world.last_canvas, "send") is not None
