"""Every request that the documentation shows is made as it stands there, and answered as it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.caller import TOKEN, connected
from tests.support import shown
from tests.support.shown import Block
from tests.support.world import PUBLIC_URL, World

DOCUMENTS = [document for document in shown.DOCUMENTS if shown.has_requests(document)]

# What Intercom, Zapier or Make put in place of a template's {{…}}.
FILLED_IN = {
    "contact_id": "6762f0d01bb69f9f2193bc01",
    "conversation_id": "601",
    "email": "noa@example.com",
}
# What `export-contacts` has written.
EXPORTED = (
    "name,email,external_id,company,role,plan,language,country\r\n"
    '"Reyes, Mia",mia@example.com,6762f0d01bb69f9f2193bd01,,user,,en,Ireland\r\n'
    "'=Noa,noa@example.com,6762f0d01bb69f9f2193bd02,,lead,,de,\r\n"
)


@dataclass
class Reader:
    """Somebody who tries out a document from its beginning to its end."""

    address: str
    folder: Path
    setup: str = ""
    output: str = ""
    answered: list[Any] = field(default_factory=list)
    interview_id: str = ""
    compared: int = 0
    sent: int = 0

    def try_out(self, blocks: list[Block]) -> None:
        after_request = False
        for number, block in enumerate(blocks):
            if block.is_request:
                following = blocks[number + 1 :]
                self.run(block.text, refused=bool(following) and '"error"' in following[0].text)
            elif block.is_template:
                self.fill_in(block.text)
                continue
            elif after_request and block.kind == "json":
                self.compare(block.text)
            elif after_request and block.kind == "text":
                assert all(line in self.output for line in block.lines), self.output
                self.compared += 1
            after_request = block.is_request

    def run(self, script: str, *, refused: bool) -> None:
        if "curl" not in script:
            self.setup += script.replace(shown.ADDRESS, self.address).replace(shown.TOKEN, TOKEN)
            return
        assert self.setup, "the document says neither where the app is nor which token it has"
        self.output = shown.run(f"{self.setup}\nINTERVIEW_ID={self.interview_id}\n{script}", self.folder)
        self.answered = shown.answers(self.output)
        self.sent += 1
        assert self.answered
        for answer in self.answered:
            if isinstance(answer, dict):
                assert refused or "error" not in answer, answer
                self.interview_id = answer.get("interview_id", self.interview_id)

    def compare(self, text: str) -> None:
        """Ids and links differ each time; everything else is as it is shown."""
        [told], answer = shown.answers(text), self.answered[-1]
        assert set(answer) == set(told)
        same = ("status", "reason", "error", "message")
        assert {name: answer.get(name) for name in same} == {name: told.get(name) for name in same}
        assert (answer.get("interview_url") is None) == (told.get("interview_url") is None)
        if told.get("interview_url"):
            assert answer["interview_url"].startswith(f"{PUBLIC_URL}/i/")
        self.compared += 1

    def fill_in(self, template: str) -> None:
        """A tool that fills in what it knows, and one that knows nothing of the optional fields."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        body = shown.filled_in(template, FILLED_IN)
        with httpx.Client(trust_env=False) as client:
            answer = client.post(f"{self.address}/api/interviews", content=body, headers=headers)
        assert answer.is_success, answer.text
        self.sent += 1


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_request_is_answered_as_the_document_says(
    document: str, sqlite_world: World, tmp_path: Path
) -> None:
    connected(sqlite_world)
    (tmp_path / "closed.csv").write_text(EXPORTED, encoding="utf-8", newline="")
    with shown.served(sqlite_world.app) as address:
        reader = Reader(address, tmp_path)
        reader.try_out(shown.blocks(document))
    assert reader.sent
    if document == "docs/api.md":
        assert reader.compared == 5
        assert reader.answered[-1]["openapi"] == "3.1.0"


def test_the_documents_with_requests_are_found() -> None:
    assert {"docs/api.md", "docs/guides/series.md", "docs/guides/workflows.md"} <= set(DOCUMENTS)
