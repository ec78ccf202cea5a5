"""The runs by name: what goes wrong in each, how much of it in the long and in the short form, and on what.

===========  ================================================================  ==========================
scenario     what goes wrong beside single calls                                short form on
===========  ================================================================  ==========================
kills        SIGKILL of workers, of the web, of everything at once             both
outages      PostgreSQL stops for up to 2 s, its connections are cut           PostgreSQL: SQLite has none
vendors      a whole wire: 429, 5xx, refused, slow, cut off, silent, …         SQLite: not the database's
deliveries   webhooks up to 50 times at once, in any order, or never           SQLite: as above
deploys      SIGTERM all the time, a release, a rollback, a release            PostgreSQL: many machines
clocks       the clocks of two workers are five minutes fast and slow          PostgreSQL: as above
disk         the disk is full                                                  SQLite: it is its disk
===========  ================================================================  ==========================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from canvas_app import migrate
from canvas_app.settings import Settings
from tests.faults import plan
from tests.faults.deploys import deploys, unpack_previous
from tests.faults.disk import full_disks
from tests.faults.driver import PATIENCE, SETTINGS, play
from tests.faults.outages import outages
from tests.faults.results import Report, report
from tests.faults.spells import spells
from tests.processes.stage import Stage, Worker
from tests.support import clock_off
from tests.support.postgres import PostgresServer
from tests.support.small_disk import small_disk

CLOCKS_OFF = (300, -300, 0)
"""Seconds by which the clocks of the three workers are fast."""


class CannotBeRun(Exception):
    """Something that a scenario needs is not here; the message says what."""


@dataclass(frozen=True)
class Size:
    """How long a run is. What the fields mean, each scenario says."""

    interviews: int
    kills: int = 0
    times: int = 0
    every: tuple[float, float] = (5.0, 40.0)
    seconds: float = 0.0


@dataclass(frozen=True)
class Place:
    """Where a run takes place: over an empty database, or over one that the run makes itself in ``folder``.

    ``server`` is PostgreSQL's where it is ours to stop.
    """

    folder: Path
    database_url: str
    server: PostgresServer | None = None
    patience: float = PATIENCE

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    def stage(self, **settings: str) -> Stage:
        """The processes over the database, which is migrated here."""
        url = Settings.load({}, database_url=self.database_url).database_url
        migrate.release(url)
        return Stage(url, self.folder / "logs", **{**SETTINGS, **settings})


def kills(place: Place, seed: int, size: Size) -> Report:
    """Kills at random moments, and single calls that go wrong."""
    drawn = plan.make(seed, interviews=size.interviews, kills=size.kills)
    with place.stage() as stage:
        return report("kills", play(drawn, stage, patience=place.patience))


def outages_of_the_database(place: Place, seed: int, size: Size) -> Report:
    """``times`` outages ``every`` so many seconds, and as often all connections cut."""
    if place.server is None:
        raise CannotBeRun("outages stop PostgreSQL's server, so that it has to be one of their own")
    drawn = plan.make(seed, interviews=size.interviews, kills=0, spoiled=0.2)
    trouble = outages(seed, place.server, times=size.times, every=size.every)
    with place.stage(QUICK_CLOCK="1") as stage:
        return report("outages", play(drawn, stage, troubles=[trouble], patience=place.patience))


def vendors(place: Place, seed: int, size: Size) -> Report:
    """Each kind of spell once at either vendor, for ``times`` seconds; 5xx for ``seconds``."""
    drawn = plan.make(seed, interviews=size.interviews, kills=0, spoiled=0.2)
    lasts = {"": float(size.times), "5xx": size.seconds}
    troubles = spells(seed, seconds=lasts, pause=size.every[0])
    # A minute is to this run's short waits what an outage of days is to the product's.
    with place.stage(QUICK_TRIES="400") as stage:
        return report("vendors", play(drawn, stage, troubles=troubles, patience=place.patience))


def deliveries(place: Place, seed: int, size: Size) -> Report:
    """Half of the webhooks come up to 50 times at once, a quarter never; the clock finds what was lost."""
    drawn = plan.make(seed, interviews=size.interviews, kills=0, lost=0.25, flooded=0.7, spoiled=0.2)
    with place.stage(QUICK_CLOCK="1") as stage:
        return report("deliveries", play(drawn, stage, patience=place.patience))


def deploys_under_load(place: Place, seed: int, size: Size) -> Report:
    """``times`` restarts before and after each of release, rollback and release, ``every`` few seconds."""
    previous = unpack_previous(place.folder / "previous")
    if previous is None:
        raise CannotBeRun("deploys need the git history, with the previous release in it")
    url = Settings.load({}, database_url=place.database_url).database_url
    drawn = plan.make(seed, interviews=size.interviews, kills=0, delayed=0.4, spoiled=0.2)
    trouble = deploys(seed, previous, restarts=size.times, every=size.every)
    stage = Stage(url, place.folder / "logs", **SETTINGS)
    stage.app.root = previous
    stage.app.release()
    with stage:
        return report("deploys", play(drawn, stage, troubles=[trouble], patience=place.patience))


def clocks(place: Place, seed: int, size: Size) -> Report:
    """Of three workers one is five minutes fast and one five minutes slow; half of the sends are delayed."""
    if place.is_sqlite:
        raise CannotBeRun("on SQLite all processes share one machine, and so one clock: use PostgreSQL")
    drawn = plan.make(seed, interviews=size.interviews, kills=size.kills, delayed=0.5, lost=0.1, spoiled=0.2)
    with place.stage(QUICK_CLOCK="1") as stage:

        def start(number: int) -> Worker:
            return stage.start_worker(settings={clock_off.VARIABLE: str(CLOCKS_OFF[number])})

        return report("clocks", play(drawn, stage, start=start, patience=place.patience))


def full_disk(place: Place, seed: int, size: Size) -> Report:
    """``times`` moments of up to ``seconds`` seconds in which the disk is full, ``every`` few seconds."""
    if not place.is_sqlite:
        raise CannotBeRun("the disk is that of SQLite's file")
    drawn = plan.make(seed, interviews=size.interviews, kills=0, spoiled=0.2)
    with small_disk(place.folder / "disk", megabytes=32 + size.interviews // 10) as disk:
        trouble = full_disks(seed, disk, times=size.times, every=size.every, longest=size.seconds)
        place = replace(place, database_url=f"sqlite:///{disk.folder}/koji.db")
        with place.stage(QUICK_CLOCK="1") as stage:
            return report("disk", play(drawn, stage, troubles=[trouble], patience=place.patience))


@dataclass(frozen=True)
class Scenario:
    """What runs, on which databases, and how long."""

    run: Callable[[Place, int, Size], Report]
    databases: tuple[str, ...]
    long: Size
    short: Size


BOTH = ("sqlite", "postgresql")
SCENARIOS = {
    "kills": Scenario(kills, BOTH, Size(2000, kills=200), Size(28, kills=8)),
    "outages": Scenario(
        outages_of_the_database, ("postgresql",), Size(600, times=40), Size(16, times=3, every=(1.5, 3.0))
    ),
    "vendors": Scenario(
        vendors,
        BOTH,
        Size(600, times=20, every=(10.0, 10.0), seconds=60.0),
        Size(20, times=1, every=(0.3, 0.3), seconds=2.0),
    ),
    "deliveries": Scenario(deliveries, BOTH, Size(400), Size(16)),
    "deploys": Scenario(
        deploys_under_load, BOTH, Size(600, times=12, every=(2.0, 5.0)), Size(12, times=0, every=(0.0, 0.2))
    ),
    "clocks": Scenario(clocks, ("postgresql",), Size(400, kills=40), Size(12)),
    "disk": Scenario(
        full_disk,
        ("sqlite",),
        Size(400, times=40, every=(5.0, 15.0), seconds=5.0),
        Size(12, times=2, every=(1.0, 2.0), seconds=2.0),
    ),
}
