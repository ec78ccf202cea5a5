"""The API's description in OpenAPI 3.1, made of the same constants that requests are read with.

Tests hold every answer against it, and it against every answer that can be given.
https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

from typing import Any, Final

from canvas_app.api import answers, request as reading
from canvas_app.settings import DEFAULT_STUDY

Json = dict[str, Any]

# Every error that a request may meet: status, code, and when.
ERRORS: Final[dict[int, dict[str, str]]] = {
    400: {
        "body_missing": "The request has no body.",
        "body_cut_off": "The connection was cut before the body had come to its end.",
        "body_unreadable": "The body is neither a JSON object nor a form.",
    },
    401: {
        "token_missing": "There is no bearer token in the header Authorization.",
        "token_wrong": "The token is not one of those in API_TOKEN.",
    },
    404: {"interview_not_found": "No interview of this workspace has this id."},
    413: {"body_too_large": "The body is larger than 1 MB."},
    422: {
        "fields_invalid": "A field cannot be used; the message names each and says what belongs there.",
        "idempotency_key_invalid": "The header Idempotency-Key is too long or holds something unprintable.",
        "idempotency_key_reused": "The key was used before, for a request with another content.",
    },
    429: {
        "too_many_refused": "Too many requests of this address had no right token; wait as long as "
        "Retry-After says. A right token is always let in.",
    },
    503: {
        "not_configured": "A setting of the app is missing; the message names it.",
        "secret_lost": "The study's key at Koji cannot be read any more and has to be set anew.",
        "workspace_unknown": "The app does not know yet which workspace it is connected to.",
        "database_unavailable": "The database cannot be reached at the moment.",
    },
}
# What a status may be met with when an interview is asked for; and when its status is.
_ASKING: Final = (400, 401, 413, 422, 429, 503)
_TELLING: Final = (401, 404, 429, 503)

_DELIVER: Final[dict[str, str]] = {
    "conversation": "a reply in the conversation",
    "message": "a new message of its own",
    "attribute": "the link is written to the contact's attribute `koji_interview_url` and then the time to "
    "`koji_interview_ready_at`, for a later step of a Series",
    "none": "the link is only returned, and whoever asked brings it to the customer",
}

_INTERVIEW: Final = {"$ref": "#/components/schemas/Interview"}
_ERROR: Final = {"$ref": "#/components/schemas/Error"}


def description(base_url: str) -> Json:
    """The description of the API of an app that is reached at ``base_url``."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Koji for Intercom",
            "version": "1",
            "description": "Ask for a Koji interview of an Intercom contact, and how it stands. "
            "What is asked for is accepted at once and done afterwards.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": base_url}],
        "security": [{"token": []}],
        "paths": {
            "/api/interviews": {
                "post": _asking("askForInterview", "Ask for an interview"),
                "put": _asking("askForInterviewWithPut", "Ask for an interview; the same as POST"),
            },
            "/api/interviews/{interview_id}": {
                "get": {
                    "operationId": "getInterview",
                    "summary": "How an interview stands",
                    "parameters": [
                        {
                            "name": "interview_id",
                            "in": "path",
                            "required": True,
                            "schema": {"type": "string"},
                        }
                    ],
                    "responses": {
                        "200": _answer("The interview as it stands.", _INTERVIEW),
                        **_errors(_TELLING),
                    },
                }
            },
        },
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "One of the tokens of the app's setting API_TOKEN.",
                }
            },
            "schemas": {"Request": _request(), "Interview": _interview(), "Error": _error()},
        },
    }


def _asking(operation_id: str, summary: str) -> Json:
    schema = {"$ref": "#/components/schemas/Request"}
    return {
        "operationId": operation_id,
        "summary": summary,
        "description": "With an Idempotency-Key the same key and content are the same request, for as "
        "long as the ledger is kept. Without one, the same contact, conversation and study within 24 hours "
        "are. Fields that are not known are passed over. What a limit forbids is no error: the status is "
        "`skipped`.",
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "maxLength": reading.LONGEST_KEY},
            },
            *(
                {
                    "name": name,
                    "in": "query",
                    "required": False,
                    "description": "As in the body, which counts for more: for a tool that cannot send it.",
                    "schema": {"type": "string"},
                }
                for name in reading.IN_ADDRESS
            ),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": schema},
                "application/x-www-form-urlencoded": {"schema": schema},
                "multipart/form-data": {"schema": schema},
            },
        },
        "responses": {
            "200": _answer("The same request was seen before: its interview as it stands.", _INTERVIEW),
            "201": _answer("The request is new and written down.", _INTERVIEW),
            **_errors(_ASKING),
        },
    }


def _answer(text: str, schema: Json) -> Json:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _errors(statuses: tuple[int, ...]) -> Json:
    found = {}
    for status in statuses:
        told = " ".join(f"`{code}`: {text}" for code, text in ERRORS[status].items())
        answer = _answer(told, _ERROR)
        if status == 401:
            answer["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
        if status in (429, 503):
            answer["headers"] = {"Retry-After": {"schema": {"type": "string"}}}
        found[str(status)] = answer
    return found


def _request() -> Json:
    def text(meaning: str, **more: Any) -> Json:
        return {"type": ["string", "null"], "description": meaning, **more}

    ways = "; ".join(f"`{way}`: {meaning}" for way, meaning in _DELIVER.items())
    seconds = round(reading.LONGEST_DELAY.total_seconds())
    return {
        "type": "object",
        "description": "Either contact_id or email is needed. An empty text is as good as a missing field.",
        "properties": {
            "contact_id": text("The id that Intercom gives the contact."),
            "email": text("The contact's address, where the id is not at hand."),
            "conversation_id": {
                "type": ["string", "integer", "null"],
                "description": "The conversation that it is about; there the note will stand.",
            },
            "study": text("The short name of the study.", default=DEFAULT_STUDY),
            "deliver": text(
                f"How the link reaches the customer. {ways}. Without it: `conversation` when there is a "
                "conversation_id, else `none`.",
                examples=list(reading.DELIVERIES),
            ),
            "delay": {
                "type": ["integer", "number", "string", "null"],
                "description": f"Seconds to wait before, 0 to {seconds}.",
            },
        },
    }


def _interview() -> Json:
    told = " ".join(f"`{status}`: {meaning}" for status, meaning in answers.STATUSES.items())
    return {
        "type": "object",
        "properties": {
            "interview_id": {"type": "string", "description": "Ask for its status with this."},
            "status": {"type": "string", "enum": list(answers.STATUSES), "description": told},
            "interview_url": {
                "type": ["string", "null"],
                "description": "The customer's personal link. It works at once: until the interview is "
                "ready it shows a page that waits for it. null once it leads nowhere.",
            },
            "reason": {
                "type": ["string", "null"],
                "description": "Why it has this status, as a code, where there is something to say.",
            },
        },
        "required": ["interview_id", "status", "interview_url", "reason"],
        "additionalProperties": False,
    }


def _error() -> Json:
    codes = [code for found in ERRORS.values() for code in found]
    return {
        "type": "object",
        "properties": {
            "error": {"type": "string", "enum": codes, "description": "What happened, for a program."},
            "message": {"type": "string", "description": "What happened and what to do, for a person."},
        },
        "required": ["error", "message"],
        "additionalProperties": False,
    }
