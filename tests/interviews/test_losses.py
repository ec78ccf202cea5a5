"""What would be lost of a contact, and of nobody else."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews import losses
from canvas_app.interviews.losses import Losses
from canvas_app.interviews.tables import decisions, imported_links
from tests.interviews.asks import NOW, write


def test_counts_what_stands_in_each_table(engine: Engine) -> None:
    write(engine, state="written_back", completed_at=NOW, contact_email="Mia@example.com")
    write(engine, state="sent")
    write(engine, state="sent", contact_id="contact2")
    write(engine, state="sent", workspace_id="ws2")
    with store.writing(engine) as connection:
        for number, contact in enumerate(("contact1", "contact1", "contact2")):
            connection.execute(
                sa.insert(decisions).values(
                    id=str(number),
                    delivery_id="d",
                    rule=str(number),
                    workspace_id="ws1",
                    contact_id=contact,
                    verdict="skipped",
                    decided_at=NOW,
                )
            )
        for number, email in enumerate(("mia@example.com", "other@example.com")):
            row = {"id": str(number), "study": "s", "email": email, "link": email, "imported_at": NOW}
            connection.execute(sa.insert(imported_links).values(**row))
    with store.reading(engine) as connection:
        assert losses.of_contact(connection, "ws1", "contact1") == Losses(2, 1, 1, 2, 1)
        assert losses.of_contact(connection, "ws1", "nobody") == Losses(0, 0, 0, 0, 0)
