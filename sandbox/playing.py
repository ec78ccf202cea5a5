"""The controls of the inbox page, by which a person plays the teammate, the customer and the workspace.

Each is a plain form. Without scripts it ends on the page again. The page's script asks for
``X-Fragment: act`` and gets JSON: ``notice`` (what to tell), ``calls`` (that part of the page anew) and
``moved`` (where to go).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request, url_for

from sandbox import acts, board, inbox, outgoing
from sandbox.clock import SPANS

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from werkzeug.wrappers import Response as AnyResponse

    from sandbox.clock import Clock
    from sandbox.state import Contact, Conversation, IntercomState

routes = Blueprint("play", __name__)
MAIL = ("unsubscribed_from_emails", "marked_email_as_spam")


def register(app: Flask, caller: outgoing.Caller, clock: Clock) -> None:
    """Add the controls to ``app``, which has the inbox page already."""
    app.extensions["clock"] = clock
    app.jinja_env.globals["spans"] = tuple(SPANS) if clock.moves else ()
    board.register(app, caller)
    app.register_blueprint(routes)


def _act(
    conversation_id: str,
    do: Callable[[IntercomState, Conversation, Contact], str | None],
    *,
    anew: bool = False,
) -> AnyResponse | tuple[str, int]:
    """Do something and show the page again; ``do`` returns the name of the call that it made, if any.

    ``anew``: the conversation is opened anew then, as a teammate does, and the card is asked for.
    """
    conversation, contact = inbox.find(conversation_id)
    state: IntercomState = current_app.extensions["intercom_state"]
    scripted = request.headers.get("X-Fragment") == "act"
    try:
        called = do(state, conversation, contact)
    except acts.ActRefused as refused:
        if scripted:
            return jsonify(notice=str(refused))
        return inbox.page(conversation, contact, kept=True, notice=str(refused)), 400
    chosen = contact.merged_into or contact.id
    anew = anew or contact.merged_into is not None
    kept = None if anew else 1
    address = url_for("inbox.show", conversation_id=conversation.id, contact=chosen, kept=kept)
    if not scripted:
        return redirect(address + ("#calls" if called else ""), 303)
    if called:
        scene = {"conversation": conversation, "contact": contact}
        drawn = render_template("calls.html", **scene, **board.scene(conversation, contact))
        return jsonify(notice=None, calls=drawn)
    return jsonify(notice=None, moved=address if anew else None)


def _viewer() -> str:
    caller: inbox.CanvasCaller = current_app.extensions["canvas_caller"]
    return caller.viewer.id


@routes.post("/inbox/<conversation_id>/close")
def close(conversation_id: str) -> Any:
    """Close the conversation, as the teammate who looks at it or as the bot."""
    by = "bot" if request.form.get("by") == "bot" else _viewer()
    return _act(conversation_id, lambda state, conversation, _: _none(acts.close(state, conversation, by=by)))


@routes.post("/inbox/<conversation_id>/say")
def say(conversation_id: str) -> Any:
    """Let the customer write."""
    text = request.form.get("text", "")
    return _act(
        conversation_id,
        lambda state, conversation, contact: _none(acts.say(state, conversation, contact, text)),
    )


@routes.post("/inbox/<conversation_id>/rating")
def rate(conversation_id: str) -> Any:
    """Let the customer rate the conversation."""
    given, remark = request.form.get("score", ""), request.form.get("remark")
    score = int(given) if given in {"1", "2", "3", "4", "5"} else 0
    return _act(
        conversation_id,
        lambda state, conversation, contact: _none(acts.rate(state, conversation, contact, score, remark)),
    )


@routes.post("/inbox/<conversation_id>/parts/<part_id>/tags")
def tag_part(conversation_id: str, part_id: str) -> Any:
    """Tag a message."""
    name = request.form.get("name", "")
    return _act(
        conversation_id,
        lambda state, conversation, _: _none(acts.tag_part(state, conversation, part_id, name, by=_viewer())),
    )


@routes.post("/inbox/<conversation_id>/contact/tags")
def tag_contact(conversation_id: str) -> Any:
    """Tag the contact."""
    name = request.form.get("name", "")
    return _act(
        conversation_id,
        lambda state, _, contact: _none(acts.tag_contact(state, contact, name, by=_viewer())),
    )


@routes.post("/inbox/<conversation_id>/contact/tags/<tag_id>/remove")
def untag_contact(conversation_id: str, tag_id: str) -> Any:
    """Take a tag off the contact."""
    return _act(conversation_id, lambda state, _, contact: acts.untag_contact(state, contact, tag_id))


@routes.post("/inbox/<conversation_id>/contact/mail")
def change_mail(conversation_id: str) -> Any:
    """Let the contact not want e-mails, or call them spam; or take either back."""
    fields = {name: request.form[name] == "yes" for name in MAIL if name in request.form}
    return _act(conversation_id, lambda _, __, contact: acts.change(contact, fields))


@routes.post("/inbox/<conversation_id>/contact/merge")
def merge(conversation_id: str) -> Any:
    """Merge the contact into another one."""

    def do(state: IntercomState, _: Conversation, contact: Contact) -> None:
        target = state.contacts.get(request.form.get("into", ""))
        if target is None:
            raise acts.ActRefused("Choose the contact to merge into.")
        acts.merge(state, contact, target)

    return _act(conversation_id, do)


@routes.post("/inbox/<conversation_id>/contact/archive")
def archive(conversation_id: str) -> Any:
    """Archive the contact."""
    return _act(conversation_id, lambda state, _, contact: acts.archive(state, contact))


@routes.post("/inbox/<conversation_id>/contact/delete")
def delete(conversation_id: str) -> Any:
    """Delete the contact for good."""
    return _act(conversation_id, lambda state, _, contact: acts.delete(state, contact))


@routes.post("/inbox/<conversation_id>/time")
def let_time_pass(conversation_id: str) -> Any:
    """Let time pass, for everybody."""
    clock: Clock = current_app.extensions["clock"]
    span = SPANS.get(request.form.get("span", ""))

    def do(_: IntercomState, __: Conversation, ___: Contact) -> None:
        if span is None:
            raise acts.ActRefused("Choose how much time is to pass.")
        clock.let_pass(span)

    return _act(conversation_id, do, anew=True)


@routes.post("/inbox/<conversation_id>/series")
def series(conversation_id: str) -> Any:
    """Run a Series step for the contact."""
    extra = {name: request.form.get(name, "").strip() for name in ("deliver", "study")}
    method: Literal["PUT", "POST"] = "POST" if request.form.get("method") == "POST" else "PUT"

    def do(_: IntercomState, conversation: Conversation, contact: Contact) -> str:
        answer = board.caller().series_step(outgoing.contact_payload(contact, extra), method=method)
        board.keep(conversation, contact, board.Called("series", dict(request.form), answer))
        return "series"

    return _act(conversation_id, do)


@routes.post("/inbox/<conversation_id>/connector")
def connector(conversation_id: str) -> Any:
    """Run a data connector in this conversation."""
    template, outdated = request.form.get("template", ""), "outdated" in request.form

    def do(_: IntercomState, conversation: Conversation, contact: Contact) -> str:
        inputs = outgoing.connector_inputs(conversation, contact)
        answer = board.caller().connector(template, inputs, outdated=outdated)
        board.keep(conversation, contact, board.Called("connector", dict(request.form), answer))
        return "connector"

    return _act(conversation_id, do)


@routes.after_request
def confine(response: Response) -> Response:
    """Keep the page to its own files here, too."""
    return inbox.confine(response)


def _none(_: object) -> None:
    """Say that an act made no call."""
