"""Many renders with random faults and kills, under a seed: ``python -m tests.crash --soak 300 --seed 7``."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.markers import Injection
from tests.crash.table import Expected, Outcome, Unit, as_table, problems
from tests.crash.testbed import CONFIRMATION_TIME, FINAL, Testbed

__all__ = ["RandomFault", "random_faults", "soak"]

_PER_RUN = 30
_POINTS = (
    *("template", "execute", "stamp", "post.before", "post.answered", "xcom", "xcom.pushed"),
    *("defer", "defer.sending", "defer.sent", "resume", "result", "result.pushed", "succeed.sending"),
)
_CREATED: tuple[Mapping[str, Any], ...] = (
    {"kind": "lost"},
    {"kind": "cut"},
    {"kind": "answer", "when": "after", "status": 200, "body": "<html>"},
    *({"kind": "answer", "when": "after", "status": status} for status in (500, 502, 503, 504)),
    {"kind": "delay", "when": "after", "seconds": 4},
)
_REFUSED: tuple[Mapping[str, Any], ...] = (
    {"kind": "answer", "status": 429, "retry_after": 1},
    {"kind": "answer", "status": 500, "body": {"success": False, "message": "Error starting subprocess"}, "times": 2},
)
_NOTHING: tuple[Mapping[str, Any], ...] = (
    {"kind": "answer", "status": 502},
    {"kind": "lost", "when": "before"},
)
_COMPONENTS = ("triggerer", "triggerer", "scheduler", "scheduler alone", "api-server")


@dataclass(frozen=True, kw_only=True)
class RandomFault:
    """The kills and the fault of one render."""

    injections: tuple[Injection, ...] = ()
    fault: Mapping[str, Any] | None = None


def random_faults(renders: int, *, seed: int) -> list[RandomFault]:
    """Draw kills and faults for each render: none for a third of them. The same seed draws the same."""
    rng = random.Random(seed)
    drawn = []
    for _ in range(renders):
        injections: tuple[Injection, ...] = ()
        fault: Mapping[str, Any] | None = None
        dice = rng.random()
        attempts = 0 if dice < 0.6 else 1 if dice < 0.9 else 2
        for attempt in range(1, attempts + 1):
            whom = rng.choice(("task", "task", "worker"))
            injections += (Injection(point=rng.choice(_POINTS), whom=whom, attempt=attempt),)  # type: ignore[arg-type]
        dice = rng.random()
        if dice < 0.30:
            fault = rng.choice(_CREATED)
        elif dice < 0.34:
            fault = rng.choice(_REFUSED)
        elif dice < 0.37:
            fault = rng.choice(_NOTHING)
        drawn.append(RandomFault(injections=injections, fault=fault))
    return drawn


def soak(home: Path, *, renders: int, seed: int, naive: bool = False, database: str | None = None) -> int:
    """Run the soak, print its table, and return the exit code."""
    began = time.monotonic()
    per_run = min(_PER_RUN, renders)
    runs = -(-renders // per_run)
    drawn = random_faults(runs * per_run, seed=seed)
    environment = {
        "JSON2VIDEO_CRASH_SOAK": str(per_run),
        "JSON2VIDEO_CRASH_RETRIES": "12",
        # Two processors start a few tasks per second; a task that waits for a processor is not dead.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "25",
        "AIRFLOW__CORE__PARALLELISM": "72",
    }
    if database:
        environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = database
    settings = {
        "main": {
            "mode": "instant",
            "queue_seconds": 0.5,
            "render_seconds": 4.0,
            "credits": 1e6,
            "list_delay": CONFIRMATION_TIME - 5.0,
        }
    }
    print(f"Soak: {runs * per_run} renders in {runs} runs, seed {seed}")
    with Testbed(home, naive=naive, services=settings, environment=environment, dags=("crash_soak",)) as testbed:
        print(f"  {time.monotonic() - began:5.0f} s  Airflow is ready")
        killed = _Killer(testbed, seed=seed, began=began)
        for number in range(runs):
            _start(testbed, number, drawn[number * per_run : (number + 1) * per_run])
            killed.start()
            killed.pause(8)
        _wait(testbed, runs, per_run, share=0.9, began=began)
        killed.stop()
        _wait(testbed, runs, per_run, share=1.0, began=began)
        outcome = _outcome(testbed, drawn, runs, per_run, killed=killed, seed=seed)
    print(f"\n{as_table([outcome])}\n\nThe soak took {time.monotonic() - began:.0f} s. Logs are in {home}.")
    return 1 if problems(outcome) else 0


def _start(testbed: Testbed, number: int, drawn: list[RandomFault]) -> None:
    run_id = f"soak-{number:02}"
    account = testbed.accounts["main"]
    rules = []
    for index, random_fault in enumerate(drawn):
        for injection in random_fault.injections:
            testbed.markers.place(
                run_id,
                Injection(point=injection.point, whom=injection.whom, attempt=injection.attempt, map_index=index),
            )
        if random_fault.fault is not None:
            rules.append({"method": "POST", "path": "/movies", "marker": f'"{run_id}.{index}"', **random_fault.fault})
    if rules:
        account.break_with(*rules)
    conf = {"unit": run_id, "connection": "crash_main"}
    testbed.trigger("crash_soak", run_id=run_id, conf=conf)


def _wait(testbed: Testbed, runs: int, per_run: int, *, share: float, began: float) -> None:
    """Wait until this share of the renders has finished."""
    deadline = time.monotonic() + 1800
    reported_at = 0.0
    while True:
        seen = [s for n in range(runs) for s in testbed.instances(f"soak-{n:02}", "render").values()]
        over = sum(s.state in FINAL for s in seen)
        if over >= share * runs * per_run or time.monotonic() > deadline:
            return
        if time.monotonic() - reported_at > 30:
            reported_at = time.monotonic()
            print(f"  {reported_at - began:5.0f} s  {over} of {runs * per_run} finished")
        time.sleep(1)


class _Killer:
    """Kills a component of Airflow at random intervals, in an order that depends on the seed."""

    def __init__(self, testbed: Testbed, *, seed: int, began: float) -> None:
        self._testbed = testbed
        self._rng = random.Random(seed + 1)
        self._began = began
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._kill, daemon=True)
        self.killed: list[str] = []

    def start(self) -> None:
        """Start; a second call does nothing."""
        if self._thread.ident is None:
            self._thread.start()

    def pause(self, seconds: float) -> None:
        """Wait."""
        self._over.wait(seconds)

    def stop(self) -> None:
        """Stop killing."""
        self._over.set()
        self._thread.join(60)

    def _kill(self) -> None:
        while not self._over.wait(self._rng.uniform(40, 70)):
            what = self._rng.choice(_COMPONENTS)
            component = what.split()[0]
            print(f"  {time.monotonic() - self._began:5.0f} s  kill -9 {what}")
            self._testbed.airflow.kill(component, descendants=what != "scheduler alone")
            self._testbed.restart(component)
            self.killed.append(what)


def _outcome(
    testbed: Testbed, drawn: list[RandomFault], runs: int, per_run: int, *, killed: _Killer, seed: int
) -> Outcome:
    account = testbed.accounts["main"]
    while any(r["status"] in ("pending", "running") for r in account.renders()):
        time.sleep(0.5)
    of_unit = account.unit_renders()
    units, injections = [], 0
    for number in range(runs):
        run_id = f"soak-{number:02}"
        for index in range(per_run):
            random_fault = drawn[number * per_run + index]
            injections += sum(
                testbed.markers.hit(run_id, Injection(point=s.point, attempt=s.attempt, map_index=index)) is not None
                for s in random_fault.injections
            )
            name = f"{run_id}.{index}"
            found = of_unit.get(name, [])
            seen = testbed.seen(run_id, "render", index)
            result = testbed.xcom("crash_soak", run_id, "render", index)
            project = result.get("project") if isinstance(result, dict) else None
            units.append(
                Unit(
                    name=name,
                    state=seen.state,
                    attempts=seen.try_number,
                    projects=tuple(r["project"] for r in found),
                    paid=tuple(r["project"] for r in found if r["status"] == "done" and r["credits"]),
                    result=project,
                    stored=project,
                )
            )
    faults = sum(f["applied"] for f in account.faults().values())
    posts = [c for c in account.journal() if c["method"] == "POST" and c["path"] == "/v2/movies"]
    return Outcome(
        point=f"{len(units)} renders, seed {seed}",
        killed=f"{injections} tasks and workers, {faults} responses, {len(killed.killed)} components of Airflow",
        expected=Expected(),
        units=tuple(units),
        posts=len(posts),
        credits=sum(r["credits"] for r in account.renders() if r["status"] == "done"),
        seconds=None,
    )
