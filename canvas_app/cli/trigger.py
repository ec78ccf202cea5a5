"""``trigger``: a truly signed sample of any inbound request, sent to a running app."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import Any

import click
import httpx

from canvas_app import health
from canvas_app.cli import common
from canvas_app.cli.common import load_settings, missing_in_words
from canvas_app.cli.samples import SAMPLES, Sample, Subject, raw_body
from canvas_app.settings import Settings

_SECONDS = 15.0
# More of an answer than this helps nobody at a terminal.
_MOST_CHARACTERS = 2_000


# Each kind on a line of its own: click would break them at their hyphens.
@click.command(epilog="\n  ".join(["\b\nKIND is one of:", *SAMPLES]))
@click.argument("kind", metavar="KIND", type=click.Choice(list(SAMPLES)))
@click.option("--url", help="Where the app runs. By default PUBLIC_URL, else this machine.")
@click.option("--workspace", metavar="ID", help="The Intercom workspace it comes from.")
@click.option("--contact", metavar="ID", help="The Intercom contact it is about.")
@click.option("--conversation", metavar="ID", help="The Intercom conversation it is about.")
@click.option("--interview", metavar="ID", help="Our interview that a result of Koji's is about.")
def trigger(
    kind: str,
    url: str | None,
    workspace: str | None,
    contact: str | None,
    conversation: str | None,
    interview: str | None,
) -> None:
    """Send a signed sample of a request to the running app, and show what it answers.

    Without further options it is about nobody that exists, so that nothing comes of it.
    """
    settings = load_settings()
    sample = SAMPLES[kind]
    given: dict[str, Any] = {
        "workspace_id": workspace,
        "contact_id": contact,
        "conversation_id": conversation,
        "interview_id": interview,
    }
    subject = replace(Subject(), **{name: value for name, value in given.items() if value is not None})
    base = (url or settings.public_url or _here()).rstrip("/")
    answer = _send(base, sample, raw_body(sample, subject), settings)
    click.echo(f"POST {base}{sample.path}\n{answer.status_code} {answer.reason_phrase}")
    click.echo(_pretty(answer))
    hint = _hint(answer, sample, settings)
    if answer.is_success and kind == "koji-ping":
        hint = "A ping is answered whoever signs it. What tries the secret is: trigger koji-completed"
    elif answer.is_success and kind.startswith("canvas-") and workspace is None:
        hint = (
            f'This was of the workspace "{subject.workspace_id}", which is nobody\'s. '
            "For a card of yours name --workspace, --contact and --conversation."
        )
    if hint is not None:
        click.echo(hint, err=True)
    if not answer.is_success:
        sys.exit(1)


def _here() -> str:
    return f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"


def _secret(sample: Sample, settings: Settings) -> str:
    secrets: tuple[str, ...] = getattr(settings, sample.setting.lower())
    if not secrets:
        raise click.ClickException(missing_in_words(settings, sample.setting))
    return secrets[0]


def _send(base: str, sample: Sample, raw: bytes, settings: Settings) -> httpx.Response:
    headers = sample.proof(raw, _secret(sample, settings), settings)
    try:
        with common.make_client(_SECONDS) as client:
            return client.post(
                base + sample.path, content=raw, headers={"Content-Type": "application/json", **headers}
            )
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise click.BadParameter("is not an address like https://example.com", param_hint="--url") from error
    except httpx.ConnectError as error:
        raise click.ClickException(
            f"No app answers at {base}. Start it, or say with --url where it runs: "
            'gunicorn -c gunicorn.conf.py "canvas_app:create_app()"'
        ) from error
    except httpx.HTTPError as error:
        raise click.ClickException(
            f"The app at {base} did not answer within {_SECONDS:.0f} seconds. Look at its log."
        ) from error


def _pretty(answer: httpx.Response) -> str:
    try:
        text = json.dumps(answer.json(), indent=2, ensure_ascii=False)
    except ValueError:
        text = answer.text
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}\n… ({len(text)} characters)"


def _hint(answer: httpx.Response, sample: Sample, settings: Settings) -> str | None:
    """What an answer other than 2xx means here."""
    if answer.status_code == 401:
        return f"The app has another {sample.setting} than this environment. The two must be the same."
    if answer.status_code == 503:
        return "The app is not set up for this, or its database is away: python -m canvas_app doctor"
    if answer.status_code in (404, 405):
        return "There is no such door at this address: is it this app, in this version?"
    if answer.is_redirect:
        return f"The address has moved: {health.set_command(settings)}PUBLIC_URL=… or use --url."
    return None
