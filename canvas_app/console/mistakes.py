"""Mistakes of a form, each at its field, and what somebody else has changed meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wtforms import Form


@dataclass(frozen=True, slots=True)
class Mistake:
    """``field_id`` is empty where it is about no field."""

    field_id: str
    label: str
    message: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What stands in the database now where something else was entered."""

    label: str
    now: str


def tell(form: Form, problems: Iterable[tuple[str, str]]) -> list[Mistake]:
    """Write each mistake at its field; all of them, for the list above the form."""
    found = []
    for name, message in problems:
        if name in form:
            field = form[name]
            field.errors = [*field.errors, message]
            found.append(Mistake(field.id, field.label.text, message))
        else:
            found.append(Mistake("", name, message))
    return found


def given(form: Form, names: Iterable[str]) -> dict[str, str]:
    """What was entered, as texts; a box that is ticked says "yes"."""
    values = {name: form[name].data for name in names if name in form}
    return {name: "yes" if value is True else str(value or "") for name, value in values.items()}


def differences(form: Form, now: Mapping[str, str]) -> list[Difference]:
    """Where the form says something else than what is there now."""
    entered = given(form, now)
    return [
        Difference(form[name].label.text, now[name] or "nothing")
        for name, text in entered.items()
        if text.replace("\r\n", "\n").strip() != now[name].strip()
    ]
