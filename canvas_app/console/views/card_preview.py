"""Every state of the inbox card, drawn as Intercom would draw it."""

from __future__ import annotations

from flask import Response

from canvas_app.canvas import cards
from canvas_app.canvas.drawing import rich
from canvas_app.console import access
from canvas_app.console.card_examples import GROUPS
from canvas_app.console.door import blueprint, page, show

page("card_preview", "Card preview", place=70)
blueprint.add_app_template_filter(rich, "rich")


@blueprint.get("/card-preview")
def card_preview() -> Response:
    zone = access.current().zone
    drawn = [
        (
            title,
            [
                (
                    example,
                    cards.draw(
                        example.state,
                        zone=zone,
                        elsewhere=example.elsewhere,
                        notice=example.notice,
                        settings=True,
                    ).content()["components"],
                )
                for example in examples
            ],
        )
        for title, examples in GROUPS
    ]
    return show("card_preview.html", groups=drawn)
