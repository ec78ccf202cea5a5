"""The workspace one finds at the start: two teammates and four short conversations.

One contact has a hostile name, one is a lead without an address, one conversation has two participants, and
one contact was merged into another.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from sandbox.state import Admin, Company, Contact, Conversation, Part

if TYPE_CHECKING:
    from sandbox.state import IntercomState

ADA = "991"
"""The teammate who looks at the inbox."""

OWN_ADMIN = "990"
"""The teammate whose access token the application uses."""

MARTA = "66a1f0c0d1b2a3948576e001"
HOSTILE = "66a1f0c0d1b2a3948576e002"
LEAD = "66a1f0c0d1b2a3948576e003"
PRIYA = "66a1f0c0d1b2a3948576e004"
TOM = "66a1f0c0d1b2a3948576e005"
MERGED = "66a1f0c0d1b2a3948576e0ff"

NORTHWIND = "66b0c4d5e6f7a8b9c0d1e201"
LUMEN = "66b0c4d5e6f7a8b9c0d1e202"

MARTAS_CONVERSATION = "1001"
HOSTILE_CONVERSATION = "1002"
GROUP_CONVERSATION = "1003"
LEADS_CONVERSATION = "1004"

Line = tuple[str, str, int]
"""Who says it (a contact's or an admin's id), the HTML, and how many minutes ago."""


CONVERSATIONS: list[tuple[list[str], list[Line]]] = [
    (
        [MARTA],
        [
            (
                MARTA,
                "<p>Hi! The CSV export is stuck at 80% since this morning. Our board meets at 3.</p>",
                95,
            ),
            (
                ADA,
                "<p>Hi Marta, sorry! One row has a date we did not expect. I restarted it without.</p>",
                88,
            ),
            (MARTA, "<p>It worked, thank you! I was about to rebuild the whole sheet by hand.</p>", 70),
            (ADA, "<p>Glad it is there in time. Good luck at three!</p>", 68),
        ],
    ),
    (
        [HOSTILE],
        [
            (HOSTILE, "<p>Your form will not accept my name. Can you <b>please</b> look at it?</p>", 180),
            (ADA, "<p>That is an unusual name. We have changed the form, would you try again?</p>", 171),
            (HOSTILE, "<p>Works now.</p><script>alert(2)</script>", 160),
        ],
    ),
    (
        [PRIYA, TOM],
        [
            (
                PRIYA,
                "<p>We were charged twice for October, 1182 and 1183. I am adding Tom (finance).</p>",
                300,
            ),
            (TOM, "<p>Hello, I need a credit note before Friday, please.</p>", 290),
            (ADA, "<p>You are right. The credit note is on its way to both of you.</p>", 262),
        ],
    ),
    (
        [LEAD],
        [
            (LEAD, "<p>Do you have a plan for non-profits?</p>", 42),
            (ADA, "<p>We do, at half the price. Shall I send you the details?</p>", 37),
        ],
    ),
]


def plant(state: IntercomState) -> None:
    """Fill an empty workspace."""
    now = int(time.time())
    state.own_admin_id = OWN_ADMIN
    for admin in (
        Admin(OWN_ADMIN, "Sam Okafor", "sam@sandbox.example"),
        Admin(ADA, "Ada Byrne", "ada@sandbox.example"),
    ):
        state.admins[admin.id] = admin
    for contact in (
        Contact(MARTA, "user", "Marta Lindqvist", "marta@northwind.example", "cust_2041"),
        Contact(HOSTILE, "user", '<script>alert(1)</script> & "Bob"', "bob@tables.example", "cust_2042"),
        Contact(LEAD, "lead", "Curious Visitor", None),
        Contact(PRIYA, "user", "Priya Raman", "priya@lumen.example", "cust_2044"),
        Contact(TOM, "user", "Tom Becker", "tom@lumen.example", "cust_2045"),
        Contact(MERGED, "lead", "Marta", "marta@northwind.example", merged_into=MARTA),
    ):
        contact.created_at = contact.updated_at = now - 90 * 86_400
        state.contacts[contact.id] = contact
    for company in (
        Company(NORTHWIND, "Northwind Traders", "northwind", "Pro"),
        Company(LUMEN, "Lumen, Ltd.", "lumen", "Team"),
    ):
        state.companies[company.id] = company
    state.contacts[MARTA].company_ids = [NORTHWIND]
    state.contacts[PRIYA].company_ids = state.contacts[TOM].company_ids = [LUMEN]
    for contact_ids, lines in CONVERSATIONS:
        _converse(state, contact_ids, lines)
    _assert_known_ids(state)


def _converse(state: IntercomState, contact_ids: list[str], lines: list[Line]) -> Conversation:
    now = int(time.time())

    def part(line: Line, part_type: str) -> Part:
        who, body, minutes_ago = line
        author_type: Literal["admin", "user", "lead"]
        author_type = "admin" if who in state.admins else state.contacts[who].role
        return Part(state.next_id(), part_type, body, author_type, who, now - 60 * minutes_ago, "open")

    conversation = state.add_conversation(contact_ids, part(lines[0], "conversation"))
    conversation.parts.extend(part(line, "comment") for line in lines[1:])
    conversation.updated_at = conversation.parts[-1].created_at
    return conversation


def _assert_known_ids(state: IntercomState) -> None:
    # The constants above are what tests and the tour use; they must not drift from what was planted.
    expected = [MARTAS_CONVERSATION, HOSTILE_CONVERSATION, GROUP_CONVERSATION, LEADS_CONVERSATION]
    if list(state.conversations) != expected:
        raise RuntimeError(f"planted {list(state.conversations)}, expected {expected}")
