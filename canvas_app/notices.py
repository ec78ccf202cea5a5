"""Posting to an address that an operator has entered: https alone, and to nobody inside our own network.

The name is resolved here and the connection goes to the very address that was looked at, so that a name that
points elsewhere a moment later leads nowhere. The certificate is checked against the name all the same.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

import httpx

from canvas_app import http_outcomes
from canvas_app.errors import LaterError, PermanentError

SERVICE: Final = "The address for alerts"
LONGEST_ADDRESS: Final = 2048

# All that is given out for the open internet; whatever else there is, is inside, tunnels or nobody.
# https://www.iana.org/assignments/ipv6-address-space/
_IPV6_INTERNET: Final = ipaddress.ip_network("2000::/3")
# What stands for an IPv4 address inside an IPv6 one, and would be led on to it by a gateway; and examples.
_TRANSLATED: Final = tuple(
    ipaddress.ip_network(network)
    for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "3fff::/20")
)

# Every address of a name, as text.
Resolve = Callable[[str, int], Sequence[str]]


def checked_address(value: str) -> str:
    """The address without the space around it. Raises ValueError with what is wrong with it."""
    address = value.strip()
    if not address.isascii() or not address.isprintable() or " " in address or "\\" in address:
        raise ValueError("holds a character that no address has; please copy it again")
    if len(address) > LONGEST_ADDRESS:
        raise ValueError("is too long to be an address")
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise ValueError("is not an address like https://hooks.example.com/…") from None
    if parts.scheme.lower() != "https":
        raise ValueError("must begin with https://")
    if not parts.hostname or "@" in parts.netloc or port == 0:
        raise ValueError("is not an address like https://hooks.example.com/…")
    return address


def host_of(address: str) -> str:
    """The host of an address, to be shown: what follows it is as good as a password."""
    return urlsplit(address).hostname or ""


def resolve(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def post(http: httpx.Client, address: str, body: Mapping[str, object], *, resolve: Resolve = resolve) -> None:
    """Post JSON once. Raises LaterError and PermanentError when it was surely not taken, and
    UnknownOutcomeError when it may have been."""
    parts = urlsplit(checked_address(address))
    host, port = parts.hostname or "", parts.port or 443
    ip = _public_ip(host, port, resolve)
    netloc = f"[{ip}]" if ":" in ip else ip
    target = parts._replace(netloc=netloc if port == 443 else f"{netloc}:{port}", fragment="").geturl()
    answer = http_outcomes.send(
        http,
        "POST",
        target,
        headers={"Host": parts.netloc},
        json_body=body,
        repeatable=False,
        service=SERVICE,
        server_name=host,
    )
    problem = http_outcomes.failure(answer, wire="alerts", service=SERVICE, repeatable=False)
    if problem is not None:
        raise problem


def _public_ip(host: str, port: int, resolve: Resolve) -> str:
    try:
        found = resolve(host, port)
    except (OSError, UnicodeError):
        raise LaterError(f"{SERVICE} has a name that is not known.", reason="unreachable") from None
    if not found:
        raise LaterError(f"{SERVICE} has a name that is not known.", reason="unreachable")
    if not all(is_public(ip) for ip in found):
        raise PermanentError(f"{SERVICE} is inside a private network.", reason="address_private")
    return found[0]


def is_public(ip: str) -> bool:
    """Whether an address is one of the open internet. Anything that cannot be read is not."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address not in _IPV6_INTERNET or any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast
