"""Runs the triggers of one contender on one event loop, as Airflow's triggerer does, and measures itself.

A process of its own for each contender and size::

    python -m benchmarks.polling.harness '{"contender": "databricks", "size": 500, ...}'

What the triggerer does around a trigger is done here too: it is made from its serialized arguments, runs in a task
of its own behind a greenback portal, with its log bound to it and written as JSON. What else a triggerer does
(its database, its supervisor) is measured in the other part of the benchmark, in a real one.

A run: import, one trigger to warm up (memory is counted from here), the loop idle (its CPU is taken off later), all
triggers started over 10 s, up to 20 s more for those who have not asked for each render once by then, and the window.
The last line of the output is the result.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.polling.contenders import CONTENDERS, INTERVAL, Contender, Task
from benchmarks.polling.mix import LONGEST, Plan, make_plan
from benchmarks.polling.server import Counts, raise_file_limit
from benchmarks.polling.statistics import Delay, quantile, seen_within

__all__ = ["RAMP", "Crowd", "Order", "Result"]

RAMP = 10.0
"""Seconds over which the first triggers start."""
_TICK = 0.005
_IDLE = 1.0
_CATCH_UP = 20.0
"""Seconds that a slow start may last beyond the ramp, so that the window shows the steady state."""
_BEFORE = 8.0
"""Seconds before the window from which on an end counts for the delays: a slow poll of it would outlast the window."""
_LEAD = 0.3
"""Seconds between the command to the server and time zero of the plan."""
_STARTED_TOGETHER = 50
"""Triggers of a crowd that are built between two turns of the loop, as the triggerer claims them."""
_ENDS_WITHIN = 30.0
"""Seconds within which the renders of a crowd end."""
_SOON = 15.0
"""Seconds within which an end should be seen: one and a half poll intervals."""


@dataclass(frozen=True)
class Order:
    """What to measure.

    :ivar is_crowd: measure a :class:`Crowd` instead of a steady state.
    :ivar seconds: length of the window. :ivar settle: seconds between the last start and the window, at least.
    """

    contender: str
    size: int
    seconds: float
    control_port: int
    log: str
    settle: float = 0.0
    is_crowd: bool = False


@dataclass(frozen=True)
class Result:
    """What was measured, in the window unless stated otherwise.

    :ivar cpu_ms: of this process without the idle loop. :ivar statuses: delivered, as the server counts them.
    :ivar cpu_per_status_ms: the ratio of both; None without a status.
    :ivar cpu_per_minute_ms: CPU per minute.
    :ivar requests_per_minute: all, as the server counts them. :ivar kinds: requests of the window by kind.
    :ivar connections: used since the first trigger started, including one that the warm-up left open.
    :ivar open: connections open at the end.
    :ivar stall_ms: the maximum lag of the event loop. :ivar start_stall_ms: the same while the triggers started.
    :ivar own_stall_ms: the same without the interpreter's garbage collections, which no trigger can avoid: a full one
        walks through all that Airflow has loaded. :ivar gc_ms: the longest of them.
    :ivar start_seconds: from the first start to the window.
    :ivar start_late_ms: the maximum by which one of the first triggers was started late.
    :ivar kb_per_trigger: growth of the resident memory since the warm-up by triggers alive.
    :ivar delay_median: seconds from the end at the server to the event, of the ends in the window and 8 s before it;
        None means longer than the run.
    :ivar soon: share of these ends that were seen within 15 s. :ivar ends: how many ended in the window.
    :ivar polls: share of the polls that a poll every 10 s would make; None for those that schedule their polls.
    :ivar requests_per_render: in a steady state, requests for each render that ends.
    :ivar failed: triggers that ended in an error. :ivar complaint: the message of the first of them.
    :ivar server_cpu: share of a core that the server used. :ivar server_late_ms: its most delayed response.
    """

    contender: str
    size: int
    version: str
    seconds: float
    alive: int
    cpu_ms: float
    statuses: int
    cpu_per_status_ms: float | None
    cpu_per_minute_ms: float
    requests_per_minute: float
    kinds: dict[str, int]
    connections: int
    open: int
    stall_ms: float
    start_stall_ms: float
    own_stall_ms: float
    gc_ms: float
    start_seconds: float
    start_late_ms: float
    kb_per_trigger: float
    delay_median: float | None
    delay_p95: float | None
    soon: float | None
    ends: int
    polls: float | None
    requests_per_render: float
    failed: int
    complaint: str
    server_cpu: float
    server_late_ms: float


class Ticker:
    """Ticks every 5 ms, and records how late it was and how long the garbage collector took."""

    def __init__(self) -> None:
        self.ticks = 0
        self.worst = 0.0
        self.worst_own = 0.0
        self.worst_collection = 0.0
        self._collects_since = 0.0
        self._collected = 0.0
        gc.callbacks.append(self._collection)
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + _TICK
        self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        late = now - self._due
        self.worst = max(self.worst, late)
        self.worst_own = max(self.worst_own, late - self._collected)
        self._collected = 0.0
        self.ticks += 1
        self._due = now + _TICK
        self._loop.call_at(self._due, self._tick)

    def restart(self) -> None:
        """Reset the figures."""
        self.ticks, self.worst, self.worst_own, self.worst_collection = 0, 0.0, 0.0, 0.0

    def _collection(self, phase: str, _: dict[str, int]) -> None:
        now = time.perf_counter()
        if phase == "start":
            self._collects_since = now
        else:
            took = now - self._collects_since
            self._collected += took
            self.worst_collection = max(self.worst_collection, took)


class Triggerer:
    """Starts triggers and collects their events."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.seen: dict[int, float] = {}
        self.failed = 0
        self.complaint = ""
        self.latest_start = 0.0
        self.tasks: set[asyncio.Task[None]] = set()

    def start(self, task: Task) -> None:
        """Build a trigger as the triggerer does, and run it."""
        trigger = self.contender.trigger(task)
        if self.contender.is_trigger:
            _, arguments = trigger.serialize()
            trigger = type(trigger)(**arguments)
        running = asyncio.get_running_loop().create_task(self._run(task.number, trigger))
        self.tasks.add(running)
        running.add_done_callback(self.tasks.discard)

    async def _run(self, number: int, trigger: Any) -> None:
        if self.contender.is_trigger:
            import greenback
            from structlog.contextvars import bind_contextvars

            await greenback.ensure_portal()
            bind_contextvars(
                trigger_id=number,
                ti_id=f"0197-{number}",
                dag_id="bench",
                task_id="render",
                run_id="bench",
                try_number=1,
                map_index=number,
            )
        try:
            async for event in trigger.run():
                payload = event.payload if self.contender.is_trigger else event
                if self.contender.succeeded(payload):
                    self.seen[number] = time.time()
                else:
                    self._fail(repr(payload))
        except Exception as error:
            self._fail(f"{type(error).__name__}: {error}")

    def _fail(self, complaint: str) -> None:
        self.failed += 1
        self.complaint = self.complaint or complaint[:300]


async def measure(order: Order) -> Result:
    """Run one measurement."""
    contender = CONTENDERS[order.contender]
    counts = Counts(order.control_port)
    horizon = RAMP + max(order.settle, _CATCH_UP) + order.seconds + 1.0
    plan = make_plan(order.size, horizon=horizon, ramp=RAMP)
    begin = {"size": order.size, "horizon": horizon, "ramp": RAMP, "account": contender.account}

    await _warm_up(contender, counts)
    ticker = Ticker()
    gc.collect()
    memory = _resident()
    cpu = time.process_time()
    await asyncio.sleep(_IDLE)
    idle_tick = (time.process_time() - cpu) / max(ticker.ticks, 1)

    at = time.time() + _LEAD
    await counts.ask("begin", at=at, **begin)
    at_start = await counts.ask()
    triggerer = Triggerer(contender)
    starting = asyncio.create_task(_start_all(triggerer, plan, at=at))
    ticker.restart()
    await asyncio.sleep(at + RAMP + order.settle - time.time())
    while time.time() < at + RAMP + _CATCH_UP and (await counts.ask())["met"] < order.size:  # noqa: ASYNC110
        await asyncio.sleep(0.5)
    start_stall, start_seconds = ticker.worst, time.time() - at

    ticker.restart()
    before, since, cpu = await counts.ask(), time.time(), time.process_time()
    await asyncio.sleep(order.seconds)
    cpu, until, after = time.process_time() - cpu, time.time(), await counts.ask()
    stall, own_stall, collection, ticks = ticker.worst, ticker.worst_own, ticker.worst_collection, ticker.ticks
    memory = _resident() - memory
    alive = len(triggerer.tasks)
    starting.cancel()

    seconds = until - since
    ends = sum(since <= at + render.end < until for render in plan.renders)
    delays = list(_delays(plan, triggerer.seen, at=at, since=since - _BEFORE, until=until))
    cpu_ms = max(cpu - ticks * idle_tick, 0.0) * 1000
    statuses = after["statuses"] - before["statuses"]
    kinds = {kind: n - before["requests"].get(kind, 0) for kind, n in after["requests"].items()}
    requests = sum(n for kind, n in kinds.items() if "." not in kind)
    ideal = plan.ideal_polls(INTERVAL, since=since - at, until=until - at)
    return Result(
        contender=order.contender,
        size=order.size,
        version=contender.version() or "",
        seconds=seconds,
        alive=alive,
        cpu_ms=cpu_ms,
        statuses=statuses,
        cpu_per_status_ms=cpu_ms / statuses if statuses else None,
        cpu_per_minute_ms=cpu_ms / seconds * 60,
        requests_per_minute=requests / seconds * 60,
        kinds=kinds,
        connections=after["opened"] - at_start["opened"] + at_start["open"],
        open=after["open"],
        stall_ms=stall * 1000,
        start_stall_ms=start_stall * 1000,
        own_stall_ms=own_stall * 1000,
        gc_ms=collection * 1000,
        start_seconds=start_seconds,
        start_late_ms=triggerer.latest_start * 1000,
        kb_per_trigger=memory / 1024 / max(alive, 1),
        delay_median=_finite(quantile(delays, 0.5)),
        delay_p95=_finite(quantile(delays, 0.95)),
        soon=_finite(seen_within(delays, _SOON)),
        ends=ends,
        polls=None if contender.is_planned else statuses / ideal,
        requests_per_render=requests / max(ends, 1),
        failed=triggerer.failed,
        complaint=triggerer.complaint,
        server_cpu=(after["cpu"] - before["cpu"]) / seconds,
        server_late_ms=after["latest"] * 1000,
    )


@dataclass(frozen=True)
class Crowd:
    """The result of triggers that all start at the same time, and whose renders end evenly within half a minute.

    :ivar started_seconds: until the last of them waited. :ivar kb_per_trigger: memory by then.
    :ivar start_stall_ms: the maximum lag of the loop until then. :ivar stall_ms: the same from then to the end.
    :ivar own_stall_ms: the latter without the interpreter's garbage collections.
    :ivar seen: triggers that saw their render done. :ivar failed: triggers that ended with an error.
    :ivar last_seconds: from the end of the last render to the end of the last trigger.
    :ivar requests: from the first start to the last end. :ivar connections: opened within that time.
    """

    size: int
    started_seconds: float
    start_stall_ms: float
    kb_per_trigger: float
    stall_ms: float
    own_stall_ms: float
    seen: int
    failed: int
    last_seconds: float
    requests: int
    connections: int


async def measure_crowd(order: Order) -> Crowd:
    """Start all triggers at the same time, and wait until all of them end."""
    from airflow_json2video.polling.registry import PollerRegistry

    contender = CONTENDERS[order.contender]
    counts = Counts(order.control_port)
    await _warm_up(contender, counts)
    ticker = Ticker()
    gc.collect()
    memory = _resident()
    at = time.time()
    await counts.ask("begin", at=at, size=order.size, horizon=0.0, ramp=0.0, account="own", lasting=3600.0)
    triggerer = Triggerer(contender)
    ticker.restart()
    for number in range(order.size):
        triggerer.start(Task(number=number, submitted_at=at))
        if number % _STARTED_TOGETHER == 0:
            await asyncio.sleep(0)
    while sum(map(len, PollerRegistry.current().pollers)) < order.size and not triggerer.failed:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    started, start_stall, memory = time.time() - at, ticker.worst, _resident() - memory

    ticker.restart()
    since = time.time() + 1.0
    await counts.ask("finish", count=order.size, since=since, until=since + _ENDS_WITHIN)
    await asyncio.wait(triggerer.tasks, timeout=_ENDS_WITHIN + 120)
    last, after = time.time(), await counts.ask()
    return Crowd(
        size=order.size,
        started_seconds=started,
        start_stall_ms=start_stall * 1000,
        kb_per_trigger=memory / 1024 / order.size,
        stall_ms=ticker.worst * 1000,
        own_stall_ms=ticker.worst_own * 1000,
        seen=len(triggerer.seen),
        failed=triggerer.failed,
        last_seconds=last - since - _ENDS_WITHIN,
        requests=sum(n for kind, n in after["requests"].items() if "." not in kind),
        connections=after["opened"],
    )


async def _warm_up(contender: Contender, counts: Counts) -> None:
    """Run one trigger until its render is done, so that everything is imported and created that is needed once."""
    at = time.time() - 2 * LONGEST
    await counts.ask("begin", size=1, horizon=0.0, ramp=0.0, at=at, account=contender.account)
    triggerer = Triggerer(contender)
    triggerer.start(Task(number=0, submitted_at=at - LONGEST))
    await asyncio.wait(triggerer.tasks, timeout=60)
    if triggerer.tasks:
        raise SystemExit(f"{contender.title} has not seen within 60 s that a render is done")
    if triggerer.failed:
        raise SystemExit(f"{contender.title} does not run: {triggerer.complaint}")
    await asyncio.sleep(0.2)


async def _start_all(triggerer: Triggerer, plan: Plan, *, at: float) -> None:
    for render in plan.renders:
        wait = at + render.watched - time.time()
        if wait > 0:
            await asyncio.sleep(wait)
        elif render.watched < RAMP:
            triggerer.latest_start = max(triggerer.latest_start, -wait)
        triggerer.start(Task(number=render.number, submitted_at=at + render.start))


def _delays(plan: Plan, seen: dict[int, float], *, at: float, since: float, until: float) -> Iterator[Delay]:
    for render in plan.renders:
        end = at + render.end
        if since <= end < until:
            moment = seen.get(render.number)
            yield Delay((moment or until) - end, seen=moment is not None and moment <= until)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def main(text: str) -> None:
    """Measure and print the result as a line of JSON."""
    order = Order(**json.loads(text))
    raise_file_limit()
    with Path(order.log).open("ab") as log, contextlib.suppress(KeyboardInterrupt):
        from airflow.sdk.log import configure_logging

        configure_logging(json_output=True, output=log, sending_to_supervisor=True)
        asyncio.run(_measure_and_leave(order))


async def _measure_and_leave(order: Order) -> None:
    result = await measure_crowd(order) if order.is_crowd else await measure(order)
    # Otherwise ten thousand triggers are cancelled one by one, which measures nothing.
    print("\n" + json.dumps(asdict(result)), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
