"""What no answer may be like, whatever was asked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app.interviews import tables
from canvas_app.koji import links
from canvas_app.settings import Settings
from tests.input import values
from tests.input.shots import Shot

# Lines of the log that tell of a fault of ours. The database is there all the time.
FAULTS: Final = frozenset(
    {
        "request_failed",
        "job_failed",
        "database_failed",
        "card_without_database",
        "console_without_database",
        "link_without_database",
        "opening_not_recorded",
        "refusals_not_kept",
    }
)
_TRACES: Final = re.compile(
    r"Traceback \(most recent call last\)|File \"[^\"]+\.py\"|sqlalchemy\.exc|werkzeug\.exceptions|psycopg"
)
# Where it is not the sender's doing: no worker runs beside the web here, and it says so.
_MAY_BE_503: Final = frozenset({"/healthz"})
_ID: Final = re.compile(r"[A-Za-z0-9_:@.-]{1,64}")
_NUMBER: Final = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True)
class Given:
    """An answer, whoever has fetched it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def problems(shot: Shot, given: Given, settings: Settings) -> list[str]:
    """What is wrong with an answer; nothing, as a rule."""
    found = []
    text = given.body.decode("utf-8", "replace")
    path = shot.target.partition("?")[0]
    if given.status >= 500 and not (given.status == 503 and (path in _MAY_BE_503 or _not_configured(text))):
        found.append(f"status {given.status}")
    if _TRACES.search(text):
        found.append("a stack trace stands in the answer")
    found += [f"{name} stands in the answer" for name, secret in secrets(settings).items() if secret in text]
    # JSON may hold it as text; a page may not hold it as markup.
    if values.MARKUP in text and "html" in _header(given, "Content-Type"):
        found.append("a page holds somebody's markup")
    if "X-Injected" in given.headers:
        found.append("a header was injected")
    location = _header(given, "Location")
    if location and not _leads_on(location, settings):
        found.append(f"it leads to {location[:100]}")
    return found


def secrets(settings: Settings) -> dict[str, str]:
    """Every secret of the settings, each of a rotated list by itself."""
    listed = {
        "SECRET_KEY": settings.secret_key,
        "INTERCOM_CLIENT_SECRET": settings.intercom_client_secret,
        "KOJI_WEBHOOK_SECRET": settings.koji_webhook_secret,
        "API_TOKEN": settings.api_token,
    }
    found = {f"{name} {number}": one for name, all_ in listed.items() for number, one in enumerate(all_)}
    for name, secret in (
        ("INTERCOM_ACCESS_TOKEN", settings.intercom_access_token),
        ("KOJI_API_KEY", settings.koji_api_key),
    ):
        if secret is not None:
            found[name] = secret.get_secret_value()
    return found


def faults(log: str) -> list[str]:
    """The lines of a log, one JSON object each, that tell of a fault of ours."""
    found = []
    for line in log.splitlines():
        if line.startswith("{"):
            told = json.loads(line)
            if told.get("event") in FAULTS or told.get("level") == "critical":
                found.append(line)
        elif "Traceback" in line or "Error" in line:
            found.append(line)
    return found


def bad_rows(engine: Engine) -> list[str]:
    """Rows with an id that was not checked, or with a text that no database and no person can read."""
    found = []
    with engine.connect() as connection:
        for table in tables.metadata.tables.values():
            for row in connection.execute(sa.select(table)).mappings():
                for name, value in row.items():
                    if (what := _wrong(table.name, str(name), value)) is not None:
                        found.append(f"{table.name}.{name} {what}: {value!r}"[:300])
    return found


def _wrong(table: str, column: str, value: Any) -> str | None:
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str):
        return None
    if "\0" in value:
        return "holds a zero byte"
    if value != value.encode("utf-8", "replace").decode():
        return "is no Unicode"
    if len(value) > 70_000:
        return "is longer than anything that anybody needs"
    if column in ("workspace_id", "contact_id") and value and not _ID.fullmatch(value):
        return "is no id"
    if column == "conversation_id" and value and not _NUMBER.fullmatch(value):
        return "is no id"
    if column in ("koji_link", "transcript_url") and not value.startswith("http"):
        return "is no link"
    return None


def _not_configured(text: str) -> bool:
    return '"error":"not_configured"' in text.replace(" ", "")


def _header(given: Given, name: str) -> str:
    return next((value for key, value in given.headers.items() if key.lower() == name.lower()), "")


def _leads_on(location: str, settings: Settings) -> bool:
    if re.fullmatch(r"/console/[!-~]*", location) and not location.startswith("//") and "\\" not in location:
        return True
    return links.allowed(location, settings.koji_link_hosts)
