from __future__ import annotations

import os

import pytest

from canvas_app.errors import SettingsError
from canvas_app.settings import PROJECT_ROOT, Settings, documented_fields

BAD_ADDRESSES = [
    "http://app.example.net",
    "ftp://app.example.net",
    "https://",
    "https://user:planted@app.example.net",
    "https://app.example.net:planted",
    "https://app.example.net:0",
    "https://app.example.net:65536",
    "https://app example.net",
    "https://app\nexample.net",
    'https://app"example.net',
    "https://app.example.net?planted",
    "https://app.example.net?",
    "https://app.example.net#",
    "https://[planted",
    "http://127.0.0.1.example.net",
]

MALFORMED: list[tuple[str, str]] = [
    ("DATABASE_URL", "planted"),
    ("DATABASE_URL", "mysql://planted@host/db"),
    ("DATABASE_URL", "postgresql://user:one@planted:two@host/db"),
    ("DATABASE_URL", "postgresql://host:planted/db"),
    ("DATABASE_URL", "postgresql+psycopg2://planted@host/db"),
    ("DATABASE_URL", "postgresql+planted://host/db"),
    ("DATABASE_URL", "sqlite+aiosqlite:///planted.db"),
    ("DATABASE_URL", "sqlite://"),
    ("DATABASE_URL", "sqlite:///:memory:"),
    ("DATABASE_URL", "sqlite:///file::memory:?uri=true"),
    ("DATABASE_URL", "sqlite:///planted?mode=memory&uri=true"),
    *[("PUBLIC_URL", address) for address in BAD_ADDRESSES],
    ("PUBLIC_URL", "https://app.example.net/planted"),
    *[("INTERCOM_API_URL", address) for address in BAD_ADDRESSES],
    *[("KOJI_API_URL", address) for address in BAD_ADDRESSES],
    ("INTERCOM_ACCESS_TOKEN", "Bearer planted"),
    ("INTERCOM_ACCESS_TOKEN", "plänted"),
    ("KOJI_API_KEY", "pk_live_plänted"),
    ("KOJI_API_KEY", "pk_live\nplanted"),
    ("INTERCOM_ADMIN_ID", "planted"),
    ("INTERCOM_ADMIN_ID", "1" * 16),
    ("INTERCOM_ADMIN_ID", "1 2"),
    ("INTERCOM_REGION", "planted"),
    ("INTERCOM_VERSION", "planted"),
    ("INTERCOM_VERSION", "2"),
    ("KOJI_SIGNATURE_HEADER", "X-Planted Signature"),
    ("KOJI_SIGNATURE_HEADER", "X-Planted:"),
    ("KOJI_LINK_TEMPLATE", "planted"),
    ("KOJI_LINK_TEMPLATE", "koji.so/planted?rid={interview_id}"),
    ("KOJI_LINK_TEMPLATE", "http://koji.so/planted?rid={interview_id}"),
    ("KOJI_LINK_TEMPLATE", "javascript:planted({name})"),
    ("KOJI_LINK_TEMPLATE", "https://{name}.planted.com/"),
    ("KOJI_LINK_TEMPLATE", "https://planted{name}/"),
    ("KOJI_LINK_TEMPLATE", "https://koji.so/planted {interview_id}"),
    ("KOJI_LINK_TEMPLATE", "https://koji.so/planted?rid={interview_id"),
    ("KOJI_LINK_TEMPLATE", "https://koji.so/planted?rid={phone}"),
    ("KOJI_LINK_HOSTS", "https://planted.com"),
    ("KOJI_LINK_HOSTS", "koji.so,planted.com/path"),
    ("KOJI_LINK_HOSTS", "koji.so planted.com"),
    ("KOJI_LINK_HOSTS", "*.planted.com"),
    ("KOJI_LINK_HOSTS", ","),
    ("KOJI_STUDY_NAME", "planted " * 20),
    ("KOJI_STUDY_NAME", "   "),
    ("MIN_QUALITY", "planted"),
    ("MIN_QUALITY", "0.9"),
    ("MIN_QUALITY", "5.1"),
    ("MIN_QUALITY", "nan"),
    ("ASK_AGAIN_DAYS", "-1"),
    ("ASK_AGAIN_DAYS", "planted"),
    ("OPEN_DAYS", "0"),
    ("OPEN_DAYS", "1.5"),
    ("SEND_WITHIN_MINUTES", "0"),
    ("SEND_WITHIN_MINUTES", "1441"),
    ("TAG_CONTACT", "planted"),
    ("RETENTION_DAYS", "0"),
    ("RETENTION_DAYS", "planted"),
]

# Any text is a good secret.
CANNOT_BE_MALFORMED = {
    "SECRET_KEY",
    "INTERCOM_CLIENT_SECRET",
    "KOJI_WEBHOOK_SECRET",
    "API_TOKEN",
    "METRICS_TOKEN",
}

ALL_FOR_THE_CARD = {
    "SECRET_KEY": "key",
    "PUBLIC_URL": "https://app.example.net",
    "INTERCOM_CLIENT_SECRET": "client",
    "INTERCOM_ACCESS_TOKEN": "token",
    "KOJI_API_KEY": "koji",
    "KOJI_WEBHOOK_SECRET": "webhook",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("RENDER_EXTERNAL_URL", "HEROKU_APP_DEFAULT_DOMAIN_NAME", "RAILWAY_PUBLIC_DOMAIN"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def load(environment: pytest.MonkeyPatch, **values: str) -> Settings:
    for name, value in values.items():
        environment.setenv(name, value)
    return Settings.load(os.environ)


class TestMalformed:
    @pytest.mark.parametrize(("name", "value"), MALFORMED)
    def test_is_named_with_where_to_find_it_and_without_the_value(
        self, environment: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        with pytest.raises(SettingsError) as caught:
            load(environment, **{name: value})
        [problem] = caught.value.problems
        assert problem.startswith(f"{name}: ")
        assert problem.endswith(documented_fields()[name])
        assert "planted" not in str(caught.value).lower()
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__

    def test_every_problem_is_listed_at_once(self, environment: pytest.MonkeyPatch) -> None:
        everything_wrong = dict(MALFORMED)
        with pytest.raises(SettingsError) as caught:
            load(environment, **everything_wrong)
        named = [problem.partition(":")[0] for problem in caught.value.problems]
        assert sorted(named) == sorted(everything_wrong)
        assert str(caught.value).splitlines() == [
            f"{len(everything_wrong)} setting(s) cannot be used:",
            *caught.value.problems,
        ]

    def test_an_example_stands_above_for_every_setting(self) -> None:
        assert set(documented_fields()) - CANNOT_BE_MALFORMED == {name for name, _ in MALFORMED}

    def test_an_address_of_the_platform_is_reported_as_the_setting_that_mends_it(
        self, environment: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(SettingsError, match=r"PUBLIC_URL: must begin with https://"):
            load(environment, RENDER_EXTERNAL_URL="ftp://app.example.net")


class TestDatabaseUrl:
    @pytest.mark.parametrize(
        ("given", "used"),
        [
            ("postgres://u:p@host:5432/db", "postgresql+psycopg://u:p@host:5432/db"),
            ("postgresql://u:p@host/db", "postgresql+psycopg://u:p@host/db"),
            ("postgresql+psycopg://u:p@host/db", "postgresql+psycopg://u:p@host/db"),
            (" postgres://host/db?sslmode=require\n", "postgresql+psycopg://host/db?sslmode=require"),
            # Only the scheme is rewritten, whatever the password says.
            ("postgres://u:postgres%3A%2F%2F@host/db", "postgresql+psycopg://u:postgres%3A%2F%2F@host/db"),
            ("sqlite:///koji.db", "sqlite:///koji.db"),
            ("sqlite:////var/lib/koji.db", "sqlite:////var/lib/koji.db"),
        ],
    )
    def test_is_understood_as_the_driver_needs_it(
        self, environment: pytest.MonkeyPatch, given: str, used: str
    ) -> None:
        assert load(environment, DATABASE_URL=given).database_url == used

    @pytest.mark.parametrize("value", [None, ""])
    def test_is_a_file_of_the_project_by_default(
        self, environment: pytest.MonkeyPatch, value: str | None
    ) -> None:
        settings = load(environment, **({} if value is None else {"DATABASE_URL": value}))
        assert settings.database_url == f"sqlite:///{PROJECT_ROOT}/instance/koji.db"
        assert settings.uses_sqlite


class TestPublicUrl:
    @pytest.mark.parametrize(
        ("given", "used"),
        [
            ("https://app.example.net", "https://app.example.net"),
            (" https://app.example.net/ ", "https://app.example.net"),
            ("app.example.net", "https://app.example.net"),
            ("https://app.example.net:8443", "https://app.example.net:8443"),
            ("http://localhost:5000/", "http://localhost:5000"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("http://[::1]:5000", "http://[::1]:5000"),
        ],
    )
    def test_is_an_address_without_a_slash_at_its_end(
        self, environment: pytest.MonkeyPatch, given: str, used: str
    ) -> None:
        assert load(environment, PUBLIC_URL=given).public_url == used

    @pytest.mark.parametrize(
        "name", ["RENDER_EXTERNAL_URL", "HEROKU_APP_DEFAULT_DOMAIN_NAME", "RAILWAY_PUBLIC_DOMAIN"]
    )
    @pytest.mark.parametrize("value", ["app.platform.example", "https://app.platform.example"])
    def test_is_taken_from_the_platform_that_tells_it(
        self, environment: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        assert load(environment, **{name: value}).public_url == "https://app.platform.example"

    def test_of_ones_own_counts_for_more_than_the_platforms(self, environment: pytest.MonkeyPatch) -> None:
        settings = load(
            environment, PUBLIC_URL="https://own.example", RENDER_EXTERNAL_URL="https://app.platform.example"
        )
        assert settings.public_url == "https://own.example"

    def test_left_empty_is_the_platforms(self, environment: pytest.MonkeyPatch) -> None:
        settings = load(environment, PUBLIC_URL="", RENDER_EXTERNAL_URL="https://app.platform.example")
        assert settings.public_url == "https://app.platform.example"


@pytest.mark.parametrize("name", sorted(CANNOT_BE_MALFORMED))
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("one", ("one",)),
        ("new,old", ("new", "old")),
        (" new , old ,", ("new", "old")),
        ("", ()),
        (" , ,", ()),
    ],
)
def test_secrets_are_lists_that_commas_separate(
    environment: pytest.MonkeyPatch, name: str, value: str, expected: tuple[str, ...]
) -> None:
    assert getattr(load(environment, **{name: value}), name.lower()) == expected


def test_link_hosts_are_compared_in_lower_case(environment: pytest.MonkeyPatch) -> None:
    settings = load(environment, KOJI_LINK_HOSTS="Koji.so, app.example.net:8443,[::1]:80")
    assert settings.koji_link_hosts == ("koji.so", "app.example.net:8443", "[::1]:80")


@pytest.mark.parametrize(
    "template",
    [
        "https://koji.so/i/study",
        "https://koji.so/i/study?rid={interview_id}&c={contact_id}#{name}",
        "https://koji.so/{email}",
        "http://127.0.0.1:5001/i/{interview_id}",
    ],
)
def test_a_link_template_is_an_address_with_placeholders(
    environment: pytest.MonkeyPatch, template: str
) -> None:
    settings = load(environment, KOJI_LINK_TEMPLATE=template, KOJI_LINK_HOSTS="koji.so,127.0.0.1:5001")
    assert settings.default_study.link_template == template


@pytest.mark.parametrize("hosts", [None, "koji.so,other.example", "planted.example:8443"])
def test_the_host_of_a_link_template_is_one_of_the_allowed(
    environment: pytest.MonkeyPatch, hosts: str | None
) -> None:
    values = {"KOJI_LINK_TEMPLATE": "https://planted.example/i?rid={contact_id}"}
    with pytest.raises(SettingsError) as caught:
        load(environment, **values, **({"KOJI_LINK_HOSTS": hosts} if hosts else {}))
    [problem] = caught.value.problems
    assert problem.startswith("KOJI_LINK_HOSTS: lacks the host of KOJI_LINK_TEMPLATE")
    assert "planted" not in problem
    assert load(environment, **values, KOJI_LINK_HOSTS="koji.so,planted.example").koji_link_template


@pytest.mark.parametrize(("name", "value"), [("INTERCOM_ADMIN_ID", "1234567"), ("INTERCOM_VERSION", "2.15")])
def test_a_space_that_was_copied_along_is_no_part_of_a_value(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    assert getattr(load(environment, **{name: f" {value}\n"}), name.lower()) == value


@pytest.mark.parametrize("name", ["INTERCOM_ACCESS_TOKEN", "KOJI_API_KEY"])
@pytest.mark.parametrize(("given", "used"), [("dG9rZW4=", "dG9rZW4="), (" token\n", "token")])
def test_a_credential_is_taken_without_the_space_around_it(
    environment: pytest.MonkeyPatch, name: str, given: str, used: str
) -> None:
    assert getattr(load(environment, **{name: given}), name.lower()).get_secret_value() == used


@pytest.mark.parametrize(
    ("region", "address"),
    [
        ("us", "https://api.intercom.io"),
        ("EU ", "https://api.eu.intercom.io"),
        ("au", "https://api.au.intercom.io"),
    ],
)
def test_the_region_decides_where_intercom_is_called(
    environment: pytest.MonkeyPatch, region: str, address: str
) -> None:
    assert load(environment, INTERCOM_REGION=region).intercom_url == address


def test_the_api_address_replaces_the_regions(environment: pytest.MonkeyPatch) -> None:
    settings = load(environment, INTERCOM_REGION="eu", INTERCOM_API_URL="http://127.0.0.1:5001/")
    assert settings.intercom_url == "http://127.0.0.1:5001"


class TestMissing:
    def test_nothing_when_all_is_set(self, environment: pytest.MonkeyPatch) -> None:
        settings = load(environment, **ALL_FOR_THE_CARD)
        assert settings.missing_for_card() == []
        assert settings.missing_for_sending() == []

    def test_everything_when_only_a_database_is_set(self, environment: pytest.MonkeyPatch) -> None:
        settings = load(environment, DATABASE_URL="postgres://host/db")
        assert settings.missing_for_card() == list(ALL_FOR_THE_CARD)

    @pytest.mark.parametrize("blank", ["", "  "])
    @pytest.mark.parametrize("name", sorted(ALL_FOR_THE_CARD))
    def test_exactly_the_one_that_is_left_blank(
        self, environment: pytest.MonkeyPatch, name: str, blank: str
    ) -> None:
        settings = load(environment, **(ALL_FOR_THE_CARD | {name: blank}))
        assert settings.missing_for_card() == [name]

    def test_sending_needs_its_own(self, environment: pytest.MonkeyPatch) -> None:
        needs = {"SECRET_KEY", "PUBLIC_URL", "INTERCOM_ACCESS_TOKEN"}
        assert set(load(environment).missing_for_sending()) == needs
        others = {name: value for name, value in ALL_FOR_THE_CARD.items() if name in needs}
        assert load(environment, **others).missing_for_sending() == []

    def test_the_worker_need_not_know_the_address_that_the_web_process_told(
        self, environment: pytest.MonkeyPatch
    ) -> None:
        # Some platforms tell it to the web process alone.
        nothing = {"PUBLIC_URL": "", "INTERCOM_ACCESS_TOKEN": ""}
        settings = load(environment, **(ALL_FOR_THE_CARD | nothing))
        assert settings.missing_for_sending() == ["PUBLIC_URL", "INTERCOM_ACCESS_TOKEN"]
        assert settings.missing_for_sending("https://web.example") == ["INTERCOM_ACCESS_TOKEN"]

    @pytest.mark.parametrize(
        ("heroku", "database_url", "missing"),
        [
            (True, "sqlite:///koji.db", ["DATABASE_URL"]),
            (True, "", ["DATABASE_URL"]),
            (True, "postgres://host/db", []),
            (False, "sqlite:///koji.db", []),
        ],
    )
    def test_a_file_is_no_database_where_the_disk_does_not_last(
        self, environment: pytest.MonkeyPatch, heroku: bool, database_url: str, missing: list[str]
    ) -> None:
        dyno = {"DYNO": "web.1"} if heroku else {}
        settings = load(environment, **ALL_FOR_THE_CARD, **dyno, DATABASE_URL=database_url)
        assert settings.missing_for_card() == missing
        assert settings.missing_for_sending() == missing

    def test_whether_this_is_heroku_is_no_setting(self, environment: pytest.MonkeyPatch) -> None:
        assert not load(environment, ON_HEROKU="true").on_heroku
        assert "ON_HEROKU" not in documented_fields()


def test_no_secret_stands_in_the_representation(environment: pytest.MonkeyPatch) -> None:
    secrets = {name: f"planted-{name.lower()}" for name in ALL_FOR_THE_CARD if name != "PUBLIC_URL"}
    settings = load(
        environment,
        **secrets,
        API_TOKEN="planted-api",
        METRICS_TOKEN="planted-metrics",
        DATABASE_URL="postgres://u:planted@h/db",
    )
    assert "planted" not in repr(settings)
    assert "planted" not in str(settings)


def test_the_default_study_is_made_of_the_settings(environment: pytest.MonkeyPatch) -> None:
    study = load(environment, KOJI_API_KEY="key", KOJI_STUDY_NAME=" Churn ").default_study
    assert (study.slug, study.name, study.api_key, study.link_template) == ("default", "Churn", "key", None)
    assert load(environment, KOJI_API_KEY="").default_study.api_key is None


@pytest.mark.parametrize(
    "values",
    [
        {"ASK_AGAIN_DAYS": "366"},
        {"RETENTION_DAYS": "29"},
        {"ASK_AGAIN_DAYS": "90", "RETENTION_DAYS": "89"},
    ],
)
def test_who_was_asked_must_not_be_forgotten_too_early(
    values: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        Settings.load({})
    [problem] = error.value.problems
    assert problem.startswith("RETENTION_DAYS: ")
    assert "raise RETENTION_DAYS or lower ASK_AGAIN_DAYS" in problem


def test_to_remember_just_as_long_as_nobody_is_asked_again_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASK_AGAIN_DAYS", "90")
    monkeypatch.setenv("RETENTION_DAYS", "90")
    assert Settings.load({}).retention_days == 90


def test_a_malformed_cap_is_the_only_problem_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASK_AGAIN_DAYS", "planted")
    with pytest.raises(SettingsError) as error:
        Settings.load({})
    assert [problem.partition(":")[0] for problem in error.value.problems] == ["ASK_AGAIN_DAYS"]
