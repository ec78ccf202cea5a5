"""What a job works with, put together once per worker and handed to each function that needs it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from sqlalchemy.engine import Engine

from canvas_app import gates, http_outcomes, store
from canvas_app.engine import Jobs
from canvas_app.errors import NotConfigured, SecretLost
from canvas_app.intercom.client import IntercomClient
from canvas_app.interviews import studies
from canvas_app.interviews.measures import Tally
from canvas_app.interviews.tag_ids import TagIds
from canvas_app.koji.client import KojiClient
from canvas_app.settings import DEFAULT_STUDY, Settings, Study


@dataclass(frozen=True)
class Services:
    """``intercom_client`` is None while its token is not set; asking for it then says which is missing."""

    settings: Settings
    engine: Engine
    jobs: Jobs
    intercom_client: IntercomClient | None
    # A client for a study's key.
    make_koji_client: Callable[[str], KojiClient]
    # A client for one message to the address that an operator has entered for alerts.
    make_alert_client: Callable[[], httpx.Client] = http_outcomes.make_http_client
    # What this process counts.
    tally: Tally = field(default_factory=Tally)
    # A number in [0, 1) that spreads retries; tests make it constant.
    chance: Callable[[], float] = field(default=random.random)
    tag_ids: TagIds = field(default_factory=TagIds, repr=False)
    _koji_clients: dict[str, KojiClient] = field(default_factory=dict, init=False, repr=False)

    @property
    def intercom(self) -> IntercomClient:
        if self.intercom_client is None:
            raise NotConfigured(["INTERCOM_ACCESS_TOKEN"])
        return self.intercom_client

    def study(self, slug: str) -> Study:
        """The study of this name. Raises NotConfigured when it has been taken away."""
        with store.reading(self.engine) as connection:
            return studies.existing(connection, self.settings, slug)

    def koji(self, study: Study) -> KojiClient:
        """Koji, with this study's key. Raises NotConfigured while there is none that can be read."""
        if study.api_key is None:
            if study.secrets_lost:
                raise SecretLost
            raise NotConfigured(
                ["KOJI_API_KEY" if study.slug == DEFAULT_STUDY else f"the key of the study {study.slug}"]
            )
        client = self._koji_clients.get(study.api_key)
        if client is None:
            client = self._koji_clients.setdefault(study.api_key, self.make_koji_client(study.api_key))
        return client

    @property
    def token_fingerprint(self) -> str:
        """Tells one access token from another without giving it away."""
        return gates.token_fingerprint(self.settings)
