"""What a tap does. Whatever it is, it ends with a card; some taps change the ledger before.

A tap that changes something is bound to the card that it was made on, see :mod:`canvas_app.canvas.offers`:
where the ledger says something else by now, or the card is older than a day, the card is drawn anew and that
is all. How stored data comes back, Intercom documents vaguely. Where it does not, only a plain "Send" and
"Try again" do what they say; they can harm nobody, because a contact has one open interview at most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from canvas_app import store
from canvas_app.canvas import cards, offers
from canvas_app.canvas.faces import Face, Faces
from canvas_app.canvas.offers import Offered
from canvas_app.canvas.request import CanvasRequest
from canvas_app.interviews import frequency, ledger, repair, wording
from canvas_app.interviews.ask import Asked, ask
from canvas_app.interviews.ledger import Ask, Interview
from canvas_app.interviews.seen import Person, Seen, seen
from canvas_app.interviews.states import OPEN_STATES, SENDING_STATES
from canvas_app.plaintext import one_line
from canvas_app.web import Web


@dataclass(frozen=True, slots=True)
class Tapped:
    """``effect`` is what the tap did, as a code for the log. ``face`` reads the card that comes next; where
    ``on_its_way`` says so, the interview is worth a moment's waiting before."""

    effect: str
    face: Callable[[], Face]
    interview_id: str | None = None
    on_its_way: bool = False


def take(here: Web, request: CanvasRequest) -> Tapped:
    """Do what the tapped component stands for; an unknown one only draws the card."""
    tap = _Tap(here, request)
    does = tap.ways().get(request.component_id or "")
    return does() if does else Tapped("shown", tap.faces.current)


class _Tap:
    def __init__(self, here: Web, request: CanvasRequest) -> None:
        self.here, self.request = here, request
        self.faces = Faces(here, request)

    def ways(self) -> dict[str, Callable[[], Tapped]]:
        return {
            cards.SEND: self._send,
            cards.TRY_AGAIN: self._try_again,
            cards.SEND_AGAIN: lambda: Tapped("shown", self.faces.another),
            cards.SEND_ANYWAY: lambda: Tapped("shown", lambda: self.faces.confirm_send(self._line)),
            cards.CONFIRM_SEND: self._confirm_send,
            cards.WITHDRAW: lambda: Tapped("shown", self.faces.confirm_withdraw),
            cards.CONFIRM_WITHDRAW: lambda: self._repaired(self._withdraw),
            cards.CANCEL_PLANNED: lambda: self._repaired(self._cancel_planned),
            cards.IT_IS_THERE: lambda: self._repaired(self._it_is_there),
            cards.SEND_AFTER_ALL: lambda: self._repaired(self._send_after_all),
        }

    def _send(self) -> Tapped:
        """A tap on the offer."""
        nonce = self.request.stored_data.get(cards.NONCE)
        if not isinstance(nonce, str) or not nonce:
            # Where stored data does not come back, the one open interview a contact still holds.
            return self._ask(None, self._line)
        offered = offers.offered(self.here.settings.secret_key, self.request, nonce)
        if offered is None:
            # A tap of long ago, or one that somebody kept: what is there to be sent is shown once more.
            return Tapped("card_too_old", lambda: self.faces.send_anew(self._line))
        if not self._still_stands(offered):
            return Tapped("changed", lambda: self.faces.send_anew(self._line))
        return self._ask(offered.key, self._line)

    def _still_stands(self, offered: Offered) -> bool:
        """Whether the contact has no newer interview than when the offer was drawn, but for the one that this
        very offer has made."""
        person = self._person
        with store.reading(self.here.engine) as connection:
            newest = ledger.newest_of(connection, person.workspace_id, person.contact_id)
        if newest is None:
            return offered.newest_id is None
        return newest.id == offered.newest_id or newest.request_key == offered.key

    def _try_again(self) -> Tapped:
        """The same message once more, if it is still true that nothing has gone out."""
        failed = self.faces.facts().interview
        if failed is None or failed.state != "failed" or failed.result is not None:
            return Tapped("shown", self.faces.current)
        token = self.request.stored_data.get(cards.TOKEN)
        if token is not None and self._seen != seen(failed):
            return Tapped("changed", self.faces.current, failed.id)
        admin, line = self.request.admin, failed.personal_line or ""
        mine = admin is not None and admin.id == failed.asked_by_id
        if not mine or failed.conversation_id != self.request.conversation_id:
            # Somebody else's words, or words for another conversation: look at them before they go out.
            return Tapped("shown", lambda: self.faces.another(line))
        return self._ask(f"again:{failed.id}", line, confirmed_on=self._confirmed_before(failed))

    def _confirmed_before(self, failed: Interview) -> Seen | None:
        """What stood in the way of the failed one already: the word that was given then holds while nobody
        has been asked since."""
        with store.reading(self.here.engine) as connection:
            last = frequency.last_asked(connection, self._person)
        if last is None or last.state in OPEN_STATES or frequency.asked_at(last) >= failed.created_at:
            return None
        if last.result is not None and last.state_since >= failed.created_at:
            # They have answered since, which nobody knew when the word was given.
            return None
        return seen(last)

    def _confirm_send(self) -> Tapped:
        """The second tap of somebody who wants to send another one all the same."""
        bound = self._seen
        if bound is None:
            return Tapped("not_bound", self.faces.current)
        token = str(self.request.stored_data[cards.TOKEN])
        return self._ask(offers.key(self.request, token), self._line, confirmed_on=bound)

    def _repaired(self, act: Callable[[Seen], repair.Effect]) -> Tapped:
        bound = self._seen
        if bound is None:
            return Tapped("not_bound", self.faces.current)
        effect, about = act(bound), bound.interview_id
        face = lambda: self.faces.current(about=about, too_early=effect == "too_early")  # noqa: E731
        return Tapped(effect, face, about, on_its_way=effect == "queued")

    def _withdraw(self, bound: Seen) -> repair.Effect:
        here = self.here
        return repair.withdraw(here.engine, here.jobs, here.settings, self._person, bound)

    def _cancel_planned(self, bound: Seen) -> repair.Effect:
        return repair.cancel_planned(self.here.engine, self.here.settings, self._person, bound)

    def _it_is_there(self, bound: Seen) -> repair.Effect:
        here, conversation_id = self.here, self.request.conversation_id
        return repair.it_is_there(
            here.engine, here.settings, self._person, bound, conversation_id=conversation_id
        )

    def _send_after_all(self, bound: Seen) -> repair.Effect:
        here, conversation_id = self.here, self.request.conversation_id
        return repair.send_after_all(
            here.engine, here.jobs, here.settings, self._person, bound, conversation_id=conversation_id
        )

    def _ask(self, key: str | None, line: str, *, confirmed_on: Seen | None = None) -> Tapped:
        """The ledger row and its job."""
        here, admin = self.here, self.request.admin
        contact = self.request.contact
        asked = ask(
            here.engine,
            here.jobs,
            here.settings,
            Ask(
                workspace_id=self._person.workspace_id,
                contact_id=self._person.contact_id,
                conversation_id=self.request.conversation_id,
                study=here.settings.default_study.slug,
                origin="card",
                request_key=key,
                asked_by_id=admin.id if admin else None,
                asked_by_name=one_line(admin.name if admin else None, 120) or None,
                contact_name=one_line(contact.name if contact else None, 200) or None,
                contact_email=one_line(contact.email if contact else None, 320) or None,
                personal_line=one_line(line, wording.PERSONAL_LINE_LENGTH) or None,
                anyway=confirmed_on is not None,
            ),
            confirmed_on=confirmed_on,
        )
        return Tapped(
            asked.hindrance or "created",
            lambda: self._after(asked, line),
            asked.interview.id,
            on_its_way=asked.interview.state in SENDING_STATES,
        )

    def _after(self, asked: Asked, line: str) -> Face:
        if asked.hindrance == "asked_recently":
            return self.faces.another(line)
        return self.faces.current(about=None if asked.created else asked.interview.id)

    @property
    def _person(self) -> Person:
        return offers.person(self.request)

    @property
    def _seen(self) -> Seen | None:
        token = self.request.stored_data.get(cards.TOKEN)
        return offers.seen_on(self.here.settings.secret_key, self.request, token)

    @property
    def _line(self) -> str:
        """What the rep has typed on this card, or else on the one before it."""
        given = self.request.input_values.get(cards.PERSONAL_LINE)
        if given is None:
            given = self.request.stored_data.get(cards.PERSONAL_LINE)
        return given if isinstance(given, str) else ""
