"""The least that could answer for a card: a Flask view that checks the signature and answers JSON.

Nothing is read of the request, no database is asked, nothing is logged. ``CLIENT_SECRET`` is the secret, and
``CANVAS`` a file with the answer's JSON.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from pathlib import Path

from flask import Flask, Response, jsonify, request


def create_app() -> Flask:
    app = Flask(__name__, static_folder=None)
    secret = os.environ["CLIENT_SECRET"].encode()
    canvas = json.loads(Path(os.environ["CANVAS"]).read_text())

    @app.post("/canvas/initialize")
    def initialize() -> tuple[Response, int]:
        wanted = hmac.new(secret, request.get_data(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted, request.headers.get("X-Body-Signature", "")):
            return jsonify({"error": "signature_wrong"}), 401
        return jsonify(canvas), 200

    return app
