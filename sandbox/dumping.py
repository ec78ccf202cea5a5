"""What happened in the stand-in Intercom, as JSON, for audits from another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.state import IntercomState


def intercom_dump(state: IntercomState) -> dict[str, Any]:
    """Return conversations, contacts, calls and refused canvases for ``GET /_sandbox/state``."""
    with state.lock:
        return {
            "conversations": {
                item.id: {
                    "state": item.state,
                    "contacts": list(item.contact_ids),
                    "tags": sorted(state.tag_names[tag] for tag in item.tags),
                    "parts": [vars(part).copy() for part in (item.source, *item.parts)],
                }
                for item in state.conversations.values()
            },
            "contacts": {
                item.id: {
                    "name": item.name,
                    "email": item.email,
                    "custom_attributes": dict(item.custom_attributes),
                    "tags": sorted(state.tag_names[tag] for tag in item.tags),
                }
                for item in state.contacts.values()
            },
            "attributes": {item.name: item.data_type for item in state.attributes.values()},
            "messages": list(state.messages),
            "calls": [item.document() for item in state.calls],
            "canvas_problems": [item.document() for item in state.canvas_problems],
        }
