"""Posting to an address that an operator has entered: https alone, and never into our own network."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import httpx
import pytest
import responses

from canvas_app import notices
from canvas_app.errors import LaterError, PermanentError, UnknownOutcomeError, WireError
from canvas_app.http_outcomes import make_http_client
from tests.support.httpx_responses import ResponsesTransport

PUBLIC = "93.184.216.34"


@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.slack.com/services/T0/B0/x",
        " https://hooks.example.com:8443/a?b=c ",
        "https://[2606:4700::1111]/x",
        "HTTPS://hooks.example.com",
    ],
)
def test_an_https_address_will_do(address: str) -> None:
    assert notices.checked_address(address) == address.strip()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "hooks.example.com/x",
        "http://hooks.example.com/x",
        "ftp://hooks.example.com/x",
        "javascript:alert(1)",
        "https:///x",
        "https://user:word@hooks.example.com/x",
        "https://hooks.example.com:0/x",
        "https://hooks.example.com:99999/x",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nX: y",
        "https://hooks.example.com\\@10.0.0.1/",
        "https://hööks.example.com/x",
        "https://[::1/x",
        "https://hooks.example.com/" + "x" * 2048,
    ],
)
def test_any_other_address_is_refused_with_what_is_wrong(address: str) -> None:
    with pytest.raises(ValueError, match=r"must|is not|is too|holds"):
        notices.checked_address(address)


@pytest.mark.parametrize("ip", [PUBLIC, "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_an_address_of_the_open_internet_is_public(ip: str) -> None:
    assert notices.is_public(ip)


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 -- one of those that must be refused
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        # An IPv4 address once more, in spellings that are hardly in use any more.
        "::127.0.0.1",
        "::10.0.0.1",
        "::ffff:0:10.0.0.1",
        # What was for inside before fc00::/7, and what is for no host at all.
        "fec0::1",
        "5f00::1",
        "3fff::1",
        "not an address",
    ],
)
def test_an_address_of_a_private_network_is_not(ip: str) -> None:
    assert not notices.is_public(ip)


def posted(ips: Sequence[str], address: str = "https://hooks.example.com/x?y=1") -> None:
    with make_http_client(ResponsesTransport()) as http:
        notices.post(http, address, {"text": "hello"}, resolve=lambda _host, _port: ips)


def test_it_goes_to_the_address_that_was_looked_at_under_its_name(outside: responses.RequestsMock) -> None:
    outside.post(f"https://{PUBLIC}/x?y=1", body="ok")
    posted([PUBLIC])
    [call] = outside.calls
    assert call.request.headers["Host"] == "hooks.example.com"
    assert call.request.body == b'{"text": "hello"}'


def test_a_port_and_the_newer_protocol_are_kept(outside: responses.RequestsMock) -> None:
    outside.post("https://[2606:4700::1111]:8443/x", body="ok")
    posted(["2606:4700::1111"], "https://hooks.example.com:8443/x#part")
    assert outside.calls[0].request.headers["Host"] == "hooks.example.com:8443"


def test_the_certificate_is_checked_against_the_name() -> None:
    seen: list[object] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["sni_hostname"])
        return httpx.Response(200)

    with make_http_client(httpx.MockTransport(answer)) as http:
        notices.post(http, "https://hooks.example.com/x", {}, resolve=lambda _host, _port: [PUBLIC])
    assert seen == ["hooks.example.com"]


@pytest.mark.parametrize("ips", [["10.0.0.1"], [PUBLIC, "127.0.0.1"], ["::ffff:169.254.169.254"]])
def test_nothing_is_posted_where_a_name_leads_into_a_private_network(
    outside: responses.RequestsMock, ips: list[str]
) -> None:
    with pytest.raises(PermanentError) as caught:
        posted(ips)
    assert caught.value.reason == "address_private"
    assert len(outside.calls) == 0


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
        "0",
        "LocalHost",
        "[::1]",
        "[::ffff:7f00:1]",
    ],
)
def test_nothing_is_posted_to_this_machine_however_it_is_spelt(
    outside: responses.RequestsMock, host: str
) -> None:
    with make_http_client(ResponsesTransport()) as http, pytest.raises(PermanentError) as caught:
        notices.post(http, notices.checked_address(f"https://{host}/x"), {})
    assert caught.value.reason == "address_private"
    assert len(outside.calls) == 0


def test_a_name_that_leads_elsewhere_a_moment_later_is_asked_once(outside: responses.RequestsMock) -> None:
    """It was looked at where it leads, and there it goes: what the name says next is not heard."""
    outside.post(f"https://{PUBLIC}/x")
    says = iter([[PUBLIC], ["127.0.0.1"]])
    with make_http_client(ResponsesTransport()) as http:
        notices.post(http, "https://hooks.example.com/x", {}, resolve=lambda _host, _port: next(says))
    assert len(outside.calls) == 1
    assert next(says) == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://hooks.example.com#@10.0.0.1/", "hooks.example.com"),
        ("https://hooks.example.com?@10.0.0.1/", "hooks.example.com"),
        ("https://hooks.example.com/@10.0.0.1", "hooks.example.com"),
        ("https://hooks.example.com.//10.0.0.1", "hooks.example.com."),
        ("https://HOOKS.Example.com:8443/", "hooks.example.com"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example"),
    ],
)
def test_it_is_the_host_that_is_looked_up_and_no_other_part(
    outside: responses.RequestsMock, address: str, host: str
) -> None:
    asked = []

    def resolve(name: str, _port: int) -> Sequence[str]:
        asked.append(name)
        return ["10.0.0.1"]

    with make_http_client(ResponsesTransport()) as http, pytest.raises(PermanentError):
        notices.post(http, address, {}, resolve=resolve)
    assert asked == [host]
    assert len(outside.calls) == 0


def test_a_name_that_nobody_knows_is_tried_later() -> None:
    def resolve(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror

    unknown: notices.Resolve
    for unknown in (resolve, lambda _host, _port: []):
        with make_http_client(ResponsesTransport()) as http, pytest.raises(LaterError) as caught:
            notices.post(http, "https://hooks.example.com/x", {}, resolve=unknown)
        assert caught.value.reason == "unreachable"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, PermanentError),
        (400, PermanentError),
        (404, PermanentError),
        (403, WireError),
        (429, LaterError),
        (500, UnknownOutcomeError),
    ],
)
def test_what_is_not_taken_is_told(
    outside: responses.RequestsMock, status: int, kind: type[WireError]
) -> None:
    # A redirect is not followed: it could lead anywhere.
    outside.post(f"https://{PUBLIC}/x?y=1", status=status, headers={"Location": "https://10.0.0.1/"})
    with pytest.raises(kind):
        posted([PUBLIC])
    assert len(outside.calls) == 1


def test_only_the_host_is_shown() -> None:
    assert notices.host_of("https://hooks.slack.com/services/secret") == "hooks.slack.com"
