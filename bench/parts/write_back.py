"""How fast results are written to Intercom, which answers at once: by one worker, by several, and a backlog.

The results have gathered while no worker was there. What the stand-in holds is counted afterwards, and that
it never had to refuse a call for its limit: 10,000 a minute, counted in windows of ten seconds as Intercom
counts.
"""

from __future__ import annotations

import time

from bench import results, usage
from bench.figures import Figure, Found, Plot, Target, slope
from bench.parts.waits import Heard
from bench.place import Place, Process, Run, until

CALLS_EACH = 4
LEAST_A_WORKER = 30
# What the gate lets through: 1,490 calls in ten seconds, see canvas_app.gates.
MOST_CALLS = 149.0
# Of that rate several workers together are to reach so much.
LEAST_OF_MOST = 0.9
LOOKED_AT_EVERY = 0.5
# A result that was put off twice waits for five minutes.
LONGEST_PAUSE = 400
# MB an hour by which a worker may grow in the second half of a backlog, as it is measured.
FLAT = 30.0


def measure(run: Run) -> Found:
    """One worker, and three."""
    found = Found()
    number = run.size(1_200, 150)
    alone = _drain(run, found, number, workers=1)
    together = _drain(run, found, number * 3 // 2, workers=3)
    target = Target(least=LEAST_A_WORKER)
    _tell(run, found, "write-back, one worker", alone, target)
    # With a few results there is mostly the burst that the limit allows at the beginning.
    enough = None if run.short else Target(least=round(LEAST_OF_MOST * MOST_CALLS / CALLS_EACH, 1))
    _tell(run, found, "write-back, three workers", together, enough)
    refused = alone["refused"] + together["refused"]
    what = "calls that Intercom refused for its limit"
    found.figures.append(Figure("write-back", what, refused, "", Target(most=0), run.database))
    return found


def measure_backlog(run: Run) -> Found:
    """A backlog of 50,000 results, two workers, and their memory meanwhile."""
    found = Found()
    number = run.size(50_000, 400)
    if not run.short:
        minutes = number * CALLS_EACH / MOST_CALLS / 60
        run.say(f"  at Intercom's limit it takes {minutes:.0f} minutes, and a few to fill")
    drained = _drain(run, found, number, workers=2, part="backlog")
    _tell(run, found, f"backlog of {number:,} results, two workers", drained, None, part="backlog")
    add = found.figures.append
    add(
        Figure("backlog", "calls that Intercom refused for its limit", drained["refused"], "", Target(most=0))
    )
    add(
        Figure("backlog", "resident memory of a worker at the end", drained["memory"], "MB", Target(most=200))
    )
    flat = None if run.short else Target(most=FLAT)
    grown = drained["growth"]
    add(Figure("backlog", "its growth in the second half", grown, "MB an hour", flat, run.database))
    return found


def _drain(
    run: Run, found: Found, number: int, *, workers: int, part: str = "write-back"
) -> dict[str, float]:
    with Place(run, webhooks=False) as place:
        # Attributes and tags are there, as in a workspace that has been set up.
        place.app.command("setup")
        before = len(place.sandbox.state.intercom.calls)
        made = results.make(place, number)
        results.store_all(place, made)
        heard = Heard(place, "conversation.admin.noted")
        run.say(f"  {number:,} results, {workers} worker{'s' if workers > 1 else ''}")
        begun = time.perf_counter()
        processes = [place.start_worker() for _ in range(workers)]
        moments, memory = _watched(heard, number, processes, begun)
        # The last tags come after the last note.
        until("nothing is left to do", lambda: _is_idle(place), within=120)
        refused = place.refused_calls()
        calls = len(place.sandbox.state.intercom.calls) - before
        notes = sum(len(place.sandbox.state.intercom.notes(one.conversation_id)) for one in made)
    if notes != number:
        raise RuntimeError(f"{number} results have become {notes} notes")
    at = sorted(heard.at.values())
    # Without the first tenth, in which a burst is allowed and connections are made, and without the last
    # hundredth, in which are those that were tried again after minutes.
    first, last = len(at) // 10, len(at) - 1 - len(at) // 100
    rate = (last - first) / max(at[last] - at[first], 0.001)
    half = len(moments) // 2
    found.raw[f"{part}, {workers}"] = {
        "notes_at": [round(one - begun, 3) for one in at[:: max(1, len(at) // 1000)]],
        "memory_mb": [[round(moment, 1), round(one, 1)] for moment, one in zip(moments, memory, strict=True)],
        "calls": calls,
    }
    every = max(1, len(moments) // 24)
    found.plots.append(
        Plot(
            f"{part}-memory-{workers}",
            f"Memory of the largest worker while {number:,} results are written",
            "MB",
            {"resident": memory[::every]},
            [f"{moment:.0f} s" for moment in moments[::every]],
            "lines",
        )
    )
    return {
        "rate": rate,
        "refused": refused,
        "calls_each": calls / number,
        "memory": memory[-1],
        "growth": slope(moments[half:], memory[half:]) * 3600,
        "seconds": at[-1] - begun,
    }


def _watched(
    heard: Heard, number: int, processes: list[Process], begun: float
) -> tuple[list[float], list[float]]:
    """Seconds since the beginning, and the memory of the largest worker in MB, until all notes are there."""
    moments: list[float] = []
    memory: list[float] = []
    last, stuck_at = 0, time.perf_counter()
    while True:
        moments.append(time.perf_counter() - begun)
        memory.append(max(usage.resident_mb(process.pid) for process in processes))
        there = len(heard.at)
        if there >= number:
            return moments, memory
        if there > last:
            last, stuck_at = there, time.perf_counter()
        elif time.perf_counter() - stuck_at > LONGEST_PAUSE:
            raise RuntimeError(f"only {there} of {number} notes, and no other for {LONGEST_PAUSE} s")
        time.sleep(LOOKED_AT_EVERY)


def _is_idle(place: Place) -> bool:
    from canvas_app import engine as durable, store

    with store.reading(place.engine) as connection:
        waiting = durable.waiting(connection)
    return waiting.due + waiting.running == 0


def _tell(
    run: Run,
    found: Found,
    what: str,
    drained: dict[str, float],
    target: Target | None,
    part: str = "write-back",
) -> None:
    how = f"{drained['calls_each']:.2f} calls each, the last one after {drained['seconds']:.0f} s"
    found.figures.append(
        Figure(part, what, drained["rate"], "interviews a second", target, run.database, how)
    )
