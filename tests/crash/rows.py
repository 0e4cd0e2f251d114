"""The rows of the crash matrix: where the path is broken, and the outcome that is still required."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.crash import acts
from tests.crash.acts import Act
from tests.crash.markers import POINTS, Strike
from tests.crash.table import Expected

__all__ = ["ROWS", "SHORT", "Row"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row.

    :param name: short and unique; it is the run's id, and the movie's ``client-data`` contains it.
    :param point: where the path is broken, for the table.
    :param killed: what is killed or broken, for the table.
    :param strikes: kills inside the task's processes.
    :param faults: fault rules of the service, limited to the row's own movies.
    :param before: what the driver does before it starts.
    :param act: what the driver does while the row runs.
    :param scene: rows with the same scene run together, without any others; those without a scene all run in parallel.
    """

    name: str
    point: str
    killed: str
    dag: str = "crash"
    units: int = 1
    service: str = "main"
    strikes: tuple[Strike, ...] = ()
    faults: tuple[Mapping[str, Any], ...] = ()
    before: Act | None = None
    act: Act | None = None
    expected: Expected = field(default_factory=Expected)
    scene: str | None = None


def _killed(point: str, whom: str, *, dag: str = "crash", task: str = "render", after: float = 0.0, **more: Any) -> Row:
    name = f"kill-{whom}-{point}-{task}-{dag}".replace(".", "-").replace("_", "-")
    place = POINTS[point] + (" (synchronous)" if dag == "crash_sync" else "") + (" (store)" if task == "store" else "")
    # Whichever attempt arrives first: on a busy machine Airflow itself may end an attempt earlier.
    strike = Strike(point=point, whom=whom, task=task, after=after, attempt="any")  # type: ignore[arg-type]
    return Row(name=name, point=place, killed=whom, dag=dag, strikes=(strike,), **more)


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
        strikes=(Strike(point="post.answered"), Strike(point="list.answered", attempt=2)),
    ),
    Row(
        name="kill-mapped",
        point="three mapped tasks, each elsewhere",
        killed="task, worker, task",
        dag="crash_mapped",
        units=3,
        strikes=(
            Strike(point="post.answered", map_index=0, attempt="any"),
            Strike(point="xcom.pushed", map_index=1, whom="worker", attempt="any"),
            Strike(point="result", map_index=2, attempt="any"),
        ),
    ),
    Row(
        name="stop-until-successor-runs",
        point="before the stamp, woken after its successor started",
        killed="worker, stopped",
        strikes=(Strike(point="stamp", whom="worker", what="stop"),),
        act=acts.wake_when_successor_runs,
    ),
    Row(
        name="stop-until-successor-paid",
        point="before the stamp, woken after its successor paid",
        killed="worker, stopped",
        strikes=(Strike(point="stamp", whom="worker", what="stop"),),
        act=acts.wake_when_successor_paid,
    ),
    Row(
        name="stop-until-marked",
        point="before the stamp, woken after it was marked failed; cleared",
        killed="worker, stopped",
        strikes=(Strike(point="stamp", whom="worker", what="stop"),),
        act=acts.wake_when_marked,
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
        strikes=(Strike(point="post.answered", attempt="any"),),
    ),
    Row(
        name="kill-worker-late",
        point="after the response to the POST, listed 25 s late",
        killed="worker",
        service="late",
        strikes=(Strike(point="post.answered", whom="worker", attempt="any"),),
    ),
    Row(
        name="lost-late-kill",
        point="response lost, listed 25 s late; killed during the lookup",
        killed="the response, task",
        service="late",
        strikes=(Strike(point="list.answered", attempt="any"),),
        faults=(_post(kind="lost"),),
    ),
    _broken("lost-sync", "response lost (synchronous)", _post(kind="lost"), dag="crash_sync"),
    Row(
        name="crowded",
        point="response lost; shuffled list, 4 pages",
        killed="the response",
        service="crowded",
        before=acts.fill_the_account,
        faults=(_post(kind="lost"),),
    ),
    Row(
        name="month",
        point="after the response; then a new month begins",
        killed="worker",
        service="month",
        strikes=(Strike(point="post.answered", whom="worker"),),
        before=acts.to_the_end_of_the_month,
        act=acts.turn_the_month,
    ),
)


def _other(name: str, point: str, killed: str, **more: Any) -> Row:
    more.setdefault("before", acts.other_has_rendered)
    return Row(name=f"other-{name}", point=f"same run in another deployment: {point}", killed=killed, **more)


DEPLOYMENTS = (
    _other("retry", "before the POST", "worker", strikes=(Strike(point="post.before", whom="worker", attempt="any"),)),
    _other(
        "retry-running",
        "before the POST, theirs keeps running",
        "task",
        service="long",
        before=acts.other_renders,
        strikes=(Strike(point="post.before", attempt="any"),),
    ),
    _other(
        "kill", "after the response", "worker", strikes=(Strike(point="post.answered", whom="worker", attempt="any"),)
    ),
    _other(
        "clear",
        "both returned a result: cleared",
        "by a user",
        dag="crash_reuse",
        act=acts.clear_after_success_of_both,
    ),
    _other(
        "delete",
        "before the POST; stored, then deleted",
        "task",
        dag="crash_delete",
        service="slow",
        before=acts.other_renders,
        strikes=(Strike(point="post.before", attempt="any"),),
        act=acts.other_keeps_its_video,
    ),
)

WAITING = (
    Row(
        name="clear",
        point="deferred: cleared, the render keeps running",
        killed="by a user",
        service="long",
        act=acts.clear_while_deferred,
    ),
    # The render has ended, or nearly, before the next attempt reads the list.
    Row(
        name="clear-late",
        point="deferred: cleared, the render ends",
        killed="by a user",
        act=acts.clear_while_deferred,
    ),
    Row(
        name="mark-failed",
        point="deferred: marked failed; cleared after the render's end",
        killed="by a user",
        service="slow",
        act=acts.mark_failed_then_clear,
    ),
    Row(
        name="mark-success",
        point="deferred: marked success; cleared after the render's end",
        killed="by a user",
        service="slow",
        act=acts.mark_success_then_clear,
    ),
    Row(
        name="clear-and-kill",
        point="deferred: cleared; then before execute_complete()",
        killed="by a user, task",
        service="long",
        # The first attempt that resumes is one after the clear: it has adopted the render that attempt 1 paid for.
        strikes=(Strike(point="resume", attempt="any"),),
        act=acts.clear_while_deferred,
    ),
    Row(
        name="clear-delivered",
        point="result returned: cleared, a new render is ordered",
        killed="by a user",
        act=acts.clear_after_success,
        expected=Expected(projects=2, paid=2),
    ),
    Row(
        name="clear-delivered-and-kill",
        point="result returned: cleared; then right before the POST",
        killed="by a user, task",
        strikes=(Strike(point="post.before", attempt=2),),
        act=acts.clear_after_success,
        expected=Expected(projects=2, paid=2),
    ),
    Row(
        name="service-away",
        point="service down at the start, back after a minute",
        killed="the service",
        service="away",
        before=acts.service_is_away,
        act=acts.service_comes_back,
    ),
    Row(
        name="service-down",
        point="deferred: service down for 20 s",
        killed="the service",
        service="down",
        act=acts.service_goes_and_comes,
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
        act=acts.key_is_revoked,
    ),
)


def _scene(name: str, point: str, killed: str, act: Act | None, *, scene: str | None = None, **more: Any) -> Row:
    more.setdefault("service", "slow")
    return Row(name=name, point=point, killed=killed, act=act, scene=scene or name, **more)


# Long enough for the next scheduler to consider the last one dead and its task orphaned.
_STUCK_POST = (_post(kind="delay", when="before", seconds=25),)
_SLOW_POST = (_post(kind="delay", when="after", seconds=4),)

COMPONENTS = (
    _scene("triggerer", "deferred", "triggerer", acts.kill_triggerer),
    _scene("triggerer-late", "deferred; back after the render's end", "triggerer", acts.kill_triggerer_until_done),
    _scene("triggerer-end", "when the render ends", "triggerer", acts.kill_triggerer_at_the_end),
    _scene("scheduler-post", "during the POST", "scheduler, workers", acts.kill_scheduler, faults=_SLOW_POST),
    _scene("scheduler-deferred", "deferred", "scheduler", None, scene="scheduler-post"),
    _scene(
        "scheduler-alone",
        "during the POST; workers keep running",
        "scheduler",
        acts.kill_scheduler_alone,
        faults=_STUCK_POST,
    ),
    _scene("api-post", "during the POST", "api-server", acts.kill_api_server, faults=_SLOW_POST),
    _scene("api-deferred", "deferred", "api-server", None, scene="api-post"),
    _scene("all", "deferred", "all of Airflow", acts.kill_all),
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
