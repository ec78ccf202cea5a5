"""Who is at the console: one-time sign-in links, and the session that follows from one.

There are no passwords. A teammate in Intercom's inbox is who they say, because Intercom signs the request;
the card gives them a link for themselves. The command line gives one to whoever has it.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

from flask import Flask, Request, g, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.engine import Connection

from canvas_app import hmacs
from canvas_app.interviews import hours, operators
from canvas_app.interviews.operators import Teammate
from canvas_app.settings import Settings

# Names what is signed, so that a token made for something else is not taken for a sign-in link.
_SALT: Final = "console-sign-in"
LINK_SECONDS: Final = 600
SESSION_SECONDS: Final = 12 * 3600
_CONSOLE: Final = "/console"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever has signed in. ``may_change`` is looked up at each request."""

    teammate: Teammate
    may_change: bool
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a sign-in link says."""

    nonce: str
    teammate: Teammate


def make_link(settings: Settings, base_url: str, teammate: Teammate, nonce: str | None = None) -> str:
    """A link that signs this teammate in: once, within ten minutes. Of those with one ``nonce`` (32
    characters) only one can be used."""
    said = {
        "n": nonce or secrets.token_hex(16),
        "w": teammate.workspace_id,
        "t": teammate.id,
        "a": teammate.name,
        "c": teammate.by_command,
    }
    return f"{base_url}/console/sign-in?token={_serializer(settings).dumps(said)}"


def read_link(settings: Settings, token: str) -> SignIn | None:
    """What a link's token says; None where it is too old, was altered, or is none of ours."""
    if not settings.secret_key:
        return None
    try:
        said = _serializer(settings).loads(token, max_age=LINK_SECONDS)
    except BadSignature:
        return None
    return SignIn(said["n"], Teammate(said["w"], said["t"], said["a"], said["c"]))


def use_link(connection: Connection, sign_in: SignIn) -> int | None:
    """Use the link up: the epoch that its session carries, or None when it was used before.

    The session may begin only when the transaction has ended well: otherwise the link could be used again.
    """
    if not operators.use_nonce(connection, sign_in.nonce):
        return None
    return operators.epoch(connection)


def begin_session(teammate: Teammate, epoch: int) -> None:
    # What stood in the cookie before is not taken over: nobody can have laid it there for somebody else.
    session.clear()
    session.update(
        w=teammate.workspace_id,
        t=teammate.id,
        a=teammate.name,
        c=teammate.by_command,
        e=epoch,
        s=int(time.time()),
    )
    session.permanent = True


def end_session() -> None:
    session.clear()


def visitor(connection: Connection) -> Visitor | None:
    """Whoever this request's session is about, while it counts."""
    said: Any = session
    if "t" not in said or time.time() - said["s"] > SESSION_SECONDS:
        return None
    teammate = Teammate(said["w"], said["t"], said["a"], bool(said["c"]))
    stands = operators.standing(connection, teammate)
    if stands.epoch != said["e"]:
        return None
    return Visitor(teammate, stands.may_change, hours.zone_of(stands.timezone))


def is_known() -> bool:
    """Whether the request carries a session that we have begun, whether or not it still counts."""
    return "t" in session


def current() -> Visitor:
    """Whoever makes this request; the console's door has let them in."""
    return cast(Visitor, g.visitor)


def prepare(app: Flask, settings: Settings) -> None:
    """Sessions of the console alone; without SECRET_KEY there are none."""
    keys = [hmacs.key_of(key) for key in settings.secret_key]
    app.config.update(
        SECRET_KEY=keys[0] if keys else None,
        SECRET_KEY_FALLBACKS=keys[1:],
        SESSION_COOKIE_NAME="koji_console",
        SESSION_COOKIE_PATH=_CONSOLE,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=SESSION_SECONDS,
        SESSION_REFRESH_EACH_REQUEST=False,
    )
    app.session_interface = _Sessions()


class _Sessions(SecureCookieSessionInterface):
    """The cookie goes over TLS alone, but for a console on this very machine, as `make demo` has it.

    The other doors have no session: none is read for them, and none could be begun.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if not request.path.startswith(_CONSOLE):
            return self.make_null_session(app)
        return super().open_session(app, request)

    def get_cookie_secure(self, app: Flask) -> bool:
        host = request.host.rpartition(":")[0] or request.host
        return request.is_secure or host.strip("[]") not in _LOOPBACK


def _serializer(settings: Settings) -> URLSafeTimedSerializer:
    # itsdangerous signs with the last key of the list and accepts all of them.
    keys = [hmacs.key_of(key) for key in reversed(settings.secret_key)]
    return URLSafeTimedSerializer(keys, salt=_SALT)
