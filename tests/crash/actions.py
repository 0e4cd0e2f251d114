"""The actions of the driver while a row runs, from outside the task's processes."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from tests.crash.markers import Hit, Injection
from tests.crash.testbed import Account, Testbed, wait_until

__all__ = ["Action", "Run"]


@dataclass(kw_only=True)
class Run:
    """A run in progress, as an action sees it.

    :param rules: ids of the row's fault rules at the service.
    :param others: the other runs of the same group, by name.
    :param foreign: projects of the same run in another deployment.
    :param injected_at: when the action happened, epoch seconds.
    """

    testbed: Testbed
    dag_id: str
    run_id: str
    account: Account
    injections: tuple[Injection, ...]
    account_name: str = "main"
    rules: list[str] = field(default_factory=list)
    others: dict[str, Run] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    injected_at: float | None = None

    def wait_for(self, *states: str, attempt: int = 1, timeout: float = 120.0) -> None:
        """Wait until the render task is in one of these states, in this attempt or a later one."""

        def reached() -> bool:
            seen = self.testbed.seen(self.run_id, "render")
            return seen.state in states and seen.try_number >= attempt

        wait_until(reached, timeout=timeout, what=f"{self.run_id} to be {' or '.join(states)} in attempt {attempt}")

    def wait_for_hit(self, injection: Injection, *, timeout: float = 120.0) -> Hit:
        """Wait until an injection has happened."""
        found: Hit = wait_until(
            lambda: self.testbed.markers.hit(self.run_id, injection),
            timeout=timeout,
            what=f"{injection.point} in {self.run_id}",
        )
        return found

    def renders(self) -> list[dict[str, Any]]:
        """Return the renders of this run at the service."""
        return [r for r in self.account.unit_renders().get(self.run_id, []) if r["project"] not in self.foreign]

    def wait_for_render(self, *statuses: str, timeout: float = 120.0, interval: float = 0.1) -> dict[str, Any]:
        """Wait until a render of this run exists, in one of *statuses* if there are any."""

        def found() -> dict[str, Any] | None:
            return next((r for r in self.renders() if not statuses or r["status"] in statuses), None)

        render: dict[str, Any] = wait_until(
            found, timeout=timeout, what=f"a render of {self.run_id} to be {statuses or 'created'}", interval=interval
        )
        return render

    def inject_now(self) -> None:
        """Record that the action happens now."""
        self.injected_at = time.time()
        for other in self.others.values():
            other.injected_at = self.injected_at


Action = Callable[[Run], None]


# --- a stopped attempt --------------------------------------------------------------------------


def _wake(hit: Hit) -> None:
    for pid in hit.pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def wake_when_successor_runs(run: Run) -> None:
    """Resume the stopped attempt once the next one runs and is still reading the list."""
    hit = run.wait_for_hit(run.injections[0])
    run.wait_for("running", attempt=2)
    _wake(hit)


def wake_when_successor_paid(run: Run) -> None:
    """Resume the stopped attempt once the next one has a render."""
    hit = run.wait_for_hit(run.injections[0])
    run.wait_for_render(timeout=240)
    _wake(hit)


def wake_when_marked(run: Run) -> None:
    """Mark the task failed while its attempt is stopped, resume the attempt, and clear the task."""
    hit = run.wait_for_hit(run.injections[0])
    run.testbed.mark(run.dag_id, run.run_id, "failed")
    run.wait_for("failed")
    _wake(hit)
    time.sleep(5)  # long enough for it to send, if it were going to
    run.testbed.clear(run.dag_id, run.run_id)
    run.wait_for("running", "deferred", attempt=2)


# --- another deployment -------------------------------------------------------------------------


def other_renders(run: Run) -> None:
    """Have another deployment with the same account submit the same task of the same run, and wait for its render."""
    conf = {"unit": run.run_id, "connection": f"crash_{run.account_name}"}
    run.testbed.other.start_run(run.dag_id, run_id=run.run_id, conf=conf)
    run.foreign.add(run.wait_for_render()["project"])


def other_has_rendered(run: Run) -> None:
    """Do the same, and wait for the end of that run."""
    other_renders(run)
    run.testbed.other.wait_for_run(run.run_id)


def other_keeps_its_video(run: Run) -> None:
    """Wait for both runs: that of the other deployment succeeds, and its render is deleted by its own DAG only."""
    run.wait_for("success", "failed", timeout=240)
    run.testbed.other.wait_for_run(run.run_id)
    (project,) = run.foreign
    deleted = [c for c in run.account.journal() if c["method"] == "DELETE" and c["project"] == project]
    if len(deleted) != 1:
        raise RuntimeError(f"render {project} of the other deployment was deleted {len(deleted)} times")


def clear_after_success_of_both(run: Run) -> None:
    """Clear a task that has returned its result; so has the same task of another deployment."""
    clear_after_success(run)
    run.wait_for("success", attempt=2, timeout=180)


# --- a user, and the service --------------------------------------------------------------------


def clear_while_deferred(run: Run) -> None:
    """Clear the task while its render is running."""
    run.wait_for("deferred")
    run.inject_now()
    run.testbed.clear(run.dag_id, run.run_id)


def mark_failed_then_clear(run: Run) -> None:
    """Mark the task failed while its render is running, and clear it when the render has ended."""
    _mark_then_clear(run, "failed")


def mark_success_then_clear(run: Run) -> None:
    """Mark the task successful while its render is running, and clear it when the render has ended."""
    _mark_then_clear(run, "success")


def _mark_then_clear(run: Run, state: str) -> None:
    run.wait_for("deferred")
    run.inject_now()
    run.testbed.mark(run.dag_id, run.run_id, state)
    run.wait_for(state)
    run.wait_for_render("done")
    run.testbed.clear(run.dag_id, run.run_id)


def clear_after_success(run: Run) -> None:
    """Clear a task that has returned its result: a user orders a new render."""
    run.wait_for("success")
    run.inject_now()
    run.testbed.clear(run.dag_id, run.run_id)
    run.wait_for("running", "deferred", attempt=2)


def service_is_away(run: Run) -> None:
    """Stop the service before the task starts."""
    run.account.kill()


def service_comes_back(run: Run) -> None:
    """Start the service once the task has stopped waiting for it on its worker, or has failed."""
    run.inject_now()
    run.wait_for("deferred", "failed")
    run.account.start()


def service_goes_and_comes(run: Run) -> None:
    """Kill the service while the task is deferred; start it again after a while."""
    run.wait_for("deferred")
    run.inject_now()
    run.account.kill()
    time.sleep(20)
    run.account.start()


def key_is_revoked(run: Run) -> None:
    """Revoke the key while the task is deferred, and restore it when the render is done; the task does not fail."""
    run.wait_for("deferred")
    run.inject_now()
    run.account.set(api_keys=["another-key"])
    run.wait_for_render("done")
    run.account.set(api_keys=[])


def turn_the_month(run: Run) -> None:
    """Submit the render in the last minutes of a month, and search for it in the next month."""
    run.wait_for_hit(run.injections[0])
    run.wait_for_render("done")
    turn = _next_month(time.time())  # on a busy machine that moment may already have passed
    run.account.control("POST", "clock", {"move_to": turn + 30})
    run.testbed.calendar(run.run_id, turn + 30 - time.time())
    listed = run.account.call("GET", "movies")["movies"]
    if listed:
        msg = "the default dates of the list still show last month's render, so this row proves nothing"
        raise AssertionError(msg)


def fill_the_account(run: Run) -> None:
    """Submit renders of other users and tools to the same account, with unrelated data in their documents."""
    foreign: list[Any] = [None, "text", 7, [], ["airflow_json2video"], {"airflow_json2video": "mine"}, {"order": 4711}]
    for number in range(330):
        document: dict[str, Any] = {"width": 64, "height": 64, "scenes": [{"duration": 1}]}
        if number % 8 < len(foreign):
            document["client-data"] = foreign[number % 8]
        run.account.call("POST", "movies", document)


def to_the_end_of_the_month(run: Run) -> None:
    """Set the service's clock, and the task's calendar, to the last minutes of this month."""
    end = _next_month(time.time()) - 240
    run.account.control("POST", "clock", {"move_to": end})
    run.testbed.calendar(run.run_id, end - time.time())


def _next_month(moment: float) -> float:
    now = datetime.fromtimestamp(moment, timezone.utc)
    year, month = (now.year + 1, 1) if now.month == 12 else (now.year, now.month + 1)
    return datetime(year, month, 1, tzinfo=timezone.utc).timestamp()


# --- parts of Airflow ---------------------------------------------------------------------------


def _posting(run: Run) -> None:
    """Wait until the POST of this run has reached the service, where a rule delays it."""

    def arrived() -> bool:
        faults = run.account.faults()
        return any(faults[rule]["applied"] for rule in run.rules)

    wait_until(arrived, timeout=120, what=f"the POST of {run.run_id}", interval=0.05)


def kill_triggerer(run: Run) -> None:
    """Kill the triggerer while the task is deferred, and start it again."""
    run.wait_for("deferred")
    run.inject_now()
    run.testbed.airflow.kill("triggerer")
    run.testbed.restart("triggerer")


def kill_triggerer_until_done(run: Run) -> None:
    """Kill the triggerer while the task is deferred, and start it again when the render is done."""
    run.wait_for("deferred")
    run.inject_now()
    run.testbed.airflow.kill("triggerer")
    run.wait_for_render("done")
    run.testbed.restart("triggerer")


def kill_triggerer_at_the_end(run: Run) -> None:
    """Kill the triggerer at the moment when the render ends."""
    run.wait_for("deferred")
    run.wait_for_render("done", interval=0.02)
    run.inject_now()
    run.testbed.airflow.kill("triggerer")
    run.testbed.restart("triggerer")


def kill_scheduler(run: Run) -> None:
    """Kill the scheduler and its workers while one run submits and another is deferred."""
    for other in run.others.values():
        other.wait_for("deferred")
    _posting(run)
    run.inject_now()
    run.testbed.airflow.kill("scheduler")
    run.testbed.restart("scheduler")


def kill_scheduler_alone(run: Run) -> None:
    """Kill the scheduler's own process: its workers keep running, and the next scheduler starts the task again."""
    _posting(run)
    run.inject_now()
    run.testbed.airflow.kill("scheduler", descendants=False)
    run.testbed.restart("scheduler")


def kill_api_server(run: Run) -> None:
    """Kill the API server, which workers and triggerer report to, while one run submits and another is deferred."""
    for other in run.others.values():
        other.wait_for("deferred")
    _posting(run)
    run.inject_now()
    run.testbed.airflow.kill("api-server")
    run.testbed.restart("api-server")


def kill_all(run: Run) -> None:
    """Kill all components of Airflow together, and start them again."""
    run.wait_for("deferred")
    run.inject_now()
    names = list(run.testbed.airflow.components)
    for name in names:
        run.testbed.airflow.kill(name)
    for name in names:
        run.testbed.restart(name)
