"""What `doctor` asks Intercom and Koji: harmless calls, each through the gate that all processes share."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from typing import Final, Literal

import httpx
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import health, http_outcomes, store
from canvas_app.cli import checks
from canvas_app.cli.common import directory, in_words, make_services
from canvas_app.cli.findings import Finding
from canvas_app.errors import CredentialsError, LaterError, NotConfigured, PermanentError, WireError
from canvas_app.intercom.directory import IntercomDirectory
from canvas_app.intercom.models import Me
from canvas_app.interviews import options, provisions, studies
from canvas_app.interviews.contact_attributes import Wanted
from canvas_app.interviews.options import Options
from canvas_app.interviews.tables import imported_links, interviews
from canvas_app.koji import links as koji_links
from canvas_app.settings import INTERCOM_API_URLS, Settings, Study

# An interview that nobody has: Koji looks at the key first, and at the id then.
_UNKNOWN_INTERVIEW: Final = "00000000-0000-4000-8000-000000000000"
_WRITTEN_FOR: Final = Settings.model_fields["intercom_version"].default
_READABLE: Final[tuple[Literal["contacts", "conversations"], ...]] = ("contacts", "conversations")


def look(settings: Settings, engine: Engine) -> Iterator[Finding]:
    """Everything that only a call can tell."""
    if settings.intercom_access_token is not None:
        with store.reading(engine) as connection:
            chosen = options.read(connection, settings)
        yield from _intercom(settings, directory(settings, engine), chosen)
    yield from _koji(settings, engine)
    yield from _links(settings, engine)


def _tried(
    what: str, call: Callable[[], Finding | None], otherwise: str, *, study: str | None = None
) -> Finding | None:
    """What a check finds, or why it could not be made.

    ``otherwise`` is what to do about a refusal that says nothing of it itself, ``study`` the slug of the one
    whose key it takes.
    """
    try:
        return call()
    except LaterError as error:
        return Finding("DOWN", f"{what}: {error}", "Try again in a while.")
    except CredentialsError as error:
        wire: Literal["koji", "intercom"] = "koji" if error.reason.startswith("koji") else "intercom"
        return Finding("WRONG", f"{what}: {error}", health.remedy(error.reason, wire, study=study))
    except (WireError, NotConfigured) as error:
        return Finding("WRONG", f"{what}: {in_words(error)}", otherwise)


def _intercom(settings: Settings, intercom: IntercomDirectory, chosen: Options) -> Iterator[Finding]:
    found: list[tuple[Me, float | None]] = []
    otherwise = (
        "Is it Intercom that answers, and in this version? Look at INTERCOM_API_URL and INTERCOM_VERSION: "
        f"{health.set_command(settings)}INTERCOM_VERSION={_WRITTEN_FOR}"
    )
    failed = _tried("Intercom", lambda: found.append(intercom.me_and_clock()), otherwise)
    if not found:
        yield failed or Finding("DOWN", "Intercom did not answer.")
        return
    [(me, told)] = found
    version = settings.intercom_version
    yield Finding("ok", f"Intercom knows the token, of {me.workspace_name or me.workspace_id}, in {version}.")
    yield from _region(settings, me)
    if told is not None:
        yield checks.clock(time.time() - told, "Intercom's")
    asked: list[tuple[str, Callable[[], Finding | None]]] = [
        *((f"Reading {what}", functools.partial(_reading, intercom, what)) for what in _READABLE),
        ("Reading tags", lambda: _tags(intercom, chosen)),
        ("The admin", lambda: _admin(intercom, settings, me)),
    ]
    for what, call in asked:
        if (finding := _tried(what, call, otherwise)) is not None:
            yield finding
    yield from _attributes(intercom, provisions.attributes(chosen), otherwise)
    yield Finding("note", "Permissions to write are told by the first write: none can be tried harmlessly.")


def _region(settings: Settings, me: Me) -> Iterator[Finding]:
    region = me.region.strip().lower()
    if settings.intercom_api_url is None and region in INTERCOM_API_URLS:
        if region == settings.intercom_region:
            yield Finding("ok", f"The workspace is in the region {region}.")
        else:
            remedy = f"{health.set_command(settings)}INTERCOM_REGION={region}"
            yield Finding(
                "WRONG", f"The workspace is in {region}, not in {settings.intercom_region}.", remedy
            )


def _reading(intercom: IntercomDirectory, what: Literal["contacts", "conversations"]) -> Finding:
    intercom.peek(what)
    return Finding("ok", f"The token may read {what}.")


def _tags(intercom: IntercomDirectory, chosen: Options) -> Finding:
    there = {tag.name.casefold() for tag in intercom.all_tags()}
    missing = [name for name in provisions.tags(chosen) if name.casefold() not in there]
    if missing:
        text = f"The token may read tags. Not there yet: {', '.join(sorted(missing))}."
        return Finding("note", text, "python -m canvas_app setup")
    return Finding("ok", "The token may read tags, and ours are there.")


def _admin(intercom: IntercomDirectory, settings: Settings, me: Me) -> Finding:
    admin_id = settings.intercom_admin_id or me.admin_id
    if intercom.admin_exists(admin_id):
        return Finding("ok", "The admin who writes notes is in the workspace.")
    text = "The admin of INTERCOM_ADMIN_ID is not in the workspace."
    return Finding("WRONG", text, "Set it to a teammate's id, or leave it out for the token's own.")


def _attributes(intercom: IntercomDirectory, wanted: Wanted, otherwise: str) -> Iterator[Finding]:
    present: dict[str, provisions.Found] = {}
    failed = _tried(
        "Reading attributes",
        lambda: present.update(provisions.compare(intercom.contact_attributes(), wanted)),
        otherwise,
    )
    if failed is not None:
        yield failed
        return
    for name, how in present.items():
        data_type = wanted[name][0]
        if how == "missing":
            text = f"The attribute {name} is not there yet."
            yield Finding("MISSING", text, "python -m canvas_app setup")
        elif how == "archived":
            yield Finding("WRONG", f"The attribute {name} is archived.", provisions.UNARCHIVE)
        elif how == "other_type":
            text = f"The attribute {name} is not of the type {data_type}."
            yield Finding("WRONG", text, provisions.RENAME)
    if set(present.values()) == {"there"}:
        yield Finding("ok", "The contact attributes are there, with the right types.")


def _koji(settings: Settings, engine: Engine) -> Iterator[Finding]:
    services = make_services(settings, engine)
    with store.reading(engine) as connection:
        enabled = [study for study in studies.listed(connection, settings) if study.enabled]

    def try_key(study: Study) -> Finding:
        try:
            services.koji(study).get_interview(_UNKNOWN_INTERVIEW)
        except PermanentError as error:
            if error.reason != "koji_interview_not_found":
                raise
        return Finding("ok", f"Koji knows the key of the study {study.slug}.")

    for study in enabled:
        # One without a key is told of without a call.
        if study.api_key is not None:
            otherwise = "Is it Koji that answers? Look at KOJI_API_URL."
            call = functools.partial(try_key, study)
            finding = _tried(f"The study {study.slug}", call, otherwise, study=study.slug)
            if finding is not None:
                yield finding


def _links(settings: Settings, engine: Engine) -> Iterator[Finding]:
    with store.reading(engine) as connection:
        known = [
            (study, *_known_link(connection, study))
            for study in studies.listed(connection, settings)
            if study.enabled
        ]
    with http_outcomes.make_http_client() as http:
        for study, link, is_open in known:
            if link is None:
                text = f"No personal link of the study {study.slug} is known yet, so none was opened."
                yield Finding("note", text)
            elif not koji_links.allowed(link, settings.koji_link_hosts):
                text = f"A personal link of the study {study.slug} leads to no host of KOJI_LINK_HOSTS."
                yield Finding("WRONG", text, "Add its host to KOJI_LINK_HOSTS if it is Koji's.")
            else:
                yield _opened(http, study, link, is_open=is_open)


def _known_link(connection: sa.Connection, study: Study) -> tuple[str | None, bool]:
    """The newest personal link of the study, and whether it is one that somebody may still open.

    First one that a customer was given and has not answered, then one that was imported for somebody who was
    not asked yet, at last one whose interview is over.
    """
    is_open = interviews.c.state.in_(("sent", "opened"))
    given = (
        sa.select(interviews.c.koji_link)
        .where(interviews.c.study == study.slug, interviews.c.koji_link.is_not(None))
        .order_by(interviews.c.created_at.desc())
        .limit(1)
    )
    ready = (
        sa.select(imported_links.c.link)
        .where(imported_links.c.study == study.slug, imported_links.c.interview_id.is_(None))
        .limit(1)
    )
    link = connection.execute(given.where(is_open)).scalar() or connection.execute(ready).scalar()
    return (link, True) if link else (connection.execute(given).scalar(), False)


def _opened(http: httpx.Client, study: Study, link: str, *, is_open: bool) -> Finding:
    what = f"The newest personal link of the study {study.slug}"
    try:
        # HEAD first: nobody has opened an interview by it.
        answer = http.head(link, headers={"Accept": "*/*"})
        if answer.status_code in (405, 501):
            answer = http.get(link, headers={"Accept": "*/*"})
    except httpx.HTTPError:
        return Finding("DOWN", f"{what} cannot be reached.", "Open it in a browser.")
    if answer.status_code < 400:
        return Finding("ok", f"{what} opens.")
    if answer.status_code in (401, 403, 429):
        return Finding("note", f"{what} answers {answer.status_code} to a program.", "Open it in a browser.")
    if not is_open and answer.status_code < 500:
        return Finding("note", f"{what} answers {answer.status_code}. Its interview is over.")
    remedy = "Open it in a browser; if it leads nowhere there too, look at the link template."
    return Finding("WRONG", f"{what} answers {answer.status_code}.", remedy)
