"""The page Card preview: every state of the card, and nobody's data."""

from __future__ import annotations

import re
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from canvas_app.canvas import card_states, cards, ids
from canvas_app.canvas.card_states import CardState, Ended, NotWritten, Ready, Result, Sending, Sent
from canvas_app.console.card_examples import EXAMPLES
from tests.console.conftest import Person, words
from tests.support.world import World

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


def states(kind: type) -> list[CardState]:
    return [example.state for example in EXAMPLES if isinstance(example.state, kind)]


def test_every_state_has_an_example() -> None:
    assert {type(example.state) for example in EXAMPLES} == set(get_args(CardState))


def test_every_form_of_a_state_has_one() -> None:
    assert {one.kind for one in states(NotWritten) if isinstance(one, NotWritten)} == set(
        get_args(card_states.NotWrittenKind)
    )
    assert {one.kind for one in states(Ended) if isinstance(one, Ended)} == set(
        get_args(card_states.EndedKind)
    )
    assert {one.worker_alive for one in states(Sending) if isinstance(one, Sending)} == {True, False}
    assert {one.elsewhere for one in states(Sent) if isinstance(one, Sent)} == {True, False}
    assert {one.writing for one in states(Result) if isinstance(one, Result)} == {True, False}
    assert {one.choice is None for one in states(Ready) if isinstance(one, Ready)} == {True, False}


def test_each_has_a_name_of_its_own_and_says_when_it_appears() -> None:
    names = [example.name for example in EXAMPLES]
    assert len(names) == len({*names})
    assert all(example.when.endswith(".") for example in EXAMPLES)


def test_every_button_of_the_card_is_on_some_example_but_for_more_studies() -> None:
    shown = {
        part.get("id")
        for example in EXAMPLES
        for part in cards.draw(example.state, zone=BERLIN, settings=True).content()["components"]
    }
    assert ids.ACTIONS - {ids.MORE_STUDIES} <= shown


def test_all_of_them_are_on_the_page_with_their_text(viewer: Person) -> None:
    page = viewer.text("card-preview")
    for example in EXAMPLES:
        assert f"{example.name} {example.when}" in page
    for said in ("✓ Interview sent", "Top theme: Pricing friction", "It is there", "Open the console"):
        assert said in page
    assert viewer.get("card-preview").text.count('<div class="canvas">') == len(EXAMPLES)


def test_nothing_on_them_can_be_tapped_filled_in_or_followed(viewer: Person) -> None:
    html = viewer.get("card-preview").text
    canvases = [part.partition("</article>")[0] for part in html.split('<div class="canvas">')[1:]]
    for canvas in canvases:
        assert "<a " not in canvas
        assert "<button" not in canvas
        assert " id=" not in canvas
        assert all("disabled" in tag for tag in re.findall(r"<(?:input|select|textarea)[^>]*>", canvas))


def test_nothing_of_a_customer_is_on_it(world: World, viewer: Person) -> None:
    world.send()
    page = words(viewer.get("card-preview").text)
    for planted in ("Mia", "mia@example.com", "Ada"):
        assert planted not in page.replace(viewer.teammate.name or "", "")


def test_times_are_those_of_the_workspace(world: World) -> None:
    drawn = cards.draw(EXAMPLES[2].state, zone=BERLIN)
    assert "CET" in str(drawn.content())
