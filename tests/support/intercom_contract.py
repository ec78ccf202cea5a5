"""Hold outgoing calls against Intercom's own API description, https://github.com/intercom/Intercom-OpenAPI.

The description lies in ``../shared/intercom-openapi`` seen from the project's root, or in the folder that
the environment variable ``INTERCOM_OPENAPI`` names. It is not part of this project: without it the tests that
need it are skipped.
"""

from __future__ import annotations

import functools
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers, ImmutableMultiDict

FILE = "api.intercom.io.yaml"
_ROOT = Path(__file__).resolve().parents[2]
_SERVER = "https://api.intercom.io"


def contract() -> IntercomContract:
    """The contract; skips the test when the description is not there."""
    found = contract_if_there()
    if found is None:
        pytest.skip(f"Intercom's API description is not here; set INTERCOM_OPENAPI to the folder of {FILE}")
    return found


def contract_if_there() -> IntercomContract | None:
    """The contract, or None when the description is not there."""
    folder = Path(os.environ.get("INTERCOM_OPENAPI") or _ROOT.parent / "shared" / "intercom-openapi")
    return IntercomContract(folder / FILE) if (folder / FILE).is_file() else None


class CheckedTransport(httpx.BaseTransport):
    """Passes requests on, those to Intercom only if its description allows them, where it is there."""

    def __init__(self, inner: httpx.BaseTransport, host: str) -> None:
        self._inner = inner
        self._host = host
        self._contract = contract_if_there()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._contract is not None and request.url.host == self._host:
            self._contract.validate(request)
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


@functools.cache
def _load(path: Path) -> tuple[dict[str, Any], OpenAPI]:
    # Reading the file takes seconds, so once a process. The C loader is there wherever PyYAML has a wheel.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document: dict[str, Any] = yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506 - both are safe loaders.
    # Two operations that nobody here calls leave a path parameter undeclared, so the document itself is not
    # checked.
    return document, OpenAPI.from_dict(document, config=Config(spec_validator_cls=None))


@dataclass
class _Request:
    """An httpx request in the form that openapi-core asks for."""

    host_url: str
    path: str
    method: str
    parameters: RequestParameters
    content_type: str
    body: bytes | None


class IntercomContract:
    """What Intercom's description allows."""

    def __init__(self, path: Path) -> None:
        self.document, self._openapi = _load(path)

    def validate(self, request: httpx.Request) -> None:
        """Raises AssertionError that says what is wrong with a request to Intercom.

        The host is not looked at. Keys at the top of the body that the description does not know are refused
        too: openapi-core lets them pass, and a misspelt optional key would be lost in silence.
        """
        body = request.read()
        where = f"{request.method} {request.url.path}"
        operation = self.operation(request.method.lower(), request.url.path)
        assert operation is not None, f"{where}: the description has no such call"
        try:
            self._openapi.validate_request(
                _Request(
                    host_url=_SERVER,
                    path=request.url.path,
                    method=request.method.lower(),
                    parameters=RequestParameters(
                        query=ImmutableMultiDict(request.url.params.multi_items()),
                        header=Headers(list(request.headers.items())),
                    ),
                    content_type=request.headers.get("Content-Type", "application/json"),
                    body=body or None,
                )
            )
        except OpenAPIError as error:
            raise AssertionError(f"{where}: {_explain(error)}") from error
        declared = {parameter["name"] for parameter in operation.get("parameters", [])}
        undeclared = set(request.url.params) - declared
        assert not undeclared, f"{where}: the description knows no query parameter {sorted(undeclared)}"
        self._check_keys(where, operation, body)

    def _check_keys(self, where: str, operation: dict[str, Any], body: bytes) -> None:
        content = operation.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        if schema is None:
            assert not body, f"{where}: the description knows no body for this call"
            return
        sent = set(json.loads(body)) if body else set()
        forms = [form for form in self._forms(schema) if form]
        best = min((sent - form for form in forms), key=len, default=set())
        assert not best, f"{where}: the description knows no key {sorted(best)}"

    def _forms(self, schema: dict[str, Any]) -> list[frozenset[str]]:
        """The key sets of every form that a body may take, with references and alternatives resolved."""
        while "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            schema = self.document["components"]["schemas"][name]
        forms = [frozenset(schema.get("properties", {}))]
        for part in schema.get("allOf", []):
            forms = [one | other for one in forms for other in self._forms(part)]
        alternatives = [*schema.get("oneOf", []), *schema.get("anyOf", [])]
        if alternatives:
            others = [form for alternative in alternatives for form in self._forms(alternative)]
            forms = [one | other for one in forms for other in others]
        return forms

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """What the description says of this call; ``method`` is in lower case."""
        # Paths without placeholders come first: /contacts/search is not the contact named "search".
        for template in sorted(self.document["paths"], key=lambda text: text.count("{")):
            pattern = re.sub(r"\\\{[^/]+?\\\}", "[^/]+", re.escape(template))
            operations = self.document["paths"][template]
            if method in operations and re.fullmatch(pattern, path):
                found: dict[str, Any] = operations[method]
                return found
        return None


def _explain(error: BaseException) -> str:
    """The whole chain of reasons: the outermost error of openapi-core only says that something is wrong."""
    texts: list[str] = []
    current: BaseException | None = error
    while current is not None:
        texts.append(str(current))
        for item in getattr(current, "schema_errors", ()):
            texts += _reasons(item)
        current = current.__cause__
    return ": ".join(dict.fromkeys(text for text in texts if text))


def _reasons(error: Any) -> list[str]:
    """A schema error's text, and below "not valid under any of the given schemas" why not under each."""
    return [error.message, *(text for inner in error.context or () for text in _reasons(inner))]
