"""What a job works with, put together once per worker and handed to each function that needs it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy.engine import Engine

from canvas_app import gates
from canvas_app.engine import Jobs
from canvas_app.errors import NotConfigured
from canvas_app.intercom.client import IntercomClient
from canvas_app.koji.client import KojiClient
from canvas_app.settings import Settings, Study


@dataclass(frozen=True)
class Services:
    """The wires are None while their credentials are not set; asking for one then says which is missing."""

    settings: Settings
    engine: Engine
    jobs: Jobs
    intercom_client: IntercomClient | None
    koji_client: KojiClient | None
    # A number in [0, 1) that spreads retries; tests make it constant.
    chance: Callable[[], float] = field(default=random.random)

    @property
    def intercom(self) -> IntercomClient:
        if self.intercom_client is None:
            raise NotConfigured(["INTERCOM_ACCESS_TOKEN"])
        return self.intercom_client

    @property
    def koji(self) -> KojiClient:
        if self.koji_client is None:
            raise NotConfigured(["KOJI_API_KEY"])
        return self.koji_client

    @property
    def study(self) -> Study:
        return self.settings.default_study

    @property
    def token_fingerprint(self) -> str:
        """Tells one access token from another without giving it away."""
        return gates.token_fingerprint(self.settings)
