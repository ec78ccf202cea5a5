"""What holds for each address of the console, also for those that are about one thing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.console.views.interview_acts import ACTS
from canvas_app.interviews import erase, operators, rehearsed
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.tables import audit, decisions, deliveries, interviews, rehearsal_lines, rehearsals
from tests.console.conftest import Person, person, words
from tests.console.test_door import HOSTILE
from tests.interviews import many
from tests.interviews.asks import NOW
from tests.support.events import add_rule
from tests.support.world import PUBLIC_URL, REP, WORKSPACE, World

ID = many.id_of(1)
_VALUES = {
    "interview_id": ID,
    "delivery_id": many.id_of(1, "d"),
    "replay_id": ID,
    "rehearsal_id": ID,
    "slug": "default",
    "act_name": "erase",
    "_rest": "nowhere",
    "filename": "console.css",
}
# Whoever has no session yet comes here.
_OPEN = {"console.sign_in", "console.use_link", "console.static"}


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


def routes(world: World, method: str) -> list[str]:
    """Each address that takes this method, its arguments filled in."""
    found = [
        rule
        for rule in world.app.url_map.iter_rules()
        if rule.endpoint.startswith("console.")
        and rule.endpoint not in _OPEN
        and method in (rule.methods or ())
    ]
    build = world.app.url_map.bind("").build
    built = [build(one.endpoint, {name: _VALUES[name] for name in one.arguments}) for one in found]
    return [path.removeprefix("/console/") for path in built]


def put(world: World, number: int = 1, **changes: Any) -> str:
    values = many.interview(number, **changes)
    with store.writing(world.engine) as connection:
        connection.execute(sa.insert(interviews).values(**values))
    return str(values["id"])


def test_without_a_session_every_address_leads_to_the_way_in(world: World) -> None:
    put(world)
    nobody = person(world, Teammate(WORKSPACE, "1", None))
    page = nobody.get("sign-in", token=nobody.link().partition("=")[2]).text
    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
    assert len(routes(world, "GET")) > 20
    assert len(routes(world, "POST")) > 20
    for method in ("GET", "HEAD", "POST"):
        for path in routes(world, method):
            answer = nobody.client.open(
                f"/console/{path}",
                method=method,
                base_url=PUBLIC_URL,
                data={"csrf_token": token} if method == "POST" else None,
                headers={"Referer": f"{PUBLIC_URL}/console/"},
            )
            assert (answer.status_code, answer.location) == (302, "/console/sign-in"), (method, path)


def test_a_viewer_changes_nothing_and_a_form_without_a_token_does_not_either(
    world: World, viewer: Person, operator: Person
) -> None:
    put(world)
    for path in routes(world, "POST"):
        if path.endswith("sign-out"):
            continue
        assert viewer.post(path).status_code == 403, path
        assert operator.post(path, csrf_token="").status_code == 400, path
        elsewhere = operator.client.post(
            f"/console/{path}",
            base_url=PUBLIC_URL,
            data={"csrf_token": operator.csrf_token()},
            headers={"Referer": "https://elsewhere.example.com/"},
        )
        assert elsewhere.status_code == 400, path
    assert world.count(audit) == 0


def test_an_interview_of_another_workspace_is_not_there(world: World, operator: Person) -> None:
    put(world, workspace_id="ws2", contact_name="Wilhelmina Quux", state="failed")
    assert operator.get(f"interviews/{ID}").status_code == 404
    for act in ACTS:
        assert operator.get(f"interviews/{ID}/{act}").status_code == 404
        seen = f"{ID}~2~{NOW.isoformat()}"
        assert operator.post(f"interviews/{ID}/{act}", seen=seen).status_code == 404
    for path in ("interviews", "interviews.csv"):
        assert "Quux" not in operator.get(path, text="Wilhelmina").text
        assert f"interviews/{ID}" not in operator.get(path, text=ID).text
    assert world.count(audit) == 0


@pytest.mark.parametrize("back", ["//elsewhere.example.com", "https://elsewhere.example.com", "\\elsewhere"])
def test_nothing_leads_elsewhere(world: World, operator: Person, back: str) -> None:
    for path in (*routes(world, "POST"), *routes(world, "GET")):
        if path.endswith(("sign-out", "end-sessions")):
            continue
        for answer in (
            operator.post(path, back=back, next=back, url=back) if path in routes(world, "POST") else None,
            operator.get(path, back=back, next=back, url=back),
        ):
            assert answer is None or "elsewhere" not in (answer.location or ""), path


def test_a_link_s_token_is_in_no_line_of_the_log(
    world: World, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    ada = person(world, Teammate(WORKSPACE, REP["id"], "Ada Byrne"))
    path, _, token = ada.link().partition("?token=")
    log_lines()
    ada.get(path, token=token)
    ada.get(path, token=token + "x")
    ada.post(path, token=token, csrf_token="")
    ada.sign_in()
    said = json.dumps(log_lines())
    assert "/console/sign-in" in said
    assert token not in said
    assert "Ada Byrne" not in said


def test_who_was_erased_is_on_no_page(world: World, operator: Person) -> None:
    gone: dict[str, Any] = {
        "contact_id": "contact-quux",
        "contact_name": "Wilhelmina Quux",
        "contact_email": "quux@example.com",
        "conversation_id": "70777",
        "personal_line": "Thanks, quux.",
        "state": "written_back",
        "result": {
            "sentiment": "negative",
            "quality": 4,
            "themes": ["Pricing"],
            "transcript_url": "https://koji.so/quux",
        },
        "completed_at": NOW,
        "koji_link": "https://koji.so/interview/quux",
    }
    put(world, **gone)
    add_rule(world, "low")
    with store.writing(world.engine) as connection:
        said = {"contact_ids": ["contact-quux"], "name": "quux"}
        row = many.delivery(1, state="failed", reason="given_up", interview_id=ID, content=said)
        connection.execute(sa.insert(deliveries).values(**row))
        connection.execute(
            sa.insert(decisions).values(
                id=ID, delivery_id=row["id"], rule="low", workspace_id=WORKSPACE, contact_id="contact-quux",
                conversation_id="70777", verdict="asked", interview_id=ID, decided_at=NOW,
            )
        )  # fmt: skip
        run = str(rehearsed.begin(connection, world.services.jobs, WORKSPACE, "low"))
        connection.execute(sa.update(rehearsals).values(state="done", seen=1, asked=1))
        connection.execute(
            sa.insert(rehearsal_lines).values(
                rehearsal_id=run, number=1, workspace_id=WORKSPACE, contact_id="contact-quux",
                conversation_id="70777", happened_at=NOW, sent_at=NOW,
            )
        )  # fmt: skip
        operators.note(connection, operator.teammate, "interview_reminded", subject=ID)
    paths = [
        "", "interviews", "interviews.csv", f"interviews/{ID}", f"interviews/{ID}/erase", "deliveries",
        "decisions", "rules/low", f"rehearsals/{run}", "people", "write-back",
    ]  # fmt: skip
    pages = {path: operator.get(path).text for path in paths}
    seen = [path for path, text in pages.items() if "quux" in text.lower() or "70777" in text]
    assert len(seen) >= 6, "or nothing is tried here"
    erase.erase_contact(world.engine, world.services.jobs, WORKSPACE, "contact-quux")
    for path in paths:
        text = operator.get(path).text
        assert "quux" not in text.lower(), path
        assert "70777" not in text, path
    assert "Asked for a reminder" in operator.text(f"interviews/{ID}"), "what was done stays"


def test_what_comes_from_outside_is_text_on_every_page(world: World, operator: Person) -> None:
    add_rule(world, "low", title=HOSTILE[:80], description=HOSTILE, conditions={"tag": [HOSTILE]})
    world.add_study("exit", name=HOSTILE[:80], wording={"de": {"greeting": HOSTILE, "thanks": HOSTILE}})
    with store.writing(world.engine) as connection:
        now = store.now(connection)
    result = {
        "sentiment": "negative",
        "quality": 4,
        "themes": [HOSTILE, "]]>", "a\x0bb"],
        "top_theme": HOSTILE,
    }
    put(
        world, contact_name=HOSTILE, contact_email=HOSTILE, personal_line=HOSTILE, asked_by_name=HOSTILE,
        asked_by_id="991", study="exit", rule="low", state="written_back", result=result, result_at=now,
        created_at=now - timedelta(days=1), sent_at=now - timedelta(days=1), completed_at=now,
        contact_tags={"1": HOSTILE}, reason=HOSTILE[:64],
    )  # fmt: skip
    failed = put(
        world,
        2,
        contact_name=HOSTILE,
        personal_line=HOSTILE,
        study="exit",
        state="failed",
        workspace_id=WORKSPACE,
    )
    with store.writing(world.engine) as connection:
        row = many.delivery(1, event=HOSTILE[:64], interview_id=ID, state="failed", reason=HOSTILE[:64])
        connection.execute(sa.insert(deliveries).values(**row))
        connection.execute(
            sa.insert(decisions).values(
                id=ID, delivery_id=row["id"], rule="low", workspace_id=WORKSPACE, contact_id=HOSTILE,
                conversation_id=HOSTILE, verdict="skipped", reason=HOSTILE[:64], detail=HOSTILE,
                interview_id=ID, decided_at=now,
            )
        )  # fmt: skip
        values = {"name": HOSTILE, "list": [HOSTILE]}
        operators.note(connection, Teammate(None, "1", HOSTILE), HOSTILE[:64], subject=HOSTILE, after=values)
    for path in (
        "", "interviews", f"interviews/{ID}", f"interviews/{failed}/send-again", f"interviews/{ID}/erase",
        "deliveries", "decisions", "rules", "rules/low", "rules/low/edit", "studies", "studies/exit/edit",
        "studies/exit/words?language=de", "write-back", "people", "new-rule",
    ):  # fmt: skip
        answer = operator.client.get(f"/console/{path}", base_url=PUBLIC_URL)
        assert answer.status_code == 200, path
        assert "<script>alert" not in answer.text, path
        assert ' style="' not in answer.text, path
        assert HOSTILE.lower() in words(answer.text).lower() or "alert(1)" in answer.text, path
        assert "49" not in words(answer.text).replace(PUBLIC_URL, "").split(), path
