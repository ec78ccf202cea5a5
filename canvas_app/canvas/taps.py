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
from canvas_app.canvas import ids, offers, texts
from canvas_app.canvas.faces import Face, Faces, Pick
from canvas_app.canvas.offers import Offered
from canvas_app.canvas.request import CanvasRequest
from canvas_app.interviews import frequency, ledger, repair, studies, wording, words
from canvas_app.interviews.ask import Asked, ask
from canvas_app.interviews.ledger import Ask
from canvas_app.interviews.ledger_rows import Shown
from canvas_app.interviews.seen import Person, Seen, seen
from canvas_app.interviews.states import OPEN_STATES, SENDING_STATES
from canvas_app.plaintext import one_line
from canvas_app.settings import Study
from canvas_app.web import Web

# What comes back of a page's number is anybody's; it is counted on, and the pages begin anew after the last.
_MOST_PAGES = 1000


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
            ids.SEND: self._send,
            ids.TRY_AGAIN: self._try_again,
            ids.SEND_AGAIN: lambda: Tapped("shown", self.faces.another),
            ids.SEND_ANYWAY: lambda: Tapped("shown", lambda: self.faces.confirm_send(self._line, self._pick)),
            ids.MORE_STUDIES: self._more_studies,
            ids.SETTINGS: lambda: Tapped("shown", self.faces.console),
            ids.CONFIRM_SEND: self._confirm_send,
            ids.WITHDRAW: lambda: Tapped("shown", self.faces.confirm_withdraw),
            ids.CONFIRM_WITHDRAW: lambda: self._repaired(self._withdraw),
            ids.CANCEL_PLANNED: lambda: self._repaired(self._cancel_planned),
            ids.IT_IS_THERE: lambda: self._repaired(self._it_is_there),
            ids.SEND_AFTER_ALL: lambda: self._repaired(self._send_after_all),
        }

    def _send(self) -> Tapped:
        """A tap on the offer."""
        nonce = self.request.stored_data.get(ids.NONCE)
        if not isinstance(nonce, str) or not nonce:
            # Where stored data does not come back, the one open interview a contact still holds.
            return self._ask_with_choice(None, None, self.faces.another)
        offered = offers.offered(self.here.settings.secret_key, self.request, nonce)
        if offered is None:
            # A tap of long ago, or one that somebody kept: what is there to be sent is shown once more.
            return Tapped("card_too_old", lambda: self.faces.send_anew(self._line, self._pick))
        if not self._still_stands(offered):
            return Tapped("changed", lambda: self.faces.send_anew(self._line, self._pick))
        return self._ask_with_choice(offered.key, offered, self.faces.another)

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
        token = self.request.stored_data.get(ids.TOKEN)
        if token is not None and self._seen != seen(failed):
            return Tapped("changed", self.faces.current, failed.id)
        admin, line = self.request.admin, failed.personal_line or ""
        mine = admin is not None and admin.id == failed.asked_by_id
        if not mine or failed.conversation_id != self.request.conversation_id:
            # Somebody else's words, or words for another conversation: look at them before they go out.
            return Tapped("shown", lambda: self.faces.another(line, Pick(failed.study)))
        study = self._askable(failed.study)
        if study is None:
            return Tapped("study_off", lambda: self.faces.another(line, Pick(word=texts.STUDY_GONE)))
        return self._ask(f"again:{failed.id}", line, study, confirmed_on=self._confirmed_before(failed))

    def _confirmed_before(self, failed: Shown) -> Seen | None:
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
        token = str(self.request.stored_data[ids.TOKEN])
        nonce = self.request.stored_data.get(ids.NONCE)
        offered = offers.offered(self.here.settings.secret_key, self.request, nonce)
        key = offers.key(self.request, token)
        return self._ask_with_choice(key, offered, self.faces.confirm_send, confirmed_on=bound)

    def _more_studies(self) -> Tapped:
        """The next page of studies, on the card that was tapped."""
        page = self.request.stored_data.get(ids.PAGE)
        pick = Pick(page=page + 1 if type(page) is int and 0 <= page < _MOST_PAGES else 1)
        confirms = self.request.stored_data.get(ids.TOKEN) is not None
        draw = self.faces.confirm_send if confirms else self.faces.another
        return Tapped("shown", lambda: draw(self._line, pick))

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

    def _ask_with_choice(
        self,
        key: str | None,
        offered: Offered | None,
        draw_anew: Callable[[str, Pick], Face],
        *,
        confirmed_on: Seen | None = None,
    ) -> Tapped:
        """Ask with the study that was chosen on this card, if it can be, and if its message was shown."""
        line = self._line
        study = self._askable(self._slug or (offered.study if offered else None))
        if study is None:
            return Tapped("study_off", lambda: draw_anew(line, Pick(word=texts.STUDY_GONE)))
        if offered is not None and offered.words not in (None, self._words_of(study)):
            # Another study was chosen, or the words were changed: nothing goes out that was not shown.
            return Tapped("other_words", lambda: draw_anew(line, Pick(study.slug, word=texts.OTHER_WORDS)))
        return self._ask(key, line, study, confirmed_on=confirmed_on)

    def _ask(self, key: str | None, line: str, study: Study, *, confirmed_on: Seen | None = None) -> Tapped:
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
                study=study.slug,
                origin="card",
                request_key=key,
                asked_by_id=admin.id if admin else None,
                asked_by_name=one_line(admin.name if admin else None, 120) or None,
                contact_name=one_line(contact.name if contact else None, 200) or None,
                contact_email=one_line(contact.email if contact else None, 320) or None,
                personal_line=one_line(line, wording.PERSONAL_LINE_LENGTH) or None,
                language=contact.language if contact else None,
                contact_role=one_line(contact.role if contact else None, 16) or None,
                credits=study.cost,
                anyway=confirmed_on is not None,
            ),
            confirmed_on=confirmed_on,
        )
        return Tapped(
            asked.hindrance or "created",
            lambda: self._after(asked, line, study),
            asked.interview.id,
            on_its_way=asked.interview.state in SENDING_STATES,
        )

    def _after(self, asked: Asked, line: str, study: Study) -> Face:
        if asked.hindrance == "asked_recently":
            return self.faces.another(line, Pick(study.slug))
        return self.faces.current(about=None if asked.created else asked.interview.id)

    def _askable(self, slug: str | None) -> Study | None:
        """The study of this name, or the first one where none is named; None if it cannot be asked with."""
        with store.reading(self.here.engine) as connection:
            every = studies.listed(connection, self.here.settings)
        askable = [study for study in every if study.askable and slug in (None, study.slug)]
        return askable[0] if askable else None

    def _words_of(self, study: Study) -> str:
        contact = self.request.contact
        return words.fingerprint(words.chosen(study.wording, contact.language if contact else None))

    @property
    def _slug(self) -> str | None:
        """The study that was chosen on this card, or else on the one before it."""
        for given in (self.request.input_values, self.request.stored_data):
            slug = given.get(ids.STUDY)
            if isinstance(slug, str) and slug:
                return slug
        return None

    @property
    def _pick(self) -> Pick:
        return Pick(self._slug)

    @property
    def _person(self) -> Person:
        return offers.person(self.request)

    @property
    def _seen(self) -> Seen | None:
        token = self.request.stored_data.get(ids.TOKEN)
        return offers.seen_on(self.here.settings.secret_key, self.request, token)

    @property
    def _line(self) -> str:
        """What the rep has typed on this card, or else on the one before it."""
        given = self.request.input_values.get(ids.PERSONAL_LINE)
        if given is None:
            given = self.request.stored_data.get(ids.PERSONAL_LINE)
        return given if isinstance(given, str) else ""
