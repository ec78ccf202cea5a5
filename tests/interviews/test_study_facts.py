"""Of a key it is told whether it is there, and no more."""

from __future__ import annotations

import pytest

from canvas_app.interviews import study_facts
from canvas_app.settings import Study
from tests.support.world import full_settings

SETTINGS = full_settings("sqlite:///x.db")


def study(key: str | None, secret: str | None, *, lost: bool) -> Study:
    return Study(
        slug="exit", name="Exit", api_key=key, link_template=None, webhook_secret=secret, secrets_lost=lost
    )


@pytest.mark.parametrize(
    ("key", "secret", "lost", "told"),
    [
        ("k", "s", False, ("set", "set")),
        (None, None, False, ("missing", "missing")),
        (None, None, True, ("cannot be read", "cannot be read")),
        ("k", None, True, ("set", "cannot be read")),
    ],
)
def test_what_is_told(key: str | None, secret: str | None, lost: bool, told: tuple[str, str]) -> None:
    one = study(key, secret, lost=lost)
    assert (study_facts.key(one), study_facts.webhook_secret(one, SETTINGS)) == told


def test_the_environments_secret_stands_in_a_setting() -> None:
    assert study_facts.webhook_secret(SETTINGS.default_study, SETTINGS) == "set"
    bare = full_settings("sqlite:///x.db", koji_webhook_secret="")
    assert study_facts.webhook_secret(bare.default_study, bare) == "missing"
