"""Sample requests as Intercom, Koji and a caller of the API send them, signed with the environment's secrets.

The shapes: https://developers.intercom.com/docs/canvas-kit,
https://developers.intercom.com/docs/references/webhooks/webhook-models and
https://www.koji.so/docs/webhook-setup
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from canvas_app.intercom import signatures as intercom_signatures
from canvas_app.koji import signatures as koji_signatures
from canvas_app.settings import Settings


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a sample is about. Ids that no workspace has, unless the person at the terminal names some."""

    workspace_id: str = "sample"
    contact_id: str = "sample-contact"
    conversation_id: str = "1"
    # Our interview that a result of Koji's is about.
    interview_id: str | None = None
    email: str = "sample@example.com"
    # Makes each sample another delivery.
    delivery_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    now: int = field(default_factory=lambda: int(time.time()))


Body = Callable[[Subject], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Sample:
    """A request: where it goes, and ``setting``, whose secret proves who sends it."""

    path: str
    setting: str
    body: Body
    # The headers that prove it, from the raw body, the secret and the settings.
    proof: Callable[[bytes, str, Settings], dict[str, str]]


def raw_body(sample: Sample, subject: Subject) -> bytes:
    return json.dumps(sample.body(subject)).encode()


def _canvas(subject: Subject) -> dict[str, Any]:
    return {
        "workspace_id": subject.workspace_id,
        "workspace_region": "US",
        "admin": {"type": "admin", "id": "1", "name": "Sample Rep"},
        "conversation": {"type": "conversation", "id": subject.conversation_id, "state": "open"},
        "contact": _contact(subject),
    }


def _submit(subject: Subject) -> dict[str, Any]:
    # A tap that changes nothing.
    return {**_canvas(subject), "component_id": "refresh", "input_values": {}, "current_canvas": {}}


def _contact(subject: Subject) -> dict[str, Any]:
    return {
        "type": "contact",
        "id": subject.contact_id,
        "role": "user",
        "name": "Sample Contact",
        "email": subject.email,
    }


def _conversation(subject: Subject, **changes: Any) -> dict[str, Any]:
    return {
        "type": "conversation",
        "id": subject.conversation_id,
        "created_at": subject.now - 3_600,
        "updated_at": subject.now,
        "open": False,
        "state": "closed",
        "admin_assignee_id": 1,
        "source": {"type": "conversation", "id": "1", "author": _contact(subject), "body": "Sample question"},
        "contacts": {
            "type": "contact.list",
            "contacts": [{"type": "contact", "id": subject.contact_id, "external_id": None}],
        },
        "teammates": {"type": "admin.list", "admins": [{"type": "admin", "id": "1"}]},
        "conversation_rating": None,
        "statistics": {
            "type": "conversation_statistics",
            "last_close_at": subject.now,
            "last_closed_by_id": "1",
            "count_conversation_parts": 6,
        },
        "conversation_parts": {
            "type": "conversation_part.list",
            "conversation_parts": [
                {
                    "type": "conversation_part",
                    "id": "2",
                    "part_type": "close",
                    "body": None,
                    "created_at": subject.now,
                    "author": {"type": "admin", "id": "1", "name": "Sample Rep"},
                    "app_package_code": None,
                }
            ],
            "total_count": 1,
        },
        **changes,
    }


def _notification(
    topic: str, item: Callable[[Subject], dict[str, Any]]
) -> Callable[[Subject], dict[str, Any]]:
    def body(subject: Subject) -> dict[str, Any]:
        return {
            "type": "notification_event",
            "app_id": subject.workspace_id,
            "id": f"notif_{subject.delivery_id}",
            "topic": topic,
            "data": {"type": "notification_event_data", "item": item(subject)},
            "delivery_status": "pending",
            "delivery_attempts": 1,
            "first_sent_at": subject.now,
            "created_at": subject.now,
            "links": {},
            "self": None,
        }

    return body


def _rated(subject: Subject) -> dict[str, Any]:
    rating = {
        "rating": 2,
        "remark": "Sample remark",
        "created_at": subject.now,
        "contact": {"type": "contact", "id": subject.contact_id},
        "teammate": {"type": "admin", "id": 1},
    }
    return _conversation(subject, conversation_rating=rating)


_TAG: Final = {"type": "tag", "id": "1", "name": "sample"}


def _tagged(role: str) -> Body:
    def item(subject: Subject) -> dict[str, Any]:
        contact = {**_contact(subject), "role": role}
        return {"type": "contact_tag", "created_at": subject.now, "tag": _TAG, "contact": contact}

    return item


def _tagged_part(subject: Subject) -> dict[str, Any]:
    return _conversation(subject, tags_added={"type": "tag.list", "tags": [_TAG]})


def _gone(how: str) -> Body:
    return lambda subject: {"type": "contact", "id": subject.contact_id, "external_id": None, how: True}


def _merged(subject: Subject) -> dict[str, Any]:
    return {**_contact(subject), "merged_from": {"type": "contact", "id": "sample-merged-contact"}}


def _ping(_subject: Subject) -> dict[str, Any]:
    return {"type": "ping", "message": "something something interzen"}


def _koji(event: str, **result: Any) -> Body:
    def body(subject: Subject) -> dict[str, Any]:
        data = {
            "interview_id": f"sample-{subject.delivery_id}",
            "external_id": subject.contact_id,
            "respondent_email": subject.email,
            "metadata": {"interview_ref": subject.interview_id} if subject.interview_id else {},
            "completed_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(subject.now)),
            **result,
        }
        return {"event": event, "delivery_id": subject.delivery_id, "data": data}

    return body


def _api(subject: Subject) -> dict[str, Any]:
    # Nothing reaches anybody: the link is only returned.
    return {"contact_id": subject.contact_id, "deliver": "none"}


def _by_body_signature(raw: bytes, secret: str, _settings: Settings) -> dict[str, str]:
    return {"X-Body-Signature": intercom_signatures.sign_body(raw, secret)}


def _by_hub_signature(raw: bytes, secret: str, _settings: Settings) -> dict[str, str]:
    return {"X-Hub-Signature": intercom_signatures.sign_hub(raw, secret)}


def _by_koji_signature(raw: bytes, secret: str, settings: Settings) -> dict[str, str]:
    return {settings.koji_signature_header: koji_signatures.sign(raw, secret)}


def _by_token(_raw: bytes, secret: str, _settings: Settings) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def _from_intercom(topic: str, item: Body) -> Sample:
    body = _notification(topic, item)
    return Sample("/webhooks/intercom", "INTERCOM_CLIENT_SECRET", body, _by_hub_signature)


def _from_koji(body: Body) -> Sample:
    return Sample("/webhooks/koji", "KOJI_WEBHOOK_SECRET", body, _by_koji_signature)


SAMPLES: Final[Mapping[str, Sample]] = {
    "canvas-initialize": Sample("/canvas/initialize", "INTERCOM_CLIENT_SECRET", _canvas, _by_body_signature),
    "canvas-submit": Sample("/canvas/submit", "INTERCOM_CLIENT_SECRET", _submit, _by_body_signature),
    "koji-analysis-ready": _from_koji(
        _koji(
            "interview.analysis_ready",
            sentiment="neutral",
            quality_score=4,
            themes=["Sample theme"],
        )
    ),
    "koji-completed": _from_koji(_koji("interview.completed")),
    "koji-ping": _from_koji(lambda _subject: {"event": "ping"}),
    "intercom-closed": _from_intercom("conversation.admin.closed", _conversation),
    "intercom-rating": _from_intercom("conversation.rating.added", _rated),
    "intercom-tag": _from_intercom("contact.user.tag.created", _tagged("user")),
    "intercom-lead-tag": _from_intercom("contact.lead.tag.created", _tagged("lead")),
    "intercom-part-tag": _from_intercom("conversation_part.tag.created", _tagged_part),
    "intercom-merged": _from_intercom("contact.merged", _merged),
    "intercom-archived": _from_intercom("contact.archived", _gone("archived")),
    "intercom-deleted": _from_intercom("contact.deleted", _gone("deleted")),
    "intercom-ping": _from_intercom("ping", _ping),
    "api": Sample("/api/interviews", "API_TOKEN", _api, _by_token),
}
