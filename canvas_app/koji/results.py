"""The result of an interview, as a webhook or the API tells it, and nothing of the transcript.

The exact form is not documented (https://www.koji.so/docs/webhook-setup), so several names are looked for, in
several places. A value that is missing is empty here, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from canvas_app.koji import reading

if TYPE_CHECKING:
    from collections.abc import Iterable

Identity = Literal["named", "anonymous", "absent"]
Sentiment = Literal["positive", "neutral", "negative", "mixed"]

METADATA_KEYS: Final = (
    "interview_ref",
    "intercom_workspace_id",
    "intercom_conversation_id",
    "intercom_contact_id",
)
MOST_THEMES: Final = (
    7  # Koji names 3 to 7: https://www.koji.so/api/content?slug=understanding-themes-patterns
)
LONGEST_THEME: Final = 255
LONGEST_URL: Final = 2048

_SENTIMENTS: Final[dict[str, Sentiment]] = {
    "positive": "positive",
    "neutral": "neutral",
    "negative": "negative",
    "mixed": "mixed",
}
_PEOPLE = ("respondent", "participant")
_EMAIL_KEYS = ("respondent_email", "participant_email", "email")
_ANONYMOUS_KEYS = ("anonymous", "is_anonymous", "anonymized", "anonymised", "anonymous_mode")
_THEME_NAMES = ("name", "title", "label", "theme")
_FREQUENCY_NAMES = ("frequency", "count", "mentions")
# When it was answered comes before when it was sent: an older interview must not pass for a newer one.
_MOMENT_KEYS = (
    "completed_at",
    "analysed_at",
    "analyzed_at",
    "finished_at",
    "ended_at",
    "timestamp",
    "occurred_at",
    "created_at",
)


class KojiResult(BaseModel):
    """What is known of one interview.

    ``identity`` is ``anonymous`` when Koji says so (a flag, or an address that is explicitly empty), which is
    not the same as ``absent``: an answer that does not speak of the address at all. ``quality`` is 1 to 5.
    ``transcript_url`` is as Koji sent it; whether its host is allowed remains to be checked.
    """

    model_config = ConfigDict(frozen=True)

    koji_interview_id: str | None = None
    external_id: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    study_id: str | None = None
    email: str | None = Field(default=None, repr=False)
    identity: Identity = "absent"
    sentiment: Sentiment | None = None
    quality: Annotated[float, Field(ge=1, le=5)] | None = None
    themes: tuple[str, ...] = ()
    top_theme: str | None = None
    transcript_url: str | None = Field(default=None, repr=False)
    occurred_at: AwareDatetime | None = None
    status: str | None = None

    @property
    def analysed(self) -> bool:
        """Whether there is anything of an analysis in it."""
        return bool(self.sentiment or self.themes or self.top_theme or self.quality is not None)


def parse_result(obj: Mapping[str, Any]) -> KojiResult:
    """Read an interview out of a webhook's body or the API's answer. Unknown forms are empty values."""
    envelope, body = split_envelope(obj)
    # The envelope's own "id", "status" and "url" speak of the delivery, so it is asked for little.
    inner = [body, *_children(body, ("interview", "analysis", "results", "result"))]
    # Without an envelope some stand in here twice, which changes nothing.
    every = [*inner, envelope, *_children(envelope, ("interview",))]
    people = [person for scope in every for person in _children(scope, _PEOPLE)]
    attached = [
        extra
        for scope in [*every, *people]
        for extra in _children(scope, ("metadata", "attributes", "participant_attributes"))
    ]
    studies = [study for scope in every for study in _children(scope, ("study", "project"))]
    identity, email = _identity(every, people, attached, studies)
    themes, top_theme = _themes(inner)
    return KojiResult(
        koji_interview_id=_interview_id(body, every),
        external_id=_first_text(
            [
                *reading.values([*every, *people, *attached], ["external_id"]),
                *reading.values([*every, *attached], ["respondent_id"]),
            ],
            255,
        ),
        metadata=_metadata(attached),
        study_id=_first_id(
            [*reading.values(every, ["study_id", "project_id"]), *reading.values(studies, ["id"])]
        ),
        email=email,
        identity=identity,
        sentiment=_sentiment(inner),
        quality=_quality(inner),
        themes=themes,
        top_theme=top_theme,
        transcript_url=_url(inner),
        occurred_at=next(
            (found for value in reading.values(every, _MOMENT_KEYS) if (found := reading.moment(value))), None
        ),
        status=(_first_text(reading.values(inner, ["status", "state"]), 64) or "").lower() or None,
    )


def merge(older: KojiResult, newer: KojiResult) -> KojiResult:
    """Both results in one: the newer one's values where it has any. Once anonymous is anonymous for good."""
    changes = {
        name: value
        for name in KojiResult.model_fields
        if (value := getattr(newer, name)) not in (None, (), {})
    }
    changes["metadata"] = {**older.metadata, **newer.metadata}
    identities = {older.identity, newer.identity}
    if "anonymous" in identities:
        changes |= {"identity": "anonymous", "email": None}
    elif "named" in identities:
        changes["identity"] = "named"
    return older.model_copy(update=changes)


def split_envelope(obj: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The outer object and the one about the interview: the same one twice when there is no envelope."""
    for name in ("data", "payload"):
        if isinstance(obj.get(name), dict):
            return obj, obj[name]
    return obj, obj


def _children(scope: Mapping[str, Any], names: Iterable[str]) -> list[dict[str, Any]]:
    return [scope[name] for name in names if isinstance(scope.get(name), dict)]


def _interview_id(body: Mapping[str, Any], every: list[Mapping[str, Any]]) -> str | None:
    interview = reading.mapping(body.get("interview"))
    return _first_id(
        [
            *reading.values(every, ["interview_id"]),
            interview.get("id"),
            *reading.values(every, ["conversation_id"]),
            # Last, because beside one of the names above a bare "id" is the delivery's.
            body.get("id"),
        ]
    )


def _identity(
    every: list[Mapping[str, Any]],
    people: list[dict[str, Any]],
    attached: list[dict[str, Any]],
    studies: list[dict[str, Any]],
) -> tuple[Identity, str | None]:
    addresses: list[str] = []
    flagged = [*every, *people, *attached, *studies]
    anonymous = any(reading.truthy(value) for value in reading.values(flagged, _ANONYMOUS_KEYS))
    # Nobody where the respondent is named says that there is nobody to name.
    anonymous = anonymous or any(name in scope and scope[name] is None for scope in every for name in _PEOPLE)
    for scope in [*every, *people, *attached]:
        for name in _EMAIL_KEYS:
            if name not in scope:
                continue
            value = scope[name]
            address = reading.clean(value, 320)
            if address and "@" in address:
                addresses.append(address)
            else:
                # A place for the address with none in it says the same as null does.
                anonymous = True
    if anonymous:
        # The address may have come back with our own metadata: an anonymous answer is not tied to it.
        return "anonymous", None
    return ("named", addresses[0]) if addresses else ("absent", None)


def _metadata(attached: list[dict[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key in METADATA_KEYS:
        value = next(
            (text for raw in reading.values(attached, [key]) if (text := reading.scalar_text(raw, 255))), None
        )
        if value:
            found[key] = value
    return found


def _sentiment(scopes: list[Mapping[str, Any]]) -> Sentiment | None:
    for value in reading.values(scopes, ["sentiment", "overall_sentiment", "sentiment_label"]):
        words = [value]
        if isinstance(value, dict):
            words = list(reading.values([value], ["label", "sentiment", "overall", "value", "name"]))
        for word in words:
            if isinstance(word, str) and (known := _SENTIMENTS.get(word.strip().lower())):
                return known
    return None


def _quality(scopes: list[Mapping[str, Any]]) -> float | None:
    for value in reading.values(scopes, ["quality_score", "quality"]):
        scores = [value]
        if isinstance(value, dict):
            scores = list(reading.values([value], ["score", "value", "overall", "quality_score"]))
        for score in scores:
            found = reading.number(score)
            if found is not None and 1 <= found <= 5:
                return found
    return None


def _themes(scopes: list[Mapping[str, Any]]) -> tuple[tuple[str, ...], str | None]:
    """The themes in Koji's order, and the top one: named as such, else the most frequent, else the first."""
    found: dict[str, tuple[str, float | None]] = {}
    for value in reading.values(scopes, ["themes", "key_themes"]):
        for item in (value if isinstance(value, list) else [value])[:100]:
            name = _theme_name(item)
            if name and name.casefold() not in found:
                found[name.casefold()] = (name, _frequency(item))
        if found:
            break
    named = next(
        (
            name
            for value in reading.values(scopes, ["top_theme", "primary_theme", "main_theme"])
            if (name := _theme_name(value))
        ),
        None,
    )
    themes = tuple(name for name, _ in found.values())[:MOST_THEMES]
    counted = [(name, frequency) for name, frequency in found.values() if frequency is not None]
    # max() keeps the first of several equals.
    most_frequent = max(counted, key=lambda item: item[1])[0] if counted else None
    return themes, named or most_frequent or (themes[0] if themes else None)


def _theme_name(item: object) -> str | None:
    if isinstance(item, dict):
        return next(
            (name for value in reading.values([item], _THEME_NAMES) if (name := _plain_name(value))), None
        )
    return _plain_name(item)


def _plain_name(value: object) -> str | None:
    return reading.clean(value, LONGEST_THEME)


def _frequency(item: object) -> float | None:
    found = reading.values([reading.mapping(item)], _FREQUENCY_NAMES)
    return next((number for value in found if (number := reading.number(value)) is not None), None)


def _url(scopes: list[Mapping[str, Any]]) -> str | None:
    for value in reading.values(scopes, ["transcript_url", "interview_url", "url"]):
        # One that cleaning would change is no address, and changed it would be another one.
        if isinstance(value, str) and value and reading.clean(value, LONGEST_URL) == value:
            return value
    return None


def _first_text(candidates: Iterable[object], limit: int) -> str | None:
    return next((text for value in candidates if (text := reading.scalar_text(value, limit))), None)


def _first_id(candidates: Iterable[object]) -> str | None:
    return next((found for value in candidates if (found := reading.identifier(value))), None)
