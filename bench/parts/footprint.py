"""What web and worker take of a machine: memory under load, time to start, and the processor when idle.

The load is what comes in by all doors at once, as fast as a few callers get their answers, while the worker
does what follows. The memory of the web is that of gunicorn's own process and of the one that answers.
"""

from __future__ import annotations

import multiprocessing
import time

from bench import doors, usage
from bench.figures import Figure, Found, Plot, Target
from bench.place import Place, Process, Run

MOST_MEMORY = Target(most=200)
LOOKED_AT_EVERY = 1.0
CALLERS = 4


def measure(run: Run) -> Found:
    """Start, idle, and a short load."""
    found = Found()
    idle, load = run.size(60, 5), run.size(40, 5)
    with Place(run) as place:
        begun = time.perf_counter()
        web = place.start_web()
        web_ready = time.perf_counter() - begun
        begun = time.perf_counter()
        worker = place.start_worker()
        worker_ready = time.perf_counter() - begun
        add = found.figures.append
        add(Figure("footprint", "web: start to ready", web_ready, "s", Target(most=2), run.database))
        add(Figure("footprint", "worker: start to ready", worker_ready, "s", Target(most=2), run.database))
        # What follows a start is not idling: the workspace is asked for.
        time.sleep(run.size(5, 2))
        run.say(f"  idle for {idle} s")
        shares = _idle([web, worker], idle)
        how = f"over {idle} s"
        what = "processor when idle, of a core"
        add(Figure("footprint", f"web: {what}", shares[0], "%", Target(most=1), run.database, how))
        add(Figure("footprint", f"worker: {what}", shares[1], "%", Target(most=5), run.database, how))
        _load(run, found, place, [web, worker], load, "footprint")
    return found


def measure_memory(run: Run) -> Found:
    """Ten minutes of load."""
    found = Found()
    with Place(run) as place:
        processes = [place.start_web(), place.start_worker()]
        _load(run, found, place, processes, run.size(600, 6), "memory")
    return found


def _idle(processes: list[Process], seconds: float) -> list[float]:
    """How much of a core each takes, in percent."""
    before = [usage.cpu_seconds(process.pid) for process in processes]
    begun = time.perf_counter()
    time.sleep(seconds)
    took = time.perf_counter() - begun
    after = [usage.cpu_seconds(process.pid) for process in processes]
    return [100 * (b - a) / took for a, b in zip(before, after, strict=True)]


def _load(run: Run, found: Found, place: Place, processes: list[Process], seconds: float, part: str) -> None:
    run.say(f"  {seconds:g} s of load")
    # What the stand-ins have kept of each call is of no use here, and would only fill this process.
    inputs = doors.inputs_of(place.sandbox, place.url)
    moments: list[float] = []
    memory: dict[str, list[float]] = {"web": [], "worker": []}
    begun = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(CALLERS) as pool:
        calls = pool.map_async(doors.call_for, [(inputs, seconds, seed) for seed in range(CALLERS)], 1)
        while not calls.ready():
            moments.append(time.perf_counter() - begun)
            for values, process in zip(memory.values(), processes, strict=True):
                values.append(usage.resident_mb(process.pid))
            time.sleep(LOOKED_AT_EVERY)
        answered = sum(calls.get())
    how = f"after {answered:,} requests in {seconds:g} s"
    for name, values in memory.items():
        what = f"{name}: resident memory under load"
        found.figures.append(Figure(part, what, values[-1], "MB", MOST_MEMORY, run.database, how))
    found.raw[part] = {"seconds": moments, "memory_mb": memory, "requests": answered}
    every = max(1, len(moments) // 24)
    found.plots.append(
        Plot(
            f"{part}-resident",
            "Resident memory under load",
            "MB",
            {name: values[::every] for name, values in memory.items()},
            [f"{moment:.0f} s" for moment in moments[::every]],
            "lines",
        )
    )
