"""Run rows on a testbed and collect their outcomes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tests.crash.actions import Run
from tests.crash.rows import Row
from tests.crash.table import Outcome, Unit, problems
from tests.crash.testbed import FINAL, Testbed

__all__ = ["run_rows"]

_MAX_ROW_SECONDS = 300.0
"""Time limit of a row."""

_STAGGER = 0.7
"""Seconds between the starts of rows that run in parallel; starting a worker uses most of a processor."""


class _RowRun:
    """One row in progress."""

    def __init__(self, testbed: Testbed, row: Row) -> None:
        self.testbed = testbed
        self.row = row
        self.account = testbed.accounts[row.service]
        self.run = Run(
            testbed=testbed, dag_id=row.dag, run_id=row.name, account=self.account, injections=row.injections
        )
        self.run.account_name = row.service
        self.driver_error: str | None = None
        self.outcome: Outcome | None = None

    def start(self) -> None:
        """Prepare everything and start the run."""
        row = self.row
        if row.before is not None:
            row.before(self.run)
        for injection in row.injections:
            self.testbed.markers.place(row.name, injection)
        if row.faults:
            # The quotes delimit the name, so that movies of other rows do not match.
            self.run.rules = self.account.break_with(*({**rule, "marker": f'"{row.name}"'} for rule in row.faults))
        conf = {"unit": row.name, "connection": f"crash_{row.service}"}
        self.testbed.trigger(row.dag, run_id=row.name, conf=conf)

    def finish(self) -> None:
        """Run the row's action, wait for the end of the run, and collect the outcome."""
        try:
            if self.driver_error is None:
                if self.row.action is not None:
                    self.row.action(self.run)
                self._wait()
        except Exception as error:
            self.driver_error = f"{type(error).__name__}: {error}"
        self.outcome = self._collect()

    def _wait(self) -> None:
        deadline = time.monotonic() + _MAX_ROW_SECONDS
        quiet_since: float | None = None
        while True:
            # Both tasks are in a final state, and remain there for longer than one poll.
            quiet_since = (quiet_since or time.monotonic()) if self._ended() else None
            if quiet_since is not None and time.monotonic() - quiet_since > 3.0:
                break
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"not finished after {_MAX_ROW_SECONDS:.0f} s: {self.testbed.instances(self.row.name, 'render')}"
                )
            time.sleep(0.3)
        # A second render may still be running: its cost is known when it ends.
        while any(r["status"] in ("pending", "running") for r in self._renders()):
            if time.monotonic() > deadline:
                raise TimeoutError("a render of this row does not end")
            time.sleep(0.3)

    def _ended(self) -> bool:
        units = self._indices()
        renders, stores = (self.testbed.instances(self.row.name, task) for task in ("render", "store"))
        if not all(i in renders and renders[i].state in FINAL for i in units):
            return False
        # Until its upstream has ended, a mapped task is shown as one with the index -1, or not at all.
        if any(renders[i].state == "success" for i in units):
            return all(i in stores and stores[i].state in FINAL for i in units)
        return any(seen.state in FINAL for seen in stores.values())

    def _indices(self) -> range:
        return range(self.row.units) if self.row.dag == "crash_mapped" else range(-1, 0)

    def _name(self, index: int) -> str:
        return self.row.name if index < 0 else f"{self.row.name}.{index}"

    def _renders(self) -> list[dict[str, Any]]:
        found = self.account.unit_renders()
        own = [r for index in self._indices() for r in found.get(self._name(index), [])]
        return [r for r in own if r["project"] not in self.run.foreign]

    def _collect(self) -> Outcome:
        row, testbed = self.row, self.testbed
        of_unit = self.account.unit_renders()
        units = []
        for index in self._indices():
            renders = [r for r in of_unit.get(self._name(index), []) if r["project"] not in self.run.foreign]
            seen = testbed.seen(row.name, "render", index)
            result = testbed.xcom(row.dag, row.name, "render", index)
            units.append(
                Unit(
                    name=self._name(index),
                    state=seen.state,
                    attempts=seen.try_number,
                    projects=tuple(r["project"] for r in renders),
                    paid=tuple(r["project"] for r in renders if r["status"] == "done" and r["credits"]),
                    result=result.get("project") if isinstance(result, dict) else None,
                    stored=testbed.xcom(row.dag, row.name, "store", index),
                )
            )
        projects = {p for unit in units for p in unit.projects}
        posts = [
            call
            for call in self.account.journal()
            if call["method"] == "POST"
            and call["path"] == "/v2/movies"
            and (call["project"] in projects or set(call["faults"] or ()) & set(self.run.rules))
        ]
        hits = [testbed.markers.hit(row.name, injection) for injection in row.injections]
        faults = self.account.faults()
        missed = [injection.point for injection, hit in zip(row.injections, hits, strict=True) if hit is None]
        missed += [rule for rule in self.run.rules if rule in faults and not faults[rule]["applied"]]
        moments = [hit.at for hit in hits if hit is not None]
        if self.run.injected_at is not None:
            moments.append(self.run.injected_at)
        if self.run.rules and not moments:
            moments += [c["time"] for c in self.account.journal() if set(c["faults"] or ()) & set(self.run.rules)][:1]
        ends = [testbed.seen(row.name, "render", index).at for index in self._indices()]
        if any(injection.task == "store" for injection in row.injections):
            ends = [testbed.seen(row.name, "store", index).at for index in self._indices()]
        return Outcome(
            point=row.point,
            killed=row.killed,
            expected=row.expected,
            units=tuple(units),
            posts=len(posts),
            credits=sum(r["credits"] for r in self._renders() if r["status"] == "done"),
            seconds=max(0.0, max(ends) - min(moments)) if moments else None,
            missed=tuple(missed),
            driver_error=self.driver_error,
        )


def run_rows(testbed: Testbed, rows: Sequence[Row], *, report: Callable[[str], None]) -> list[Outcome]:
    """Run the rows: those without a group in parallel, then each group by itself.

    :param report: called with a line when a row ends.
    :returns: the outcomes, in the order of the rows.
    """
    row_runs = {row.name: _RowRun(testbed, row) for row in rows}
    groups: dict[str | None, list[_RowRun]] = {}
    for one in row_runs.values():
        groups.setdefault(one.row.group, []).append(one)
    together = groups.pop(None, [])
    if together:
        _run_in_parallel(together, report=report)
    for group in groups.values():
        testbed.airflow.wait_healthy()
        _run_group(group, report=report)
    return [one.outcome for one in row_runs.values() if one.outcome is not None]


def _run_in_parallel(row_runs: Sequence[_RowRun], *, report: Callable[[str], None]) -> None:
    threads = []
    for one in row_runs:
        _start(one)
        threads.append(_finish_in_thread(one, report=report))
        time.sleep(_STAGGER)
    for thread in threads:
        thread.join()


def _run_group(row_runs: Sequence[_RowRun], *, report: Callable[[str], None]) -> None:
    """Start the rows without an action, then the one with an action."""
    acting = [one for one in row_runs if one.row.action is not None]
    passive = [one for one in row_runs if one.row.action is None]
    threads = []
    for one in passive:
        _start(one)
        if one.driver_error is None:
            one.run.wait_for("deferred")
        threads.append(_finish_in_thread(one, report=report))
    for one in acting:
        one.run.others.update({other.row.name: other.run for other in passive})
        _start(one)
        threads.append(_finish_in_thread(one, report=report))
    for thread in threads:
        thread.join()


def _start(one: _RowRun) -> None:
    try:
        one.start()
    except Exception as error:
        one.driver_error = f"not started: {type(error).__name__}: {error}"


def _finish_in_thread(one: _RowRun, *, report: Callable[[str], None]) -> threading.Thread:
    def finish() -> None:
        one.finish()
        if one.outcome is not None:
            wrong = problems(one.outcome)
            report(f"{one.row.name}: {'; '.join(wrong) if wrong else 'as expected'}")

    thread = threading.Thread(target=finish, name=one.row.name, daemon=True)
    thread.start()
    return thread
