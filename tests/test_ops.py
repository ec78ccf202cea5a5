"""The alert rules and the list of metrics in docs/ops: what they name is what the app serves."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from canvas_app import metrics
from canvas_app.cli import commands
from canvas_app.interviews import alerts, measures
from canvas_app.interviews.deliveries import Door
from canvas_app.settings import PROJECT_ROOT
from tests.support import system
from tests.support.world import World

OPS = PROJECT_ROOT / "docs" / "ops"
ENDINGS = ("_total", "_bucket", "_sum", "_count")


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((OPS / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


@pytest.fixture
def served(sqlite_world: World) -> dict[str, tuple[str, ...]]:
    """Each family that is served, by the name that a query uses, with its labels where they are known."""
    sqlite_world.deploy(metrics_token="t")
    # So that also those of one workspace are there, and a sample of what is counted.
    sqlite_world.vendors_are_well()
    sqlite_world.initialize()
    sqlite_world.submit("send")
    sqlite_world.run_jobs()
    text = sqlite_world.get("/metrics", headers={"Authorization": "Bearer t"}).text
    labels = {
        metrics.PREFIX + measure.name: measure.labels for measure in (*measures.COUNTED, *measures.MEASURED)
    }
    found = {}
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)", text, re.MULTILINE):
        bare = name.removesuffix("_total")
        found[bare if kind != "counter" else f"{bare}_total"] = labels.get(bare, ())
    return found


def test_there_are_five_and_each_says_what_is_wrong_and_what_to_do() -> None:
    found = rules()
    assert [rule["alert"] for rule in found] == [
        "NoWorker",
        "ResultsFailing",
        "QueueWaits",
        "WirePaused",
        "DoorsFailing",
    ]
    for rule in found:
        assert re.fullmatch(r"[0-9]+m", rule["for"]), rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "action"}
        assert len(rule["annotations"]["action"]) > 100, rule["alert"]


def test_every_metric_that_a_rule_names_is_served(served: dict[str, tuple[str, ...]]) -> None:
    for rule in rules():
        named = set(re.findall(rf"{metrics.PREFIX}\w+", rule["expr"]))
        assert named, rule["alert"]
        assert named <= set(served), rule["alert"]
        said = set(re.findall(rf"{metrics.PREFIX}\w+", rule["annotations"]["action"]))
        assert said <= set(served), rule["alert"]


def test_every_value_that_a_rule_looks_for_exists() -> None:
    text = (OPS / "alerts.yml").read_text(encoding="utf-8")
    looked_for: dict[str, set[str]] = {}
    for label, values in re.findall(r'(\w+)=~?"([^"]+)"', text):
        looked_for.setdefault(label, set()).update(values.split("|"))
    doors = {"koji_webhooks", "intercom_webhooks", "api"} | set(get_args(Door))
    assert looked_for.pop("door") <= doors
    assert looked_for.pop("kind") <= set(get_args(alerts.Kind))
    assert looked_for == {
        "state": {"failed"},
        "job": {"forward"},
        "outcome": {"permanent"},
        "queue": {"taps"},
        "status": {"5xx"},
    }


def test_every_command_that_a_rule_names_exists() -> None:
    text = (OPS / "alerts.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"-m canvas_app ([a-z-]+)", text))
    assert named
    assert named <= set(commands.commands)


def test_the_documents_name_every_metric_with_its_labels_and_no_other(
    served: dict[str, tuple[str, ...]],
) -> None:
    text = (OPS / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(rf"^\| `({metrics.PREFIX}\w+)` \| ([^|]*)\|", text, re.MULTILINE))
    assert set(rows) == set(served) | {f"{metrics.PREFIX}build_info"} - {f"{metrics.PREFIX}build"}
    for name, labels in served.items():
        for label in labels:
            assert f"`{label}`" in rows[name], name


class TestPromtool:
    @pytest.fixture
    def promtool(self) -> Path:
        return system.requires(system.promtool(), "promtool (scripts/install-promtool.sh)")

    @pytest.mark.parametrize("what", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")])
    def test_accepts_the_rules(self, promtool: Path, what: tuple[str, ...]) -> None:
        answer = subprocess.run(  # noqa: S603 -- a program that this machine has, on our own files.
            [str(promtool), *what], cwd=OPS, capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr

    def test_accepts_what_is_served(self, promtool: Path, sqlite_world: World) -> None:
        sqlite_world.deploy(metrics_token="t")
        sqlite_world.get("/")
        text = sqlite_world.get("/metrics", headers={"Authorization": "Bearer t"}).text
        answer = subprocess.run(  # noqa: S603 -- as above.
            [str(promtool), "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert (answer.returncode, answer.stdout + answer.stderr) == (0, "")
