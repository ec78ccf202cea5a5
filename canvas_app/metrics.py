"""The door for Prometheus: the figures of all processes, whichever web process is asked.

https://prometheus.io/docs/instrumenting/exposition_formats/. What is counted is read as the sums of all
processes, and how things stand from the database, see :mod:`canvas_app.interviews.measures` and
:mod:`canvas_app.interviews.gauges`. Nothing is told of the process that answers: behind a balancer the next
answer is another one's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from flask import Blueprint, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from canvas_app import VERSION, store, web
from canvas_app.api import bearer
from canvas_app.interviews import gauges, measures
from canvas_app.interviews.gauges import Gauges
from canvas_app.interviews.measures import BEYOND, SUM, Measure, Totals
from canvas_app.interviews.tables import SCHEMA_VERSION

blueprint = Blueprint("metrics", __name__)

PREFIX: Final = "koji_intercom_"


class Figures(Collector):
    """What was read, in the terms of Prometheus."""

    def __init__(self, totals: Totals, standing: Gauges, database: str) -> None:
        self._totals = totals
        self._standing = standing
        self._database = database

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            f"{PREFIX}build",
            "The version of the app and of its tables, and the kind of its database.",
            {"version": VERSION, "schema": SCHEMA_VERSION, "database": self._database},
        )
        for measure in measures.COUNTED:
            yield _counter(measure, self._totals)
        for measure in measures.MEASURED:
            yield _histogram(measure, self._totals)
        yield from _standing(self._standing)


@blueprint.get("/metrics")
def metrics() -> Response:
    here = web.current()
    bearer.check(web.header("Authorization"), here.settings.metrics_token, setting="METRICS_TOKEN")
    # What this process has counted is part of it at once; what others have, within seconds.
    here.tally.keep(here.engine)
    with store.reading(here.engine) as connection:
        totals = measures.totals(connection)
        standing = gauges.read(connection, here.settings)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(totals, standing, here.engine.dialect.name))
    answer = Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _counter(measure: Measure, totals: Totals) -> Metric:
    family = CounterMetricFamily(PREFIX + measure.name, measure.help, labels=measure.labels)
    for labels, number in sorted(totals.get(measure.name, {}).items()):
        family.add_metric(labels, number)
    return family


def _histogram(measure: Measure, totals: Totals) -> Metric:
    family = HistogramMetricFamily(PREFIX + measure.name, measure.help, labels=measure.labels)
    found = totals.get(measure.name, {})
    limits = [*map(str, measure.buckets), BEYOND]
    # One without labels is there from the beginning.
    for labels in sorted({labels[:-1] for labels in found} | (set() if measure.labels else {()})):
        numbers = {key[-1]: number for key, number in found.items() if key[:-1] == labels}
        total, buckets = 0.0, []
        for limit in limits:
            total += numbers.pop(limit, 0.0)
            buckets.append((limit, total))
        family.add_metric(labels, buckets, numbers.get(SUM, 0.0))
    return family


def _standing(standing: Gauges) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        f"{PREFIX}workers", "Workers that are alive, by their leases.", value=standing.workers
    )
    jobs = _gauge("queue_jobs", "Jobs that are due, delayed or running, by queue.", "queue", "state")
    for name, queue in standing.queues.items():
        jobs.add_metric([name, "due"], queue.due)
        jobs.add_metric([name, "delayed"], queue.delayed)
        jobs.add_metric([name, "running"], queue.running)
    yield jobs
    yield _of_one_label(
        "queue_oldest_seconds", "How long the oldest job that is due waits.", "queue", standing.waits
    )
    yield _of_one_label(
        "rate_limit_room",
        "Calls that could be made at this moment within the vendor's limit; 0 while it has said to wait.",
        "wire",
        standing.rooms,
    )
    paused = _gauge(
        "pauses",
        "What a vendor refuses for want of a valid token, a permission or credits; * is every call.",
        "wire",
        "operation",
        "reason",
    )
    for labels in sorted({(pause.wire, pause.operation, pause.reason) for pause in standing.pauses}):
        number = sum((one.wire, one.operation, one.reason) == labels for one in standing.pauses)
        paused.add_metric(labels, number)
    yield paused
    yield _of_one_label("alerts", "Alerts that last, as the console shows them.", "kind", standing.alerts)
    if standing.interviews is not None:
        yield _of_one_label("interviews", "Interviews of the workspace.", "state", standing.interviews)
    came_in = _gauge("deliveries", "Deliveries that wait to be worked on, or have failed.", "door", "state")
    for (door, state), number in standing.deliveries.items():
        came_in.add_metric([door, state], number)
    yield came_in


def _of_one_label(name: str, text: str, label: str, values: Mapping[Any, float]) -> Metric:
    family = _gauge(name, text, label)
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, labels=labels)
