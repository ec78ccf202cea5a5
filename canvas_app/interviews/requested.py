"""Interviews that another program asks for over HTTP: the same request makes one interview.

Programs repeat what they ask, because no answer came or because they run twice. What makes two requests the
same stands in a table under a unique key, written in the transaction that writes the interview. It is kept
as keyed digests, from which neither an address nor the caller's own key can be read or guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import hmacs, store
from canvas_app.engine import Jobs
from canvas_app.errors import NotConfigured, SecretLost
from canvas_app.interviews import contacts, ledger, links, studies
from canvas_app.interviews.ask import ask_within
from canvas_app.interviews.ledger import Ask
from canvas_app.interviews.ledger_rows import Deliver, Interview
from canvas_app.interviews.tables import api_requests
from canvas_app.settings import DEFAULT_STUDY, Settings

# Without a key of the caller's, the same contact, conversation and study is the same request for so long.
SAME_WITHIN: Final = timedelta(hours=24)

_BY_KEY: Final = "key:"
_BY_CONTENT: Final = "same:"
_PURPOSE: Final = "api request"


@dataclass(frozen=True, slots=True)
class Requested:
    """What is asked for. Either ``contact_id`` or ``email``, in lower case, is given."""

    contact_id: str | None
    email: str | None
    conversation_id: str | None
    study: str
    deliver: Deliver
    delay: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """``new`` is False where the same was asked for before."""

    interview: Interview
    new: bool


@dataclass(frozen=True, slots=True)
class _Name:
    """A request's name and its content, as digests made with one of the secret keys."""

    key: str
    body: str


def request(
    engine: Engine,
    jobs: Jobs,
    settings: Settings,
    workspace_id: str,
    wanted: Requested,
    idempotency_key: str | None,
) -> Answered | None:
    """Write the interview and the job that sends it, or that a limit said no (``skipped``), in one
    transaction. None when the key was used for another request before.

    Raises NotConfigured where the study's key at Koji is missing.
    """
    names = _names(settings, workspace_id, wanted, idempotency_key)
    within = SAME_WITHIN if idempotency_key is None else None
    id_ = ledger.new_id()
    with store.writing(engine) as connection:
        former = _take(connection, names, id_, within)
        if former is None:
            return Answered(_ask(connection, jobs, settings, workspace_id, wanted, id_), new=True)
        if idempotency_key is not None and not _is_same(former, names):
            return None
        return Answered(ledger.existing(connection, former.interview_id), new=False)


def forget(engine: Engine, *, most: int) -> int:
    """Delete what tells requests without a key apart once it is too old to do so; how many there were."""
    with store.writing(engine) as connection:
        before = store.now(connection) - SAME_WITHIN
        old = (
            sa.select(api_requests.c.key)
            .where(api_requests.c.key.startswith(_BY_CONTENT), api_requests.c.created_at < before)
            .limit(most)
        )
        keys = list(connection.execute(old).scalars())
        if keys:
            # As it was found: a request that comes at this moment may have begun its time anew.
            connection.execute(
                sa.delete(api_requests).where(
                    api_requests.c.key.in_(keys), api_requests.c.created_at < before
                )
            )
    return len(keys)


def _take(
    connection: Connection, names: Sequence[_Name], id_: str, within: timedelta | None
) -> sa.Row[Any] | None:
    """Make the request's name that of the interview ``id_``; the former one where it is a repetition.

    Of two at once the second waits here until the first is done.
    """
    newest = names[0]
    values = {"key": newest.key, "body_hash": newest.body, "interview_id": id_}
    inserted = store.insert_ignoring_conflicts(
        connection, api_requests, {**values, "created_at": store.now(connection)}
    )
    rows = connection.execute(
        sa.select(api_requests).where(api_requests.c.key.in_([name.key for name in names])).with_for_update()
    ).all()
    now = store.now(connection)
    for row in rows:
        ours = inserted and row.key == newest.key
        if not ours and (within is None or now - row.created_at < within):
            if inserted:
                _rename(connection, newest, row, same=_is_same(row, names))
            return row
    if inserted:
        return None
    renewed = connection.execute(
        sa.update(api_requests)
        .where(api_requests.c.key == newest.key)
        .values(body_hash=newest.body, interview_id=id_, created_at=now)
    )
    # It may just have been forgotten.
    return None if renewed.rowcount else _take(connection, names, id_, within)


def _rename(connection: Connection, newest: _Name, former: sa.Row[Any], *, same: bool) -> None:
    """The former request was named with an older secret key, which will not be listed for ever."""
    this = api_requests.c.key == newest.key
    if not same:
        # It is refused, and its content is nobody's.
        connection.execute(sa.delete(api_requests).where(this))
        return
    connection.execute(
        sa.update(api_requests)
        .where(this)
        .values(interview_id=former.interview_id, created_at=former.created_at)
    )


def _is_same(row: sa.Row[Any], names: Sequence[_Name]) -> bool:
    """Whether a request that has this name has the same content, too."""
    return any(row.key == name.key and row.body_hash == name.body for name in names)


def _ask(
    connection: Connection,
    jobs: Jobs,
    settings: Settings,
    workspace_id: str,
    wanted: Requested,
    id_: str,
) -> Interview:
    study = studies.find(connection, settings, wanted.study)
    if study is not None and study.enabled and study.api_key is None:
        if study.secrets_lost:
            raise SecretLost
        raise NotConfigured(
            ["KOJI_API_KEY" if study.slug == DEFAULT_STUDY else f"the key of the study {study.slug}"]
        )
    contact_id = wanted.contact_id or contacts.placeholder(wanted.email or "", settings.secret_key[0])
    ask = Ask(
        workspace_id=workspace_id,
        contact_id=contact_id,
        conversation_id=wanted.conversation_id,
        study=wanted.study,
        origin="api",
        contact_email=wanted.email,
        deliver=wanted.deliver,
        credits=study.cost if study is not None else None,
        delay=wanted.delay,
    )
    if study is None:
        reason = "study_unknown"
    elif not study.enabled:
        reason = "study_off"
    else:
        asked = ask_within(connection, jobs, settings, ask, id_=id_)
        if asked.created:
            return asked.interview
        if asked.hindrance == "asked_recently":
            reason = "asked_recently"
        else:
            reason = "already_planned" if asked.interview.state == "planned" else "open_interview"
    return ledger.record_skipped(
        connection,
        ask,
        reason,
        id_=id_,
        link_token=links.make_token(id_, settings.secret_key),
        public_url=settings.public_url,
        now=store.now(connection),
    )


def _names(
    settings: Settings, workspace_id: str, wanted: Requested, idempotency_key: str | None
) -> list[_Name]:
    """The request's name with each of the secret keys, the newest first: a rotation repeats nothing."""
    whose = ("id", wanted.contact_id) if wanted.contact_id else ("email", wanted.email or "")
    where = (wanted.conversation_id or "", wanted.study)
    how = (wanted.deliver, str(wanted.delay.total_seconds() if wanted.delay else 0))
    kind = _BY_CONTENT if idempotency_key is None else _BY_KEY
    named = (*whose, *where) if idempotency_key is None else (idempotency_key,)
    return [
        _Name(
            key=kind + hmacs.fingerprint(secret, f"{_PURPOSE}: {kind}", workspace_id, *named),
            body=hmacs.fingerprint(secret, f"{_PURPOSE}: body", workspace_id, *whose, *where, *how),
        )
        for secret in settings.secret_key
    ]
