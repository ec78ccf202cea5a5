"""Schemathesis on the API's own description: what it allows, and what it does not, is answered as it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from flask import Flask
from schemathesis.specs.openapi.checks import (
    missing_required_header,
    negative_data_rejection,
    positive_data_acceptance,
)

from canvas_app import create_app, migrate, store
from canvas_app.api import openapi
from tests.api.caller import TOKEN
from tests.input import aiming
from tests.support.world import WORKSPACE, full_settings

# Values as they are described, and others. A schema cannot say that an empty text is as good as a missing
# field, nor which fields need each other; and tools without code send numbers as text and more than is
# needed, which is taken on purpose. So it is not held against an answer whether it says yes or no.
schema = schemathesis.openapi.from_dict(openapi.description("http://localhost"))
_NOT_HELD_AGAINST_IT = [
    positive_data_acceptance,
    negative_data_rejection,
    # The token is always sent here, also where it is left out by the plan.
    missing_required_header,
]
few = hypothesis.settings(
    max_examples=25,
    deadline=None,
    database=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder: Path = tmp_path_factory.mktemp("described")
    settings = full_settings(f"sqlite:///{folder}/koji.db", api_token=TOKEN)
    migrate.release(settings.database_url)
    app = create_app(settings)
    engine = app.extensions["koji_for_intercom"].engine
    with store.writing(engine) as connection:
        aiming.know(connection, settings, WORKSPACE)
    yield app
    engine.dispose()


@schema.parametrize()
@few
def test_every_answer_is_one_that_is_described(case: Any, app: Flask) -> None:
    case.headers = {**(case.headers or {}), "Authorization": f"Bearer {TOKEN}"}
    answer = case.call(app=app)
    case.validate_response(answer, excluded_checks=_NOT_HELD_AGAINST_IT)
