"""What a line for Heroku's command line names, held against this repository.

Nothing here calls Heroku. A line of a form that is not known here is not to be shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from canvas_app.settings import PROJECT_ROOT, Settings, documented_fields
from tests.support import shown

# What gunicorn reads beside our own settings.
OTHER_SETTINGS: Final = frozenset({"WEB_CONCURRENCY"})


def app_json() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((PROJECT_ROOT / "app.json").read_text(encoding="utf-8"))
    return content


def processes() -> dict[str, str]:
    """Each process of the Procfile and its command."""
    lines = (PROJECT_ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    return {name: command.strip() for name, _, command in (line.partition(":") for line in lines)}


def is_true(line: str) -> bool:
    """Whether a line of ``heroku`` or ``git`` is of a known form and names what there is here."""
    # What is filled in by another command is one word.
    words = shown.words(re.sub(r"\$\([^()]*\)", "filled-in", line))
    if words == ["git", "push", "heroku", "main"]:
        return all((PROJECT_ROOT / name).is_file() for name in ("Procfile", "requirements.txt"))
    if words[:1] != ["heroku"] or len(words) < 2:
        return False
    check = _CHECKS.get(words[1])
    nested = re.findall(r"\$\(heroku config:get ([A-Z_]+)\)", line)
    return check is not None and check(words[2:]) and all(map(_is_setting, nested))


def _is_setting(name: str) -> bool:
    return name in documented_fields() or name in OTHER_SETTINGS


def _assignments(words: list[str]) -> bool:
    return bool(words) and all("=" in word and _is_setting(word.partition("=")[0]) for word in words)


def _scaled(words: list[str]) -> bool:
    dynos = [word.partition("=") for word in words]
    # A release is run by Heroku itself.
    return bool(dynos) and all(name in processes() and name != "release" for name, _, _ in dynos)


def _labs(words: list[str]) -> bool:
    # What it gives the app is read as PUBLIC_URL.
    aliases = str(Settings.model_fields["public_url"].validation_alias)
    return words == ["runtime-dyno-metadata"] and "heroku_app_default_domain_name" in aliases


_CHECKS: Final[dict[str, Callable[[list[str]], bool]]] = {
    # What it runs is one of our commands, which are run by a test of their own.
    "run": lambda words: shown.is_command(" ".join(words[1:])) and words[0] == "--",
    "create": lambda words: words == ["--stack", app_json()["stack"]],
    "addons:create": lambda words: words in [[addon["plan"]] for addon in app_json()["addons"]],
    "labs:enable": _labs,
    "config:set": _assignments,
    "config:get": lambda words: len(words) == 1 and _is_setting(words[0]),
    "config:unset": lambda words: len(words) == 1 and _is_setting(words[0]),
    "ps:scale": _scaled,
    "ps:restart": lambda words: len(words) <= 1 and all(name in processes() for name in words),
    "pg:info": lambda words: words == ["DATABASE_URL"],
    "pg:backups:capture": lambda words: words == ["DATABASE_URL"],
    "logs": lambda words: words == ["--tail"],
    "open": lambda words: not words and app_json()["success_url"] == "/",
}
