"""How tall the Inbox will draw a canvas, by a generous estimate.

Intercom publishes no metrics. The sidebar is about 320 px wide and leaves 280 px or so for text of 14 px, on
which about 40 characters of Latin text fit; a line is 20 px high, and a component has 10 px below it unless
its ``bottom_margin`` is "none":
https://developers.intercom.com/docs/references/canvas-kit/presentationcomponents/text
"""

from __future__ import annotations

import textwrap
from typing import assert_never

from canvas_app.canvas.kit import (
    Button,
    Canvas,
    Checkbox,
    Component,
    DataTable,
    Divider,
    Dropdown,
    Image,
    Input,
    ListComponent,
    SingleSelect,
    Spacer,
    Text,
    TextArea,
)

CHARACTERS_A_LINE = 40
LINE = 20
MARGIN = 10
BUTTON = 36
LINK = 24
FIELD = 40
ROW = 28
SPACES = {None: 10, "xs": 4, "s": 10, "m": 20, "l": 30, "xl": 40}


def estimated_height(canvas: Canvas) -> int:
    """Return pixels."""
    return sum(_height(component) for component in canvas.components)


def _height(component: Component) -> int:
    match component:
        case Text(text=text, bottom_margin=margin):
            return _lines(text) * LINE + (0 if margin else MARGIN)
        case Button(style=style):
            return (LINK if style == "link" else BUTTON) + MARGIN
        case Input(label=label) | Dropdown(label=label):
            return FIELD + _label(label) + MARGIN
        case TextArea(label=label):
            return 2 * FIELD + _label(label) + MARGIN
        case SingleSelect(label=label, options=options) | Checkbox(label=label, options=options):
            return len(options) * ROW + _label(label) + MARGIN
        case ListComponent(items=entries):
            return len(entries) * 2 * ROW + MARGIN
        case DataTable(items=rows):
            return len(rows) * ROW + MARGIN
        case Divider(bottom_margin=margin):
            return 1 + (0 if margin else MARGIN)
        case Spacer(size=size):
            return SPACES[size]
        case Image(height=height, bottom_margin=margin):
            return height + (0 if margin else MARGIN)
        case _:
            assert_never(component)


def _label(label: str | None) -> int:
    return LINE if label else 0


def _lines(text: str) -> int:
    return len(textwrap.wrap(text, CHARACTERS_A_LINE))
