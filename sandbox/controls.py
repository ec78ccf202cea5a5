"""The routes under ``/_sandbox``: by them another process looks at what happened, sets faults, and plays.

What a person can do on the inbox page can be done here too, with JSON both ways. A refused act is a 400 that
says why.

=======  ==========================================  =====================================================
GET      ``/state``                                  everything that happened
GET      ``/faults``                                 also POST and DELETE, see ``faults``
POST     ``/contacts``                               make a customer: ``role``, ``name``, ``email``
PATCH    ``/contacts/<id>``                          what a contact chose for itself, see ``acts.change``
DELETE   ``/contacts/<id>``                          delete it
POST     ``/contacts/<id>/archive``                  archive it
POST     ``/contacts/<id>/merge``                    merge it ``into`` another
POST     ``/contacts/<id>/tags``                     tag it with ``name``
DELETE   ``/contacts/<id>/tags/<name>``              take that tag off
POST     ``/conversations``                          ``contact_id`` writes ``text``
POST     ``/conversations/<id>/say``                 ``text``, by ``contact_id`` or its first contact
POST     ``/conversations/<id>/close``               ``by`` a teammate's id or "bot"
POST     ``/conversations/<id>/rating``              ``score`` and perhaps ``remark``
POST     ``/conversations/<id>/parts/<id>/tags``     tag one message with ``name``
POST     ``/time``                                   let ``days``, ``hours``, ``minutes`` and ``seconds`` pass
POST     ``/ping``                                   what Intercom sends now and then
POST     ``/notifications``                          any ``item`` under any ``topic``
POST     ``/series``                                 ``payload``, by ``method`` PUT or POST
POST     ``/connector``                              ``template`` and ``inputs``; ``outdated`` token first
=======  ==========================================  =====================================================
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, jsonify, request

from sandbox import acts, koji_state
from sandbox.dumping import intercom_dump
from sandbox.state import Contact, Part

if TYPE_CHECKING:
    from sandbox.server import Sandbox
    from sandbox.state import Conversation

Answer = tuple[Response, int]


def blueprint(sandbox: Sandbox) -> Blueprint:
    """Return the routes for one sandbox."""
    routes = Blueprint("controls", __name__, url_prefix="/_sandbox")
    _looking(routes, sandbox)
    _faults(routes, sandbox)
    _contacts(routes, sandbox)
    _conversations(routes, sandbox)
    _time(routes, sandbox)
    _calls(routes, sandbox)

    @routes.errorhandler(acts.ActRefused)
    def refused(error: acts.ActRefused) -> Answer:
        return jsonify(error="refused", message=str(error)), 400

    return routes


def _looking(routes: Blueprint, sandbox: Sandbox) -> None:
    @routes.get("/state")
    def state() -> Response:
        return jsonify(
            intercom=intercom_dump(sandbox.state.intercom, sandbox.notifier),
            koji=koji_state.dump(sandbox.state.koji),
            faults=[fault.document() for fault in sandbox.faults.all()],
        )


def _faults(routes: Blueprint, sandbox: Sandbox) -> None:
    @routes.get("/faults")
    def list_faults() -> Response:
        return jsonify([fault.document() for fault in sandbox.faults.all()])

    @routes.post("/faults")
    def set_fault() -> Answer:
        try:
            fault = sandbox.faults.from_json(request.get_json())
        except (TypeError, ValueError) as error:
            return jsonify(error="fault_malformed", message=str(error)), 400
        return jsonify(fault.document() if fault else {}), 201

    @routes.post("/faults/<int:fault_id>/release")
    def release(fault_id: int) -> Answer:
        for fault in sandbox.faults.all():
            if fault.id == fault_id:
                fault.release.set()
                return jsonify(fault.document()), 200
        return jsonify(error="not_found", message="There is no such fault."), 404

    @routes.delete("/faults")
    def clear() -> tuple[str, int]:
        sandbox.faults.clear()
        return "", 204


def _contacts(routes: Blueprint, sandbox: Sandbox) -> None:
    intercom = sandbox.state.intercom

    def found(contact_id: str) -> Contact:
        contact = intercom.contacts.get(contact_id)
        return contact if contact is not None else abort(404)

    @routes.post("/contacts")
    def make_contact() -> Answer:
        given = _body()
        role = given.pop("role", "user")
        if role not in {"user", "lead"}:
            raise acts.ActRefused("A contact is a user or a lead.")
        with intercom.lock:
            now = int(time.time())
            contact = Contact(f"c{intercom.next_id()}", role, None, None, created_at=now, updated_at=now)
            acts.change(contact, given)
            intercom.contacts[contact.id] = contact
        return jsonify(id=contact.id), 201

    @routes.patch("/contacts/<contact_id>")
    def change_contact(contact_id: str) -> Answer:
        with intercom.lock:
            acts.change(found(contact_id), _body())
        return jsonify(id=contact_id), 200

    @routes.delete("/contacts/<contact_id>")
    def delete_contact(contact_id: str) -> Answer:
        acts.delete(intercom, found(contact_id))
        return jsonify(id=contact_id), 200

    @routes.post("/contacts/<contact_id>/archive")
    def archive_contact(contact_id: str) -> Answer:
        acts.archive(intercom, found(contact_id))
        return jsonify(id=contact_id), 200

    @routes.post("/contacts/<contact_id>/merge")
    def merge_contact(contact_id: str) -> Answer:
        target = found(str(_body().get("into")))
        acts.merge(intercom, found(contact_id), target)
        return jsonify(id=target.id), 200

    @routes.post("/contacts/<contact_id>/tags")
    def tag_contact(contact_id: str) -> Answer:
        name = str(_body().get("name", ""))
        tag_id = acts.tag_contact(intercom, found(contact_id), name, by=sandbox.inbox.viewer.id)
        return jsonify(id=tag_id), 200

    @routes.delete("/contacts/<contact_id>/tags/<name>")
    def untag_contact(contact_id: str, name: str) -> Answer:
        tag_id = intercom.ensure_tag(name)
        acts.untag_contact(intercom, found(contact_id), tag_id)
        return jsonify(id=tag_id), 200


def _conversations(routes: Blueprint, sandbox: Sandbox) -> None:
    intercom = sandbox.state.intercom

    def found(conversation_id: str) -> Conversation:
        conversation = intercom.conversations.get(conversation_id)
        return conversation if conversation is not None else abort(404)

    def speaker(conversation: Conversation, given: dict[str, Any]) -> Contact:
        contact_id = given.get("contact_id", conversation.contact_ids[0])
        if contact_id not in conversation.contact_ids:
            raise acts.ActRefused("This contact takes no part in the conversation.")
        return intercom.contacts[contact_id]

    @routes.post("/conversations")
    def make_conversation() -> Answer:
        given = _body()
        contact = intercom.contacts.get(str(given.get("contact_id")))
        if contact is None or not contact.lives:
            raise acts.ActRefused("There is no such contact.")
        with intercom.lock:
            body, now = acts.as_html(str(given.get("text", ""))), int(time.time())
            said = Part(intercom.next_id(), "conversation", body, contact.role, contact.id, now, "open")
            conversation = intercom.add_conversation([contact.id], said)
        return jsonify(id=conversation.id), 201

    @routes.post("/conversations/<conversation_id>/say")
    def say(conversation_id: str) -> Answer:
        conversation, given = found(conversation_id), _body()
        part = acts.say(intercom, conversation, speaker(conversation, given), str(given.get("text", "")))
        return jsonify(id=part.id), 200

    @routes.post("/conversations/<conversation_id>/close")
    def close(conversation_id: str) -> Answer:
        by = str(_body().get("by", sandbox.inbox.viewer.id))
        return jsonify(id=acts.close(intercom, found(conversation_id), by=by).id), 200

    @routes.post("/conversations/<conversation_id>/rating")
    def rate(conversation_id: str) -> Answer:
        conversation, given = found(conversation_id), _body()
        score, remark = given.get("score"), given.get("remark")
        if not isinstance(score, int) or not isinstance(remark, str | None):
            raise acts.ActRefused("score is a whole number from 1 to 5, remark is a text.")
        acts.rate(intercom, conversation, speaker(conversation, given), score, remark)
        return jsonify(id=conversation_id), 200

    @routes.post("/conversations/<conversation_id>/parts/<part_id>/tags")
    def tag_part(conversation_id: str, part_id: str) -> Answer:
        name = str(_body().get("name", ""))
        tag_id = acts.tag_part(intercom, found(conversation_id), part_id, name, by=sandbox.inbox.viewer.id)
        return jsonify(id=tag_id), 200


def _time(routes: Blueprint, sandbox: Sandbox) -> None:
    @routes.post("/time")
    def let_time_pass() -> Answer:
        given = _body()
        units = {"days", "hours", "minutes", "seconds"}
        if not given.keys() <= units or not all(type(number) is int for number in given.values()):
            raise acts.ActRefused("days, hours, minutes and seconds are whole numbers.")
        try:
            span = timedelta(**given)
        except OverflowError as error:
            raise acts.ActRefused("That is too long.") from error
        sandbox.clock.let_pass(span)
        return jsonify(seconds=int(span.total_seconds())), 200


def _calls(routes: Blueprint, sandbox: Sandbox) -> None:
    @routes.post("/ping")
    def ping() -> Answer:
        sandbox.notifier.ping()
        return jsonify(topic="ping"), 202

    @routes.post("/notifications")
    def notify() -> Answer:
        given = _body()
        topic, item = given.get("topic"), given.get("item")
        if not isinstance(topic, str) or not isinstance(item, dict):
            raise acts.ActRefused("topic is a text, item an object.")
        sandbox.notifier.send(topic, item, about=str(item.get("id", topic)))
        return jsonify(topic=topic), 202

    @routes.post("/series")
    def series() -> Answer:
        given = _body()
        payload = given.get("payload")
        if not isinstance(payload, dict):
            raise acts.ActRefused("payload is an object.")
        answer = sandbox.caller.series_step(payload, method=given.get("method", "PUT"))
        return jsonify(answer.document()), 200

    @routes.post("/connector")
    def connector() -> Answer:
        given = _body()
        inputs = {str(name): str(value) for name, value in dict(given.get("inputs") or {}).items()}
        outdated = bool(given.get("outdated", False))
        answer = sandbox.caller.connector(str(given.get("template", "")), inputs, outdated=outdated)
        return jsonify(answer.document()), 200


def _body() -> dict[str, Any]:
    given = request.get_json(silent=True)
    if given is None and not request.get_data():
        return {}
    if not isinstance(given, dict):
        raise acts.ActRefused("The body is not a JSON object.")
    return given
