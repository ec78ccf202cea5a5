"""The calls that a workspace makes to the application because somebody set them up in it.

Neither is signed: both carry a token in a header, which is all that Intercom offers there.

- A **Series step** sends chosen attributes of a contact, by PUT or by POST.
  https://www.intercom.com/help/en/articles/5222039-sending-webhooks-with-series
- A **data connector**, as a Workflow uses it, fills ``{{inputs}}`` into a template. When the answer is 401 it
  fetches a new token and tries once more; it maps the fields of a flat JSON object onto attributes.
  https://www.intercom.com/help/en/articles/6615543-setting-up-custom-actions-authentication
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import httpx

from sandbox.acts import ActRefused

if TYPE_CHECKING:
    from sandbox.state import Contact, Conversation

PATH = "/api/interviews"
LONGEST_WAIT = 10.0
"""Seconds; Intercom documents no number for either."""
OUTDATED = "a-token-that-has-run-out"


@dataclass(frozen=True)
class Answer:
    """What came back: ``statuses`` of every try (None: no answer), and the last body.

    ``problems`` say what the caller could not use in it, as sentences.
    """

    sent: dict[str, Any]
    statuses: list[int | None]
    body: Any
    problems: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return the answer as JSON, for the controls and the page."""
        return vars(self).copy()


class Caller:
    """Calls the application's API with the token that it was given; no address means that there is none."""

    def __init__(self, app_url: str | None, token: str) -> None:
        self.app_url = app_url
        self.token = token

    def series_step(self, payload: dict[str, Any], *, method: Literal["PUT", "POST"] = "PUT") -> Answer:
        """Send a payload as a Series' webhook block does."""
        if method not in {"PUT", "POST"}:
            raise ActRefused("A Series sends by PUT or by POST.")
        status, body = self._call(method, payload, self.token)
        return Answer(payload, [status], body, _unusable(status, body))

    def connector(self, template: str, inputs: dict[str, str], *, outdated: bool = False) -> Answer:
        """Fill the inputs into a template and send it, as a Workflow's data connector does.

        With ``outdated`` the first try carries a token that has run out.
        """
        payload = _filled_in(template, inputs)
        statuses: list[int | None] = []
        for token in [OUTDATED if outdated else self.token, self.token]:
            status, body = self._call("POST", payload, token)
            statuses.append(status)
            if status != 401:
                break
        return Answer(payload, statuses, body, _unusable(status, body))

    def _call(self, method: str, payload: dict[str, Any], token: str) -> tuple[int | None, Any]:
        if self.app_url is None:
            raise ActRefused("No application is connected to this workspace.")
        headers = {"Authorization": f"Bearer {token}"}
        try:
            with httpx.Client(timeout=LONGEST_WAIT, trust_env=False) as client:
                answer = client.request(method, f"{self.app_url}{PATH}", json=payload, headers=headers)
        except httpx.HTTPError as error:
            return None, type(error).__name__
        try:
            return answer.status_code, answer.json()
        except ValueError:
            return answer.status_code, answer.text[:2000]


def contact_payload(contact: Contact, extra: dict[str, str]) -> dict[str, Any]:
    """Return the payload of a Series step: who the contact is, and what the operator typed in."""
    return {"contact_id": contact.id, **{name: value for name, value in extra.items() if value}}


def connector_inputs(conversation: Conversation, contact: Contact) -> dict[str, str]:
    """Return what a Workflow can fill into a template."""
    return {
        "conversation.id": conversation.id,
        "contact.id": contact.id,
        "contact.email": contact.email or "",
        "contact.name": contact.name or "",
    }


def _filled_in(template: str, inputs: dict[str, str]) -> dict[str, Any]:
    def value(found: re.Match[str]) -> str:
        name = found[1].strip()
        if name not in inputs:
            raise ActRefused(f"There is no input {name}.")
        return json.dumps(inputs[name])[1:-1]

    try:
        payload = json.loads(re.sub(r"\{\{([^{}]*)\}\}", value, template))
    except ValueError as error:
        raise ActRefused(f"The body is not JSON: {error}") from error
    if not isinstance(payload, dict):
        raise ActRefused("The body is not a JSON object.")
    return payload


def _unusable(status: int | None, body: Any) -> list[str]:
    if status is None:
        return [f"no answer: {body}"]
    if not isinstance(body, dict):
        return ["the answer is not a JSON object"]
    nested = [name for name, value in body.items() if isinstance(value, dict | list)]
    return [f"{name} is nested, which cannot be mapped onto an attribute" for name in nested]
