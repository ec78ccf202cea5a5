"""Intercom's Canvas Kit as types: what these models accept, Intercom can draw in the Inbox.

The documented components are all here, each with its documented attributes and no others. Left out is what
only the Messenger has: the sheet action and live canvases.

Components: https://developers.intercom.com/docs/canvas-kit
Canvas and its limits: https://developers.intercom.com/docs/references/canvas-kit/responseobjects/canvas
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PrivateAttr,
    TypeAdapter,
    model_validator,
)

# The documentation says 64 KB, without saying which kilobyte: the smaller one holds for both.
SIZE_LIMIT = 64_000

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
# Percent-encoded, as an address is when it travels, and of a length that browsers and proxies take.
_ADDRESS = re.compile(r"[\x21-\x7e]{1,2048}")


def is_https(url: str) -> bool:
    """Tell whether Intercom accepts ``url`` for an image: an absolute https address."""
    return _scheme_and_host(url)[0] == "https"


def is_linkable(url: str) -> bool:
    """Tell whether a card may open ``url``: https, or http on this machine, which the sandbox needs."""
    scheme, host = _scheme_and_host(url)
    return scheme == "https" or (scheme == "http" and host in _LOOPBACK_HOSTS)


def _scheme_and_host(url: str) -> tuple[str, str]:
    """Return both in lower case, or two empty strings for anything that is not a plain absolute address."""
    if not _ADDRESS.fullmatch(url):
        return "", ""
    try:
        parts = urlsplit(url)
        _ = parts.port  # It is parsed, and refused, only when it is asked for.
    except ValueError:
        return "", ""
    # "https://koji.so@elsewhere.example" leads elsewhere; no address of ours has a user in it.
    if not parts.hostname or "@" in parts.netloc:
        return "", ""
    return parts.scheme, parts.hostname


def _https(url: str) -> str:
    if not is_https(url):
        raise ValueError("an https address is needed")
    return url


def _linkable(url: str) -> str:
    if not is_linkable(url):
        raise ValueError("an https address is needed (http only on this machine)")
    return url


NonEmpty = Annotated[str, Field(min_length=1)]
Pixels = Annotated[int, Field(gt=0)]
ImageUrl = Annotated[str, AfterValidator(_https)]
LinkUrl = Annotated[str, AfterValidator(_linkable)]
SaveState = Literal["unsaved", "saved", "failed"]


class _Part(BaseModel):
    """What all parts share: they do not change, and have no attribute that is unknown to Intercom."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# Actions: https://developers.intercom.com/docs/references/canvas-kit/actioncomponents/submit-action


class SubmitAction(_Part):
    """Calls our submit URL; the answer replaces the whole canvas."""

    type: Literal["submit"] = "submit"


class UrlAction(_Part):
    """Opens an address in a new tab."""

    type: Literal["url"] = "url"
    url: LinkUrl


Action = Annotated[SubmitAction | UrlAction, Field(discriminator="type")]


# Presentation: https://developers.intercom.com/docs/references/canvas-kit/presentationcomponents/text


class Text(_Part):
    """A block of text.

    Markdown links and bold are rendered, so text from outside goes through ``plaintext.plain`` first.
    """

    type: Literal["text"] = "text"
    text: NonEmpty
    id: NonEmpty | None = None
    style: Literal["header", "paragraph", "muted", "error"] = "paragraph"
    align: Literal["left", "center", "right"] | None = None
    bottom_margin: Literal["none"] | None = None


class FieldValue(_Part):
    """One row of a data table."""

    type: Literal["field-value"] = "field-value"
    field: NonEmpty
    value: str


class DataTable(_Part):
    """Pairs of field and value. The Inbox cuts a long value and shows all of it in a tooltip."""

    type: Literal["data-table"] = "data-table"
    items: tuple[FieldValue, ...] = Field(min_length=1)


class Divider(_Part):
    """A line between components."""

    type: Literal["divider"] = "divider"
    id: NonEmpty | None = None
    bottom_margin: Literal["none"] | None = None


class Spacer(_Part):
    """Empty space between components."""

    type: Literal["spacer"] = "spacer"
    id: NonEmpty | None = None
    size: Literal["xs", "s", "m", "l", "xl"] | None = None


class Image(_Part):
    """An image; width and height are pixels."""

    type: Literal["image"] = "image"
    url: ImageUrl
    width: Pixels
    height: Pixels
    id: NonEmpty | None = None
    align: Literal["left", "center", "right", "full_width"] | None = None
    rounded: bool | None = None
    bottom_margin: Literal["none"] | None = None
    action: UrlAction | None = None


# Interaction: https://developers.intercom.com/docs/references/canvas-kit/interactivecomponents/button


class Button(_Part):
    """A button.

    Intercom's own default style is primary, which its reviewers do not allow on a first canvas; ours is
    secondary.
    https://developers.intercom.com/docs/canvas-kit/canvas-kit-inbox-best-practices
    """

    type: Literal["button"] = "button"
    id: NonEmpty
    label: NonEmpty
    action: Action
    style: Literal["primary", "secondary", "link"] = "secondary"
    disabled: bool | None = None


class Input(_Part):
    """A line of text to type. An ``action`` draws a button inside it; ``saved`` blocks editing."""

    type: Literal["input"] = "input"
    id: NonEmpty
    label: str | None = None
    placeholder: str | None = None
    value: str | None = None
    action: Action | None = None
    save_state: SaveState | None = None
    disabled: bool | None = None


class TextArea(_Part):
    """Several lines of text to type."""

    type: Literal["textarea"] = "textarea"
    id: NonEmpty
    label: str | None = None
    placeholder: str | None = None
    value: str | None = None
    error: bool | None = None
    disabled: bool | None = None


class Option(_Part):
    """One choice of a dropdown, a single-select or a checkbox."""

    type: Literal["option"] = "option"
    id: NonEmpty
    text: NonEmpty
    disabled: bool | None = None


class _Choice(_Part):
    """A component that offers options: their ids differ, and what is chosen is one of them."""

    id: NonEmpty
    label: str | None = None
    options: tuple[Option, ...] = Field(min_length=2, max_length=10)
    value: str | tuple[str, ...] | None = None
    save_state: SaveState | None = None
    disabled: bool | None = None

    @model_validator(mode="after")
    def _options_are_consistent(self) -> Self:
        offered = [option.id for option in self.options]
        _refuse_twins("option", offered)
        chosen = (self.value,) if isinstance(self.value, str) else self.value or ()
        if not set(chosen) <= set(offered):
            raise ValueError("value names an option that is not offered")
        return self


class Dropdown(_Choice):
    """A choice of one, folded away."""

    type: Literal["dropdown"] = "dropdown"
    value: str | None = None


class SingleSelect(_Choice):
    """A choice of one, in a row. With an ``action``, choosing submits."""

    type: Literal["single-select"] = "single-select"
    value: str | None = None
    action: Action | None = None


class Checkbox(_Choice):
    """A choice of any number.

    The reference calls the array "option"; Intercom's own working tutorial sends "options", as we do.
    https://developers.intercom.com/docs/build-an-integration/getting-started/build-an-app-for-your-inbox
    """

    type: Literal["checkbox"] = "checkbox"
    label: str = ""  # The reference leaves it out, the vendor's types demand it; empty serves both.
    options: tuple[Option, ...] = Field(min_length=1)
    value: tuple[str, ...] | None = None


class ListItem(_Part):
    """One entry of a list; its image's width and height are pixels."""

    type: Literal["item"] = "item"
    id: NonEmpty
    title: NonEmpty
    subtitle: str | None = None
    tertiary_text: str | None = None
    image: ImageUrl | None = None
    image_width: Pixels | None = None
    image_height: Pixels | None = None
    rounded_image: bool | None = None
    disabled: bool | None = None
    action: Action | None = None

    @model_validator(mode="after")
    def _image_has_a_size(self) -> Self:
        sized = (self.image_width is not None, self.image_height is not None)
        if sized != (self.image is not None,) * 2:
            raise ValueError("image, image_width and image_height come together")
        if self.rounded_image is not None and self.image is None:
            raise ValueError("rounded_image needs an image")
        return self


class ListComponent(_Part):
    """Entries below each other, each of which may be tapped."""

    type: Literal["list"] = "list"
    items: tuple[ListItem, ...] = Field(min_length=1)
    disabled: bool | None = None


Component = Annotated[
    Text
    | Button
    | Input
    | TextArea
    | Dropdown
    | SingleSelect
    | Checkbox
    | ListComponent
    | DataTable
    | Divider
    | Spacer
    | Image,
    Field(discriminator="type"),
]


_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_COMPONENTS: TypeAdapter[tuple[Component, ...]] = TypeAdapter(tuple[Component, ...])


class Canvas(_Part):
    """What the Inbox draws, and the data that it hands back with the next request.

    ``stored_data`` is visible to Intercom: nothing secret goes in. Content and data are at most
    ``SIZE_LIMIT`` bytes of JSON each, and no two ids are the same, because an id is all that a submit tells
    us of a tap.
    """

    components: tuple[Component, ...] = Field(min_length=1)
    stored_data: dict[str, JsonValue] = Field(default_factory=dict)
    # Both as the bytes that are sent: what is measured is what goes out, and it is written once.
    _content: bytes = PrivateAttr()
    _stored_data: bytes = PrivateAttr()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _refuse_twins("component", self.ids())
        components = _COMPONENTS.dump_json(self.components, exclude_none=True)
        self._content = b'{"components":' + components + b"}"
        self._stored_data = _JSON.encode(self.stored_data).encode()
        for name, part in (("content", self._content), ("stored_data", self._stored_data)):
            if len(part) > SIZE_LIMIT:
                raise ValueError(f"{name} has {len(part)} bytes, Intercom takes {SIZE_LIMIT}")
        return self

    def ids(self) -> list[str]:
        """Return the id of every component and list entry that has one, in order."""
        ids: list[str | None] = []
        for component in self.components:
            # Their type tells sooner than isinstance, which of these models looks into their fields.
            if component.type == "list":
                ids.extend(item.id for item in component.items)
            elif component.type != "data-table":
                ids.append(component.id)
        return [found for found in ids if found is not None]

    def content(self) -> dict[str, Any]:
        """Return the canvas' content as plain values ready for JSON; what is not set is left out."""
        return {"components": [component.model_dump(exclude_none=True) for component in self.components]}

    def answer(self) -> bytes:
        """The answer to initialize and submit, as JSON in UTF-8:
        ``{"canvas": {"content": {"components": [...]}, "stored_data": {...}}}``."""
        return b'{"canvas":{"content":' + self._content + b',"stored_data":' + self._stored_data + b"}}"


def _refuse_twins(kind: str, ids: list[str]) -> None:
    if len(set(ids)) == len(ids):
        return
    twins = [found for found, times in Counter(ids).items() if times > 1]
    raise ValueError(f"{kind} ids are used twice: {', '.join(twins)}")
