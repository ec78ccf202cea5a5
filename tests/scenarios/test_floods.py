"""The same thing many times at once."""

from __future__ import annotations

import json
import threading
from collections import Counter

from canvas_app.interviews.tables import deliveries
from canvas_app.koji import signatures
from tests.support.world import CONVERSATION, KOJI_SECRET, World

TIMES = 50


def test_one_delivery_fifty_times_at_once_is_stored_once_and_leaves_one_note(world: World) -> None:
    world.send()
    world.intercom_takes("attributes", "tags")
    raw = json.dumps(world.result()).encode()
    header = {"X-Koji-Signature": signatures.sign(raw, KOJI_SECRET)}
    start = threading.Barrier(TIMES)
    answers: list[str] = []

    def deliver() -> None:
        client = world.app.test_client()
        start.wait(30)
        answer = client.post("/webhooks/koji", data=raw, headers=header)
        answers.append(f"{answer.status_code} {answer.get_json()['status']}")

    threads = [threading.Thread(target=deliver) for _ in range(TIMES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert Counter(answers) == {"200 stored": 1, "200 seen_before": TIMES - 1}
    assert world.count(deliveries) == 1
    assert world.run_jobs() == ["forward"]
    said = world.calls("POST", f"/conversations/{CONVERSATION}/reply")
    assert [part["message_type"] for part in said] == ["comment", "note"]
    assert world.interview().state == "written_back"
