from __future__ import annotations

from tests.faults import plan


def test_the_same_seed_gives_the_same_plan_and_another_one_another() -> None:
    assert plan.make(7) == plan.make(7)
    assert plan.make(7) != plan.make(8)


def test_a_plan_has_as_much_as_it_was_asked_for() -> None:
    drawn = plan.make(7, interviews=60, kills=25)
    assert len(drawn.interviews) == 60
    moments = [kill.after_calls for kill in drawn.kills]
    assert len(moments) == 25
    assert moments == sorted(set(moments))
    assert {kill.what for kill in drawn.kills} == {"worker", "web", "both"}


def test_every_kind_of_fault_and_of_answer_is_planned() -> None:
    drawn = plan.make(7)
    spoiled = [item for planned in drawn.interviews for item in (*planned.sending, *planned.writing)]
    assert {item.kind for item in spoiled} == {
        "status", "drop_before", "drop_after", "hang_before", "hang_after", "truncated", "html"
    }  # fmt: skip
    assert {item.call for item in (*spoiled, *drawn.common)} == set(plan.CALLS)
    assert {planned.answer for planned in drawn.interviews} == {"full", "anonymous", "low_quality", "silent"}
    assert {planned.fate for planned in drawn.interviews} == {"once", "duplicate", "reorder", "again"}
    assert any(planned.may_be_unknown for planned in drawn.interviews)
    assert any(planned.may_be_refused for planned in drawn.interviews)


def test_what_is_drawn_apart_changes_nothing_else() -> None:
    calm = plan.make(7, flooded=0.5, delayed=0.5, spoiled=0.0)
    for usual, changed in zip(plan.make(7).interviews, calm.interviews, strict=True):
        assert (usual.answer, usual.quality, usual.theme) == (changed.answer, changed.quality, changed.theme)
        assert changed.fate in (usual.fate, "flood")
    assert any(planned.fate == "flood" and planned.copies > 40 for planned in calm.interviews)
    assert any(planned.delay for planned in calm.interviews)
    assert all(
        not planned.sending or planned.may_be_refused or planned.may_be_unknown for planned in calm.interviews
    )


def test_deliveries_are_lost_only_where_that_is_asked_for() -> None:
    assert {planned.fate for planned in plan.make(7, lost=1.0).interviews} == {"lose"}


def test_a_plan_can_be_read() -> None:
    drawn = plan.make(7, interviews=3, kills=2)
    text = str(drawn)
    assert text.startswith("seed 7: 3 interviews, 2 kills\n#0: ")
    assert all(str(planned) in text for planned in drawn.interviews)
    assert all(str(kill) in text for kill in drawn.kills)
