"""Which links may be shown to a person, and a personal link made from the operator's template."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

LONGEST_LINK: Final = 2048
# A name is the customer's own free text; more of it would only make the link unusable.
_LONGEST_VALUE: Final = 100
PLACEHOLDERS: Final = ("interview_id", "contact_id", "email", "name")

# Only what RFC 3986 allows in an address, and an authority without user names or percent signs. Browsers
# repair anything else (backslashes, tabs, look-alike letters), each in a way a checker cannot foresee.
# https://url.spec.whatwg.org/#url-parsing
_LINK = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?:[/?#][A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*)?",
    re.IGNORECASE | re.ASCII,
)
_ENTRY = re.compile(
    r"(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?", re.IGNORECASE | re.ASCII
)
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_DEFAULT_PORT = {"https": 443, "http": 80}
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def allowed(url: str, hosts: Collection[str]) -> bool:
    """Whether a link goes to one of these hosts (``host`` or ``host:port``), over https.

    Plain http is good enough only on this very machine, and only when that host is listed.
    """
    if len(url) > LONGEST_LINK:
        return False
    match = _LINK.fullmatch(url)
    if match is None:
        return False
    scheme, host = match["scheme"].lower(), match["host"].lower()
    if scheme == "http" and host not in _LOOPBACK:
        return False
    port = int(match["port"]) if match["port"] else _DEFAULT_PORT[scheme]
    return any(_is_entry(entry, host, port, _DEFAULT_PORT[scheme]) for entry in hosts)


def from_template(
    template: str, *, interview_id: str, contact_id: str, email: str | None, name: str | None
) -> str:
    """The template with its placeholders filled in, percent-encoded; a value that is missing leaves nothing.

    Raises ValueError for a placeholder that does not exist and for a result longer than 2048 characters.
    Whether the link's host is an allowed one remains to be checked.
    """
    return _filled(
        template, {"interview_id": interview_id, "contact_id": contact_id, "email": email, "name": name}
    )


def check_template(template: str) -> None:
    """Raises ValueError when a template cannot be used, whatever is filled in."""
    _filled(template, dict.fromkeys(PLACEHOLDERS))


def is_host(entry: str) -> bool:
    """Whether an entry of a list of allowed hosts can match a link at all: ``host`` or ``host:port``."""
    return _ENTRY.fullmatch(entry.strip()) is not None


def _filled(template: str, values: Mapping[str, str | None]) -> str:
    def fill(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise ValueError(f"the link template has an unknown placeholder {{{match[1]}}}")
        return quote((values[match[1]] or "")[:_LONGEST_VALUE], safe="", errors="replace")

    if set("{}") & set(_PLACEHOLDER.sub("", template)):
        raise ValueError("the link template has a brace that belongs to no placeholder")
    link = _PLACEHOLDER.sub(fill, template)
    if len(link) > LONGEST_LINK:
        raise ValueError(f"the link would be longer than {LONGEST_LINK} characters")
    return link


def _is_entry(entry: str, host: str, port: int, default_port: int) -> bool:
    match = _ENTRY.fullmatch(entry.strip())
    if match is None:
        return False
    entry_port = int(match["port"]) if match["port"] else default_port
    return match["host"].lower() == host and entry_port == port
