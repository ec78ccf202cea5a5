"""What a stranger sends is held against a secret in constant time, and nowhere else in another way."""

from __future__ import annotations

import ast
import hmac
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from canvas_app.settings import PROJECT_ROOT
from tests.api.caller import TOKEN
from tests.support.doors import DOORS, Door
from tests.support.world import World

# Where what proves the sender is read and judged. What itsdangerous and Flask-WTF compare, they compare
# in constant time themselves.
MODULES = [
    "hmacs.py",
    "vault.py",
    "intercom/signatures.py",
    "koji/signatures.py",
    "api/bearer.py",
    "canvas/offers.py",
    "console/access.py",
    "interviews/links.py",
]
_SECRET = re.compile(
    r"signature|token|secret|digest|nonce|csrf|hmac|key|given|candidate|expected|header|password",
    re.IGNORECASE,
)
# A comparison that is none of a secret, and why.
_HARMLESS = {
    # Whether base64 is spelt the way a digest is: both sides are made of what was sent.
    "base64.b64encode(digest, altchars).removesuffix(b'=') == unpadded",
    # Which field of a header it is.
    "match[1] == b't'",
    "match[1] == b'v1'",
}


def comparisons(tree: ast.AST) -> Iterator[ast.Compare]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(
            isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for operator in node.ops
        ):
            yield node


def names(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr


def of_secrets(source: str) -> list[str]:
    """Comparisons of a secret's bytes, or of what was sent as one."""
    return [
        ast.unparse(node)
        for node in comparisons(ast.parse(source))
        if any(map(_SECRET.search, names(node))) and ast.unparse(node) not in _HARMLESS
    ]


@pytest.mark.parametrize("module", MODULES)
def test_nothing_that_proves_a_sender_is_compared_with_an_operator(module: str) -> None:
    assert of_secrets((PROJECT_ROOT / "canvas_app" / module).read_text("utf-8")) == []


@pytest.mark.parametrize(
    "source", ["given == secret", "if signature != expected: pass", "token in tokens", "x.digest() == header"]
)
def test_such_a_comparison_would_be_found(source: str) -> None:
    assert of_secrets(source) != []


def test_digests_are_compared_in_one_place_alone() -> None:
    users = [
        str(path.relative_to(PROJECT_ROOT))
        for path in (PROJECT_ROOT / "canvas_app").rglob("*.py")
        if "compare_digest(" in path.read_text("utf-8")
    ]
    assert users == ["canvas_app/hmacs.py"]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """What is compared in constant time from now on."""
    pairs: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def watch(one: Any, other: Any) -> bool:
        pairs.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watch)
    return pairs


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.path)
def test_each_signed_door_compares_whole_digests_that_way(
    sqlite_world: World, compared: list[tuple[bytes, bytes]], door: Door
) -> None:
    client = sqlite_world.app.test_client()
    wrong = door.sign(door.raw, "another-secret")
    assert client.post(door.path, data=door.raw, headers={door.header: wrong}).status_code == 401
    assert compared
    assert all(len(one) == len(other) in (20, 32) for one, other in compared)


def test_a_bearer_token_is_compared_with_every_one_that_is_listed(
    sqlite_world: World, compared: list[tuple[bytes, bytes]]
) -> None:
    sqlite_world.deploy(api_token=f"{TOKEN},second,third")
    client = sqlite_world.app.test_client()
    for given in (TOKEN, "third", "none"):
        compared.clear()
        client.get("/api/interviews/x", headers={"Authorization": f"Bearer {given}"})
        assert [one for one, _other in compared] == [TOKEN.encode(), b"second", b"third"]


def test_no_module_that_judges_a_sender_is_left_out() -> None:
    """Whatever verifies something signed imports one of these."""
    signing = re.compile(
        r"^from (?:itsdangerous|canvas_app) import .*(?:URLSafe|Signer|hmacs)|^import hmac", re.MULTILINE
    )
    found = {
        str(path.relative_to(PROJECT_ROOT / "canvas_app"))
        for path in Path(PROJECT_ROOT / "canvas_app").rglob("*.py")
        if signing.search(path.read_text("utf-8"))
    }
    # These make digests of their own for keys in the database, and verify nobody's.
    makers = {"interviews/contacts.py", "interviews/requested.py"}
    assert makers <= found
    assert found - makers <= set(MODULES), "look at it, and add it here"
