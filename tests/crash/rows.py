"""The rows of the crash matrix: where the path is broken, and the outcome that is still required."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.crash import actions
from tests.crash.actions import Action
from tests.crash.markers import POINTS, Injection
from tests.crash.table import Expected

__all__ = ["ROWS", "SHORT", "Row"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row.

    :param name: short and unique; it is the run's id, and the movie's ``client-data`` contains it.
    :param point: where the path is broken, for the table.
    :param killed: what is killed or broken, for the table.
    :param injections: kills inside the task's processes.
    :param faults: fault rules of the service, limited to the row's own movies.
    :param before: what the driver does before it starts.
    :param action: what the driver does while the row runs.
    :param group: rows with the same group run together, without any others; those without a group all run in parallel.
    """

    name: str
    point: str
    killed: str
    dag: str = "crash"
    units: int = 1
    service: str = "main"
    injections: tuple[Injection, ...] = ()
    faults: tuple[Mapping[str, Any], ...] = ()
    before: Action | None = None
    action: Action | None = None
    expected: Expected = field(default_factory=Expected)
    group: str | None = None


def _killed(point: str, whom: str, *, dag: str = "crash", task: str = "render", after: float = 0.0, **more: Any) -> Row:
    name = f"kill-{whom}-{point}-{task}-{dag}".replace(".", "-").replace("_", "-")
    place = POINTS[point] + (" (synchronous)" if dag == "crash_sync" else "") + (" (store)" if task == "store" else "")
    # Whichever attempt arrives first: on a busy machine Airflow itself may end an attempt earlier.
    injection = Injection(point=point, whom=whom, task=task, after=after, attempt="any")  # type: ignore[arg-type]
    return Row(name=name, point=place, killed=whom, dag=dag, injections=(injection,), **more)


def _post(**rule: Any) -> Mapping[str, Any]:
    return {"method": "POST", "path": "/movies", **rule}


def _broken(name: str, point: str, rule: Mapping[str, Any], **more: Any) -> Row:
    return Row(name=f"fault-{name}", point=point, killed="the response", faults=(rule,), **more)


KILLS = (
    _killed("template", "worker"),
    _killed("execute", "task"),
    _killed("stamp", "worker"),
    _killed("post.before", "task"),
    _killed("post.before", "worker"),
    _killed("post.during", "task", after=0.7, faults=(_post(kind="delay", when="before", seconds=3),)),
    _killed("post.during", "worker", after=0.7, faults=(_post(kind="delay", when="after", seconds=3),)),
    _killed("post.answered", "task"),
    _killed("post.answered", "worker"),
    _killed("xcom", "worker"),
    _killed("xcom.pushed", "task"),
    _killed("defer", "worker"),
    _killed("defer.sending", "worker"),
    _killed("defer.sent", "worker"),
    _killed("resume", "task"),
    _killed("resume", "worker"),
    _killed("result", "task"),
    _killed("result.pushed", "worker"),
    _killed("succeed.sending", "worker"),
    _killed("succeed.sent", "worker"),
    _killed("download.answered", "worker", task="store"),
    _killed("post.answered", "task", dag="crash_sync"),
    _killed("status.answered", "worker", dag="crash_sync"),
    Row(
        name="kill-twice",
        point="after the response; then during the lookup",
        killed="task, twice",
        injections=(Injection(point="post.answered"), Injection(point="list.answered", attempt=2)),
    ),
    Row(
        name="kill-mapped",
        point="three mapped tasks, each elsewhere",
        killed="task, worker, task",
        dag="crash_mapped",
        units=3,
        injections=(
            Injection(point="post.answered", map_index=0, attempt="any"),
            Injection(point="xcom.pushed", map_index=1, whom="worker", attempt="any"),
            Injection(point="result", map_index=2, attempt="any"),
        ),
    ),
    Row(
        name="stop-until-successor-runs",
        point="before the stamp, woken after its successor started",
        killed="worker, stopped",
        injections=(Injection(point="stamp", whom="worker", what="stop"),),
        action=actions.wake_when_successor_runs,
    ),
    Row(
        name="stop-until-successor-paid",
        point="before the stamp, woken after its successor paid",
        killed="worker, stopped",
        injections=(Injection(point="stamp", whom="worker", what="stop"),),
        action=actions.wake_when_successor_paid,
    ),
    Row(
        name="stop-until-marked",
        point="before the stamp, woken after it was marked failed; cleared",
        killed="worker, stopped",
        injections=(Injection(point="stamp", whom="worker", what="stop"),),
        action=actions.wake_when_marked,
    ),
)

ANSWERS = (
    _broken("lost", "response lost", _post(kind="lost")),
    _broken("cut", "response cut after 5 bytes", _post(kind="cut")),
    _broken("html", "response is HTML", _post(kind="answer", when="after", status=200, body="<html>hello</html>")),
    _broken("empty", "response is empty", _post(kind="answer", when="after", status=200, body="")),
    *(
        _broken(f"{status}-created", f"{status}, project created", _post(kind="answer", when="after", status=status))
        for status in (500, 502, 503, 504)
    ),
    *(
        _broken(f"{status}-nothing", f"{status}, no project", _post(kind="answer", status=status))
        for status in (500, 502, 503, 504)
    ),
    _broken("lost-nothing", "connection lost, no project", _post(kind="lost", when="before")),
    *(
        _broken(
            f"refused-{name}",
            f"500, '{words}', three times",
            _post(kind="answer", status=500, body={"success": False, "message": words}, times=3),
        )
        for name, words in (
            ("creating", "Error creating movie: no capacity"),
            ("starting", "Error starting subprocess"),
        )
    ),
    _broken("429", "429, Retry-After 1", _post(kind="answer", status=429, retry_after=1)),
    _broken("lost-late", "response lost, listed 25 s late", _post(kind="lost"), service="late"),
    _broken(
        "502-late",
        "502, project created, listed 25 s late",
        _post(kind="answer", when="after", status=502),
        service="late",
    ),
    _broken(
        "lost-late-sync",
        "response lost, listed 25 s late (synchronous)",
        _post(kind="lost"),
        service="late",
        dag="crash_sync",
    ),
    Row(
        name="kill-late",
        point="after the response to the POST, listed 25 s late",
        killed="task",
        service="late",
        injections=(Injection(point="post.answered", attempt="any"),),
    ),
    Row(
        name="kill-worker-late",
        point="after the response to the POST, listed 25 s late",
        killed="worker",
        service="late",
        injections=(Injection(point="post.answered", whom="worker", attempt="any"),),
    ),
    Row(
        name="lost-late-kill",
        point="response lost, listed 25 s late; killed during the lookup",
        killed="the response, task",
        service="late",
        injections=(Injection(point="list.answered", attempt="any"),),
        faults=(_post(kind="lost"),),
    ),
    _broken("lost-sync", "response lost (synchronous)", _post(kind="lost"), dag="crash_sync"),
    Row(
        name="crowded",
        point="response lost; shuffled list, 4 pages",
        killed="the response",
        service="crowded",
        before=actions.fill_the_account,
        faults=(_post(kind="lost"),),
    ),
    Row(
        name="month",
        point="after the response; then a new month begins",
        killed="worker",
        service="month",
        injections=(Injection(point="post.answered", whom="worker"),),
        before=actions.to_the_end_of_the_month,
        action=actions.turn_the_month,
    ),
)


def _other(name: str, point: str, killed: str, **more: Any) -> Row:
    more.setdefault("before", actions.other_has_rendered)
    return Row(name=f"other-{name}", point=f"same run in another deployment: {point}", killed=killed, **more)


DEPLOYMENTS = (
    _other(
        "retry", "before the POST", "worker", injections=(Injection(point="post.before", whom="worker", attempt="any"),)
    ),
    _other(
        "retry-running",
        "before the POST, theirs keeps running",
        "task",
        service="long",
        before=actions.other_renders,
        injections=(Injection(point="post.before", attempt="any"),),
    ),
    _other(
        "kill",
        "after the response",
        "worker",
        injections=(Injection(point="post.answered", whom="worker", attempt="any"),),
    ),
    _other(
        "clear",
        "both returned a result: cleared",
        "by a user",
        dag="crash_reuse",
        action=actions.clear_after_success_of_both,
    ),
    _other(
        "delete",
        "before the POST; stored, then deleted",
        "task",
        dag="crash_delete",
        service="slow",
        before=actions.other_renders,
        injections=(Injection(point="post.before", attempt="any"),),
        action=actions.other_keeps_its_video,
    ),
)

WAITING = (
    Row(
        name="clear",
        point="deferred: cleared, the render keeps running",
        killed="by a user",
        service="long",
        action=actions.clear_while_deferred,
    ),
    # The render has ended, or nearly, before the next attempt reads the list.
    Row(
        name="clear-late",
        point="deferred: cleared, the render ends",
        killed="by a user",
        action=actions.clear_while_deferred,
    ),
    Row(
        name="mark-failed",
        point="deferred: marked failed; cleared after the render's end",
        killed="by a user",
        service="slow",
        action=actions.mark_failed_then_clear,
    ),
    Row(
        name="mark-success",
        point="deferred: marked success; cleared after the render's end",
        killed="by a user",
        service="slow",
        action=actions.mark_success_then_clear,
    ),
    Row(
        name="clear-and-kill",
        point="deferred: cleared; then before execute_complete()",
        killed="by a user, task",
        service="long",
        # The first attempt that resumes is one after the clear: it has adopted the render that attempt 1 paid for.
        injections=(Injection(point="resume", attempt="any"),),
        action=actions.clear_while_deferred,
    ),
    Row(
        name="clear-delivered",
        point="result returned: cleared, a new render is ordered",
        killed="by a user",
        action=actions.clear_after_success,
        expected=Expected(projects=2, paid=2),
    ),
    Row(
        name="clear-delivered-and-kill",
        point="result returned: cleared; then right before the POST",
        killed="by a user, task",
        injections=(Injection(point="post.before", attempt=2),),
        action=actions.clear_after_success,
        expected=Expected(projects=2, paid=2),
    ),
    Row(
        name="service-away",
        point="service down at the start, back after a minute",
        killed="the service",
        service="away",
        before=actions.service_is_away,
        action=actions.service_comes_back,
    ),
    Row(
        name="service-down",
        point="deferred: service down for 20 s",
        killed="the service",
        service="down",
        action=actions.service_goes_and_comes,
    ),
    Row(
        name="polls-fail",
        point="deferred: eight polls answered with 503",
        killed="the responses",
        service="slow",
        faults=({"kind": "answer", "method": "GET", "path": "/movies", "status": 503, "times": 8},),
    ),
    Row(
        name="wrong-key",
        point="deferred: key revoked, then replaced",
        killed="the key",
        service="keyed",
        action=actions.key_is_revoked,
    ),
)


def _grouped(
    name: str, point: str, killed: str, action: Action | None, *, group: str | None = None, **more: Any
) -> Row:
    more.setdefault("service", "slow")
    return Row(name=name, point=point, killed=killed, action=action, group=group or name, **more)


# Long enough for the next scheduler to consider the last one dead and its task orphaned.
_STUCK_POST = (_post(kind="delay", when="before", seconds=25),)
_SLOW_POST = (_post(kind="delay", when="after", seconds=4),)

COMPONENTS = (
    _grouped("triggerer", "deferred", "triggerer", actions.kill_triggerer),
    _grouped("triggerer-late", "deferred; back after the render's end", "triggerer", actions.kill_triggerer_until_done),
    _grouped("triggerer-end", "when the render ends", "triggerer", actions.kill_triggerer_at_the_end),
    _grouped("scheduler-post", "during the POST", "scheduler, workers", actions.kill_scheduler, faults=_SLOW_POST),
    _grouped("scheduler-deferred", "deferred", "scheduler", None, group="scheduler-post"),
    _grouped(
        "scheduler-alone",
        "during the POST; workers keep running",
        "scheduler",
        actions.kill_scheduler_alone,
        faults=_STUCK_POST,
    ),
    _grouped("api-post", "during the POST", "api-server", actions.kill_api_server, faults=_SLOW_POST),
    _grouped("api-deferred", "deferred", "api-server", None, group="api-post"),
    _grouped("all", "deferred", "all of Airflow", actions.kill_all),
)

ROWS: tuple[Row, ...] = (*KILLS, *ANSWERS, *DEPLOYMENTS, *WAITING, *COMPONENTS)

_SHORT_NAMES = (
    "kill-worker-post-before-render-crash",
    "kill-task-post-during-render-crash",
    "kill-worker-post-answered-render-crash",
    "kill-worker-defer-sending-render-crash",
    "kill-task-resume-render-crash",
    "kill-mapped",
    "stop-until-successor-runs",
    "fault-lost",
    "fault-503-nothing",
    "clear-and-kill",
    "other-retry",
    "triggerer",
)
SHORT: tuple[Row, ...] = tuple(row for row in ROWS if row.name in _SHORT_NAMES)
"""The most important points, for CI."""
