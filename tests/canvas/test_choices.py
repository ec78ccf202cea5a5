"""Which studies a rep may choose from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from canvas_app.canvas import choices
from canvas_app.canvas.card_states import StudyChoice
from canvas_app.settings import Study

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def study(slug: str, *, enabled: bool = True, key: str | None = "k") -> Study:
    return Study(slug=slug, name=slug.upper(), api_key=key, link_template=None, enabled=enabled)


def many(count: int) -> tuple[Study, ...]:
    return choices.askable([study("default"), *(study(f"s{number:02}") for number in range(1, count))], {})


def slugs(found: StudyChoice | None) -> list[str]:
    assert found is not None
    return [slug for slug, _ in found.options]


def test_only_what_is_on_and_has_a_key_is_offered() -> None:
    every = [study("default", key=None), study("off", enabled=False), study("on"), study("lost", key=None)]
    assert [found.slug for found in choices.askable(every, {})] == ["on"]


def test_up_to_ten_keep_the_order_of_the_list_however_they_were_used() -> None:
    every = [study("default"), *(study(f"s{number}") for number in range(9))]
    used_at = {"s8": NOW, "s3": NOW - timedelta(days=1)}
    assert list(choices.askable(every, used_at)) == every


def test_of_more_those_come_first_that_were_asked_with_last_after_the_environments() -> None:
    every = [study("default"), *(study(f"s{number:02}") for number in range(11))]
    used_at = {"s08": NOW - timedelta(days=1), "s03": NOW, "default": NOW - timedelta(days=9)}
    order = [found.slug for found in choices.askable(every, used_at)]
    assert order[:5] == ["default", "s03", "s08", "s00", "s01"]


@pytest.mark.parametrize("count", [0, 1])
def test_there_is_no_choice_of_one(count: int) -> None:
    offered = many(2)[:count]
    assert [choices.of(offered, only) for only in offered] == [None] * count
    assert choices.chosen(offered, None) == next(iter(offered), None)


@pytest.mark.parametrize("count", [2, 10])
def test_two_to_ten_are_one_page(count: int) -> None:
    offered = many(count)
    found = choices.of(offered, offered[1])
    assert slugs(found) == [one.slug for one in offered]
    assert found is not None
    assert (found.chosen, found.page, found.pages) == ("s01", 0, 1)
    assert found.options[0] == ("default", "DEFAULT")


@pytest.mark.parametrize(
    ("count", "page", "first", "last"),
    [
        (11, 0, "default", "s09"),
        # A dropdown takes two options at least: the last page is filled up from the one before.
        (11, 1, "s01", "s10"),
        (11, 2, "default", "s09"),
        (25, 1, "s10", "s19"),
        (25, 2, "s15", "s24"),
        (25, 3, "default", "s09"),
        (20, 1, "s10", "s19"),
    ],
)
def test_more_are_pages_of_ten_and_begin_anew_after_the_last(
    count: int, page: int, first: str, last: str
) -> None:
    offered = many(count)
    chosen = choices.chosen(offered, None, page)
    assert chosen is not None
    found = choices.of(offered, chosen, page)
    assert (slugs(found)[0], slugs(found)[-1], len(slugs(found))) == (first, last, 10)
    assert found is not None
    assert (found.chosen, found.page, found.pages) == (first, page % found.pages, -(-count // 10))


def test_the_page_of_the_chosen_one_is_shown() -> None:
    offered = many(25)
    for slug, page in (("default", 0), ("s09", 0), ("s10", 1), ("s19", 1), ("s20", 2), ("s24", 2)):
        chosen = choices.chosen(offered, slug)
        assert chosen is not None
        found = choices.of(offered, chosen)
        assert found is not None
        assert (found.chosen, found.page) == (slug, page)
        assert slug in slugs(found)


@pytest.mark.parametrize("slug", [None, "", "nowhere"])
def test_where_none_is_named_the_first_is_chosen(slug: str | None) -> None:
    chosen = choices.chosen(many(3), slug)
    assert chosen is not None
    assert chosen.slug == "default"
