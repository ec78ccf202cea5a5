"""A result as Koji may send it, what it is read as, and JSON of any form made of the same words."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from canvas_app.koji.results import KojiResult

WHOLE = {
    "interview_id": "iv_1",
    "external_id": "abc",
    "study_id": "st_1",
    "respondent_email": "zoe@example.com",
    "metadata": {
        "interview_ref": "ref-1",
        "intercom_workspace_id": "ws1",
        "intercom_conversation_id": 503,
        "intercom_contact_id": "abc",
        "favourite_colour": "green",
    },
    "sentiment": "negative",
    "quality_score": 4.5,
    "themes": ["Pricing friction", "Onboarding"],
    "transcript_url": "https://koji.so/t/iv_1",
    "completed_at": "2026-05-28T20:26:40Z",
    "status": "Completed",
    "transcript": [{"role": "participant", "text": "my secret words"}],
}
EXPECTED = KojiResult(
    koji_interview_id="iv_1",
    external_id="abc",
    study_id="st_1",
    email="zoe@example.com",
    identity="named",
    metadata={
        "interview_ref": "ref-1",
        "intercom_workspace_id": "ws1",
        "intercom_conversation_id": "503",
        "intercom_contact_id": "abc",
    },
    sentiment="negative",
    quality=4.5,
    themes=("Pricing friction", "Onboarding"),
    top_theme="Pricing friction",
    transcript_url="https://koji.so/t/iv_1",
    occurred_at=datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC),
    status="completed",
)

KEYS = st.sampled_from(
    [
        "data", "payload", "interview", "analysis", "respondent", "participant", "metadata", "study", "id",
        "interview_id", "external_id", "respondent_email", "email", "anonymous", "sentiment", "label",
        "quality_score", "score", "themes", "name", "frequency", "top_theme", "transcript_url",
        "completed_at", "timestamp", "status", "interview_ref", "intercom_conversation_id",
    ]
)  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(), max_size=8)
    | st.sampled_from(["negative", "4", "2026-05-28T20:26:40Z", "a@b.c", 10**4000, 1_780_000_000]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)
