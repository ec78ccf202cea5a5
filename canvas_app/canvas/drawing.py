"""How Intercom's inbox draws a canvas, as far as it is documented; the form stands in templates/pages/canvas.

https://developers.intercom.com/docs/references/canvas-kit
"""

from __future__ import annotations

import re

_RUN = re.compile(r"\[([^\]\n]+)\]\((https?://[^\s()]+)\)|\*\*([^*\n]+)\*\*|\*([^*\n]+)\*")


def rich(text: str) -> list[tuple[str, str, str]]:
    """Split the text of a component into (kind, text, address) runs; kind is plain, bold or link.

    Text components know markdown links and bold, nothing else:
    https://developers.intercom.com/docs/references/canvas-kit/presentationcomponents/text
    """
    runs: list[tuple[str, str, str]] = []
    at = 0
    for found in _RUN.finditer(text):
        if found.start() > at:
            runs.append(("plain", text[at : found.start()], ""))
        label, address, strong, bold = found.groups()
        runs.append(("link", label, address) if label else ("bold", strong or bold, ""))
        at = found.end()
    if at < len(text):
        runs.append(("plain", text[at:], ""))
    return runs
