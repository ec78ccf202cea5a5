"""Whose request it is: the address of who has sent it, as far as anybody can tell.

Behind a router the connection is the router's, and the sender's address is the last entry of X-Forwarded-For:
every other one was there before, and may be made up. Whether there is a router is decided by gunicorn's own
rule, FORWARDED_ALLOW_IPS: what it names may speak for others, and nobody else may.
https://devcenter.heroku.com/articles/http-routing#heroku-headers
https://docs.gunicorn.org/en/stable/settings.html#forwarded-allow-ips
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# gunicorn's own default: a router on this very machine.
_BY_DEFAULT: Final = "127.0.0.1,::1"
# A customer of a provider has a network of this size, and takes another address of it whenever they like.
_IPV6_PREFIX: Final = 64
_LONGEST: Final = 64
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Routers:
    """Whose X-Forwarded-For is believed. ``everybody``: whoever connects is a router, as at Heroku."""

    everybody: bool
    networks: tuple[IpNetwork, ...]

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Routers:
        """As gunicorn reads FORWARDED_ALLOW_IPS: ``*``, or addresses and networks with commas between."""
        entries = [entry.strip() for entry in environ.get("FORWARDED_ALLOW_IPS", _BY_DEFAULT).split(",")]
        networks = [network for entry in entries if (network := _network(entry)) is not None]
        return cls(everybody="*" in entries, networks=tuple(networks))

    def include(self, peer: IpAddress) -> bool:
        return self.everybody or any(
            peer.version == network.version and peer in network for network in self.networks
        )


def sender(peer: str | None, forwarded_for: str | None, routers: Routers) -> str:
    """The sender's address, an IPv6 one as its network of 64 bits; an empty text where there is none.

    ``peer`` is whom the connection is with. A socket in the file system has no address: whoever has put the
    app behind one has put a router before it, as gunicorn sees it too.
    """
    connected = _address(peer or "")
    if forwarded_for is not None and (connected is None or routers.include(connected)):
        told = _address(forwarded_for.rpartition(",")[2])
        if told is not None:
            return _as_one(told)
    return "" if connected is None else _as_one(connected)


def _as_one(address: IpAddress) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))


def _address(text: str) -> IpAddress | None:
    text = text.strip()[:_LONGEST]
    # Some routers tell the port as well.
    if (match := _WITH_PORT.fullmatch(text)) is not None:
        text = match[1] or match[2]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # What comes over IPv4 to a socket for both is written this way, and is the same sender.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _network(entry: str) -> IpNetwork | None:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None
