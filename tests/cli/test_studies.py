"""``studies``: what an operator enters, sees and cannot see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from canvas_app import cli, store
from canvas_app.interviews import studies
from canvas_app.interviews.tables import studies as studies_table
from canvas_app.settings import Study
from tests.support.world import full_settings

KEY = "pk_live_planted_key_9f3a"
SECRET = "whsec_planted_secret"


@pytest.fixture(autouse=True)
def environment(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    monkeypatch.setenv("SECRET_KEY", "new-key,old-key")
    monkeypatch.setenv("KOJI_API_KEY", "pk_live_environment_1234")
    monkeypatch.setenv("PUBLIC_URL", "https://interviews.example.com")
    monkeypatch.setenv("EXIT_KEY", KEY)
    return monkeypatch


@pytest.fixture
def saved(sqlite_url: str) -> Callable[[str], Study]:
    def read(slug: str) -> Study:
        engine = store.make_engine(sqlite_url, pool_size=1)
        with store.reading(engine) as connection:
            study = studies.find(connection, full_settings(sqlite_url), slug)
        engine.dispose()
        assert study is not None
        return study

    return read


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(cli.commands, ["studies", *arguments], input=typed)


def add(slug: str = "exit", *more: str, name: str = "Exit interview") -> Result:
    answer = run("add", slug, "--name", name, "--key-from", "env:EXIT_KEY", *more)
    assert answer.exit_code == 0, answer.output
    return answer


def row(slug: str) -> list[str]:
    """The cells of a study's row in the list."""
    [line] = [line for line in run("list").output.splitlines() if line.startswith(f"{slug}  ")]
    return line.split("  ")


class TestAdd:
    def test_asks_for_the_key_and_shows_nothing_of_it(self, saved: Callable[[str], Study]) -> None:
        answer = run("add", "exit", "--name", "Exit interview", typed=f"{KEY}\n{SECRET}\n")
        assert answer.exit_code == 0, answer.output
        assert "Added exit. It is on." in answer.output
        assert "https://interviews.example.com/webhooks/koji" in answer.output
        for planted in (KEY, SECRET, "planted"):
            assert planted not in answer.output
        study = saved("exit")
        assert (study.name, study.api_key, study.webhook_secret) == ("Exit interview", KEY, SECRET)
        assert study.askable

    @pytest.mark.parametrize("source", ["env:EXIT_KEY", "file", "stdin"])
    def test_takes_the_key_from_where_it_leaves_no_trace(
        self, tmp_path: Path, saved: Callable[[str], Study], source: str
    ) -> None:
        (tmp_path / "key").write_text(f"{KEY}\n")
        source = f"file:{tmp_path}/key" if source == "file" else source
        answer = run("add", "exit", "--name", "Exit", "--key-from", source, typed=f"{KEY}\n")
        assert answer.exit_code == 0, answer.output
        assert saved("exit").api_key == KEY
        assert "--webhook-secret-from prompt" in answer.output, "what is still to be done"
        assert KEY not in answer.output

    @pytest.mark.parametrize("option", ["--key-from", "--webhook-secret-from"])
    @pytest.mark.parametrize("source", [KEY, "env:", "file:", "", "keyring"])
    def test_refuses_the_secret_itself_without_repeating_it(self, option: str, source: str) -> None:
        answer = run("add", "exit", "--name", "Exit", "--key-from", "stdin", option, source, typed="k\n")
        assert answer.exit_code == 2
        assert "takes prompt, env:NAME, file:PATH or stdin" in answer.output
        assert "planted" not in answer.output

    @pytest.mark.parametrize(
        ("source", "said"), [("env:NOT_SET", "no variable NOT_SET"), ("file:/not/there", "cannot be read")]
    )
    def test_says_where_there_is_no_secret(self, source: str, said: str) -> None:
        answer = run("add", "exit", "--name", "Exit", "--key-from", source)
        assert (answer.exit_code, said in answer.output) == (2, True)

    def test_reads_one_secret_from_standard_input(self) -> None:
        sources = ("--key-from", "stdin", "--webhook-secret-from", "stdin")
        answer = run("add", "exit", "--name", "Exit", *sources, typed="a\n")
        assert (answer.exit_code, "can hold one of the two" in answer.output) == (2, True)

    def test_tells_every_mistake_and_changes_nothing(self) -> None:
        more = ("--mode", "video", "--credits", "many", "--link-template", "https://evil.example/{name}")
        answer = run("add", "Bad Slug", "--key-from", "env:EXIT_KEY", *more)
        assert answer.exit_code == 1
        assert "Nothing was changed; 5 mistake(s):" in answer.output
        for field in ("slug", "name", "mode", "credits", "link-template"):
            assert f"\n{field}: " in answer.output
        assert "Bad Slug" not in run("list").output

    def test_keeps_everything_that_is_entered(self, saved: Callable[[str], Study]) -> None:
        add(
            "exit",
            *("--mode", "voice", "--link-template", "https://koji.so/i/x?rid={contact_id}"),
            *("--anonymous", "yes", "--credits", "4", "--remind", "3", "--off"),
        )
        study = saved("exit")
        assert (study.mode, study.anonymous, study.credits, study.remind_after_days) == ("voice", True, 4, 3)
        assert study.link_template == "https://koji.so/i/x?rid={contact_id}"
        assert not study.enabled

    def test_of_a_slug_that_is_there_is_refused(self) -> None:
        add()
        answer = run("add", "exit", "--name", "Other", "--key-from", "env:EXIT_KEY")
        assert (answer.exit_code, "there is a study exit already" in answer.output) == (1, True)

    def test_without_a_secret_key_says_which_setting_is_missing(
        self, environment: pytest.MonkeyPatch
    ) -> None:
        environment.delenv("SECRET_KEY")
        answer = run("add", "exit", "--name", "Exit", "--key-from", "env:EXIT_KEY")
        assert (answer.exit_code, "SECRET_KEY" in answer.output) == (1, True)
        assert "planted" not in answer.output

    def test_what_is_stored_holds_no_secret_in_the_clear(self, sqlite_url: str) -> None:
        add("exit", "--webhook-secret-from", "env:EXIT_KEY")
        engine = store.make_engine(sqlite_url, pool_size=1)
        with store.reading(engine) as connection:
            stored = str(connection.execute(sa.select(studies_table)).all())
        engine.dispose()
        assert "planted" not in stored


class TestList:
    def test_shows_the_environments_study_first(self) -> None:
        add("beta", name="Beta")
        lines = run("list").output.splitlines()
        assert [line.split()[0] for line in lines] == ["default", "beta"]
        assert row("default") == [
            *("default", "Customer interview", "on", "key set", "no webhook secret", "any mode, 1 credit"),
        ]

    def test_shows_what_each_study_is(self) -> None:
        add("exit", "--mode", "voice", "--webhook-secret-from", "env:EXIT_KEY", "--remind", "3", "--off")
        run("wording", "exit", "--language", "en", "--thanks", "Cheers!")
        traits = "voice mode, 3 credits, reminder after 3 days, words for en"
        assert row("exit") == ["exit", "Exit interview", "off", "key set", "webhook secret", traits]

    def test_in_a_narrow_terminal_nothing_of_it_is_cut_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        slug = "after-a-major-issue-is-resolved"
        add(slug, "--mode", "voice", "--anonymous", "yes", name="After a major issue is resolved")
        monkeypatch.setattr("canvas_app.cli.common.is_terminal", lambda: True)
        monkeypatch.setenv("COLUMNS", "80")
        drawn = run("list").output
        assert slug in drawn
        assert "…" not in drawn
        assert max(map(len, drawn.splitlines())) <= 80

    def test_a_name_is_text(self) -> None:
        add("exit", name="[red]Exit[/red] :smile:")
        assert row("exit")[1] == "[red]Exit[/red] :smile:"

    def test_says_that_an_older_key_is_still_in_use(self, environment: pytest.MonkeyPatch) -> None:
        add()
        environment.setenv("SECRET_KEY", "newest-key,new-key")
        answer = run("list")
        assert "An older SECRET_KEY still opens exit. Restart the worker before you drop it." in answer.output

    def test_says_that_a_key_is_lost_and_what_to_do(self, environment: pytest.MonkeyPatch) -> None:
        add()
        environment.setenv("SECRET_KEY", "another-key")
        answer = run("list")
        assert row("exit")[3] == "key cannot be read"
        assert "studies edit exit --key-from prompt" in answer.output


class TestEdit:
    def test_changes_what_is_named_and_nothing_else(self, saved: Callable[[str], Study]) -> None:
        add("exit", "--mode", "voice", "--credits", "4", "--webhook-secret-from", "env:EXIT_KEY")
        assert run("edit", "exit", "--name", "Goodbye", "--mode", "any").exit_code == 0
        study = saved("exit")
        assert (study.name, study.mode, study.credits) == ("Goodbye", None, 4)
        assert (study.api_key, study.webhook_secret) == (KEY, KEY)

    def test_replaces_a_key(self, environment: pytest.MonkeyPatch, saved: Callable[[str], Study]) -> None:
        add()
        environment.setenv("EXIT_KEY", "pk_live_planted_other_77aa")
        answer = run("edit", "exit", "--key-from", "env:EXIT_KEY")
        assert "It has the new key now." in answer.output
        assert saved("exit").api_key == "pk_live_planted_other_77aa"
        assert "planted" not in answer.output

    def test_of_the_environments_study_takes_what_no_setting_holds(
        self, saved: Callable[[str], Study]
    ) -> None:
        assert run("edit", "default", "--mode", "voice", "--anonymous", "yes", "--remind", "2").exit_code == 0
        study = saved("default")
        assert (study.mode, study.anonymous, study.remind_after_days) == ("voice", True, 2)
        answer = run("edit", "default", "--name", "Other", "--key-from", "env:EXIT_KEY")
        assert answer.exit_code == 1
        assert "KOJI_STUDY_NAME" in answer.output
        assert "KOJI_API_KEY" in answer.output

    def test_needs_something_to_change_and_a_study(self) -> None:
        assert run("edit", "exit").exit_code == 2
        answer = run("edit", "nowhere", "--name", "x")
        assert (answer.exit_code, "There is no study nowhere" in answer.output) == (1, True)


class TestOnAndOff:
    def test_switch_a_study(self, saved: Callable[[str], Study]) -> None:
        add()
        assert "its results still come" in run("off", "exit").output
        assert not saved("exit").enabled
        assert run("on", "exit").output == "exit is on.\n"
        assert saved("exit").enabled

    def test_switch_the_environments_study(self, saved: Callable[[str], Study]) -> None:
        run("off", "default")
        assert not saved("default").enabled

    def test_says_that_a_study_without_a_key_cannot_be_asked_with(
        self, environment: pytest.MonkeyPatch
    ) -> None:
        environment.delenv("KOJI_API_KEY")
        assert "nobody can be asked with it yet" in run("on", "default").output

    @pytest.mark.parametrize("command", ["on", "off"])
    def test_of_an_unknown_study_is_refused(self, command: str) -> None:
        assert run(command, "nowhere").exit_code == 1


class TestWording:
    GERMAN = (
        *(
            "--language",
            "de",
            "--greeting",
            "Hallo {first_name},",
            "--invitation",
            "<b>erzählen</b> Sie mehr?",
        ),
        *("--link-text", "Zum Interview", "--thanks", "Danke!"),
    )

    def test_words_the_message_and_shows_it(self, saved: Callable[[str], Study]) -> None:
        add()
        answer = run("wording", "exit", *self.GERMAN)
        assert answer.output.splitlines() == [
            "de:",
            "    Hallo Mia,",
            "    <b>erzählen</b> Sie mehr?",
            "    Zum Interview",
            "    Danke!",
        ]
        assert saved("exit").wording["de"]["thanks"] == "Danke!"
        run("wording", "exit", "--language", "de", "--thanks", "Vielen Dank!")
        assert saved("exit").wording["de"]["thanks"] == "Vielen Dank!"
        assert saved("exit").wording["de"]["link_text"] == "Zum Interview"

    def test_shows_the_message_in_every_language(self) -> None:
        add()
        run("wording", "exit", *self.GERMAN)
        answer = run("wording", "exit")
        assert "de:\n    Hallo Mia," in answer.output
        assert "default:\n    Hi Mia," in answer.output

    def test_of_the_environments_study(self, saved: Callable[[str], Study]) -> None:
        run("wording", "default", *self.GERMAN)
        assert set(saved("default").wording) == {"de"}

    def test_takes_a_language_away(self, saved: Callable[[str], Study]) -> None:
        add()
        run("wording", "exit", *self.GERMAN)
        answer = run("wording", "exit", "--language", "de", "--remove")
        assert "default:" in answer.output
        assert saved("exit").wording == {}

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--thanks", "Danke!"], "Name the language"),
            (["--remove"], "Name the language"),
            (["--language", "de", "--thanks", "Danke!", "--remove"], "Either"),
            (["--language", "German", "--thanks", "Danke!"], "language tag"),
            (["--language", "de", "--greeting", "{name}", "--thanks", ""], "3 mistake(s)"),
            (["--language", "de", "--remove"], "no words in de"),
        ],
    )
    def test_says_what_is_wrong(self, arguments: list[str], said: str) -> None:
        add()
        answer = run("wording", "exit", *arguments)
        assert answer.exit_code in (1, 2)
        assert said in answer.output


def test_without_tables_each_command_says_what_to_run(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/new.db")
    commands: list[Any] = [
        ["list"],
        ["add", "exit", "--name", "Exit", "--key-from", "env:EXIT_KEY"],
        ["edit", "exit", "--name", "x"],
        ["on", "exit"],
        ["wording", "exit"],
    ]
    for command in commands:
        answer = run(*command)
        assert (answer.exit_code, "python -m canvas_app release" in answer.output) == (1, True), command
