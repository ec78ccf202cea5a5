from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sandbox.faults import DeliveryFault
from sandbox.server import SECOND_STUDY, Sandbox

if TYPE_CHECKING:
    from tests.sandbox.fake_app import FakeApp

START: dict[str, Any] = {
    "respondent": {
        "external_id": "c1",
        "display_name": "Marta <b>",
        "metadata": {"respondent_email": "marta@northwind.example", "interview_ref": "r1"},
    }
}
ANSWERS = ["The export was stuck for hours and I waited.", "Support was slow.", "Tell me that it is broken."]


def started(api: httpx.Client, body: dict[str, Any] | None = None) -> str:
    answer = api.post("/interviews/start", json=START if body is None else body)
    assert answer.status_code == 201
    interview_id: str = answer.json()["interview_id"]
    return interview_id


def bodies(app: FakeApp) -> list[dict[str, Any]]:
    return [json.loads(raw) for raw, _ in app.webhooks]


def test_start_answers_in_the_newer_form(koji_api: httpx.Client, sandbox: Sandbox) -> None:
    answer = koji_api.post("/interviews/start", json=START).json()
    assert set(answer) == {"interview_id", "session_token", "initial_message", "interview_url"}
    assert answer["interview_url"] == f"{sandbox.koji_url}/interview/{answer['interview_id']}"


def test_start_without_a_link() -> None:
    with Sandbox(with_url=False) as sandbox:
        answer = httpx.post(
            f"{sandbox.koji_url}/api/v1/interviews/start",
            json={},
            headers={"Authorization": f"Bearer {sandbox.koji_key}"},
            trust_env=False,
        )
        assert set(answer.json()) == {"interview_id", "session_token", "initial_message"}


def test_a_wrong_key_is_401(koji_api: httpx.Client) -> None:
    answer = koji_api.post("/interviews/start", json=START, headers={"Authorization": "Bearer pk_live_no"})
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"respondent_name": "the older form"},
        {"respondent": "Marta"},
        {"respondent": {"email": "x"}},
        {"respondent": {"external_id": 1}},
        {"respondent": {"metadata": []}},
        {"mode": "dance"},
        {"locale": 1},
    ],
)
def test_refused_starts(koji_api: httpx.Client, sandbox: Sandbox, body: Any) -> None:
    answer = koji_api.post("/interviews/start", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "validation_error")
    assert sandbox.state.koji.interviews == {}


def test_a_full_minute_is_429(koji_api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.state.koji.calls_per_minute = 1
    started(koji_api)
    answer = koji_api.post("/interviews/start", json=START)
    assert (answer.status_code, answer.json()["error"]) == (429, "rate_limited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert len(sandbox.state.koji.interviews) == 1


def test_get_before_and_after_the_answer(koji_api: httpx.Client, sandbox: Sandbox) -> None:
    interview_id = started(koji_api)
    before = koji_api.get(f"/interviews/{interview_id}").json()
    assert (before["status"], before["analysis"], before["transcript"]) == ("active", None, [])
    sandbox.state.koji.answer(interview_id, answers=ANSWERS)
    after = koji_api.get(f"/interviews/{interview_id}").json()
    assert (after["status"], after["analysis"]["sentiment"]) == ("completed", "negative")
    assert after["transcript"][1] == {"role": "respondent", "content": ANSWERS[0]}
    assert after["respondent_email"] == "marta@northwind.example"
    assert koji_api.get("/interviews/unknown").status_code == 404


def test_a_key_sees_its_own_study_only(koji_api: httpx.Client, sandbox: Sandbox) -> None:
    interview_id = started(koji_api)
    other = sandbox.state.koji.add_study("Another")
    answer = koji_api.get(f"/interviews/{interview_id}", headers={"Authorization": f"Bearer {other.key}"})
    assert answer.status_code == 404


def test_a_person_answers_on_the_page(koji_api: httpx.Client, sandbox: Sandbox, fake_app: FakeApp) -> None:
    page = f"{sandbox.koji_url}/interview/{started(koji_api)}"
    shown = httpx.get(page, trust_env=False)
    assert "Marta &lt;b&gt;" in shown.text
    assert "default-src 'self'" in shown.headers["Content-Security-Policy"]
    form = {f"answer-{index}": answer for index, answer in enumerate(ANSWERS)} | {"rating": "1"}
    for _ in range(2):
        assert "Thank you!" in httpx.post(page, data=form, trust_env=False).text
    assert sandbox.deliverer.wait_idle()
    assert [body["event"] for body in bodies(fake_app)] == ["interview.completed", "interview.analysis_ready"]
    transcript = httpx.get(bodies(fake_app)[1]["data"]["transcript_url"], trust_env=False).text
    assert ANSWERS[0] in transcript
    assert httpx.get(f"{sandbox.koji_url}/interview/unknown", trust_env=False).status_code == 404


def test_an_answer_that_is_analysed_anew_is_told_with_another_webhook(
    koji_api: httpx.Client, sandbox: Sandbox, fake_app: FakeApp
) -> None:
    interview_id, koji = started(koji_api), sandbox.state.koji
    with pytest.raises(ValueError, match="not answered"):
        koji.correct(interview_id, sentiment="positive")
    koji.answer(interview_id, answers=ANSWERS, sentiment="negative")
    assert sandbox.deliverer.wait_idle()
    koji.correct(interview_id, sentiment="positive")
    assert sandbox.deliverer.wait_idle()
    _completed, first, second = bodies(fake_app)
    assert first["delivery_id"] != second["delivery_id"]
    assert second["event"] == "interview.analysis_ready"
    assert second["data"] == {**first["data"], "sentiment": "positive"}


def test_webhooks_are_signed_and_echo_what_was_sent(
    koji_api: httpx.Client, sandbox: Sandbox, fake_app: FakeApp
) -> None:
    sandbox.state.koji.answer(
        started(koji_api), answers=ANSWERS, quality=4.5, sentiment="mixed", themes=["slow exports"]
    )
    assert sandbox.deliverer.wait_idle()
    raw, headers = fake_app.webhooks[1]
    assert headers["X-Koji-Signature"] == _signed(sandbox.koji_webhook_secret, raw)
    data = json.loads(raw)["data"]
    assert data["respondent_email"] == "marta@northwind.example"
    assert data["external_id"] == "c1"
    assert data["metadata"]["interview_ref"] == "r1"
    assert (data["quality_score"], data["sentiment"], data["themes"]) == (4.5, "mixed", ["slow exports"])


def test_a_second_study_can_be_switched_on(fake_app: FakeApp) -> None:
    with Sandbox(fake_app.url, second_study=True) as sandbox:
        second = sandbox.second_study
        assert second is not None
        assert second.key != sandbox.koji_key
        headers = {"Authorization": f"Bearer {second.key}"}
        with httpx.Client(base_url=f"{sandbox.koji_url}/api/v1", headers=headers, trust_env=False) as api:
            interview_id = started(api)
        sandbox.state.koji.answer(interview_id, answers=ANSWERS)
        assert sandbox.deliverer.wait_idle()
        assert sandbox.state.koji.interview(interview_id).study.name == SECOND_STUDY
    raw, sent = fake_app.webhooks[0]
    assert sent["X-Koji-Signature"] == _signed(second.webhook_secret, raw)
    assert sent["X-Koji-Signature"] != _signed(sandbox.koji_webhook_secret, raw)


def _signed(secret: str, raw: bytes) -> str:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def test_without_the_switch_there_is_one_study(sandbox: Sandbox) -> None:
    assert sandbox.second_study is None
    assert len(sandbox.state.koji.studies) == 1


@pytest.mark.parametrize("by_study", [True, False])
def test_anonymous_interviews_name_nobody(sandbox: Sandbox, fake_app: FakeApp, *, by_study: bool) -> None:
    koji = sandbox.state.koji
    study = koji.add_study("Sensitive", anonymous=by_study)
    koji.answer(koji.start(study, START).id, answers=ANSWERS, anonymous=not by_study)
    assert sandbox.deliverer.wait_idle()
    for body in bodies(fake_app):
        assert body["data"]["respondent_email"] is None
        assert "external_id" not in body["data"]


def test_an_unknown_address_is_left_out(koji_api: httpx.Client, sandbox: Sandbox, fake_app: FakeApp) -> None:
    sandbox.state.koji.answer(started(koji_api, {}), answers=ANSWERS)
    assert sandbox.deliverer.wait_idle()
    assert "respondent_email" not in bodies(fake_app)[1]["data"]


def test_an_interview_is_answered_once(koji_api: httpx.Client, sandbox: Sandbox) -> None:
    interview_id = started(koji_api)
    sandbox.state.koji.answer(interview_id, answers=ANSWERS)
    with pytest.raises(ValueError, match="already answered"):
        sandbox.state.koji.answer(interview_id, answers=ANSWERS)


class TestDeliveries:
    def test_three_tries(self, koji_api: httpx.Client, sandbox: Sandbox, fake_app: FakeApp) -> None:
        fake_app.webhook_statuses = [500, 503, 500, 500, 200]
        sandbox.state.koji.answer(started(koji_api), answers=ANSWERS)
        assert sandbox.deliverer.wait_idle()
        assert [item.statuses for item in sandbox.deliverer.deliveries] == [[500, 503, 500], [500, 200]]
        assert [item.accepted for item in sandbox.deliverer.deliveries] == [False, True]

    def test_no_answer_is_recorded(self, koji_api: httpx.Client, sandbox: Sandbox) -> None:
        sandbox.deliverer.endpoint.url = "http://127.0.0.1:1/nobody"
        sandbox.state.koji.answer(started(koji_api), answers=ANSWERS)
        assert sandbox.deliverer.wait_idle()
        assert sandbox.deliverer.deliveries[0].statuses == [None, None, None]

    def test_the_same_bytes_again(self, koji_api: httpx.Client, sandbox: Sandbox, fake_app: FakeApp) -> None:
        sandbox.state.koji.answer(started(koji_api), answers=ANSWERS)
        assert sandbox.deliverer.wait_idle()
        again = sandbox.deliverer.send_again(sandbox.deliverer.deliveries[1])
        assert again.statuses == [200]
        assert fake_app.webhooks[2] == fake_app.webhooks[1]

    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            (DeliveryFault("lose", "interview.completed"), ["analysis_ready"]),
            (DeliveryFault("duplicate", "*", copies=3), ["completed"] * 3 + ["analysis_ready"]),
            (DeliveryFault("reorder", "interview.completed"), ["analysis_ready", "completed"]),
        ],
    )
    def test_faults(
        self,
        koji_api: httpx.Client,
        sandbox: Sandbox,
        fake_app: FakeApp,
        fault: DeliveryFault,
        expected: list[str],
    ) -> None:
        sandbox.faults.set_delivery(DeliveryFault(fault.kind, fault.event, copies=fault.copies))
        sandbox.state.koji.answer(started(koji_api), answers=ANSWERS)
        assert sandbox.deliverer.wait_idle()
        assert [body["event"].removeprefix("interview.") for body in bodies(fake_app)] == expected
