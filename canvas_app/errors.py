"""The errors of this application.

The tree, drawn once so that it can be read at a glance::

    KojiForIntercomError
    ├── store.DatabaseUnwritable   the database's disk is full, or takes no writes
    ├── SettingsError              a setting is malformed; the process does not start
    ├── StudyRefused               what was entered for a study holds mistakes; nothing was changed
    ├── RuleRefused                the same of a rule, each mistake with its field
    ├── ChangedMeanwhile           somebody else was quicker; nothing was changed
    ├── NotConfigured              a setting that this action needs is missing
    │   └── SecretLost             a stored secret cannot be opened with any listed SECRET_KEY
    ├── Refused                    an inbound request is turned away at a door
    │   ├── SignatureRefused       401: it does not prove who sent it
    │   ├── BodyRefused            400: it proves its sender but cannot be read
    │   ├── BodyTooLarge           413
    │   ├── TokenRefused           401: its bearer token is missing or not one of ours
    │   ├── FieldsRefused          422: it can be read, and asks for what cannot be
    │   ├── InterviewNotFound      404
    │   ├── NotReady               503: the app has not found out yet what it needs to know
    │   └── TooManyRefused         429: refused, from an address that is refused again and again
    └── WireError                  an outgoing call did not do what was asked
        ├── PermanentError         asking again would get the same answer
        │   ├── ContactMerged      410: the contact lives on under another id
        │   └── UnknownAttribute   400: a custom attribute has to be created first
        ├── LaterError             it certainly had no effect; try again after a while
        ├── UnknownOutcomeError    it may or may not have had its effect
        └── CredentialsError       the token is dead or lacks a scope: a person must mend a setting

Every error carries a ``reason``: a short code in snake case that is used in the log, in counters, in the
ledger and in tests. The docstring's first line is the default message, so the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar


class KojiForIntercomError(Exception):
    """Something went wrong."""

    default_reason: ClassVar[str] = "error"

    def __init__(self, message: str | None = None, *, reason: str | None = None) -> None:
        self.reason = reason or self.default_reason
        doc = type(self).__doc__ or KojiForIntercomError.__doc__ or ""
        super().__init__(message or doc.partition("\n")[0])


class SettingsError(KojiForIntercomError):
    """Some settings are malformed."""

    default_reason = "settings_malformed"

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join([f"{len(problems)} setting(s) cannot be used:", *problems]))


class StudyRefused(KojiForIntercomError):
    """Some of what was entered cannot be used, and nothing was changed."""

    default_reason = "study_malformed"

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join([f"Nothing was changed; {len(problems)} mistake(s):", *problems]))


class RuleRefused(KojiForIntercomError):
    """Some of what was entered for a rule cannot be used, and nothing was changed.

    ``problems``: fields, and what is wrong with each.
    """

    default_reason = "rule_malformed"

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        self.problems = list(problems)
        lines = [f"{field}: {message}" for field, message in problems]
        super().__init__("\n".join([f"Nothing was changed; {len(lines)} mistake(s):", *lines]))


class ChangedMeanwhile(KojiForIntercomError):
    """Somebody else has changed it since it was shown, so that nothing was changed now."""

    default_reason = "changed_meanwhile"


class NotConfigured(KojiForIntercomError):
    """A setting that this needs is missing."""

    default_reason = "not_configured"

    def __init__(self, missing: list[str]) -> None:
        self.missing = missing
        super().__init__(f"Not set up yet: {', '.join(missing)} is missing." if missing else None)


class SecretLost(NotConfigured):
    """A stored secret was sealed with a SECRET_KEY that is no longer listed."""

    default_reason = "secret_lost"

    def __init__(self) -> None:
        super().__init__([])


class Refused(KojiForIntercomError):
    """The request was refused."""

    default_reason = "refused"
    status: ClassVar[int] = 400
    # Headers of the answer.
    headers: Mapping[str, str] = {}

    @property
    def of_a_stranger(self) -> bool:
        """Whether nothing shows that the request comes from somebody whom this app knows."""
        return False


class SignatureRefused(Refused):
    """The request is not signed with the secret this app was given."""

    default_reason = "signature_mismatch"
    status = 401

    @property
    def of_a_stranger(self) -> bool:
        # What is signed too long ago is signed with the secret, and it may be our clock that is wrong.
        return self.reason != "signature_stale"


class BodyRefused(Refused):
    """The body of the request cannot be read."""

    default_reason = "body_unreadable"


class BodyTooLarge(Refused):
    """The body of the request is larger than this app accepts."""

    default_reason = "body_too_large"
    status = 413


class TokenRefused(Refused):
    """The bearer token is not one of this app's."""

    default_reason = "token_wrong"
    status = 401
    # https://www.rfc-editor.org/rfc/rfc9110#field.www-authenticate
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer realm="Koji for Intercom"'}

    @property
    def of_a_stranger(self) -> bool:
        return True


class FieldsRefused(Refused):
    """A field of the request cannot be used."""

    default_reason = "fields_invalid"
    status = 422


class InterviewNotFound(Refused):
    """There is no interview with this id."""

    default_reason = "interview_not_found"
    status = 404


class NotReady(Refused):
    """The app is not ready for this yet; please try again soon."""

    default_reason = "not_ready"
    status = 503
    headers: Mapping[str, str] = {"Retry-After": "10"}


class TooManyRefused(Refused):
    """Too many requests from this address were refused; please wait before the next one."""

    default_reason = "too_many_refused"
    status = 429

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.headers = {"Retry-After": str(seconds)}


class WireError(KojiForIntercomError):
    """A call to another service did not do what was asked.

    ``status`` is the HTTP status of the answer, or None when there was none. ``request_id`` is the other
    service's own id of the call where it gave one; it helps when asking the vendor.
    """

    default_reason = "wire_error"

    def __init__(
        self,
        message: str | None = None,
        *,
        reason: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, reason=reason)
        self.status = status
        self.request_id = request_id


class PermanentError(WireError):
    """The other service refused the call, and would refuse it again."""

    default_reason = "refused_by_service"


class ContactMerged(PermanentError):
    """The contact was merged into another one."""

    default_reason = "contact_merged"

    def __init__(self, canonical_id: str | None) -> None:
        self.canonical_id = canonical_id
        super().__init__(status=410)


class UnknownAttribute(PermanentError):
    """A custom attribute does not exist in the workspace yet."""

    default_reason = "unknown_attribute"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(status=400)


class LaterError(WireError):
    """The call had no effect this time; it can be tried again.

    ``retry_after`` is the number of seconds to wait where the other service said so, else None.
    """

    default_reason = "try_later"

    def __init__(
        self,
        message: str | None = None,
        *,
        reason: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, reason=reason, status=status, request_id=request_id)
        self.retry_after = retry_after


class UnknownOutcomeError(WireError):
    """It is not known whether the call had its effect."""

    default_reason = "outcome_unknown"


class CredentialsError(WireError):
    """The other service does not accept our credentials."""

    default_reason = "credentials_refused"
