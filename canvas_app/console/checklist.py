"""What has to be set up, how far that is, and the fix for each. Pure: everything that is weighed is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from canvas_app.console import shown
from canvas_app.gates import Wire
from canvas_app.health import Part
from canvas_app.interviews import provisions
from canvas_app.interviews.provisions import Provision
from canvas_app.interviews.standing import Standing


@dataclass(frozen=True, slots=True)
class Item:
    """``done``, ``todo``, ``waiting`` (somebody is at it) or ``note`` (not needed). ``command``: to be typed;
    ``action``: the button that does it; ``page``: the endpoint of the page where it is done."""

    state: Literal["done", "todo", "waiting", "note"]
    title: str
    text: str = ""
    command: str | None = None
    action: Literal["provide"] | None = None
    page: str | None = None


def items(
    standing: Standing,
    parts: Sequence[Part],
    *,
    missing: Sequence[tuple[str, str]],
    command: str,
    has_api_token: bool,
) -> list[Item]:
    """Everything to set up, in the order in which it is done."""
    worker = next((part for part in parts if part.name == "worker"), None)
    found = [Item("todo", f"{name} is missing", text, f"{command}{name}=…") for name, text in missing]
    if not found:
        found.append(Item("done", "Every setting that is needed is there"))
    if worker is not None:
        how = (
            Item("done", "A worker is running")
            if worker.ok
            else Item("todo", "No worker is running", worker.text)
        )
        found.append(how)
    found += [*_token(standing), *_provision(standing.provision), *_webhooks(standing)]
    if standing.operators:
        found.append(Item("done", f"Operators: {standing.operators}"))
    else:
        text = "Until there is one, only whoever has the command line may change things."
        found.append(Item("todo", "There is no operator yet", text, page="people"))
    if standing.rules_on:
        found.append(Item("done", f"Rules that are on: {standing.rules_on}"))
    else:
        found.append(Item("note", "No rule is on", "Interviews are sent from the card and by the API alone."))
    if not has_api_token:
        text = "For a Series, Zapier, Make or your own code."
        found.append(
            Item("note", "The HTTP API is closed", text, f"{command}API_TOKEN=$(openssl rand -hex 32)")
        )
    return found


def _token(standing: Standing) -> Iterator[Item]:
    if standing.workspace_name is not None or standing.workspace_id is not None:
        yield Item("done", f"Connected to the workspace {standing.workspace_name or standing.workspace_id}")
    else:
        text = "A worker asks Intercom as soon as the access token is set and one is running."
        yield Item("todo", "Intercom has not told yet whose the access token is", text)


def _provision(known: Provision) -> Iterator[Item]:
    """Our attributes and tags in Intercom."""
    title = "Attributes and tags in Intercom"
    if known.waiting:
        yield Item("waiting", title, "A worker is at it. Load this page again in a moment.")
        return
    if known.complete:
        yield Item("done", f"{title} are there")
        return
    wrong = {"archived": provisions.UNARCHIVE, "other_type": provisions.RENAME}
    in_the_way = {name: how for name, how in known.attributes.items() if how in wrong}
    for name, how in in_the_way.items():
        what = "is archived" if how == "archived" else "has another type than it should"
        yield Item("todo", f"The attribute {name} {what}", wrong[how], action="provide")
    if known.problem is not None:
        yield Item("todo", f"{title} could not be made", shown.in_words(known.problem), action="provide")
    elif not in_the_way:
        text = "Results create what they need. Make them now to build a Series, segment or Workflow on them."
        yield Item("todo", f"{title} have not been made yet", text, action="provide")


def _webhooks(standing: Standing) -> Iterator[Item]:
    names: dict[Wire, str] = {"koji": "Koji", "intercom": "Intercom"}
    for wire, name in names.items():
        if standing.came_in(wire):
            yield Item("done", f"Webhooks of {name}'s arrive")
            continue
        text = "Paste the address below, and look here again after the next event."
        if wire == "intercom":
            text = f"Rules and erasing need them. {text}"
        yield Item("todo" if wire == "koji" else "note", f"No webhook of {name}'s has come yet", text)
