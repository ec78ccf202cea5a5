"""A page asks the database few questions, and none that reads a whole large table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from bench.filled import fill
from canvas_app import create_app, gates, store
from canvas_app.interviews import operators, readymade, rehearsed, replays, studies
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.tables import decisions, interviews, workspaces
from canvas_app.settings import Settings, Study
from tests.console.conftest import sign_in
from tests.support.databases import BOTH
from tests.support.plans import LARGE, watched
from tests.support.postgres import PostgresServer
from tests.support.world import PUBLIC_URL, REP, WORKSPACE, full_settings

# So many that a database does not rather read all of them, where an index leads to the few that are wanted.
INTERVIEWS, DELIVERIES, DECISIONS = 6_000, 12_000, 6_000
MOST = 12
_ONE = f"{INTERVIEWS // 2:032x}"
_CONTACT = f"contact-{_ONE}"
# What an operator may do, with the state of an interview that it may be done about.
ACTS = {
    "send-again": "failed",
    "remind": "sent",
    "withdraw": "opened",
    "write-again": "failed",
    "erase": "sent",
}

# Each page by its endpoint, with the addresses under which it is looked at.
PAGES = {
    "overview": ["", "?days=7", "?days=365&study=default"],
    "interviews": [
        "interviews",
        "interviews?after={place}",
        "interviews?state=failed&after={place}",
        "interviews?study=leaving",
        "interviews?origin=rule&state=sent",
        "interviews?teammate=991",
        "interviews?since=2026-01-01&until=2026-02-01",
        "interviews?text=mia",
        f"interviews?text={_CONTACT}",
        "interviews?text=mia&state=expired&after={place}",
    ],
    "interviews_csv": [f"interviews.csv?text={_CONTACT}"],
    "interview": [f"interviews/{_ONE}"],
    "confirm_act": [f"interviews/{{{act}}}/{act}" for act in ACTS],
    "deliveries": [
        "deliveries",
        "deliveries?after={place}",
        "deliveries?state=failed",
        "deliveries?state=stored",
        "deliveries?door=intercom&after={place}",
        "deliveries?since=2026-01-01&until=2026-02-01",
    ],
    "replay_progress": ["deliveries/replays/{replay}"],
    "replay_figures": ["deliveries/replays/{replay}/progress"],
    "rules": ["rules"],
    "rule": ["rules/churn-signal"],
    "edit_rule": ["rules/churn-signal/edit"],
    "new_rule": ["new-rule"],
    "decisions": [
        "decisions",
        "decisions?rule=churn-signal",
        "decisions?verdict=asked&before={place}",
        "decisions?rule=churn-signal&verdict=skipped",
    ],
    "rehearsal": ["rehearsals/{rehearsal}"],
    "studies": ["studies"],
    "edit_study": ["studies/leaving/edit"],
    "study_words": ["studies/leaving/words"],
    "new_study": ["new-study"],
    "write_back": ["write-back"],
    "card_preview": ["card-preview"],
    "people": ["people"],
    "sign_in": ["sign-in"],
    "nowhere": ["nowhere"],
}
_NOT_LOOKED_AT = {"static"}


@dataclass(frozen=True)
class Filled:
    """An app beside a ledger of some size, and what its addresses are made of."""

    app: Flask
    settings: Settings
    names: dict[str, str]


@pytest.fixture(scope="module", params=BOTH)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    template = request.getfixturevalue(
        "migrated_sqlite" if request.param == "sqlite" else "migrated_postgres"
    )
    server: PostgresServer | None = None
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("filled") / "koji.db"
        path.write_bytes(template.read_bytes())
        url = f"sqlite:///{path}"
    else:
        server = request.getfixturevalue("postgres_server")
        url = server.create_database(copy_of=template)
    settings = full_settings(url)
    app = create_app(settings)
    engine = app.extensions["koji_for_intercom"].engine
    yield Filled(app, settings, _fill(app, settings))
    engine.dispose()
    if server is not None:
        server.drop_database(url)


def _fill(app: Flask, settings: Settings) -> dict[str, str]:
    here = app.extensions["koji_for_intercom"]
    # Not the app's own: its statements may take three seconds at most, which is little for so many rows.
    engine = store.make_engine(settings.database_url, pool_size=1)
    with store.writing(engine) as connection:
        now = store.now(connection)
        operators.add(connection, WORKSPACE, REP["id"], "Ada")
        readymade.plant(connection)
        for slug in ("leaving", "onboarding"):
            studies.save(
                connection, settings, Study(slug=slug, name=slug, api_key=f"pk_{slug}", link_template=None)
            )
        connection.execute(
            sa.insert(workspaces).values(
                workspace_id=WORKSPACE,
                admin_id="7",
                read_at=now,
                token_fingerprint=gates.token_fingerprint(settings),
            )
        )
        connection.execute(
            sa.insert(decisions),
            [
                {
                    "id": f"{number:032x}",
                    "delivery_id": f"d{number}",
                    "rule": "churn-signal" if number % 3 else "gone",
                    "workspace_id": WORKSPACE,
                    "contact_id": f"contact-{number:032x}",
                    "verdict": "skipped" if number % 5 else "asked",
                    "interview_id": None if number % 5 else f"{number:032x}",
                    "decided_at": now - timedelta(minutes=number),
                }
                for number in range(DECISIONS)
            ],
        )
    fill(engine, workspace=WORKSPACE, number=INTERVIEWS, received=DELIVERIES)
    with store.writing(engine) as connection:
        rehearsal = rehearsed.begin(connection, here.jobs, WORKSPACE, "churn-signal")
    replay = replays.begin(engine, here.jobs, replays.Which())
    place = f"{(now - timedelta(days=100)).isoformat()}~{0:032x}"
    names = {"rehearsal": str(rehearsal), "replay": str(replay), "place": place.replace("+", "%2B")}
    with store.reading(engine) as connection:
        for act, state in ACTS.items():
            newest = sa.select(interviews.c.id).where(interviews.c.state == state)
            names[act] = connection.execute(newest.order_by(interviews.c.id.desc()).limit(1)).scalar_one()
    engine.dispose()
    return names


def test_every_page_is_looked_at(filled: Filled) -> None:
    rules = [rule for rule in filled.app.url_map.iter_rules() if rule.endpoint.startswith("console.")]
    read = {rule.endpoint.removeprefix("console.") for rule in rules if "GET" in (rule.methods or ())}
    assert read - _NOT_LOOKED_AT == set(PAGES)


@pytest.mark.parametrize("path", [path for paths in PAGES.values() for path in paths])
def test_a_page_asks_few_questions_and_reads_no_whole_table(filled: Filled, path: str) -> None:
    address = re.sub(r"\{([a-z-]+)\}", lambda found: filled.names[found[1]], path)
    client = filled.app.test_client()
    sign_in(client, filled.settings, Teammate(WORKSPACE, REP["id"], "Ada"))
    engine = filled.app.extensions["koji_for_intercom"].engine
    with watched(engine) as plans:
        answer = client.get(f"/console/{address}", base_url=PUBLIC_URL)
        assert answer.status_code == (404 if path == "nowhere" else 200), answer.text
    assert len(plans.queries) <= MOST, "\n\n".join(query for query, _ in plans.queries)
    found = plans.whole_reads(engine, large=(*LARGE, "decisions"))
    assert not found, "\n\n".join(found)
