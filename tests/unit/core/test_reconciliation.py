"""The verdicts on an account's renders, by the states of its tasks. Pure."""

from __future__ import annotations

from airflow_json2video.core.identity import Stamp, TaskIdentity
from airflow_json2video.core.reconciliation import KnownTask, StampedRender, Verdict, reconcile

ME = TaskIdentity(deployment="id:here", dag_id="a_dag", run_id="r1", task_id="render", map_index=-1, generation=2)


def render(project, *, status="done", identity=ME, print_="same", at="2026-05-01T00:00:00Z", seconds=10.0):
    return StampedRender(
        project=project,
        status=status,
        stamp=Stamp.of(identity, print_, attempt=1),
        created_at=at,
        duration=seconds if status == "done" else None,
        width=1920,
        height=1080,
    )


def verdicts(*renders, state="success", **more):
    found = reconcile(renders, {ME.task_key: KnownTask("a_dag / r1 / render", state)}, deployment="id:here", **more)
    return {project: verdict.value for project, verdict in found.verdicts.items()}


def again(**changes):
    from dataclasses import replace

    return replace(ME, **changes)


def test_the_render_of_a_successful_task_is_used():
    assert verdicts(render("a")) == {"a": "used"}


def test_the_render_of_an_unfinished_task_is_awaited():
    for state in ("deferred", "running", "up_for_retry", None):
        assert verdicts(render("a", status="running"), state=state) == {"a": "awaited"}


def test_the_render_of_a_task_that_failed_is_an_orphan():
    for state in ("failed", "skipped", "removed", "upstream_failed"):
        assert verdicts(render("a"), state=state) == {"a": "orphan"}


def test_the_later_of_two_renders_of_one_document_is_a_duplicate():
    first, second = render("a", seconds=10), render("b", at="2026-05-01T01:00:00Z", seconds=12.5)
    assert verdicts(first, second) == {"a": "used", "b": "duplicate"}
    tasks = {ME.task_key: KnownTask("x", "success")}
    assert reconcile([second, first], tasks, deployment="id:here").wasted_credits == 13


def test_a_failed_render_costs_nothing():
    assert verdicts(render("a", status="error"), render("b")) == {"a": "failed", "b": "used"}
    tasks = {ME.task_key: KnownTask("x", "failed")}
    assert reconcile([render("a", status="error")], tasks, deployment="id:here").wasted_credits == 0


def test_a_render_from_before_a_clear_or_of_another_document_was_replaced():
    before, now = render("a", identity=again(generation=0)), render("b", at="2026-05-02T00:00:00Z")
    assert verdicts(before, now) == {"a": "replaced", "b": "used"}
    assert verdicts(render("a", print_="old"), now) == {"a": "replaced", "b": "used"}


def test_a_render_of_an_unknown_task_is_listed_separately():
    other = render("a", identity=again(dag_id="another"))
    found = reconcile([other], {ME.task_key: KnownTask("x", "failed")}, deployment="id:here")
    assert found.verdicts == {}
    assert found.of_unknown_tasks == (other,)
    assert found.wasted_credits == 0


def test_an_item_of_a_batch_is_known_by_the_name_of_its_task():
    item = StampedRender(
        project="a",
        status="done",
        stamp=Stamp("id:here", "a_dag.render-0123456789abcdef", "the key of an item", "any", 2, 1, "same"),
        duration=1.0,
    )
    tasks = {"a_dag.render": KnownTask("a_dag / render (an item)", "failed")}
    found = reconcile([item], {}, deployment="id:here", tasks_by_name=tasks)
    assert found.of(Verdict.ORPHAN) == [item]
    assert found.labels == {"a": "a_dag / render (an item)"}


def test_the_renders_of_another_deployment_are_neither_judged_nor_counted():
    # The same DAG, run and task, and a batch of the same name.
    theirs = render("a", identity=again(deployment="id:there"))
    item = render("b", identity=again(deployment="namespace:there", item="1"))
    tasks = {again(deployment=name).task_key: KnownTask("x", "failed") for name in ("id:here", "id:there")}
    found = reconcile(
        [theirs, item], tasks, deployment="id:here", tasks_by_name={"a_dag.render": KnownTask("x", "failed")}
    )
    assert (dict(found.verdicts), found.of_unknown_tasks, found.of_other_deployments) == ({}, (), (theirs, item))
    assert found.wasted_credits == 0
    assert reconcile([theirs], tasks, deployment=None).of_other_deployments == (theirs,)


def test_credits_count_started_seconds_and_four_above_full_hd():
    assert render("a", seconds=10.2).credits == 11
    large = StampedRender("a", "done", ME and Stamp.of(ME, "x", attempt=1), duration=2.0, width=3840, height=2160)
    assert large.credits == 8
