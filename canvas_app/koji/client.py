"""Koji's API, as far as it is used. One attempt a call: whether to try again is the caller's say.

https://www.koji.so/docs/starting-interviews-via-api
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from canvas_app import http_outcomes
from canvas_app.errors import BodyRefused, CredentialsError, PermanentError
from canvas_app.koji import reading
from canvas_app.koji.results import KojiResult, parse_result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from canvas_app.http_outcomes import Answer, Gate

SERVICE: Final = "Koji"
# No page of the API names the link in the answer, though the Intercom guide says that there is one. Never
# "session_token": it is a key to the interview, not a part of an address.
_LINK_KEYS = ("interview_url", "interview_link", "personal_link", "link", "url", "share_url")
_INTERVIEW_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_CODE = re.compile(r"[a-z0-9_]{1,64}")
# https://www.koji.so/docs/mcp-troubleshooting speaks of exhausted credits; their code is not documented.
_NO_CREDITS = re.compile(
    r"\bcredits?\b.*\b(exhausted|insufficient|used up|required|remaining|limit)\b"
    r"|\b(insufficient|out of|no|not enough|exhausted)\b.*\bcredits?\b",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Started:
    """An interview that exists at Koji. ``links`` are candidates: their hosts remain to be checked."""

    interview_id: str
    links: tuple[str, ...] = field(default=(), repr=False)


class KojiClient:
    """Calls with one study's key. Every method raises a WireError when the call did not do what it should.

    ``clock`` gives the time as unix seconds. Every call passes ``gate``.
    """

    def __init__(
        self,
        *,
        base_url: str,
        key: str,
        http: httpx.Client,
        clock: Callable[[], float] = time.time,
        gate: Gate = http_outcomes.OPEN_GATE,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._http = http
        self._clock = clock
        self._gate = gate

    def start(
        self,
        *,
        external_id: str,
        display_name: str | None,
        metadata: Mapping[str, str],
        mode: str | None = None,
        locale: str | None = None,
    ) -> Started:
        """Start an interview. Counts as repeatable, since an interview that nobody opens costs nothing.

        Raises PermanentError ``koji_no_id`` when Koji agrees without naming the interview, and
        ``koji_already_started`` for a 409 without an id: that interview exists, but asking again would not
        tell which one it is. A 409 that names it is as good as a start.
        """
        respondent: dict[str, object] = {"external_id": external_id, "metadata": dict(metadata)}
        if display_name:
            respondent["display_name"] = display_name
        body: dict[str, object] = {"respondent": respondent}
        if mode:
            body["mode"] = mode
        if locale:
            body["locale"] = locale
        path = "/api/v1/interviews/start"
        answer = self._call("POST", path, body, operation=f"POST {path}", accept=(409,))
        data = answer.json_object()
        interview_id = _started_id(data)
        if interview_id is not None:
            return Started(interview_id, _links(data))
        if answer.status == 409:
            raise PermanentError(
                "Koji says that this interview was started before, but not which one it is.",
                reason="koji_already_started",
                status=409,
                request_id=_request_id(answer),
            )
        if not data:
            raise http_outcomes.unreadable(answer, service=SERVICE, request_id=_request_id(answer))
        raise PermanentError(
            "Koji started an interview but did not name it.",
            reason="koji_no_id",
            status=answer.status,
            request_id=_request_id(answer),
        )

    def get_interview(self, interview_id: str) -> KojiResult:
        """What Koji knows of an interview; the transcript in its answer is not kept.

        Raises PermanentError ``koji_interview_not_found``.
        """
        # https://www.koji.so/docs/managing-api-keys (the permission interview:read)
        if not _INTERVIEW_ID.fullmatch(interview_id):
            raise PermanentError("An id is not of Koji's form; no call was made.", reason="id_malformed")
        answer = self._call(
            "GET",
            f"/api/v1/interviews/{interview_id}",
            operation="GET /api/v1/interviews/{id}",
            accept=(404,),
        )
        if answer.status == 404:
            raise PermanentError(
                "Koji does not know this interview (any more).",
                reason="koji_interview_not_found",
                status=404,
                request_id=_request_id(answer),
            )
        try:
            data = reading.json_object(answer.body or b"")
        except BodyRefused:
            data = {}
        if not data:
            raise http_outcomes.unreadable(answer, service=SERVICE, request_id=_request_id(answer))
        # The answer is about the interview that was asked for, whatever else in it is called an id.
        return parse_result(data).model_copy(update={"koji_interview_id": interview_id})

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        operation: str,
        accept: tuple[int, ...] = (),
    ) -> Answer:
        """One call through the gate; any status but 2xx and those of ``accept`` is raised as its error."""
        with self._gate.passage(operation):
            return self._exchange(method, path, body, accept=accept)

    def _exchange(
        self, method: str, path: str, body: Mapping[str, object] | None, *, accept: tuple[int, ...]
    ) -> Answer:
        if not http_outcomes.token_is_sendable(self._key):
            raise CredentialsError(
                "The Koji API key is empty or holds a character that no key has.",
                reason="koji_token_malformed",
            )
        answer = http_outcomes.send(
            self._http,
            method,
            self._base_url + path,
            headers={"Authorization": f"Bearer {self._key}"},
            json_body=body,
            repeatable=True,
            service=SERVICE,
        )
        request_id = _request_id(answer)
        page = http_outcomes.page_instead(answer, service=SERVICE, repeatable=True, request_id=request_id)
        if page is not None:
            raise page
        if _says_no_credits(answer):
            raise CredentialsError(
                "Koji has no credits left for this study, or the plan does not allow the call.",
                reason="koji_credits",
                status=answer.status,
                request_id=request_id,
            )
        if answer.status in accept:
            return answer
        now = http_outcomes.answered_at(answer, self._clock())
        failure = http_outcomes.failure(
            answer,
            wire="koji",
            service=SERVICE,
            repeatable=True,
            retry_after=http_outcomes.retry_after_seconds(answer.headers.get("Retry-After"), now),
            request_id=request_id,
            codes=_codes(answer),
        )
        if failure is not None:
            raise failure
        return answer


def _places(data: Mapping[str, Any], names: tuple[str, ...]) -> list[Mapping[str, Any]]:
    return [data, *(data[name] for name in names if isinstance(data.get(name), dict))]


def _started_id(data: Mapping[str, Any]) -> str | None:
    # The respondent is not asked: its "id" is the person's.
    places = _places(data, ("data", "interview"))
    candidates = reading.values(places, ("interview_id", "id", "conversation_id"))
    return next((found for value in candidates if (found := reading.identifier(value))), None)


def _links(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Whatever may be the personal link, best first, each once."""
    candidates = reading.values(_places(data, ("data", "interview", "respondent")), _LINK_KEYS)
    return tuple(dict.fromkeys(value for value in candidates if isinstance(value, str) and value))


def _says_no_credits(answer: Answer) -> bool:
    if answer.status == 402:
        return True
    if answer.status not in (400, 403, 409, 422, 429):
        return False
    data = answer.json_object()
    if any("credit" in code for code in _codes(answer)):
        return True
    message = data.get("message")
    return isinstance(message, str) and _NO_CREDITS.search(message[:500]) is not None


def _codes(answer: Answer) -> tuple[str, ...]:
    """The machine code of an error (https://www.koji.so/docs/common-error-codes), not its text."""
    code = answer.json_object().get("error") if answer.status >= 400 else None
    return (code,) if isinstance(code, str) and _CODE.fullmatch(code) else ()


def _request_id(answer: Answer) -> str | None:
    return http_outcomes.safe_request_id(answer.headers.get("X-Request-Id"))
