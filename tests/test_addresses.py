"""The sender's address: what the last router says, and nobody else."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from canvas_app.addresses import Routers, sender

AT_HEROKU = Routers.of({"FORWARDED_ALLOW_IPS": "*"})
ELSEWHERE = Routers.of({})


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "found"),
    [
        # Heroku's router puts the address behind whatever the request had there.
        ("10.1.2.3", "198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "made up,,198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", " 198.51.100.7 ", "198.51.100.7"),
        # Without it, or with one that is no address, the connection is all that there is.
        ("10.1.2.3", None, "10.1.2.3"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "198.51.100.7, unknown", "10.1.2.3"),
        ("10.1.2.3", "198.51.100.7,", "10.1.2.3"),
        ("10.1.2.3", "1" * 100_000, "10.1.2.3"),
        # With a port.
        ("10.1.2.3", "198.51.100.7:51000", "198.51.100.7"),
        ("10.1.2.3", "[2001:db8::1]:51000", "2001:db8::/64"),
        ("10.1.2.3", "[2001:db8::1]", "2001:db8::/64"),
        # A socket in the file system.
        ("", "198.51.100.7", "198.51.100.7"),
        (None, "198.51.100.7", "198.51.100.7"),
        (None, None, ""),
    ],
)
def test_a_router_is_believed(peer: str | None, forwarded_for: str | None, found: str) -> None:
    assert sender(peer, forwarded_for, AT_HEROKU) == found


def test_who_is_no_router_speaks_for_nobody_else() -> None:
    assert sender("203.0.113.9", "198.51.100.7", ELSEWHERE) == "203.0.113.9"
    assert sender("2001:db8::1", "198.51.100.7", ELSEWHERE) == "2001:db8::/64"


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_a_router_on_this_machine_is_believed_by_default(peer: str) -> None:
    assert sender(peer, "198.51.100.7", ELSEWHERE) == "198.51.100.7"


def test_routers_are_named_as_gunicorn_has_them_named() -> None:
    routers = Routers.of({"FORWARDED_ALLOW_IPS": "192.0.2.1, 10.0.0.0/8 , 2001:db8:1::/48,nonsense"})
    for peer in ("192.0.2.1", "10.200.1.1", "2001:db8:1:2::3"):
        assert sender(peer, "198.51.100.7", routers) == "198.51.100.7"
    for peer in ("192.0.2.2", "127.0.0.1", "2001:db8:2::1"):
        assert sender(peer, "198.51.100.7", routers) != "198.51.100.7"


def test_addresses_of_one_customer_of_a_provider_are_one() -> None:
    found = {sender(f"2001:db8:0:1::{end}", None, ELSEWHERE) for end in ("1", "ffff", "a:b:c")}
    assert found == {"2001:db8:0:1::/64"}
    assert sender("2001:db8:0:2::1", None, ELSEWHERE) == "2001:db8:0:2::/64"
    assert sender("::ffff:198.51.100.7", None, ELSEWHERE) == "198.51.100.7"


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_whatever_is_claimed_an_address_or_nothing_is_found(peer: str, claimed: str, allowed: str) -> None:
    routers = Routers.of({"FORWARDED_ALLOW_IPS": allowed})
    assert len(sender(peer, claimed, routers)) <= 45
