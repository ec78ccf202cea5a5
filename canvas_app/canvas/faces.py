"""Which card a request gets. It reads the ledger and writes nothing.

How a card looks, :mod:`canvas_app.canvas.cards` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from canvas_app import gates, store
from canvas_app.canvas import cards, choices, ids, offers, reasons, states, texts
from canvas_app.canvas.card_states import AskedRecently, CardState, Console, NotSetUp
from canvas_app.canvas.kit import Canvas
from canvas_app.canvas.request import CanvasRequest
from canvas_app.console import access
from canvas_app.interviews import card_facts, frequency, hours, ledger, rules, studies, words
from canvas_app.interviews.card_facts import CardFacts
from canvas_app.interviews.ledger_rows import AnInterview, Interview, Shown
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.seen import Person
from canvas_app.interviews.states import HAS_RESULT, OPEN_STATES, REPLACEABLE_STATES
from canvas_app.leases import SILENT_SECONDS
from canvas_app.plaintext import one_line
from canvas_app.web import Web


@dataclass(frozen=True, slots=True)
class Face:
    """A card and what it is drawn with, see :func:`canvas_app.canvas.cards.draw`."""

    state: CardState
    zone: ZoneInfo
    elsewhere: str | None = None
    notice: str | None = None
    # Names the way into the console; None where there is none.
    way_in: str | None = None

    def drawn(self) -> Canvas:
        return cards.draw(
            self.state,
            zone=self.zone,
            elsewhere=self.elsewhere,
            notice=self.notice,
            settings=self.way_in is not None,
            way_in=self.way_in,
        )


@dataclass(frozen=True, slots=True)
class Pick:
    """The study that the next offer is about, by its slug, or else the first one of a page of studies.

    ``word`` is said above that offer.
    """

    study: str | None = None
    page: int | None = None
    word: str | None = None


NO_PICK = Pick()


class Faces:
    """The cards of one request, in one web process."""

    def __init__(self, here: Web, request: CanvasRequest) -> None:
        self._here, self._request = here, request
        self._settings, self._person = here.settings, offers.person(request)

    def current(self, *, about: str | None = None, too_early: bool = False) -> Face:
        """The card as the ledger has it.

        ``about`` names an interview that a tap was about, or that stood in its way. It may be in another
        conversation, and then the one of this conversation would not explain what became of the tap.
        ``too_early``: the tap was, because a call may still be under way.
        """
        facts = self.facts()
        shown = self._as_of(facts.interview, facts)
        if about is not None and (shown is None or shown.state not in OPEN_STATES):
            shown = self._worth_showing(about, shown, facts) or shown
        return self._last(shown, facts, too_early=too_early)

    def another(self, line: str = "", pick: Pick = NO_PICK) -> Face:
        """What the rep gets who wants to send another: the offer, or what stands in the way of it.

        ``line`` is what they have typed already.
        """
        facts = self.facts()
        return self._hindrance(facts, line, pick) or self._offer(facts, line, pick)

    def send_anew(self, line: str, pick: Pick = NO_PICK) -> Face:
        """What the rep gets whose tap on an offer no longer stands: what is in the way of sending, else what
        has become of the contact's last interview, and the offer where there is none."""
        facts = self.facts()
        hindrance = self._hindrance(facts, line, pick)
        if hindrance is not None:
            return hindrance
        return self._last(self._as_of(facts.interview, facts), facts, line, pick)

    def _last(
        self,
        shown: Shown | None,
        facts: CardFacts,
        line: str = "",
        pick: Pick = NO_PICK,
        *,
        too_early: bool = False,
    ) -> Face:
        """What has become of this interview; the offer where there is none, or where nothing was sent."""
        if shown is None or shown.state == "skipped":
            return self._offer(facts, line, pick, not_sent=shown)
        return self._of(shown, facts, too_early=too_early)

    def _hindrance(self, facts: CardFacts, line: str, pick: Pick) -> Face | None:
        """What stands in the way of another interview, None if nothing does."""
        open_one, last = self._in_the_way(facts)
        if open_one is not None:
            return self._of(open_one, facts)
        if last is None:
            return None
        asked_at = frequency.asked_at(last)
        state = AskedRecently(
            contact_name=self._name,
            asked_by=last.asked_by_name,
            asked_at=asked_at,
            again_from=rules.ask_again_from(asked_at, ask_again_days=facts.chosen.ask_again_days),
            elsewhere=not self._is_here(last),
            personal_line=line,
            study=pick.study or "",
        )
        return self._face(state, facts)

    def confirm_send(self, line: str, pick: Pick = NO_PICK) -> Face:
        """Asks once more before another one is sent although something stands in the way of it."""
        facts = self.facts()
        open_one, last = self._in_the_way(facts)
        what = last if open_one is None else open_one
        if what is None:
            return self._offer(facts, line, pick)
        replaces = open_one is not None
        if replaces and (what.state not in REPLACEABLE_STATES or self._is_here(what)):
            return self._of(what, facts)
        offer = self._offered(facts, pick)
        if offer is None:
            return self._nothing_to_offer(facts)
        state = states.confirm_send(
            offer,
            what,
            contact_name=self._name,
            replaces=replaces,
            token=self._bind(what),
            personal_line=line,
        )
        return self._face(state, facts, word=pick.word)

    def confirm_withdraw(self) -> Face:
        """Asks once more before the link of the contact's open interview ends."""
        facts = self.facts()
        open_one, _ = self._in_the_way(facts)
        if open_one is None or open_one.state not in REPLACEABLE_STATES:
            return self.current()
        state = states.confirm_withdraw(open_one, token=self._bind(open_one))
        return self._face(state, facts, self._elsewhere(open_one, facts))

    def console(self) -> Face:
        """The way into the console for the teammate who asks, with a link that was made for this card.

        A tap of long ago, or one that somebody kept, shows what there is once more.
        """
        facts, admin = self.facts(), self._request.admin
        zone = hours.zone_of(facts.timezone)
        if admin is None:
            return Face(Console(url=None, text=texts.NO_CONSOLE_TEAMMATE), zone)
        base = self._settings.public_url
        if base is None or not self._has_console(facts):
            return Face(Console(url=None, text=texts.NO_CONSOLE_WORKSPACE), zone)
        token = self._request.stored_data.get(ids.WAY_IN)
        nonce = offers.way_in(self._settings.secret_key, self._request, token)
        if nonce is None:
            return self.current()
        teammate = Teammate(self._request.workspace_id, admin.id, one_line(admin.name, 120) or None)
        return Face(Console(url=access.make_link(self._settings, base, teammate, nonce)), zone)

    def facts(self) -> CardFacts:
        person = self._person
        return card_facts.read(
            self._here.engine,
            self._settings,
            person.workspace_id,
            person.contact_id,
            self._request.conversation_id,
            token_fingerprint=gates.token_fingerprint(self._settings),
            gate_keys=gates.keys_of(self._settings),
        )

    # What there is

    def _in_the_way(self, facts: CardFacts) -> tuple[Interview | None, Interview | None]:
        """The contact's open interview, and else the last one if it was not long ago."""
        with store.reading(self._here.engine) as connection:
            person = self._person
            found = ledger.open_one(connection, person.workspace_id, person.contact_id)
            open_one = self._as_of(found, facts)
            if open_one is not None and open_one.state in OPEN_STATES:
                return open_one, None
            last = frequency.last_asked(connection, person)
        days = facts.chosen.ask_again_days
        return None, last if frequency.too_early(last, facts.now, ask_again_days=days) else None

    def _worth_showing(self, about: str, rather_than: Shown | None, facts: CardFacts) -> Interview | None:
        """This interview, if it is open, or if it has been answered and that is the latest news."""
        with store.reading(self._here.engine) as connection:
            found = self._as_of(ledger.get(connection, about), facts)
        if found is None or Person(found.workspace_id, found.contact_id) != self._person:
            return None
        latest = rather_than is None or found.state_since > rather_than.state_since
        return found if found.state in OPEN_STATES or (found.state in HAS_RESULT and latest) else None

    def _as_of(self, interview: AnInterview | None, facts: CardFacts) -> AnInterview | None:
        if interview is None:
            return None
        return ledger.as_of(interview, facts.now, open_days=self._settings.open_days)

    # What is drawn

    def _of(self, interview: Shown, facts: CardFacts, *, too_early: bool = False) -> Face:
        state = states.of_interview(
            interview,
            worker_alive=rules.worker_alive(facts.worker_seen_at, facts.now, silent_after=SILENT_SECONDS),
            settings=self._settings,
            min_quality=facts.chosen.min_quality,
            here=self._is_here(interview),
            token=self._bind(interview),
            too_early=too_early,
        )
        return self._face(state, facts, self._elsewhere(interview, facts))

    def _offer(
        self, facts: CardFacts, line: str, pick: Pick = NO_PICK, *, not_sent: Shown | None = None
    ) -> Face:
        """The card from which an interview is sent. ``not_sent`` was asked for, and a limit said no."""
        offer = self._offered(facts, pick)
        if offer is None:
            return self._nothing_to_offer(facts)
        state = states.ready(offer, contact_name=self._name, personal_line=line, not_sent=not_sent)
        return self._face(state, facts, word=pick.word)

    def _offered(self, facts: CardFacts, pick: Pick) -> states.Offer | None:
        askable = choices.askable(facts.studies, facts.used_at)
        study = choices.chosen(askable, pick.study, pick.page)
        if study is None:
            return None
        contact = self._request.contact
        said = words.chosen(study.wording, contact.language if contact else None)
        fingerprint = words.fingerprint(said)
        nonce = offers.new_offer(
            self._settings.secret_key, self._request, facts.newest_id, study=study.slug, words=fingerprint
        )
        return states.Offer(study, said, choices.of(askable, study, pick.page), nonce)

    def _nothing_to_offer(self, facts: CardFacts) -> Face:
        lost = [study.name for study in facts.studies if study.enabled and study.secrets_lost]
        missing = tuple(map(texts.key_lost, lost)) or (texts.NO_STUDY_ON,)
        return self._face(NotSetUp(missing=missing), facts)

    def _face(
        self, state: CardState, facts: CardFacts, elsewhere: str | None = None, *, word: str | None = None
    ) -> Face:
        zone = hours.zone_of(facts.timezone)
        way_in = None
        if self._has_console(facts):
            way_in = offers.new_way_in(self._settings.secret_key, self._request)
        missing = studies.missing_at_all(facts.studies, self._settings)
        if missing:
            return Face(NotSetUp(missing=tuple(missing)), zone, way_in=way_in)
        if facts.token_workspace_id not in (None, self._person.workspace_id):
            return Face(NotSetUp(missing=(reasons.OTHER_WORKSPACE,)), zone)
        return Face(state, zone, elsewhere, word or reasons.in_words(facts.paused), way_in)

    def _has_console(self, facts: CardFacts) -> bool:
        """Whether a link could be made, and Intercom's word is about the workspace that the app works in.

        An app may be installed in several: their teammates are told from each other by the workspace alone.
        """
        settings = self._settings
        ours = facts.token_workspace_id == self._request.workspace_id
        return ours and bool(settings.secret_key) and settings.public_url is not None

    def _bind(self, interview: Shown) -> str:
        return offers.bind(self._settings.secret_key, self._request, interview)

    def _elsewhere(self, interview: Shown, facts: CardFacts) -> str | None:
        zone = hours.zone_of(facts.timezone)
        return states.elsewhere(interview, self._request.conversation_id, zone)

    def _is_here(self, interview: Shown) -> bool:
        return interview.conversation_id == self._request.conversation_id

    @property
    def _name(self) -> str | None:
        return self._request.contact.name if self._request.contact else None
