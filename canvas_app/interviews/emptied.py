"""What takes the place of personal data, whether its time is over or its contact is erased."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from canvas_app.interviews.tables import decisions

# In place of the contact's id, which may not be empty.
NOBODY: Final = "purged"

# What remains of a result: what it said, without what leads to who said it.
_KEPT_OF_RESULT: Final = frozenset(
    {"identity", "sentiment", "quality", "themes", "top_theme", "study_id", "occurred_at", "status"}
)


def nothing_personal(id_: str, result: dict[str, Any] | None) -> dict[str, Any]:
    """What takes the place of personal data. What was asked, when, and what came of it stays."""
    kept = result and {name: value for name, value in result.items() if name in _KEPT_OF_RESULT}
    return {
        "contact_id": NOBODY,
        # Unique and not empty, and no token that anybody has.
        "link_token": id_,
        "result": kept,
        "check_at": None,
        **dict.fromkeys(
            (
                "conversation_id",
                "asked_by_id",
                "asked_by_name",
                "contact_name",
                "contact_email",
                "language",
                "personal_line",
                "contact_role",
                "koji_interview_id",
                "koji_link",
                "written_as_id",
                "attribute_names",
                "contact_tags",
                "conversation_tags",
            )
        ),
    }


def about_nobody() -> dict[str, Any]:
    """What takes the place of a decision's contact: each a different one, since unique."""
    return {"contact_id": sa.literal(f"{NOBODY}:") + decisions.c.id, "conversation_id": None}
