"""A full workspace, and what somebody who belongs to it knows: that is where the shots aim at."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import gates, store
from canvas_app.cli.samples import SAMPLES, Subject
from canvas_app.console import access
from canvas_app.interviews import links, workspace
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.tables import interviews
from canvas_app.settings import Settings
from tests.console.conftest import token_in
from tests.input.judge import Given
from tests.input.shots import Aim, Form, Shot, secret_of
from tests.support import busy_workspace

Send = Callable[[Shot], Given]
_CARDS = 14


def furnish(engine: Engine, settings: Settings, workspace_id: str) -> Aim:
    """Fill the workspace, with hostile names; and what is to be known of it."""
    busy = busy_workspace.fill(engine, settings, workspace_id, hostile=True)
    with store.writing(engine) as connection:
        know(connection, settings, workspace_id)
        ids = connection.execute(sa.select(interviews.c.id).limit(60)).scalars().all()
        ids = [*busy.interviews.values(), *ids]
        for id_ in ids:
            token = links.make_token(id_, settings.secret_key)
            connection.execute(sa.update(interviews).where(interviews.c.id == id_).values(link_token=token))
        chosen = sa.select(interviews.c.contact_id, interviews.c.conversation_id, interviews.c.link_token)
        rows = connection.execute(chosen.where(interviews.c.id.in_(ids[:_CARDS]))).all()
    contact_id, conversation_id, _token = rows[0]
    subject = Subject(workspace_id=workspace_id, contact_id=contact_id, conversation_id=conversation_id)
    tokens = [token for _contact, _conversation, token in rows]
    aim = Aim(settings, subject, tokens, ids)
    aim.people = [(contact_id, conversation_id) for contact_id, conversation_id, _token in rows]
    aim.pages = [f"/console/{path.partition('?')[0]}" for path in busy_workspace.pages(busy).values()]
    return aim


def know(connection: Connection, settings: Settings, workspace_id: str) -> None:
    """Write the workspace down as a worker does that has asked whose token it is."""
    token = settings.intercom_access_token
    assert token is not None
    workspace._write(
        connection,
        workspace_id=workspace_id,
        name="Acme",
        region="US",
        timezone="Europe/Berlin",
        admin_id="7",
        token_fingerprint=gates.fingerprint("intercom token", token.get_secret_value()),
        read_at=store.now(connection),
    )


def aim_again(aim: Aim, send: Send) -> None:
    """Sign in, draw cards, and look at every form: what was known before is used up."""
    sign_in(aim, send)
    aim.cards = list(_cards(aim, send))
    forms: dict[tuple[str, str], Form] = {}
    for page in aim.pages:
        given = send(Shot("/console", "GET", page, (("Cookie", aim.cookie),)))
        if given.status == 200:
            for form in forms_of(given.body.decode()):
                if form.action.startswith("/console/") and not form.action.endswith("/sign-out"):
                    forms[form.action, "".join(name for name, _ in form.fields)] = form
    aim.forms = list(forms.values())


def sign_in(aim: Aim, send: Send) -> None:
    """As somebody who may change things."""
    root = Teammate(aim.subject.workspace_id, "1", None, by_command=True)
    token = access.make_link(aim.settings, "", root).partition("?token=")[2]
    page = send(Shot("/console", "GET", f"/console/sign-in?token={token}"))
    csrf = token_in(page.body.decode())
    form = f"token={token}&csrf_token={csrf}".encode()
    first = _cookie(page)
    headers = (("Cookie", first), ("Content-Type", "application/x-www-form-urlencoded"))
    answer = send(Shot("/console", "POST", "/console/sign-in", headers, form))
    assert answer.status == 302, answer.body[:500]
    aim.cookie = _cookie(answer)
    page = send(Shot("/console", "GET", "/console/people", (("Cookie", aim.cookie),)))
    # The page has put the token into the session, which is the cookie.
    aim.cookie = _cookie(page)
    aim.csrf_token = token_in(page.body.decode())


def _cookie(given: Given) -> str:
    header = next(value for name, value in given.headers.items() if name.lower() == "set-cookie")
    return header.partition(";")[0]


def _cards(aim: Aim, send: Send) -> Iterator[dict[str, Any]]:
    """What a tap on a card of the app says, for interviews in every state."""
    sample = SAMPLES["canvas-initialize"]
    for contact_id, conversation_id in aim.people:
        subject = Subject(aim.subject.workspace_id, contact_id, conversation_id or "501")
        raw = json.dumps(sample.body(subject)).encode()
        proof = sample.proof(raw, secret_of(aim.settings, sample), aim.settings)
        given = send(Shot(sample.path, "POST", sample.path, tuple(proof.items()), raw))
        assert given.status == 200, given.body[:500]
        yield {**sample.body(subject), "current_canvas": json.loads(given.body)["canvas"]}


def forms_of(page: str) -> list[Form]:
    reader = _Forms()
    reader.feed(page)
    return reader.found


class _Forms(HTMLParser):
    """The forms of a page that are posted, and what each field has."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._action: str | None = None
        self._fields: list[tuple[str, str]] = []
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and given.get("method", "").lower() == "post":
            self._action, self._fields = given.get("action", ""), []
        if self._action is None:
            return
        name = given.get("name", "")
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in given or not self._has(self._select)):
            self._fields = [(one, value) for one, value in self._fields if one != self._select]
            self._fields.append((self._select, given.get("value", "")))
        elif (
            tag in ("input", "textarea", "button")
            and name
            and (given.get("type") not in ("checkbox", "radio") or "checked" in given)
        ):
            self._fields.append((name, given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = None
        if tag == "form" and self._action is not None:
            self.found.append(Form(self._action, tuple(self._fields)))
            self._action = None

    def _has(self, name: str) -> bool:
        return any(one == name for one, _ in self._fields)


def _is_sent(given: dict[str, str]) -> bool:
    return given.get("type") not in ("checkbox", "radio") or "checked" in given
