"""What may be told of a study's key and webhook secret: that they are there, and nothing of them. Pure."""

from __future__ import annotations

from typing import Final

from canvas_app.settings import DEFAULT_STUDY, Settings, Study

SET: Final = "set"
MISSING: Final = "missing"
# No SECRET_KEY that is listed has sealed it.
UNREADABLE: Final = "cannot be read"


def key(study: Study) -> str:
    """Whether there is a key. Nothing of it is ever shown again, not even its end."""
    if study.api_key is None:
        return UNREADABLE if study.secrets_lost else MISSING
    return SET


def webhook_secret(study: Study, settings: Settings) -> str:
    """Whether there is a signing secret of its webhooks; the environment's study has it from a setting."""
    own = settings.koji_webhook_secret if study.slug == DEFAULT_STUDY else study.webhook_secret
    if not own and study.secrets_lost:
        return UNREADABLE
    return SET if own else MISSING
