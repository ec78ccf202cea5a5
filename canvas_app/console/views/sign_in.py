"""Signing in with a one-time link, and out again."""

from __future__ import annotations

from flask import Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from canvas_app import store, web
from canvas_app.console import access
from canvas_app.console.door import blueprint, show

_TOO_OLD = (
    "This link does not work any more",
    "It works once, and for ten minutes. Get a new one: tap Settings on the card in Intercom's inbox.",
)


@blueprint.get("/sign-in")
def sign_in() -> Response:
    """Ask for one tap: a program that looks at links must not use one up."""
    token = request.args.get("token")
    if token is None:
        return show("sign_in.html", command="python -m canvas_app console-link")
    said = access.read_link(web.current().settings, token)
    if said is None:
        return _refused()
    return show("use_link.html", token=token, teammate=said.teammate)


@blueprint.post("/sign-in")
def use_link() -> BaseResponse:
    here = web.current()
    said = access.read_link(here.settings, request.form.get("token", ""))
    if said is None:
        return _refused()
    with store.writing(here.engine) as connection:
        epoch = access.use_link(connection, said)
    if epoch is None:
        return _refused()
    access.begin_session(said.teammate, epoch)
    return redirect(url_for("console.overview"))


@blueprint.post("/sign-out")
def sign_out() -> BaseResponse:
    access.end_session()
    return redirect(url_for("console.sign_in"))


def _refused() -> Response:
    """Raises TooManyRefused where the address has tried too many."""
    web.check_stranger()
    title, text = _TOO_OLD
    return show("message.html", 403, title=title, text=text)
