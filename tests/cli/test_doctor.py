"""What `doctor` looks at, and that each thing that is not well says what to do."""

from __future__ import annotations

import time
from datetime import timedelta
from email.utils import formatdate
from typing import Any

import pytest
import requests
import responses
import sqlalchemy as sa

from canvas_app import leases, store
from canvas_app.engine import Jobs
from canvas_app.interviews import ledger, links, options, studies
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.states import STATES
from canvas_app.interviews.tables import deliveries, imported_links
from canvas_app.settings import Settings, Study
from tests.cli.conftest import Terminal, run
from tests.cli.test_setup import attributes
from tests.interviews.asks import NOW, write
from tests.support.world import INTERCOM, KOJI, OWN_ADMIN

UNKNOWN = f"{KOJI}/api/v1/interviews/00000000-0000-4000-8000-000000000000"


def healthy(terminal: Terminal, *but: str) -> None:
    """Everything is as it should be; a test prepares an answer of its own for what is named in ``but``."""
    leases.take(terminal.engine)
    if "me" not in but:
        terminal.me(headers={"Date": formatdate(usegmt=True)})
    answers: dict[str, tuple[str, str, dict[str, Any]]] = {
        "contacts": ("POST", "/contacts/search", {"type": "list", "data": []}),
        "conversations": ("POST", "/conversations/search", {"conversations": []}),
        "tags": ("GET", "/tags", {"type": "list", "data": []}),
        "admin": ("GET", f"/admins/{OWN_ADMIN}", {"type": "admin", "id": OWN_ADMIN}),
        "attributes": ("GET", "/data_attributes", attributes()),
    }
    for name, (method, path, body) in answers.items():
        if name not in but:
            terminal.outside.add(method, f"{INTERCOM}{path}", json=body)
    if "koji" not in but:
        terminal.outside.get(UNKNOWN, status=404, json={"error": "not_found"})


def test_all_is_well(terminal: Terminal) -> None:
    healthy(terminal)
    answer = run("doctor")
    assert answer.exit_code == 0, answer.output
    for words in (
        "Intercom knows the token, of Acme, in 2.16.",
        "in the region us",
        "clock agrees with Intercom's",
        "clock agrees with the database's",
        "may read contacts",
        "may read conversations",
        "may read tags",
        "admin who writes notes is in the workspace",
        "attributes are there, with the right types",
        "Koji knows the key of the study default",
        "No personal link of the study default is known yet",
        "0 job(s) wait",
        "1 worker(s)",
    ):
        assert words in answer.output
    assert "planted" not in answer.output


def test_it_looks_for_the_names_that_operators_have_chosen(terminal: Terminal) -> None:
    chosen = {"attributes": {"url": "Interview transcript"}, "tags": {"mixed": "Call them"}}
    with store.writing(terminal.engine) as connection:
        options.write(connection, options.WRITE_BACK, chosen)
    healthy(terminal)
    answer = run("doctor")
    assert "MISSING  The attribute Interview transcript is not there yet." in answer.output
    assert "Call them" in answer.output
    assert "koji_mixed_sentiment" not in answer.output


@pytest.mark.parametrize(("days", "told"), [(365, False), (366, True)])
def test_a_frequency_cap_that_is_longer_than_the_memory_is_told(
    terminal: Terminal, days: int, told: bool
) -> None:
    leases.take(terminal.engine)
    with store.writing(terminal.engine) as connection:
        options.write(connection, options.WRITE_BACK, {"ask_again_days": days})
    answer = run("doctor", "--offline")
    assert (f"nobody again within {days} days" in answer.output) is told


def test_offline_it_calls_nobody(terminal: Terminal) -> None:
    leases.take(terminal.engine)
    answer = run("doctor", "--offline")
    assert answer.exit_code == 0, answer.output
    assert len(terminal.outside.calls) == 0


ERRORS = {"type": "error.list", "errors": [{"code": "intercom_version_invalid", "message": "planted"}]}


@pytest.mark.parametrize(
    ("broken", "prepare", "words"),
    [
        (
            "me",
            lambda t: t.outside.get(f"{INTERCOM}/me", status=401, json={}),
            ["WRONG  Intercom: Intercom answered 401", "Get a valid value for INTERCOM_ACCESS_TOKEN"],
        ),
        (
            "me",
            lambda t: t.outside.get(f"{INTERCOM}/me", status=400, json=ERRORS),
            ["WRONG  Intercom: Intercom answered 400 (intercom_version_invalid)", "INTERCOM_VERSION=2.16"],
        ),
        (
            "me",
            lambda t: t.outside.get(f"{INTERCOM}/me", status=404, json={}),
            ["WRONG  Intercom: Intercom answered 404", "INTERCOM_API_URL"],
        ),
        (
            "me",
            lambda t: t.outside.get(f"{INTERCOM}/me", status=503, json={}),
            ["DOWN  Intercom: ", "Try again in a while."],
        ),
        ("me", lambda t: t.me(region="EU"), ["not in us", "INTERCOM_REGION=eu"]),
        (
            "me",
            lambda t: t.me(headers={"Date": formatdate(time.time() - 300, usegmt=True)}),
            ["s ahead of Intercom's", "NTP"],
        ),
        (
            "contacts",
            lambda t: t.outside.post(f"{INTERCOM}/contacts/search", status=403, json={}),
            ["WRONG  Reading contacts: ", "Give the app the permission"],
        ),
        (
            "admin",
            lambda t: t.outside.get(f"{INTERCOM}/admins/{OWN_ADMIN}", status=404, json={}),
            ["admin of INTERCOM_ADMIN_ID is not in the workspace", "leave it out"],
        ),
        (
            "attributes",
            lambda t: t.outside.get(
                f"{INTERCOM}/data_attributes",
                json=attributes(koji_interview_url=None, last_interview_quality={"data_type": "string"}),
            ),
            [
                "MISSING  The attribute koji_interview_url is not there yet.",
                "python -m canvas_app setup",
                "last_interview_quality is not of the type float",
            ],
        ),
        (
            "koji",
            lambda t: t.outside.get(UNKNOWN, status=401, json={}),
            ["WRONG  The study default: Koji answered 401", "Get a valid value for KOJI_API_KEY"],
        ),
        (
            "koji",
            lambda t: t.outside.get(UNKNOWN, status=400, json={}),
            ["WRONG  The study default: Koji answered 400", "KOJI_API_URL"],
        ),
    ],
)
def test_what_is_not_well_is_told_with_what_to_do(
    terminal: Terminal, broken: str, prepare: Any, words: list[str]
) -> None:
    prepare(terminal)
    healthy(terminal, broken)
    answer = run("doctor")
    assert answer.exit_code == 1
    for word in words:
        assert word in answer.output
    assert "planted" not in answer.output


def link_of(
    terminal: Terminal, link: str = "https://koji.so/interview/planted-link", state: str = "sent"
) -> Interview:
    token = links.make_token("planted", terminal.settings.secret_key)
    return write(terminal.engine, state=state, koji_link=link, link_token=token)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (200, 0, "newest personal link of the study default opens"),
        (302, 0, "newest personal link of the study default opens"),
        (403, 0, "Open it in a browser"),
        (404, 1, "personal link of the study default answers 404"),
    ],
)
def test_a_known_link_is_opened(terminal: Terminal, status: int, code: int, words: str) -> None:
    healthy(terminal)
    link_of(terminal)
    terminal.outside.head("https://koji.so/interview/planted-link", status=status)
    answer = run("doctor")
    assert (answer.exit_code, words in answer.output) == (code, True), answer.output
    assert "planted" not in answer.output


def test_the_link_of_an_interview_that_is_open_is_the_one_that_has_to_open(terminal: Terminal) -> None:
    healthy(terminal)
    day = timedelta(days=1)
    token = links.make_token("planted", terminal.settings.secret_key)
    link = "https://koji.so/interview/planted-link"
    write(terminal.engine, state="sent", age=day, koji_link=link, link_token=token)
    write(terminal.engine, contact_id="c2", state="expired", koji_link="https://koji.so/interview/over")
    terminal.outside.head("https://koji.so/interview/planted-link")
    answer = run("doctor")
    assert answer.exit_code == 0, answer.output
    assert "newest personal link of the study default opens" in answer.output


def test_that_a_link_is_over_once_its_interview_is_makes_nothing_unwell(terminal: Terminal) -> None:
    healthy(terminal)
    write(terminal.engine, state="written_back", koji_link="https://koji.so/interview/over")
    terminal.outside.head("https://koji.so/interview/over", status=410)
    answer = run("doctor")
    assert answer.exit_code == 0, answer.output
    assert "note  The newest personal link of the study default answers 410." in answer.output


def test_a_link_that_takes_no_head_is_got(terminal: Terminal) -> None:
    healthy(terminal)
    link_of(terminal)
    terminal.outside.head("https://koji.so/interview/planted-link", status=405)
    terminal.outside.get("https://koji.so/interview/planted-link", body="hello")
    assert run("doctor").exit_code == 0


def test_an_imported_link_will_do_and_one_that_cannot_be_reached_is_told(terminal: Terminal) -> None:
    healthy(terminal)
    with store.writing(terminal.engine) as connection:
        row = {"id": "1", "study": "default", "link": "https://koji.so/i/1", "imported_at": NOW}
        connection.execute(sa.insert(imported_links).values(row))
    terminal.outside.head("https://koji.so/i/1", body=requests.ConnectionError("no"))
    answer = run("doctor")
    assert answer.exit_code == 1
    assert "personal link of the study default cannot be reached" in answer.output


def test_a_link_to_another_host_is_not_opened(terminal: Terminal) -> None:
    healthy(terminal)
    link_of(terminal, "https://elsewhere.example/i")
    answer = run("doctor")
    assert answer.exit_code == 1
    assert "leads to no host of KOJI_LINK_HOSTS" in answer.output


def add_study(terminal: Terminal, settings: Settings | None = None, **values: Any) -> None:
    study = Study(
        **({"slug": "churn", "name": "Churn", "api_key": "other-key", "link_template": None} | values)
    )
    with store.writing(terminal.engine) as connection:
        studies.save(connection, settings or terminal.settings, study)


def test_every_study_that_is_on_has_its_key_tried(terminal: Terminal) -> None:
    healthy(terminal)
    add_study(terminal)
    add_study(terminal, slug="off", api_key="third-key", enabled=False)
    answer = run("doctor")
    assert answer.exit_code == 0, answer.output
    assert "Koji knows the key of the study churn" in answer.output
    keys = [
        call.request.headers["Authorization"]
        for call in terminal.outside.calls
        if UNKNOWN in str(call.request.url)
    ]
    assert keys == ["Bearer planted-koji-key", "Bearer other-key"]


def test_a_studys_own_key_that_koji_refuses_is_mended_where_it_was_entered(terminal: Terminal) -> None:
    add_study(terminal)
    terminal.outside.get(UNKNOWN, status=401, json={})
    healthy(terminal, "koji")
    told = run("doctor").output.partition("WRONG  The study churn: ")[2]
    assert "studies edit churn --key-from prompt" in told.partition("WRONG")[0]


def test_a_study_without_a_webhook_secret_of_its_own_is_noted(terminal: Terminal) -> None:
    leases.take(terminal.engine)
    add_study(terminal)
    answer = run("doctor", "--offline")
    assert answer.exit_code == 0, answer.output
    assert "note  The study churn has no webhook secret of its own" in answer.output
    assert "studies edit churn --webhook-secret-from prompt" in answer.output


def test_a_secret_that_cannot_be_opened_any_more_is_told(terminal: Terminal) -> None:
    leases.take(terminal.engine)
    add_study(terminal, Settings.load({}, database_url=terminal.settings.database_url, secret_key="gone"))
    answer = run("doctor", "--offline")
    assert answer.exit_code == 1
    assert "WRONG  A secret of the study churn was sealed with a SECRET_KEY" in answer.output


def test_a_secret_that_an_older_key_still_opens_is_told(
    terminal: Terminal, environment: pytest.MonkeyPatch
) -> None:
    leases.take(terminal.engine)
    add_study(terminal)
    environment.setenv("SECRET_KEY", "planted-newest,planted-secret-key")
    answer = run("doctor", "--offline")
    assert answer.exit_code == 0, answer.output
    assert "note  A secret of the study churn is sealed with an older SECRET_KEY" in answer.output


@pytest.mark.parametrize("state", ["planned", "queued", "sent", "opened", "unknown"])
def test_a_personal_link_that_an_older_key_has_signed_is_told_while_it_may_be_opened(
    terminal: Terminal, environment: pytest.MonkeyPatch, state: str
) -> None:
    leases.take(terminal.engine)
    interview = link_of(terminal, state=state)
    assert "personal link" not in run("doctor", "--offline").output
    environment.setenv("SECRET_KEY", "planted-newest,planted-secret-key")
    answer = run("doctor", "--offline")
    assert answer.exit_code == 0, answer.output
    assert (
        "note  1 personal link(s) that may still be opened are signed with an older SECRET" in answer.output
    )
    # What the operator is kept from.
    environment.setenv("SECRET_KEY", "planted-newest")
    answer = run("doctor", "--offline")
    assert answer.exit_code == 1
    assert "WRONG  1 personal link(s) do not work" in answer.output
    assert "Put that SECRET_KEY back behind the newest" in answer.output
    with store.writing(terminal.engine) as connection:
        ledger.move(connection, interview.id, "cancelled", only_from=STATES, now=NOW)
    assert run("doctor", "--offline").exit_code == 0


def test_what_another_study_makes_up_for_is_not_missing(
    terminal: Terminal, environment: pytest.MonkeyPatch
) -> None:
    leases.take(terminal.engine)
    environment.delenv("KOJI_API_KEY")
    assert "MISSING  KOJI_API_KEY" in run("doctor", "--offline").output
    add_study(terminal)
    answer = run("doctor", "--offline")
    assert answer.exit_code == 0, answer.output


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"api_key": None}, "MISSING  The study churn has no key."),
        ({"api_key": None}, "python -m canvas_app studies edit churn --key-from prompt"),
        ({"link_template": "https://elsewhere.example/{contact_id}"}, "leads to no host of KOJI_LINK_HOSTS"),
        ({"link_template": "https://koji.so/{nonsense}"}, "leads to no host of KOJI_LINK_HOSTS"),
    ],
)
def test_a_study_that_cannot_be_used_is_told(terminal: Terminal, values: dict[str, Any], words: str) -> None:
    leases.take(terminal.engine)
    add_study(terminal, **values)
    answer = run("doctor", "--offline")
    assert answer.exit_code == 1
    assert words in answer.output


def test_the_queue_is_counted_and_a_job_that_nobody_takes_is_told(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases.take(terminal.engine)
    jobs = Jobs(terminal.engine)
    with store.writing(terminal.engine) as connection:
        for number in range(3):
            jobs.enqueue(connection, "send", "i", number, job_id=f"send:i:{number}", partition="p")
        jobs.enqueue(connection, "send", "i", 9, job_id="send:i:9", partition="p", delay=86_400)
    answer = run("doctor", "--offline")
    assert answer.exit_code == 0, answer.output
    assert "ok    3 job(s) wait, 0 run, 1 for later; 1 worker(s). The oldest waits for" in answer.output
    later = time.time() + timedelta(minutes=7).total_seconds()
    monkeypatch.setattr("canvas_app.cli.checks.time.time", lambda: later)
    answer = run("doctor", "--offline")
    assert answer.exit_code == 1
    assert "The oldest waits for 7 minutes." in answer.output
    assert "Start a worker" in answer.output
    jobs.close()


def test_what_has_failed_and_what_is_not_known_is_counted(terminal: Terminal) -> None:
    leases.take(terminal.engine)
    link_of(terminal, state="unknown")
    values: dict[str, Any] = dict.fromkeys(("attempt", "waits", "fills", "tries"), 0)
    values |= {
        "id": "d",
        "door": "koji",
        "dedupe_key": "k",
        "event": "e",
        "state": "failed",
        "content": {"a": 1},
    }
    with store.writing(terminal.engine) as connection:
        connection.execute(sa.insert(deliveries).values(**values, received_at=NOW))
    answer = run("doctor", "--offline")
    assert answer.exit_code == 0
    assert "note  1 result(s) could not be written to Intercom." in answer.output
    assert "python -m canvas_app replay" in answer.output
    assert "note  Of 1 message(s) it is not known whether they arrived." in answer.output


def test_at_a_terminal_it_is_a_table(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, outside: responses.RequestsMock
) -> None:
    leases.take(terminal.engine)
    monkeypatch.setattr("canvas_app.cli.findings.is_terminal", lambda: True)
    answer = run("doctor", "--offline")
    assert "What to do" in answer.output
    assert "┃" in answer.output
