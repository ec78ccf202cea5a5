"""Where alerts are posted: one https address that an operator enters, sealed, and what came of it last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.engine import Connection

from canvas_app import notices, store
from canvas_app.errors import NotConfigured
from canvas_app.interviews import options
from canvas_app.settings import Settings
from canvas_app.vault import Vault

_OPTION: Final = "alert_webhook"
# What came of the last message: written by the worker, so that it is no part of what the operator chose.
_OUTCOME: Final = "alert_webhook_outcome"


@dataclass(frozen=True, slots=True)
class Shown:
    """What may be shown of it: whoever has the whole address can post to it. ``lost``: it cannot be read any
    more. ``posted_at`` and ``problem`` are of the last message, if there was one."""

    host: str
    lost: bool
    posted_at: datetime | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Address:
    """``greeted``: a message was taken there since it was entered."""

    url: str
    greeted: bool


def enter(connection: Connection, settings: Settings, address: str) -> str:
    """Keep an address that was checked; returns its host. Raises NotConfigured without a SECRET_KEY."""
    host = notices.host_of(address)
    options.write(connection, _OPTION, {"host": host, "sealed": Vault(settings.secret_key).seal(address)})
    options.write(connection, _OUTCOME, None)
    return host


def remove(connection: Connection) -> str | None:
    """Post nowhere from now on; the host that it was."""
    value = _value(options.raw(connection, _OPTION))
    options.write(connection, _OPTION, None)
    options.write(connection, _OUTCOME, None)
    return value.get("host")


def shown(settings: Settings, values: dict[str, Any]) -> Shown | None:
    """What may be shown, of the options' values by name, see :data:`OPTIONS`."""
    value, outcome = _value(values.get(_OPTION)), _value(values.get(_OUTCOME))
    if not value:
        return None
    at = outcome.get("at")
    return Shown(
        host=str(value.get("host", "")),
        lost=_opened(settings, value) is None,
        posted_at=datetime.fromisoformat(at) if at else None,
        problem=outcome.get("problem"),
    )


def current(connection: Connection, settings: Settings) -> Address | None:
    """Where to post; None where there is no address, or it cannot be read any more."""
    value = _value(options.raw(connection, _OPTION))
    url = _opened(settings, value) if value else None
    if url is None:
        return None
    return Address(url, greeted=bool(_value(options.raw(connection, _OUTCOME)).get("greeted")))


def write_outcome(connection: Connection, problem: str | None, *, greeted: bool) -> None:
    at = store.now(connection).isoformat()
    options.write(connection, _OUTCOME, {"at": at, "problem": problem, "greeted": greeted})


def reseal(connection: Connection, settings: Settings) -> bool:
    """Seal it with the newest SECRET_KEY; whether an older one had sealed it."""
    value = _value(options.raw(connection, _OPTION))
    if not value or not settings.secret_key:
        return False
    try:
        renewed = Vault(settings.secret_key).renewed(value["sealed"])
    except NotConfigured:
        return False
    if renewed is not None:
        options.write(connection, _OPTION, {**value, "sealed": renewed})
    return renewed is not None


# The options that :func:`shown` wants.
OPTIONS: Final = (_OPTION, _OUTCOME)


def _opened(settings: Settings, value: dict[str, Any]) -> str | None:
    try:
        return Vault(settings.secret_key).open(value["sealed"])
    except (NotConfigured, KeyError):
        return None


def _value(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
