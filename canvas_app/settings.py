"""Every setting, read once from the environment.

A malformed setting stops the process and every problem is listed at once. A missing one does not: Koji and
Intercom must reach the running app before they hand out their secrets, so each part says for itself what it
still needs (:meth:`Settings.missing_for_card` and its neighbours).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from canvas_app.errors import SettingsError
from canvas_app.koji import links as koji_links

PROJECT_ROOT = Path(__file__).resolve().parent.parent

# No user name, query or fragment, and only what RFC 3986 allows: paths and tokens are put behind it.
_ADDRESS = re.compile(
    r"(?P<origin>https?://(?P<host>[a-z0-9][a-z0-9.-]*|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?)"
    r"(?P<path>(?:/[a-z0-9._~%-]*)*)",
    re.IGNORECASE | re.ASCII,
)
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
# psycopg 3 and the standard library's sqlite3 are the drivers that are shipped.
_DRIVERS = frozenset({"sqlite", "sqlite+pysqlite", "postgresql+psycopg"})

# https://developers.intercom.com/docs/build-an-integration/learn-more/rest-apis#regional-hosting
INTERCOM_API_URLS: Mapping[str, str] = {
    "us": "https://api.intercom.io",
    "eu": "https://api.eu.intercom.io",
    "au": "https://api.au.intercom.io",
}


def _split(value: object) -> object:
    """A comma-separated list, as a platform's settings page lets one type it."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _blank_is_missing(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def checked_credential(value: object) -> object:
    """A key or token as it is sent in a header, without the space that came with it when it was copied.

    None where there is none. Raises ValueError for one that cannot be sent.
    """
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    if not re.fullmatch(r"[!-~]+", value.strip()):
        raise ValueError("holds a space or a character that no key has; please copy it again")
    return value.strip()


def _database_url(value: str) -> str:
    # Heroku hands out postgres://, which SQLAlchemy does not know.
    url = re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql+psycopg://", value.strip())
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The error's own text may quote a part of the address, and so of the password.
        raise ValueError("is not a database address like postgresql://… or sqlite:///file") from None
    if parsed.drivername not in _DRIVERS:
        raise ValueError("must begin with postgresql:// or sqlite:///")
    in_memory = ":memory:" in (parsed.database or ":memory:") or parsed.query.get("mode") == "memory"
    if parsed.get_backend_name() == "sqlite" and in_memory:
        raise ValueError("must name a file, since web and worker are two processes: sqlite:///file.db")
    return url


def _base_url(value: str) -> str:
    # Some platforms tell the bare host name only.
    url = value.strip() if "://" in value else f"https://{value.strip()}"
    address = _ADDRESS.fullmatch(url)
    is_web = re.match(r"https?://", url, re.IGNORECASE) is not None
    if is_web and (address is None or not 0 < int(address["port"] or 443) < 2**16):
        raise ValueError("is not an address like https://example.com")
    if address is None or not _is_safe(address):
        raise ValueError("must begin with https:// (http:// is for this machine only)")
    return url.rstrip("/")


def _is_safe(address: re.Match[str]) -> bool:
    return address["origin"].lower().startswith("https") or address["host"].lower() in _LOOPBACK_HOSTS


def _public_url(value: str) -> str:
    url = _base_url(value)
    address = _ADDRESS.fullmatch(url)
    if address is None or address["path"]:
        raise ValueError("must be the bare address, with nothing behind the host")
    return url


def _header_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", value):
        raise ValueError("is not the name of an HTTP header, like X-Koji-Signature")
    return value


def checked_link_template(value: str) -> str:
    """Raises ValueError for one that makes no address, or whose host depends on what is filled in."""
    koji_links.check_template(value)
    address = re.match(r"https?://([^/?#{}]+)(?:[/?#]|$)", value)
    if address is None or not koji_links.allowed(_example_link(value), [address[1]]):
        raise ValueError("is not an address like https://koji.so/interview/your-study?rid={contact_id}")
    return value


def _example_link(template: str) -> str:
    return koji_links.from_template(template, interview_id="a", contact_id="b", email="c", name="d")


def _link_hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    hosts = tuple(host.lower() for host in value)
    if not hosts or not all(koji_links.is_host(host) for host in hosts):
        raise ValueError("is not a list of hosts like koji.so,app.example.com, without https:// and paths")
    return hosts


Secrets = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Credential = Annotated[SecretStr | None, BeforeValidator(checked_credential)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]


# The environment's study. Others are added by an operator, see canvas_app.interviews.studies.
DEFAULT_STUDY = "default"

# What an interview costs that is answered well enough: https://www.koji.so/docs/understanding-usage-limits
_CREDITS = {"text": 1, "voice": 3}


@dataclass(frozen=True, slots=True)
class Study:
    """A study at Koji. Each has a key and a webhook secret of its own.

    ``wording``: the message by language, see :mod:`canvas_app.interviews.words`. ``credits`` is what is
    set, ``cost`` what counts. ``secrets_lost``: a secret of it cannot be opened with any listed SECRET_KEY.
    ``webhook_secret`` may be a comma-separated list, while it is being rotated.
    """

    slug: str
    name: str
    api_key: str | None = field(repr=False)
    link_template: str | None
    anonymous: bool = False
    mode: Literal["text", "voice"] | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    credits: int | None = None
    wording: Mapping[str, Any] = field(default_factory=dict)
    remind_after_days: int | None = None
    enabled: bool = True
    secrets_lost: bool = False

    @property
    def cost(self) -> int:
        """Koji's credits for one interview."""
        return self.credits if self.credits is not None else _CREDITS[self.mode or "text"]

    @property
    def askable(self) -> bool:
        """Whether somebody can be asked with it: it is on, and there is a key that can be read."""
        return self.enabled and self.api_key is not None


@functools.lru_cache(maxsize=16)
def _default_study(name: str, api_key: str | None, link_template: str | None) -> Study:
    """The environment's study; asked for several times in each request, and the same each time."""
    return Study(slug=DEFAULT_STUDY, name=name, api_key=api_key, link_template=link_template)


class Settings(BaseSettings):
    """The settings, named as the environment variables are, in lower case."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True, populate_by_name=True
    )

    database_url: Annotated[str, AfterValidator(_database_url)] = Field(
        default=f"sqlite:///{PROJECT_ROOT / 'instance' / 'koji.db'}",
        description="PostgreSQL or SQLite address of the database. Heroku sets it.",
        repr=False,
    )
    secret_key: Secrets = Field(
        default=(),
        description="Signs personal links and sessions. Comma-separated to rotate, newest first.",
        repr=False,
    )
    public_url: Annotated[
        Annotated[str, AfterValidator(_public_url)] | None, BeforeValidator(_blank_is_missing)
    ] = Field(
        default=None,
        validation_alias=AliasChoices(
            "public_url", "render_external_url", "heroku_app_default_domain_name", "railway_public_domain"
        ),
        description="The https address at which the internet reaches this app, without a path.",
    )
    intercom_client_secret: Secrets = Field(
        default=(),
        description="Intercom Developer Hub > your app > Basic information > Client secret.",
        repr=False,
    )
    intercom_access_token: Credential = Field(
        default=None, description="Intercom Developer Hub > your app > Authentication > Access token."
    )
    intercom_admin_id: (
        Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[0-9]{1,15}$")] | None
    ) = Field(
        default=None,
        description="Teammate who writes notes and automatic messages; by default the token's own.",
    )
    intercom_region: Annotated[Literal["us", "eu", "au"], BeforeValidator(_lower)] = Field(
        default="us", description="Where your Intercom workspace is hosted: us, eu or au."
    )
    intercom_api_url: BaseUrl | None = Field(
        default=None, description="Replaces the region's API address; for the sandbox."
    )
    intercom_version: Annotated[
        str, StringConstraints(strip_whitespace=True, pattern=r"^[0-9]+\.[0-9]+$")
    ] = Field(default="2.16", description="Sent as Intercom-Version; choose the same in the Developer Hub.")
    koji_api_key: Credential = Field(default=None, description="Koji > your study > API keys.")
    koji_api_url: BaseUrl = Field(default="https://koji.so", description="Koji's address.")
    koji_webhook_secret: Secrets = Field(
        default=(),
        description="The signing secret that Koji shows when you save the webhook address.",
        repr=False,
    )
    koji_signature_header: Annotated[str, AfterValidator(_header_name)] = Field(
        default="X-Koji-Signature", description="The header in which Koji sends its signature."
    )
    koji_link_template: Annotated[str, AfterValidator(checked_link_template)] | None = Field(
        default=None,
        description="Personal link, used when Koji's start call returns none. {interview_id}, {contact_id}, "
        "{email} and {name} are filled in.",
    )
    koji_link_hosts: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_link_hosts)
    ] = Field(
        default=("koji.so", "www.koji.so", "app.getkoji.com"),
        description="Hosts that a personal link or a transcript link may point to.",
    )
    koji_study_name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)] = (
        Field(
            default="Customer interview", description="What the rep reads as the name of the default study."
        )
    )
    api_token: Secrets = Field(
        default=(), description="Bearer tokens of the HTTP API. Comma-separated to rotate.", repr=False
    )
    metrics_token: Secrets = Field(
        default=(),
        description="Bearer tokens of GET /metrics, for Prometheus. Comma-separated to rotate.",
        repr=False,
    )
    min_quality: Annotated[float, Field(ge=1, le=5)] = Field(
        default=3, description="Results below this quality (1 to 5) are recorded but not written to Intercom."
    )
    ask_again_days: Annotated[int, Field(ge=0, le=3650)] = Field(
        default=30, description="A contact is not asked again within this many days."
    )
    open_days: Annotated[int, Field(ge=1, le=365)] = Field(
        default=14, description="An unanswered interview expires after this many days."
    )
    send_within_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        default=15, description="A rep's send that could not go out within this many minutes is given up."
    )
    tag_contact: bool = Field(
        default=True, description="Also tag the contact, so that the next conversation can be routed."
    )
    retention_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=365, description="Older interviews lose their personal data."
    )

    @field_validator("koji_link_hosts")
    @classmethod
    def _includes_the_templates(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        template = info.data.get("koji_link_template")
        if template is not None and not koji_links.allowed(_example_link(template), value):
            raise ValueError("lacks the host of KOJI_LINK_TEMPLATE, so that no such link could be sent")
        return value

    @field_validator("retention_days")
    @classmethod
    def _remembers_long_enough(cls, value: int, info: ValidationInfo) -> int:
        ask_again_days = info.data.get("ask_again_days", 0)
        if value < ask_again_days:
            raise ValueError(
                f"{value} days are fewer than the {ask_again_days} of ASK_AGAIN_DAYS, and it would be "
                "forgotten who was asked; raise RETENTION_DAYS or lower ASK_AGAIN_DAYS"
            )
        return value

    on_heroku: bool = Field(default=False, exclude=True, validation_alias=AliasChoices("on_heroku"))

    @classmethod
    def load(cls, environ: Mapping[str, str], **overrides: Any) -> Settings:
        """Read the settings; raises :class:`SettingsError` that lists every problem."""
        try:
            return cls(on_heroku="DYNO" in environ, **overrides)
        except ValidationError as error:
            raise SettingsError([_problem(cls, detail) for detail in error.errors()]) from None

    @property
    def intercom_url(self) -> str:
        return self.intercom_api_url or INTERCOM_API_URLS[self.intercom_region]

    @property
    def default_study(self) -> Study:
        key = self.koji_api_key.get_secret_value() if self.koji_api_key else None
        return _default_study(self.koji_study_name, key, self.koji_link_template)

    @property
    def uses_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    def missing_for_sending(self, public_url: str | None = None) -> list[str]:
        """Names of the settings that the way out, to the customer, still needs, whichever the study.

        ``public_url`` is the base of the link where the process that was asked for it has told it.
        """
        names = self._absent("secret_key", "public_url", "intercom_access_token")
        return [name for name in names if name != "PUBLIC_URL" or public_url is None]

    def missing_for_api(self) -> list[str]:
        """Names of the settings without which an interview cannot be asked for over HTTP."""
        return self._absent("api_token", "secret_key", "public_url", "intercom_access_token")

    def missing_for_card(self) -> list[str]:
        """Names of the settings without which a tap on the card could not do its whole job.

        What a study of the database makes up for, :func:`canvas_app.interviews.studies.missing` knows.
        """
        return self._absent(
            "secret_key",
            "public_url",
            "intercom_client_secret",
            "intercom_access_token",
            "koji_api_key",
            "koji_webhook_secret",
        )

    def _absent(self, *names: str) -> list[str]:
        missing = [name.upper() for name in names if not getattr(self, name)]
        # Heroku's disk does not outlive a restart, so a database file there is no database.
        if self.on_heroku and self.uses_sqlite:
            missing.insert(0, "DATABASE_URL")
        return missing


def documented_fields() -> dict[str, str]:
    """Every setting a person may set: its name in the environment and its description."""
    return {
        name.upper(): field.description or ""
        for name, field in Settings.model_fields.items()
        if name != "on_heroku"
    }


def _problem(cls: type[Settings], detail: Any) -> str:
    """One line for one problem: what is wrong, and where the right value is found. Never the value itself."""
    name = str(detail["loc"][0]) if detail["loc"] else "settings"
    field = cls.model_fields.get(name)
    where = field.description if field and field.description else ""
    what = str(detail["msg"]).removeprefix("Value error, ")
    return f"{name.upper()}: {what}. {where}".rstrip()
