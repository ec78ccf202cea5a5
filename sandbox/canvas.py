"""The documented Canvas Kit, checked strictly.

Intercom's inbox shows "Something went wrong" for a canvas it does not understand, and does not say why. This
stand-in says why. What is refused here is whatever the reference does not mention for the inbox:
https://developers.intercom.com/docs/references/canvas-kit
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = 64 * 1024
"""Bytes of JSON that ``content`` and ``stored_data`` may each have.

https://developers.intercom.com/docs/references/canvas-kit/responseobjects/canvas
"""

LOOPBACK = frozenset(["127.0.0.1", "localhost", "::1"])


class CanvasRefused(Exception):
    """The canvas is not one that Intercom would draw; each problem is a sentence."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


# Checks of one value: each returns what is wrong, as sentences ----------------------------------------


def _string(value: Any, at: str) -> list[str]:
    return [] if isinstance(value, str) else [f"{at} is not a string"]


def _filled(value: Any, at: str) -> list[str]:
    return [] if isinstance(value, str) and value.strip() else [f"{at} is not a string with something in it"]


def _boolean(value: Any, at: str) -> list[str]:
    return [] if isinstance(value, bool) else [f"{at} is not true or false"]


def _size(value: Any, at: str) -> list[str]:
    fits = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return [] if fits else [f"{at} is not a whole number above 0"]


def _one_of(*allowed: str) -> Callable[[Any, str], list[str]]:
    def check(value: Any, at: str) -> list[str]:
        return [] if value in allowed else [f"{at} is {value!r}, expected one of {', '.join(allowed)}"]

    return check


def _https(value: Any, at: str) -> list[str]:
    fits = isinstance(value, str) and urlsplit(value).scheme == "https" and bool(urlsplit(value).hostname)
    return [] if fits else [f"{at} is not an https address"]


def _link(value: Any, at: str) -> list[str]:
    # Intercom wants https; on this machine the stand-ins themselves are plain http.
    if isinstance(value, str):
        split = urlsplit(value)
        if split.scheme == "http" and split.hostname in LOOPBACK:
            return []
    return _https(value, at)


def _items(shape: Shape, fewest: int, most: int | None) -> Callable[[Any, str], list[str]]:
    def check(value: Any, at: str) -> list[str]:
        if not isinstance(value, list):
            return [f"{at} is not a list"]
        problems = []
        if len(value) < fewest or (most is not None and len(value) > most):
            bounds = f"at least {fewest}" if most is None else f"{fewest} to {most}"
            problems.append(f"{at} has {len(value)} entries, expected {bounds}")
        for index, item in enumerate(value):
            problems += shape.check(item, f"{at}[{index}]")
        ids = [item.get("id") for item in value if isinstance(item, dict) and "id" in item]
        problems += [f"{at} has the id {twice!r} twice" for twice in _duplicates(ids)]
        return problems

    return check


def _strings(value: Any, at: str) -> list[str]:
    fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return [] if fits else [f"{at} is not a list of strings"]


def _action(value: Any, at: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{at} is not an object"]
    if value.get("type") == "submit":
        return SUBMIT.check(value, at)
    if value.get("type") == "url":
        return OPEN_URL.check(value, at)
    # A sheet opens in the Messenger only, never in the inbox.
    return [f"{at} has the type {value.get('type')!r}, expected submit or url"]


@dataclass(frozen=True)
class Shape:
    """An object with required and optional attributes, and no others."""

    required: dict[str, Callable[[Any, str], list[str]]]
    optional: dict[str, Callable[[Any, str], list[str]]]

    def check(self, value: Any, at: str) -> list[str]:
        """Return what is wrong with ``value``; nothing means it is right."""
        if not isinstance(value, dict):
            return [f"{at} is not an object"]
        problems = [f"{at}.{name} is missing" for name in self.required if name not in value]
        for name, given in value.items():
            check = self.required.get(name) or self.optional.get(name)
            if check is None:
                problems.append(f"{at}.{name} is not a documented attribute")
            else:
                problems += check(given, f"{at}.{name}")
        return problems


def _component(kind: str, required: dict[str, Any], optional: dict[str, Any]) -> Shape:
    return Shape({"type": _one_of(kind), **required}, optional)


SUBMIT = Shape({"type": _one_of("submit")}, {})
OPEN_URL = Shape({"type": _one_of("url"), "url": _link}, {})
_OPTION = Shape({"type": _one_of("option"), "id": _filled, "text": _filled}, {"disabled": _boolean})
_ITEM = Shape(
    {"type": _one_of("item"), "id": _filled, "title": _string},
    {
        "subtitle": _string,
        "tertiary_text": _string,
        "image": _https,
        "image_width": _size,
        "image_height": _size,
        "rounded_image": _boolean,
        "disabled": _boolean,
        "action": _action,
    },
)
_FIELD_VALUE = Shape({"type": _one_of("field-value"), "field": _string, "value": _string}, {})
_SAVE_STATE = _one_of("unsaved", "saved", "failed")
_NO_MARGIN = _one_of("none")

COMPONENTS: dict[str, Shape] = {
    "text": _component(
        "text",
        {"text": _string},
        {
            "id": _filled,
            "style": _one_of("header", "paragraph", "muted", "error"),
            "align": _one_of("left", "center", "right"),
            "bottom_margin": _NO_MARGIN,
        },
    ),
    "button": _component(
        "button",
        {"id": _filled, "label": _filled, "action": _action},
        {"style": _one_of("primary", "secondary", "link"), "disabled": _boolean},
    ),
    "input": _component(
        "input",
        {"id": _filled},
        {
            "label": _string,
            "placeholder": _string,
            "value": _string,
            "action": _action,
            "save_state": _SAVE_STATE,
            "disabled": _boolean,
        },
    ),
    "textarea": _component(
        "textarea",
        {"id": _filled},
        {
            "label": _string,
            "placeholder": _string,
            "value": _string,
            "error": _boolean,
            "disabled": _boolean,
        },
    ),
    "dropdown": _component(
        "dropdown",
        {"id": _filled, "options": _items(_OPTION, 2, 10)},
        {"label": _string, "value": _string, "save_state": _SAVE_STATE, "disabled": _boolean},
    ),
    "single-select": _component(
        "single-select",
        {"id": _filled, "options": _items(_OPTION, 2, 10)},
        {
            "label": _string,
            "value": _string,
            "save_state": _SAVE_STATE,
            "disabled": _boolean,
            "action": _action,
        },
    ),
    "checkbox": _component(
        "checkbox",
        # The SDK's type wants a label, the reference does not; an empty one pleases both.
        {"id": _filled, "label": _string, "options": _items(_OPTION, 1, None)},
        {"value": _strings, "save_state": _SAVE_STATE, "disabled": _boolean},
    ),
    "list": _component("list", {"items": _items(_ITEM, 1, None)}, {"disabled": _boolean}),
    "data-table": _component("data-table", {"items": _items(_FIELD_VALUE, 1, None)}, {}),
    "divider": _component("divider", {}, {"id": _filled, "bottom_margin": _NO_MARGIN}),
    "spacer": _component("spacer", {}, {"id": _filled, "size": _one_of("xs", "s", "m", "l", "xl")}),
    "image": _component(
        "image",
        {"url": _https, "width": _size, "height": _size},
        {
            "id": _filled,
            "align": _one_of("left", "center", "right", "full_width"),
            "rounded": _boolean,
            "bottom_margin": _NO_MARGIN,
            "action": OPEN_URL.check,
        },
    ),
}


def check_component(component: Any, at: str) -> list[str]:
    """Return what is wrong with one component."""
    if not isinstance(component, dict):
        return [f"{at} is not an object"]
    shape = COMPONENTS.get(component.get("type", ""))
    if shape is None:
        return [f"{at} has the type {component.get('type')!r}, which the inbox does not know"]
    problems = shape.check(component, f"{at} ({component['type']})")
    if component["type"] == "list":
        for index, item in enumerate(component.get("items") or []):
            if (
                isinstance(item, dict)
                and "image" in item
                and not {"image_width", "image_height"} <= item.keys()
            ):
                problems.append(f"{at}.items[{index}] has an image without image_width and image_height")
    value, options = component.get("value"), component.get("options")
    if isinstance(options, list) and value:
        known = [option.get("id") for option in options if isinstance(option, dict)]
        chosen = value if isinstance(value, list) else [value]
        problems += [f"{at}.value {item!r} is none of its options" for item in chosen if item not in known]
    return problems


def check_answer(raw: bytes, kind: str) -> dict[str, Any]:
    """Return the canvas of an answer to ``initialize`` or ``submit``; CanvasRefused if it would not be drawn.

    https://developers.intercom.com/docs/references/canvas-kit/responseobjects/canvas
    """
    try:
        answer = json.loads(raw)
    except ValueError as error:
        raise CanvasRefused([f"the answer is not JSON: {error}"]) from None
    allowed = {"canvas"} if kind == "initialize" else {"canvas", "event", "card_creation_options"}
    if not isinstance(answer, dict) or not isinstance(answer.get("canvas"), dict):
        raise CanvasRefused(['the answer is not {"canvas": {…}}'])
    canvas: dict[str, Any] = answer["canvas"]
    problems = [f"{name} does not belong in an answer to {kind}" for name in answer.keys() - allowed]
    if answer.get("event", {"type": "completed"}) != {"type": "completed"}:
        problems.append('event is not {"type": "completed"}')
    problems += [f"canvas.{name} is not documented" for name in canvas.keys() - {"content", "stored_data"}]
    content, stored = canvas.get("content"), canvas.get("stored_data", {})
    components = content.get("components") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(components, list):
        raise CanvasRefused([*problems, "canvas.content.components is not a list"])
    problems += [f"canvas.content.{name} is not documented" for name in content.keys() - {"components"}]
    if not components:
        problems.append("canvas.content.components is empty")
    for index, component in enumerate(components):
        problems += check_component(component, f"components[{index}]")
    ids = [item["id"] for item in components if isinstance(item, dict) and isinstance(item.get("id"), str)]
    problems += [f"two components have the id {twice!r}" for twice in _duplicates(ids)]
    if not isinstance(stored, dict):
        problems.append("canvas.stored_data is not an object")
    for name, part in (("content", content), ("stored_data", stored)):
        size = len(json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode())
        if size > LARGEST:
            problems.append(f"canvas.{name} has {size} bytes, more than {LARGEST}")
    if problems:
        raise CanvasRefused(problems)
    return canvas


def rich(text: str) -> list[tuple[str, str, str]]:
    """Split the text of a component into (kind, text, address) runs; kind is plain, bold or link.

    Text components know markdown links and bold, nothing else:
    https://developers.intercom.com/docs/references/canvas-kit/presentationcomponents/text
    """
    runs: list[tuple[str, str, str]] = []
    at = 0
    for found in re.finditer(r"\[([^\]\n]+)\]\((https?://[^\s()]+)\)|\*\*([^*\n]+)\*\*|\*([^*\n]+)\*", text):
        if found.start() > at:
            runs.append(("plain", text[at : found.start()], ""))
        label, address, strong, bold = found.groups()
        runs.append(("link", label, address) if label else ("bold", strong or bold, ""))
        at = found.end()
    if at < len(text):
        runs.append(("plain", text[at:], ""))
    return runs


def _duplicates(ids: list[Any]) -> list[Any]:
    return sorted({item for item in ids if ids.count(item) > 1}, key=str)
