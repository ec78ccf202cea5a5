from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given, strategies as st

from canvas_app.koji.links import (
    LONGEST_LINK,
    PLACEHOLDERS,
    allowed,
    check_template,
    from_template,
    is_host,
)

HOSTS = ("koji.so", "www.koji.so", "127.0.0.1:8002", "localhost:8002", "[::1]:8002", "eu.koji.example:8443")


@pytest.mark.parametrize(
    "url",
    [
        "https://koji.so",
        "https://koji.so/",
        "https://koji.so/i/abc?rid=1&x=%20#top",
        "https://koji.so?rid=1",
        "https://koji.so#top",
        "HTTPS://KOJI.SO/i/abc",
        "https://www.koji.so/i/abc",
        "https://koji.so:443/i/abc",
        "https://eu.koji.example:8443/i",
        "https://koji.so/i/@someone",
        "http://127.0.0.1:8002/i/abc",
        "http://localhost:8002/i/abc",
        "http://[::1]:8002/i/abc",
        "https://koji.so/" + "a" * (LONGEST_LINK - 16),
    ],
)
def test_allowed(url: str) -> None:
    assert allowed(url, HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "koji.so/i",
        "//koji.so/i",
        "https:koji.so",
        "https:/koji.so",
        "https:///koji.so",
        "http://koji.so/i",
        "ftp://koji.so/i",
        "javascript:alert(1)//koji.so",
        "data:text/html,https://koji.so",
        "https://evil.example/https://koji.so",
        "https://evil.example?https://koji.so",
        "https://koji.so.evil.example/",
        "https://xkoji.so/",
        "https://app.koji.so/",
        "https://koji.so./",
        "https://koji.so@evil.example/",
        "https://evil.example@koji.so/",
        "https://user:pass@koji.so/",
        "https://@koji.so/",
        "https://koji.so:8443/",
        "https://koji.so:80/",
        "https://koji.so:/",
        "https://koji.so:443:443/",
        "https://koji.so:99999999/",
        "https://eu.koji.example/",
        "https://koji.so\\@evil.example/",
        "https://evil.example\\@koji.so/",
        "https://koji.so\\evil",
        "https:\\\\koji.so/",
        " https://koji.so/",
        "https://koji.so/ ",
        "https://koji.so/a b",
        "https://ko\tji.so/",
        "https://koji.so/\n",
        "https://koji.so/\r\nSet-Cookie: a=b",
        "https://koji.so/\x00",
        "https://koji.so%2eevil.example/",
        "https://%6boji.so/",
        "https://koji。so/",
        "https://k\u043eji.so/",  # A Cyrillic o.
        "https://\uff4boji.so/",
        "https://\u212aoji.so/",  # The Kelvin sign, which lower-cases to k.
        "https://koji.so/caf\u00e9",
        'https://koji.so/"onclick="x',
        "https://koji.so/<b>",
        "http://127.0.0.1/i",
        "http://127.0.0.1:8003/i",
        "http://127.1:8002/",
        "http://2130706433:8002/",
        "http://[::ffff:127.0.0.1]:8002/",
        "https://koji.so/" + "a" * LONGEST_LINK,
    ],
)
def test_not_allowed(url: str) -> None:
    assert not allowed(url, HOSTS)


def test_plain_http_needs_a_listed_loopback_host() -> None:
    assert not allowed("http://127.0.0.1:8002/", ["koji.so"])
    assert allowed("http://127.0.0.1:8002/", ["127.0.0.1:8002"])
    assert not allowed("http://10.0.0.1:8002/", ["10.0.0.1:8002"])


@pytest.mark.parametrize(
    "entry", ["", "https://koji.so", "koji.so/", "*.koji.so", "*", "user@koji.so", "koji.so:x"]
)
def test_an_entry_of_another_form_allows_nothing(entry: str) -> None:
    assert not allowed("https://koji.so/", [entry])
    assert not is_host(entry)


@pytest.mark.parametrize(
    "entry", ["koji.so", "KOJI.so", " koji.so ", "koji.so:8443", "127.0.0.1:8002", "[::1]"]
)
def test_hosts(entry: str) -> None:
    assert is_host(entry)


def test_entries_are_read_in_any_case() -> None:
    assert allowed("https://koji.so/", [" Koji.SO "])
    assert not allowed("https://koji.so/", [])


@given(
    st.one_of(
        st.text(),
        st.text().map(lambda text: "https://" + text),
        st.text().map(lambda text: "https://koji.so" + text),
        st.text(alphabet="koji.so:/@\\?#%443 \t\n").map(lambda text: "https://koji.so" + text),
    )
)
def test_what_is_allowed_goes_where_two_other_parsers_say(url: str) -> None:
    if allowed(url, ["koji.so"]):
        for scheme, host, port, user in (
            (
                urlsplit(url).scheme,
                urlsplit(url).hostname,
                urlsplit(url).port,
                urlsplit(url).username,
            ),
            (httpx.URL(url).scheme, httpx.URL(url).host, httpx.URL(url).port, httpx.URL(url).userinfo),
        ):
            assert (scheme, host) == ("https", "koji.so")
            assert port in (None, 443)
            assert not user


class TestTemplate:
    def fill(
        self, template: str, name: str | None = "Zo\u00eb & Co", email: str | None = "z@x.example"
    ) -> str:
        return from_template(template, interview_id="iv_1", contact_id="abc", email=email, name=name)

    def test_values_are_percent_encoded(self) -> None:
        template = "https://koji.so/s/x?rid={contact_id}&iv={interview_id}&email={email}&name={name}"
        assert self.fill(template) == (
            "https://koji.so/s/x?rid=abc&iv=iv_1&email=z%40x.example&name=Zo%C3%AB%20%26%20Co"
        )

    def test_a_slash_does_not_begin_another_folder(self) -> None:
        assert self.fill("https://koji.so/{name}/X", "a/b") == "https://koji.so/a%2Fb/X"

    def test_missing_values_leave_nothing(self) -> None:
        assert self.fill("https://koji.so/?e={email}&n={name}", None, None) == "https://koji.so/?e=&n="

    def test_a_value_is_not_a_template(self) -> None:
        assert self.fill("https://koji.so/?n={name}", "{email}") == "https://koji.so/?n=%7Bemail%7D"

    @pytest.mark.parametrize(
        "template",
        [
            "https://koji.so/{}",
            "https://koji.so/{Name}",
            "https://koji.so/{0}",
            "https://koji.so/{name!r}",
            "https://koji.so/{name.__class__}",
            "https://koji.so/{token}",
            "https://koji.so/{name",
            "https://koji.so/name}",
            "https://koji.so/{{name}}",
        ],
    )
    def test_unknown_placeholders(self, template: str) -> None:
        with pytest.raises(ValueError, match="the link template has"):
            self.fill(template)
        with pytest.raises(ValueError, match="the link template has"):
            check_template(template)

    @pytest.mark.parametrize(
        ("template", "message"),
        [
            ("https://koji.so/{name", "the link template has a brace that belongs to no placeholder"),
            ("https://koji.so/{Name}", "the link template has an unknown placeholder {Name}"),
            ("https://koji.so/" + "a" * 2033, "the link would be longer than 2048 characters"),
        ],
    )
    def test_a_refusal_says_what_is_wrong(self, template: str, message: str) -> None:
        with pytest.raises(ValueError, match="link") as caught:
            check_template(template)
        assert str(caught.value) == message

    def test_all_placeholders(self) -> None:
        check_template("https://koji.so/" + "/".join(f"{{{name}}}" for name in PLACEHOLDERS))
        check_template("https://koji.so/fixed")

    def test_the_length_is_capped(self) -> None:
        with pytest.raises(ValueError, match="longer than 2048"):
            self.fill("https://koji.so/" + "a" * 2033)
        assert len(self.fill("https://koji.so/" + "a" * 2032)) == LONGEST_LINK

    def test_the_length_of_a_template_is_what_it_has_with_nothing_filled_in(self) -> None:
        placeholders = "".join(f"{{{name}}}" for name in PLACEHOLDERS)
        check_template("https://koji.so/" + "a" * 2032 + placeholders)
        with pytest.raises(ValueError, match="longer than 2048"):
            check_template("https://koji.so/" + "a" * 2033 + placeholders)

    def test_a_long_name_does_not_make_it_too_long(self) -> None:
        link = self.fill("https://koji.so/?n={name}", "\U0001f600" * 5000)
        assert len(link) < LONGEST_LINK

    def test_half_a_surrogate_pair(self) -> None:
        assert self.fill("https://koji.so/?n={name}", "a\ud800b") == "https://koji.so/?n=a%3Fb"

    @given(st.text(max_size=100), st.text(max_size=100))
    def test_no_value_gets_out_of_its_place(self, name: str, email: str) -> None:
        link = self.fill("https://koji.so/s?name={name}&email={email}&last=1", name, email)
        assert allowed(link, ["koji.so"])
        query = parse_qs(urlsplit(link).query, keep_blank_values=True, strict_parsing=True)
        assert query == {"name": [name], "email": [email], "last": ["1"]}
