"""The studies of the database beside the environment's, and their secrets, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.errors import NotConfigured
from canvas_app.interviews import studies
from canvas_app.interviews.tables import studies as table
from canvas_app.settings import Settings, Study
from canvas_app.vault import Vault
from tests.support.world import KOJI_SECRET, full_settings

URL = "sqlite:///x.db"
SETTINGS = full_settings(URL)
NEWEST = full_settings(URL, secret_key="newest-key,new-key,old-key")
ONLY_NEWEST = full_settings(URL, secret_key="newest-key")


def save(engine: Engine, slug: str, *, settings: Settings = SETTINGS, **changes: Any) -> Study:
    values = {"name": slug.title(), "api_key": f"key-of-{slug}", "link_template": None, **changes}
    with store.writing(engine) as connection:
        studies.save(connection, settings, Study(slug=slug, **values))
    return Study(slug=slug, **values)


def read(engine: Engine, function: Callable[..., Any], settings: Settings = SETTINGS, *args: Any) -> Any:
    with store.reading(engine) as connection:
        return function(connection, settings, *args)


def sealed(engine: Engine) -> dict[str, tuple[str | None, str | None]]:
    with store.reading(engine) as connection:
        rows = connection.execute(sa.select(table.c.slug, table.c.api_key, table.c.webhook_secret))
        return {slug: (api_key, secret) for slug, api_key, secret in rows}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which sealed texts have been opened since."""
    studies._opened.cache_clear()
    found: list[str] = []
    really = Vault.open

    def counted(self: Vault, text: str) -> str:
        found.append(text)
        return really(self, text)

    monkeypatch.setattr(Vault, "open", counted)
    return found


def test_what_is_saved_is_found_as_it_was(engine: Engine) -> None:
    study = save(
        engine,
        "exit",
        mode="voice",
        anonymous=True,
        webhook_secret="whsec",
        credits=0,
        wording={"de": {"thanks": "Danke!"}},
        remind_after_days=3,
        enabled=False,
        link_template="https://koji.so/{contact_id}",
    )
    assert read(engine, studies.find, SETTINGS, "exit") == study
    assert (study.cost, study.askable) == (0, False)
    assert read(engine, studies.find, SETTINGS, "nowhere") is None
    with pytest.raises(NotConfigured, match="nowhere"):
        read(engine, studies.existing, SETTINGS, "nowhere")


def test_the_environments_study_is_always_there_and_a_row_adds_to_it(engine: Engine) -> None:
    assert read(engine, studies.find, SETTINGS, "default") == SETTINGS.default_study
    save(engine, "default", name="not kept", api_key="not kept", mode="voice", enabled=False)
    found = read(engine, studies.find, SETTINGS, "default")
    assert (found.name, found.api_key) == ("Customer interview", "pk_live_key")
    assert (found.mode, found.cost, found.enabled) == ("voice", 3, False)
    assert sealed(engine) == {"default": (None, None)}


def test_studies_are_listed_by_name_the_environments_first(engine: Engine) -> None:
    for slug, name in (("a", "zebra"), ("b", "Apple"), ("c", "apple")):
        save(engine, slug, name=name)
    assert [study.slug for study in read(engine, studies.listed)] == ["default", "b", "c", "a"]


def test_no_secret_stands_in_the_clear_or_in_a_representation(engine: Engine) -> None:
    study = save(engine, "exit", api_key="planted-key", webhook_secret="planted-secret")
    with store.reading(engine) as connection:
        assert "planted" not in str(connection.execute(sa.select(table)).all())
    assert "planted" not in repr(study)


def test_without_a_secret_key_nothing_is_saved(engine: Engine) -> None:
    with pytest.raises(NotConfigured, match="SECRET_KEY"):
        save(engine, "exit", settings=full_settings(URL, secret_key=""))
    assert sealed(engine) == {}


# Opening


def test_a_secret_is_opened_once_a_process_and_a_new_one_at_once(engine: Engine, opened: list[str]) -> None:
    save(engine, "exit", webhook_secret="first")
    for _ in range(5):
        assert read(engine, studies.webhook_secrets) == [KOJI_SECRET, "first"]
    assert len(opened) == 2, "the key and the secret"
    # Another process has changed it.
    save(engine, "exit", webhook_secret="second")
    assert read(engine, studies.webhook_secrets) == [KOJI_SECRET, "second"]


def test_the_studies_webhook_secrets_come_after_the_environments(engine: Engine) -> None:
    save(engine, "exit", webhook_secret="exit-new, exit-old,", enabled=False)
    save(engine, "beta", webhook_secret="beta")
    save(engine, "none")
    settings = full_settings(URL, koji_webhook_secret="own-new,own-old")
    assert read(engine, studies.webhook_secrets, settings) == [
        *("own-new", "own-old", "beta", "exit-new", "exit-old"),
    ]
    assert read(engine, studies.webhook_secrets, full_settings(URL, koji_webhook_secret="")) == [
        *("beta", "exit-new", "exit-old"),
    ]


def test_a_secret_that_no_key_opens_is_lost_and_is_kept(engine: Engine) -> None:
    save(engine, "exit", webhook_secret="whsec")
    before = sealed(engine)
    found = read(engine, studies.find, ONLY_NEWEST, "exit")
    assert (found.api_key, found.webhook_secret, found.secrets_lost, found.askable) == (
        None,
        None,
        True,
        False,
    )
    assert read(engine, studies.secrets_lost, ONLY_NEWEST) == ["exit"]
    assert read(engine, studies.secrets_lost, full_settings(URL, secret_key="")) == ["exit"]
    assert read(engine, studies.secrets_lost) == []
    # Something else of it is changed; the right key may come back.
    with store.writing(engine) as connection:
        studies.save(connection, ONLY_NEWEST, found)
    assert sealed(engine) == before
    assert read(engine, studies.find, SETTINGS, "exit").webhook_secret == "whsec"


# Rotation


def test_what_an_older_key_has_sealed_is_sealed_anew_and_then_the_older_one_can_be_dropped(
    engine: Engine,
) -> None:
    save(engine, "exit", webhook_secret="whsec")
    save(engine, "beta")
    save(engine, "default")
    assert read(engine, studies.sealed_with_older_key) == []
    assert read(engine, studies.sealed_with_older_key, NEWEST) == ["beta", "exit"]
    with store.writing(engine) as connection:
        assert studies.reseal(connection, NEWEST) == 3
    assert read(engine, studies.sealed_with_older_key, NEWEST) == []
    found = read(engine, studies.find, ONLY_NEWEST, "exit")
    assert (found.api_key, found.webhook_secret, found.secrets_lost) == ("key-of-exit", "whsec", False)
    after = sealed(engine)
    with store.writing(engine) as connection:
        assert studies.reseal(connection, NEWEST) == 0
    assert sealed(engine) == after, "what is sealed with the newest stays as it is"


@pytest.mark.parametrize("secret_key", ["", "another-key"])
def test_what_cannot_be_opened_is_not_touched_when_the_rest_is_sealed_anew(
    engine: Engine, secret_key: str
) -> None:
    save(engine, "exit", webhook_secret="whsec")
    before, settings = sealed(engine), full_settings(URL, secret_key=secret_key)
    with store.writing(engine) as connection:
        assert studies.reseal(connection, settings) == 0
    assert sealed(engine) == before
    assert read(engine, studies.sealed_with_older_key, settings) == []


def test_a_secret_that_is_entered_while_the_others_are_sealed_anew_stays(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(engine, "exit", api_key="old", webhook_secret=None)
    really = studies._all_sealed

    def read_then_overtaken(connection: Any) -> Any:
        found = really(connection)
        values = {"api_key": Vault(NEWEST.secret_key).seal("entered meanwhile")}
        connection.execute(sa.update(table).values(**values))
        return found

    monkeypatch.setattr(studies, "_all_sealed", read_then_overtaken)
    with store.writing(engine) as connection:
        assert studies.reseal(connection, NEWEST) == 0
    assert read(engine, studies.find, NEWEST, "exit").api_key == "entered meanwhile"


# What is missing


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"webhook_secret": "whsec"}, []),
        ({"webhook_secret": None}, ["KOJI_WEBHOOK_SECRET"]),
        ({"webhook_secret": "whsec", "enabled": False}, ["KOJI_API_KEY"]),
        ({"webhook_secret": None, "api_key": None}, ["KOJI_API_KEY", "KOJI_WEBHOOK_SECRET"]),
    ],
)
def test_what_a_study_has_no_setting_need_have(
    engine: Engine, changes: dict[str, Any], missing: list[str]
) -> None:
    settings = full_settings(URL, koji_api_key="", koji_webhook_secret="")
    save(engine, "exit", **changes)
    assert studies.missing(read(engine, studies.listed, settings), settings) == missing


def test_no_other_setting_is_made_up_for(engine: Engine) -> None:
    save(engine, "exit", webhook_secret="whsec")
    settings = full_settings(URL, koji_api_key="", public_url=None)
    assert studies.missing(read(engine, studies.listed, settings), settings) == ["PUBLIC_URL"]


@pytest.mark.parametrize(
    ("secret_key", "enabled", "missing"),
    [
        ("new-key", True, []),
        # Nobody can be asked, and what has been asked is there all the same.
        ("new-key", False, []),
        ("another-key", True, []),
    ],
)
def test_a_key_that_is_not_of_use_now_is_a_key_all_the_same(
    engine: Engine, secret_key: str, enabled: bool, missing: list[str]
) -> None:
    save(engine, "exit", enabled=enabled)
    settings = full_settings(URL, koji_api_key="", secret_key=secret_key)
    every = read(engine, studies.listed, settings)
    assert studies.missing_at_all(every, settings) == missing
    without = full_settings(URL, koji_api_key="")
    assert studies.missing_at_all([without.default_study], without) == ["KOJI_API_KEY"]
