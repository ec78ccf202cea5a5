"""What `doctor` looks at without calling anybody: settings, database, workers, queue, studies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import engine as durable, health, store
from canvas_app.cli.findings import Finding
from canvas_app.interviews import links as personal_links, options, studies
from canvas_app.interviews.states import LINK_STATES
from canvas_app.interviews.tables import deliveries, interviews, workers
from canvas_app.koji import links as koji_links
from canvas_app.settings import DEFAULT_STUDY, Settings, Study

# How far two clocks may be apart, in seconds. A webhook's signature may be 300 seconds old.
CLOCK_TOLERANCE: Final = 30.0
# A job whose turn has come is begun within seconds. This long, and nobody is at it.
_WAITS_TOO_LONG: Final = 300.0


def look(settings: Settings, engine: Engine) -> Iterator[Finding]:
    """Everything that can be told without a call to the outside."""
    parts = health.parts(engine)
    for part in parts:
        yield Finding("ok" if part.ok else "DOWN", part.text)
    for pause in health.pauses(engine, settings, parts):
        yield Finding("PAUSED", health.in_words(pause))
    command = health.set_command(settings)
    for name, description in health.missing(engine, settings):
        yield Finding("MISSING", f"{name}: {description}", f"{command}{name}=…")
    if not settings.api_token:
        text = "API_TOKEN is not set, so the HTTP API for Series, Workflows, Zapier and Make is closed."
        yield Finding("note", text, f"{command}API_TOKEN=$(openssl rand -hex 32)")
    if not any(part.name == "schema" and part.ok for part in parts):
        return
    with store.reading(engine) as connection:
        yield _clock(connection)
        yield _queue(connection)
        yield from _unfinished(connection)
        for study in studies.listed(connection, settings):
            yield from _study(settings, study)
        for slug in studies.sealed_with_older_key(connection, settings):
            text = (
                f"A secret of the study {slug} is sealed with an older SECRET_KEY, which has to stay listed."
            )
            yield Finding(
                "note", text, "Restart the worker, which seals it with the newest, before you drop it."
            )
        yield from _signed_links(connection, settings)
        yield from _cap(connection, settings)


def _cap(connection: Connection, settings: Settings) -> Iterator[Finding]:
    chosen = (options.raw(connection, options.WRITE_BACK) or {}).get("ask_again_days", 0)
    if chosen > settings.retention_days:
        text = (
            f"In the console it was chosen to ask nobody again within {chosen} days, but who was asked is "
            f"forgotten after the {settings.retention_days} of RETENTION_DAYS, so that it is these."
        )
        yield Finding("note", text, "Choose fewer days at Console > Write-back, or raise RETENTION_DAYS.")


def clock(apart: float, whose: str) -> Finding:
    """How far this machine's clock is from another's, in seconds."""
    if abs(apart) <= CLOCK_TOLERANCE:
        return Finding("ok", f"This machine's clock agrees with {whose}.")
    way = "ahead of" if apart > 0 else "behind"
    text = f"This machine's clock is {abs(apart):.0f} s {way} {whose}."
    return Finding("WRONG", text, "Let the machine set its clock by NTP.")


def _clock(connection: Connection) -> Finding:
    return clock((datetime.now(UTC) - store.now(connection)).total_seconds(), "the database's")


def _queue(connection: Connection) -> Finding:
    waiting = durable.waiting(connection)
    alive = connection.execute(sa.select(sa.func.count()).select_from(workers)).scalar_one()
    jobs = f"{waiting.due} job(s) wait, {waiting.running} run, {waiting.delayed} for later"
    counted = f"{jobs}; {alive} worker(s)."
    age = 0.0 if waiting.oldest_since is None else time.time() - waiting.oldest_since
    if age > _WAITS_TOO_LONG:
        remedy = "Start a worker, or more of them; see what they log: python -m canvas_app worker"
        return Finding("DOWN", f"{counted} The oldest waits for {age / 60:.0f} minutes.", remedy)
    return Finding("ok", f"{counted} The oldest waits for {max(age, 0):.0f} s." if waiting.due else counted)


def _unfinished(connection: Connection) -> Iterator[Finding]:
    """What has failed and can be taken up again, as a count; it does not make the app unwell."""
    failed = sa.select(sa.func.count()).where(
        deliveries.c.state == "failed", deliveries.c.content.is_not(None)
    )
    if number := connection.execute(failed).scalar_one():
        remedy = "Once the cause is mended: python -m canvas_app replay <the delivery's id>"
        yield Finding("note", f"{number} result(s) could not be written to Intercom.", remedy)
    unknown = sa.select(sa.func.count()).where(interviews.c.state == "unknown")
    if number := connection.execute(unknown).scalar_one():
        text = f"Of {number} message(s) it is not known whether they arrived."
        yield Finding("note", text, "Look at the card in their conversations, and say what you see.")


def _signed_links(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Personal links are signed once: they work for as long as the key that has signed them is listed."""
    if not settings.secret_key:
        return
    open_ones = interviews.c.state.in_((*LINK_STATES, "planned")), interviews.c.purged_at.is_(None)
    tokens = connection.execute(sa.select(interviews.c.link_token).where(*open_ones)).scalars().all()
    newest = settings.secret_key[:1]
    others = [token for token in tokens if personal_links.read_token(token, newest) is None]
    lost = sum(personal_links.read_token(token, settings.secret_key) is None for token in others)
    if older := len(others) - lost:
        text = f"{older} personal link(s) that may still be opened are signed with an older SECRET_KEY."
        yield Finding("note", text, "Keep it listed until they are over, OPEN_DAYS after they were sent.")
    if lost:
        text = f"{lost} personal link(s) do not work: the SECRET_KEY that has signed them is not listed."
        yield Finding("WRONG", text, "Put that SECRET_KEY back behind the newest.")


def _study(settings: Settings, study: Study) -> Iterator[Finding]:
    if study.secrets_lost:
        text = f"A secret of the study {study.slug} was sealed with a SECRET_KEY that is not listed any more."
        remedy = "Put that SECRET_KEY back behind the newest, or give the study its key and secret anew."
        yield Finding("WRONG", text, remedy)
    elif study.enabled and study.slug != DEFAULT_STUDY:
        if study.api_key is None:
            yield Finding(
                "MISSING",
                f"The study {study.slug} has no key.",
                health.remedy("koji_token_refused", "koji", study=study.slug),
            )
        if study.webhook_secret is None:
            text = (
                f"The study {study.slug} has no webhook secret of its own: its results are taken only if "
                "Koji signs them with another study's."
            )
            remedy = f"python -m canvas_app studies edit {study.slug} --webhook-secret-from prompt"
            yield Finding("note", text, remedy)
    if study.link_template is None or not study.enabled:
        return
    try:
        example = koji_links.from_template(
            study.link_template, interview_id="a", contact_id="b", email="c", name="d"
        )
        allowed = koji_links.allowed(example, settings.koji_link_hosts)
    except ValueError:
        allowed = False
    if allowed:
        yield Finding("ok", f"The link template of the study {study.slug} leads to an allowed host.")
    else:
        text = f"The link template of the study {study.slug} leads to no host of KOJI_LINK_HOSTS."
        yield Finding("WRONG", text, "Mend the template, or add its host to KOJI_LINK_HOSTS.")
