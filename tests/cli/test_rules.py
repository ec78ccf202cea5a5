from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from canvas_app import cli, store
from canvas_app.interviews import readymade, rulestore
from canvas_app.interviews.rulebook import Rule
from canvas_app.interviews.tables import decisions, metadata
from tests.scenarios.test_rules import add_interview
from tests.support.events import (
    BOT,
    BY_CONTACT,
    all_is_well,
    closed,
    conversation,
    happens,
    intercom_has_contact,
    intercom_has_conversation,
    part,
    rating,
)
from tests.support.world import CONTACT, INTERCOM, World


@pytest.fixture
def world(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("DATABASE_URL", sqlite_world.settings.database_url)
    monkeypatch.setenv("INTERCOM_ACCESS_TOKEN", "intercom-token")
    return sqlite_world


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.commands, ["rules", *arguments])


def done(*arguments: str) -> str:
    answer = run(*arguments)
    assert answer.exit_code == 0, answer.output
    return answer.output


def refused(*arguments: str) -> str:
    answer = run(*arguments)
    assert answer.exit_code == 1, answer.output
    return answer.output


def rule(world: World, slug: str) -> Rule:
    with store.reading(world.engine) as connection:
        found = rulestore.find(connection, slug)
    assert found is not None
    return found


def order(world: World) -> list[str]:
    with store.reading(world.engine) as connection:
        return [one.slug for one in rulestore.listed(connection)]


LOW = ("add", "low", "--title", "Low rating", "--event", "conversation.rating.added")


def test_a_rule_is_added_shown_changed_and_switched(world: World) -> None:
    assert done("list") == "There is no rule yet.\n"
    done(
        *LOW, "--rating-at-most", "3", "--tag", "vip", "--tag", "gold", "--delay", "2 hours", "--share", "50"
    )
    made = rule(world, "low")
    assert not made.enabled
    assert (made.conditions.tag, made.delay, made.limits.share) == (("vip", "gold"), 7_200, 50)
    done("edit", "low", "--title", "Lower", "--rating-at-most", "2", "--clear", "tag", "--clear", "delay")
    made = rule(world, "low")
    assert (made.title, made.conditions.rating_at_most, made.conditions.tag) == ("Lower", 2, ())
    assert (made.delay, made.limits.share) == (0, 50)
    assert done("on", "low") == "low: on.\n"
    assert rule(world, "low").enabled
    # A change leaves it on.
    done("edit", "low", "--closed-by-person")
    assert rule(world, "low").enabled
    assert rule(world, "low").conditions.closed_by_person
    listed = done("list")
    assert "low" in listed
    assert "Lower" in listed
    assert tomllib.loads(done("show", "low"))["rules"][0]["conditions"]["rating_at_most"] == 2
    done("off", "low")
    assert not rule(world, "low").enabled


def test_a_rule_with_mistakes_lists_them_and_changes_nothing(world: World) -> None:
    said = refused(*LOW, "--rating-at-most", "9", "--delay", "soon", "--study", "nowhere")
    assert "conditions.rating_at_most" in said
    assert "delay" in said
    assert "nowhere" in said
    assert order(world) == []
    done(*LOW)
    assert "title is missing" in refused("add", "other", "--event", "conversation.admin.closed")
    assert "already" in refused(*LOW)
    refused("edit", "low", "--share", "0")
    assert rule(world, "low").limits.share == 100


@pytest.mark.parametrize("command", [("show",), ("edit",), ("on",), ("off",), ("order",)])
@pytest.mark.usefixtures("world")
def test_a_rule_that_there_is_not_is_named(command: tuple[str, ...]) -> None:
    assert "There is no rule nowhere" in refused(*command, "nowhere")


def test_the_order_is_changed(world: World) -> None:
    for slug in ("a", "b", "c"):
        done("add", slug, "--title", slug, "--event", "conversation.admin.closed")
    assert order(world) == ["a", "b", "c"]
    assert done("order", "c", "a") == "The order is now: c, a, b\n"
    assert order(world) == ["c", "a", "b"]


def test_rules_go_out_and_in_as_a_file(world: World, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    with store.writing(world.engine) as connection:
        readymade.plant(connection)
    done("order", "trial-midpoint")
    before = order(world)
    done("export", str(file))
    assert done("export") == file.read_text()
    with store.writing(world.engine) as connection:
        connection.execute(sa.delete(metadata.tables["rules"]))
    assert done("import", str(file)) == "5 new, 0 changed.\n"
    assert order(world) == before
    assert done("import", str(file)) == "0 new, 5 changed.\n"
    assert rule(world, "feature-adopted") == {one.slug: one for one in readymade.rules()}["feature-adopted"]


def test_a_file_with_mistakes_lists_all_of_them_and_changes_nothing(world: World, tmp_path: Path) -> None:
    done(*LOW)
    file = tmp_path / "rules.toml"
    good = '[[rules]]\nslug = "good"\ntitle = "G"\nevent = "conversation.admin.closed"\n'
    file.write_text(good + '[[rules]]\nslug = "low"\ntitle = "changed"\nevent = "x"\nstudy = "y"\n')
    said = refused("import", str(file))
    assert "2 mistakes, and nothing was changed" in said
    assert "line 8: event is not one of" in said
    assert "line 9: study is none that there is" in said
    assert order(world) == ["low"]
    assert rule(world, "low").title == "Low rating"
    file.write_bytes(b"\xff\xfe")
    assert "not UTF-8" in refused("import", str(file))


def test_while_a_file_is_read_nobody_has_to_wait_for_the_database(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_text: str, *, studies: list[str]) -> list[Rule]:
        with store.writing(world.engine) as connection:
            connection.execute(sa.delete(decisions))
        return []

    monkeypatch.setattr("canvas_app.interviews.rulefile.read", read)
    (tmp_path / "rules.toml").write_text("")
    assert done("import", str(tmp_path / "rules.toml")) == "0 new, 0 changed.\n"


def test_release_writes_the_ready_made_rules_and_leaves_what_was_changed(world: World) -> None:
    assert CliRunner().invoke(cli.commands, ["release"]).exit_code == 0
    assert len(order(world)) == 5
    done("edit", "churn-signal", "--title", "Mine")
    assert CliRunner().invoke(cli.commands, ["release"]).exit_code == 0
    assert rule(world, "churn-signal").title == "Mine"
    assert len(order(world)) == 5


def test_decisions_are_shown_with_their_reasons_in_words(world: World) -> None:
    assert done("decisions") == "Nothing was decided yet.\n"
    done(
        "add",
        "closed",
        "--title",
        "C",
        "--event",
        "conversation.admin.closed",
        "--characters-at-least",
        "500",
    )
    done("on", "closed")
    all_is_well(world)
    happens(world, closed())
    shown = done("decisions")
    assert "too short to be worth asking about. (57 characters by the customer, asked is from 500)" in shown
    assert "skipped" in shown
    assert CONTACT in shown
    assert done("decisions", "--rule", "other") == "Nothing was decided yet.\n"
    assert done("decisions", "--verdict", "asked") == "Nothing was decided yet.\n"
    assert "skipped" in done("decisions", "--since", "1h")


def past(world: World) -> None:
    """Six past conversations, on two pages."""
    all_is_well(world)
    talks: dict[str, dict[str, Any]] = {
        "601": {"contacts": ("c1",), "conversation_rating": rating(2) | {"updated_at": 2_000_000_100}},
        "602": {"contacts": ("c1",), "conversation_rating": rating(1) | {"updated_at": 2_000_000_200}},
        "603": {"contacts": ("c2",), "conversation_rating": rating(5) | {"updated_at": 2_000_000_300}},
        "604": {"contacts": ("c3",), "conversation_rating": rating(1) | {"updated_at": 2_000_000_400}},
        "605": {"contacts": ("c4",)},
        "606": {"contacts": ("c4", "c5"), "conversation_rating": rating(1) | {"updated_at": 2_000_000_500}},
    }
    for id_, changes in talks.items():
        close = part("close", created_at=2_000_000_000, author=BOT if id_ == "605" else BY_CONTACT)
        intercom_has_conversation(world, close, id=id_, **changes)
    for contact_id in ("c1", "c2", "c4", "c5"):
        intercom_has_contact(world, contact_id=contact_id, name=f"Name of {contact_id}")
    intercom_has_contact(world, "koji_do_not_ask", contact_id="c3", name="Name of c3")
    search = f"{INTERCOM}/conversations/search"
    pages = [
        {"conversations": [conversation(id=id_) for id_ in ("601", "602", "603")]}
        | {"pages": {"next": {"starting_after": "cursor"}}, "total_count": 6},
        {"conversations": [conversation(id=id_) for id_ in ("604", "605", "606")]}
        | {"pages": {}, "total_count": 6},
    ]
    for page in pages:
        world.outside.post(search, json={"type": "conversation.list", **page})


def rows(world: World) -> dict[str, list[Any]]:
    """All that is remembered, but for the wires' rates and whose token it is."""
    own = ("gates", "pauses", "workspaces")
    with store.reading(world.engine) as connection:
        return {
            name: list(connection.execute(sa.select(table)))
            for name, table in metadata.tables.items()
            if name not in own
        }


def test_a_dry_run_says_who_would_have_been_asked_and_who_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("canvas_app.cli.rehearse.make_services", lambda *_: world.services)
    world.deploy(ask_again_days=30)
    monkeypatch.setattr("canvas_app.cli.rehearse.make_services", lambda *_: world.services)
    done(*LOW, "--rating-at-most", "3")
    past(world)
    before = rows(world)
    shown = done("dry-run", "--since", "30d", "--rule", "low")
    assert "1 would have been asked, 4 not. Nothing was sent." in shown
    assert "Name of c1" in shown
    for words in (
        "The customer had been asked not long before.",
        "The rating was better than the rule asks about. (rated 5, asked is at 3 or less)",
        "A tag on the customer or the conversation says that nobody is to ask.",
        "Several people are in the conversation",
    ):
        assert words in shown
    assert rows(world) == before
    sent = [call.request for call in world.outside.calls if call.request.method != "GET"]
    assert {str(request.url) for request in sent} == {f"{INTERCOM}/conversations/search"}
    first, second = world.calls("POST", "/conversations/search")
    assert first["query"]["field"] == "updated_at"
    assert "starting_after" not in first["pagination"]
    assert second["pagination"]["starting_after"] == "cursor"
    assert world.count(decisions) == 0


def test_a_dry_run_obeys_weekly_limits_and_the_order_of_rules(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("canvas_app.cli.rehearse.make_services", lambda *_: world.services)
    common = ("--event", "conversation.admin.closed")
    done(
        "add",
        "people",
        "--title",
        "P",
        *common,
        "--customer-parts-at-least",
        "1",
        "--interviews-per-week",
        "1",
    )
    done("add", "all", "--title", "A", *common)
    done("on", "people", "all")
    past(world)
    shown = done("dry-run")
    assert "as many interviews this week as it may" in shown
    assert "Another rule has asked already." in shown
    assert "yes" in done("dry-run", "--only-asked")


def test_a_dry_run_shows_names_without_what_a_terminal_would_obey(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("canvas_app.cli.rehearse.make_services", lambda *_: world.services)
    done(*LOW)
    past(world)
    intercom_has_contact(
        world, contact_id="c1", name="\x1b[2J\x07Mia\n2033-01-01  low", email="m@example.com"
    )
    shown = done("dry-run", "--rule", "low")
    assert "  [2JMia 2033-01-01 low  " in shown


def test_a_dry_run_counts_what_it_would_have_planned(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deploy(ask_again_days=30)
    monkeypatch.setattr("canvas_app.cli.rehearse.make_services", lambda *_: world.services)
    done("add", "later", "--title", "L", "--event", "conversation.admin.closed", "--delay", "3 days")
    done(*LOW)
    done("on", "later", "low")
    past(world)
    shown = done("dry-run")
    asked = [line.split() for line in shown.splitlines() if "  yes  " in line]
    # Closed, and then rated: nobody is asked by both rules.
    assert sorted(line[line.index("yes") - 1] for line in asked) == ["601", "603", "605"]
    assert "Another interview is planned for the customer already." in shown


def test_a_dry_run_of_what_a_rule_has_truly_asked_about_says_so_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.deploy(ask_again_days=30)
    monkeypatch.setattr("canvas_app.cli.rehearse.make_services", lambda *_: world.services)
    done(*LOW, "--rating-at-most", "3")
    past(world)
    then = datetime.fromtimestamp(2_000_000_105, UTC)
    add_interview(
        world, contact_id="c1", conversation_id="601", rule="low", created_at=then, sent_at=then, state="sent"
    )
    shown = done("dry-run", "--rule", "low")
    [line] = [line for line in shown.splitlines() if "  yes  " in line]
    assert "601" in line


def test_a_dry_run_leaves_out_what_the_past_does_not_tell(world: World) -> None:
    assert "There is no rule to try" in done("dry-run")
    with store.writing(world.engine) as connection:
        readymade.plant(connection)
    shown = done("dry-run", "--rule", "churn-signal")
    assert "Left out, because they are about tags on contacts: churn-signal" in shown


def test_a_dry_run_that_cannot_read_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("canvas_app.cli.rehearse.make_services", lambda *_: world.services)
    done(*LOW)
    world.outside.get(f"{INTERCOM}/me", status=401, json={})
    assert "Intercom" in refused("dry-run", "--rule", "low")
    assert "There is no rule x" in refused("dry-run", "--rule", "x")


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("span", ["30", "d", "1y", "-1d"])
def test_a_span_is_hours_days_or_weeks(span: str) -> None:
    answer = run("dry-run", "--since", span)
    assert answer.exit_code == 2
    assert "7d" in answer.output
