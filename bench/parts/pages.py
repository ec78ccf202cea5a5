"""The console's pages, the doors, and taps beside the purge: see the modules that measure them."""

from __future__ import annotations

from bench import console_pages, doors, purge_and_taps
from bench.figures import Figure, Found, Plot, Target, median, percentile
from bench.place import Run

# Milliseconds: what a page may take that nobody waits for in vain.
SLOWEST_PAGE = {"overview, 365 days": 500.0}
SLOWEST_OTHER = 300.0


def measure_console(run: Run) -> Found:
    """How long each page takes, and against an empty static file."""
    found = Found()
    timings = console_pages.measure(
        rounds=run.size(15, 3),
        number=run.size(100_000, 5_000),
        received=run.size(300_000, 5_000),
        postgres=run.database == "postgresql",
        say=run.say,
    )
    floor = median(timings[console_pages.FLOOR])
    for name, values in timings.items():
        middle = median(values)
        target = None
        if name != console_pages.FLOOR and not run.short:
            target = Target(most=SLOWEST_PAGE.get(name, SLOWEST_OTHER))
        how = f"{middle / floor:.1f} times the floor"
        figure = Figure("console", f"console: {name}, median", 1000 * middle, "ms", target, run.database, how)
        found.figures.append(figure)
    series = {name: [1000 * median(values)] for name, values in timings.items()}
    found.plots.append(Plot("console", "Pages of the console, median", "ms", dict(series)))
    found.raw["seconds"] = timings
    return found


def measure_doors(run: Run) -> Found:
    """One call after the other, against a call that reads nothing."""
    found = Found()
    timings = doors.measure(rounds=run.size(150, 15), postgres=run.database == "postgresql")
    floor = median(timings[doors.FLOOR])
    for name, values in timings.items():
        how = f"{median(values) / floor:.1f} times the floor, p95 {1000 * percentile(values, 0.95):.1f} ms"
        figure = Figure("doors", f"{name}, median", 1000 * median(values), "ms", None, run.database, how)
        found.figures.append(figure)
    found.raw["seconds"] = timings
    return found


def measure_purge(run: Run) -> Found:
    """A tap's transaction while a day's history is purged, and while it is not."""
    found = Found()
    without, during = purge_and_taps.measure(
        jobs=run.size(50_000, 3_000), postgres=run.database == "postgresql", say=run.say
    )
    for share, name in ((0.5, "median"), (0.99, "p99")):
        slow, fast = percentile(during, share), percentile(without, share)
        how = f"{1000 * slow:.1f} against {1000 * fast:.1f} ms"
        what = f"a tap's transaction during a purge, {name}"
        found.figures.append(Figure("purge", what, slow / fast, "times", None, run.database, how))
    found.raw |= {"without": without, "during": during}
    return found
