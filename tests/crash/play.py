"""Plays rows on a stage and says what became of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tests.crash.acts import Run
from tests.crash.rows import Row
from tests.crash.stage import FINAL, Stage
from tests.crash.table import Outcome, Unit, problems

__all__ = ["play"]

_LIMIT = 300.0
"""Seconds that a row may take."""

_STAGGER = 0.7
"""Seconds between the starts of rows that are played at once; a worker's start costs most of a processor."""


class _Play:
    """One row while it is played."""

    def __init__(self, stage: Stage, row: Row) -> None:
        self.stage = stage
        self.row = row
        self.account = stage.accounts[row.service]
        self.run = Run(stage=stage, dag_id=row.dag, run_id=row.name, account=self.account, strikes=row.strikes)
        self.run.account_name = row.service
        self.trouble: str | None = None
        self.outcome: Outcome | None = None

    def start(self) -> None:
        """Put everything in place and start the run."""
        row = self.row
        if row.before is not None:
            row.before(self.run)
        for strike in row.strikes:
            self.stage.markers.place(row.name, strike)
        if row.faults:
            # The quotes end the name, so that no other row's movies are meant.
            self.run.rules = self.account.break_with(*({**rule, "marker": f'"{row.name}"'} for rule in row.faults))
        conf = {"unit": row.name, "connection": f"lab_{row.service}"}
        self.stage.trigger(row.dag, run_id=row.name, conf=conf)

    def go_on(self) -> None:
        """Do what the row does while it runs, wait for its end, and look at what became of it."""
        try:
            if self.trouble is None:
                if self.row.act is not None:
                    self.row.act(self.run)
                self._wait()
        except Exception as error:
            self.trouble = f"{type(error).__name__}: {error}"
        self.outcome = self._look()

    def _wait(self) -> None:
        deadline = time.monotonic() + _LIMIT
        quiet_since: float | None = None
        while True:
            # Both tasks are in a final state, and stay there for longer than a look takes.
            quiet_since = (quiet_since or time.monotonic()) if self._ended() else None
            if quiet_since is not None and time.monotonic() - quiet_since > 3.0:
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"not over after {_LIMIT:.0f} s: {self.stage.instances(self.row.name, 'render')}")
            time.sleep(0.3)
        # A second render may still be under way: what it costs is known when it ends.
        while any(r["status"] in ("pending", "running") for r in self._renders()):
            if time.monotonic() > deadline:
                raise TimeoutError("a render of this row does not end")
            time.sleep(0.3)

    def _ended(self) -> bool:
        units = self._indices()
        renders, stores = (self.stage.instances(self.row.name, task) for task in ("render", "store"))
        if not all(i in renders and renders[i].state in FINAL for i in units):
            return False
        # Until its upstream has ended, a mapped task is seen as one with the index -1, or not at all.
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

    def _look(self) -> Outcome:
        row, stage = self.row, self.stage
        of_unit = self.account.unit_renders()
        units = []
        for index in self._indices():
            renders = [r for r in of_unit.get(self._name(index), []) if r["project"] not in self.run.foreign]
            seen = stage.seen(row.name, "render", index)
            result = stage.xcom(row.dag, row.name, "render", index)
            units.append(
                Unit(
                    name=self._name(index),
                    state=seen.state,
                    attempts=seen.try_number,
                    projects=tuple(r["project"] for r in renders),
                    paid=tuple(r["project"] for r in renders if r["status"] == "done" and r["credits"]),
                    result=result.get("project") if isinstance(result, dict) else None,
                    stored=stage.xcom(row.dag, row.name, "store", index),
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
        hits = [stage.markers.hit(row.name, strike) for strike in row.strikes]
        faults = self.account.faults()
        missed = [strike.point for strike, hit in zip(row.strikes, hits, strict=True) if hit is None]
        missed += [rule for rule in self.run.rules if rule in faults and not faults[rule]["struck"]]
        moments = [hit.at for hit in hits if hit is not None]
        if self.run.struck_at is not None:
            moments.append(self.run.struck_at)
        if self.run.rules and not moments:
            moments += [c["time"] for c in self.account.journal() if set(c["faults"] or ()) & set(self.run.rules)][:1]
        ends = [stage.seen(row.name, "render", index).at for index in self._indices()]
        if any(strike.task == "store" for strike in row.strikes):
            ends = [stage.seen(row.name, "store", index).at for index in self._indices()]
        return Outcome(
            point=row.point,
            killed=row.killed,
            expected=row.expected,
            units=tuple(units),
            posts=len(posts),
            credits=sum(r["credits"] for r in self._renders() if r["status"] == "done"),
            seconds=max(0.0, max(ends) - min(moments)) if moments else None,
            missed=tuple(missed),
            trouble=self.trouble,
        )


def play(stage: Stage, rows: Sequence[Row], *, tell: Callable[[str], None]) -> list[Outcome]:
    """Play the rows: those without a scene all at once, then each scene by itself.

    :param tell: is given a line as each row ends.
    :returns: the outcomes, in the order of the rows.
    """
    plays = {row.name: _Play(stage, row) for row in rows}
    scenes: dict[str | None, list[_Play]] = {}
    for one in plays.values():
        scenes.setdefault(one.row.scene, []).append(one)
    together = scenes.pop(None, [])
    if together:
        _play_at_once(together, tell=tell)
    for scene in scenes.values():
        stage.airflow.wait_healthy()
        _play_scene(scene, tell=tell)
    return [one.outcome for one in plays.values() if one.outcome is not None]


def _play_at_once(plays: Sequence[_Play], *, tell: Callable[[str], None]) -> None:
    threads = []
    for one in plays:
        _start(one)
        threads.append(_going_on(one, tell=tell))
        time.sleep(_STAGGER)
    for thread in threads:
        thread.join()


def _play_scene(plays: Sequence[_Play], *, tell: Callable[[str], None]) -> None:
    """Start the rows that only have to be there, then the one that acts."""
    acting = [one for one in plays if one.row.act is not None]
    there = [one for one in plays if one.row.act is None]
    threads = []
    for one in there:
        _start(one)
        if one.trouble is None:
            one.run.wait_for("deferred")
        threads.append(_going_on(one, tell=tell))
    for one in acting:
        one.run.others.update({other.row.name: other.run for other in there})
        _start(one)
        threads.append(_going_on(one, tell=tell))
    for thread in threads:
        thread.join()


def _start(one: _Play) -> None:
    try:
        one.start()
    except Exception as error:
        one.trouble = f"not started: {type(error).__name__}: {error}"


def _going_on(one: _Play, *, tell: Callable[[str], None]) -> threading.Thread:
    def go_on() -> None:
        one.go_on()
        if one.outcome is not None:
            wrong = problems(one.outcome)
            tell(f"{one.row.name}: {'; '.join(wrong) if wrong else 'as it must be'}")

    thread = threading.Thread(target=go_on, name=one.row.name, daemon=True)
    thread.start()
    return thread
