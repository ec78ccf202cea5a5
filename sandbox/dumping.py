"""What happened in the stand-in Intercom, as JSON, for audits from another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.notifications import Notifier
    from sandbox.state import IntercomState


def intercom_dump(state: IntercomState, notifier: Notifier) -> dict[str, Any]:
    """Return conversations, contacts, calls, notifications and refused canvases, as plain JSON."""
    with state.lock:
        return {
            "conversations": {
                item.id: {
                    "state": item.state,
                    "contacts": list(item.contact_ids),
                    "tags": sorted(state.tag_names[tag] for tag in item.tags),
                    "rating": vars(item.rating).copy() if item.rating else None,
                    "parts": [vars(part).copy() for part in (item.source, *item.parts)],
                }
                for item in state.conversations.values()
            },
            "contacts": {
                item.id: {
                    "name": item.name,
                    "email": item.email,
                    "role": item.role,
                    "merged_into": item.merged_into,
                    "gone": item.gone,
                    "custom_attributes": dict(item.custom_attributes),
                    "tags": sorted(state.tag_names[tag] for tag in item.tags),
                }
                for item in state.contacts.values()
            },
            "attributes": {item.name: item.data_type for item in state.attributes.values()},
            "messages": list(state.messages),
            "calls": [item.document() for item in state.calls],
            "notifications": [item.document() for item in notifier.deliverer.deliveries],
            "subscription_disabled": notifier.deliverer.disabled,
            "canvas_problems": [item.document() for item in state.canvas_problems],
        }
