"""Hold a stand-in's answers against Intercom's own API description.

See :mod:`tests.support.intercom_contract`. openapi-core checks answers too, but takes ``nullable`` beside a
``$ref`` for nothing, and names no place. So the schemas are turned into JSON Schema here, where a null is
allowed wherever the description says so.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # Its types are not installed.

from tests.support.intercom_contract import contract

if TYPE_CHECKING:
    import httpx

# Where Intercom answers null though its description names a type without it, as real workspaces were seen to.
_NULL_ALL_THE_SAME = frozenset([("contact", "email")])


def check(response: httpx.Response) -> None:
    """AssertionError that says where an answer is not as the description has it."""
    request = response.request
    operation = contract().operation(request.method.lower(), request.url.path)
    where = f"{request.method} {request.url.path} -> {response.status_code}"
    assert operation is not None, f"{where}: the description has no such call"
    declared = operation["responses"].get(str(response.status_code))
    assert declared is not None, f"{where}: the description knows no such status"
    schema = declared["content"]["application/json"]["schema"]
    problems = [
        f"{'.'.join(str(step) for step in error.absolute_path) or 'the answer'}: {error.message}"
        for error in Draft202012Validator({**_definitions(), **_translated(schema, "")}).iter_errors(
            json.loads(response.read())
        )
    ]
    assert not problems, f"{where}: {'; '.join(problems)}"


@functools.cache
def _definitions() -> dict[str, Any]:
    schemas = contract().document["components"]["schemas"]
    return {"$defs": {name: _translated(schema, name) for name, schema in schemas.items()}}


def _translated(schema: Any, name: str) -> Any:
    """An OpenAPI 3.0 schema as JSON Schema; ``name`` is that of the component it is."""
    if isinstance(schema, list):
        return [_translated(item, "") for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: _translated(value, "")
        for key, value in schema.items()
        if key not in {"example", "examples", "nullable", "properties", "discriminator", "xml"}
    }
    if "properties" in schema:
        made["properties"] = {
            key: _or_null(_translated(value, ""), (name, key) in _NULL_ALL_THE_SAME)
            for key, value in schema["properties"].items()
        }
    if "$ref" in made:
        made = {"$ref": re.sub("^#/components/schemas/", "#/$defs/", made["$ref"])}
    return _or_null(made, bool(schema.get("nullable")))


def _or_null(schema: Any, nullable: bool) -> Any:
    return {"anyOf": [{"type": "null"}, schema]} if nullable else schema
