"""What commands share: waiting for a vendor, and what a person reads."""

from __future__ import annotations

from collections.abc import Callable

import click
import pytest

from canvas_app.cli import common
from canvas_app.errors import CredentialsError, LaterError, NotConfigured, PermanentError


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr("canvas_app.cli.common.time.sleep", waits.append)
    return waits


def failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return call


def test_what_is_put_off_is_asked_again_when_it_may_be(waited: list[float]) -> None:
    assert common.patiently(failing(LaterError(retry_after=7.5), LaterError())) == "done"
    assert waited == [7.5, 2.0]


def test_nobody_waits_for_long(waited: list[float]) -> None:
    with pytest.raises(click.ClickException, match="try again in a while"):
        common.patiently(failing(LaterError("Too many calls.", retry_after=3600.0)))
    assert waited == []
    with pytest.raises(click.ClickException):
        common.patiently(failing(*[LaterError()] * 9))
    assert len(waited) == 4


def test_what_a_person_has_to_mend_is_told_at_once(waited: list[float]) -> None:
    refused = CredentialsError("Refused.", reason="koji_token_refused")
    with pytest.raises(click.ClickException, match="KOJI_API_KEY"):
        common.patiently(failing(refused))
    with pytest.raises(click.ClickException, match="INTERCOM_ACCESS_TOKEN"):
        common.patiently(failing(NotConfigured(["INTERCOM_ACCESS_TOKEN"])))
    with pytest.raises(PermanentError):
        common.patiently(failing(PermanentError()))
    assert waited == []


def test_a_table_is_drawn_at_a_terminal_and_is_lines_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    common.show_table(("What", "Rows"), [("interviews", "2"), ("", "1")])
    assert capsys.readouterr().out == "interviews  2\n1\n"
    monkeypatch.setattr(common, "is_terminal", lambda: True)
    # A name in brackets is no markup.
    common.show_table(("What", "Rows"), [("[bold]interviews", "2")])
    drawn = capsys.readouterr().out
    assert "[bold]interviews" in drawn
    assert "What" in drawn


def test_a_narrow_terminal_cuts_nothing_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(common, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    common.show_table(
        ("Rule", "Event"), [("major-issue-resolved", "conversation.admin.closed")], whole=("Rule",)
    )
    drawn = capsys.readouterr().out
    assert "major-issue-resolved" in drawn
    assert "…" not in drawn
    assert max(map(len, drawn.splitlines())) <= 40


def test_a_bar_is_shown_at_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with common.progress("Reading", 2) as bar:
        bar.advance(1)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with common.progress("Reading") as bar:
        bar.expect(4)
        bar.advance(2)
    said = capsys.readouterr()
    assert "Reading" in said.err
    assert said.out == ""
