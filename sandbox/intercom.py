"""The stand-in for Intercom's REST API, version 2.16: its parts put together, and the workspace itself.

https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, jsonify

from sandbox import documents, rest, rest_contacts, rest_conversations
from sandbox.refusals import Refusal

if TYPE_CHECKING:
    from flask import Flask

    from sandbox.state import IntercomState

routes = Blueprint("workspace", __name__)


@routes.get("/me")
def get_me() -> Response:
    """Identify the token's own admin."""
    state = rest.workspace()
    with state.lock:
        return jsonify(documents.me(state))


@routes.get("/admins")
def list_admins() -> Response:
    """List the teammates."""
    state = rest.workspace()
    with state.lock:
        admins = [documents.admin(found) for found in state.admins.values()]
    return jsonify({"type": "admin.list", "admins": admins})


@routes.get("/admins/<admin_id>")
def get_admin(admin_id: str) -> Response:
    """Return one teammate."""
    state = rest.workspace()
    with state.lock:
        found = state.admins.get(admin_id)
        if found is None:
            raise Refusal(404, "admin_not_found", "Admin not found")
        return jsonify(documents.admin(found))


for part in (routes, rest_contacts.routes, rest_conversations.routes):
    rest.api.register_blueprint(part)


def register(app: Flask, state: IntercomState, access_token: str) -> None:
    """Add the REST API of one workspace to ``app``."""
    app.extensions["intercom_state"] = state
    app.config["ACCESS_TOKEN"] = access_token
    app.register_blueprint(rest.api)
