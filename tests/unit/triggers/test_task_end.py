"""``end_from_trigger=True``: the same XComs without a worker, and a worker where it has more to do."""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec

import pytest
from airflow.providers.common.compat.sdk import DAG, Asset, XCom, task

from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.sensors.render import Json2VideoRenderSensor
from airflow_json2video.triggers._task_end import reason_for_worker
from tests.unit.attempts import Attempt

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2}]}
needs_airflow_3 = pytest.mark.skipif(find_spec("airflow.sdk") is None, reason="a task ends from its trigger on 3")


def render(**arguments):
    arguments = {
        "task_id": "render",
        "movie": MOVIE,
        "poll_interval": 0.3,
        "end_from_trigger": True,
        "on_clear": "resubmit",
    } | arguments
    with DAG("a_dag", schedule=None):
        return Json2VideoRenderOperator(**arguments)


@pytest.fixture
def pushed(monkeypatch):
    """What the trigger pushes, by key. In a triggerer it goes through the supervisor, which is not here."""
    xcoms = {}

    def push(key, value, **of):
        assert of == {"dag_id": "a_dag", "run_id": "manual__1", "task_id": of["task_id"], "map_index": -1}
        xcoms[key] = json.loads(json.dumps(value))

    async def aset(*arguments, **of):
        push(*arguments, **of)

    monkeypatch.setattr(XCom, "set", push)
    if hasattr(XCom, "aset"):
        monkeypatch.setattr(XCom, "aset", aset)
    return xcoms


def last_event(attempt):
    async def events():
        return [event async for event in attempt.trigger().run()]

    return asyncio.run(events())[-1]


@needs_airflow_3
@pytest.mark.parametrize("do_xcom_push", [True, False])
def test_the_trigger_pushes_exactly_what_a_worker_would_have(connection, service, pushed, do_xcom_push):
    attempt = Attempt(render(do_xcom_push=do_xcom_push))
    attempt.start()
    event = last_event(attempt)
    assert event.task_instance_state == "success"
    on_a_worker = Attempt(render(do_xcom_push=do_xcom_push, end_from_trigger=False), try_number=2)
    on_a_worker.run()  # adopts the same render
    from_the_trigger = {**attempt.xcoms, **pushed}
    # The event carries the note that the result was given: Airflow stores it together with the success.
    assert json.loads(event.model_dump_json())["xcoms"] == {"json2video_generation_2_returned_by_attempt_1": True}
    assert "json2video_generation_2_returned_by_attempt_2" in on_a_worker.xcoms
    quota = [
        xcoms.get("return_value", {}).pop("remaining_quota", None) for xcoms in (from_the_trigger, on_a_worker.xcoms)
    ]
    of_a_worker = {key: value for key, value in on_a_worker.xcoms.items() if "generation" not in key}
    assert from_the_trigger == of_a_worker
    assert all(quota) == do_xcom_push


@needs_airflow_3
def test_a_failed_render_ends_on_a_worker(connection, service):
    service.add_fault("render", status="error", message="Scene #1: no such font")
    attempt = Attempt(render())
    attempt.start()
    event = last_event(attempt)
    assert not hasattr(event, "task_instance_state")
    assert event.payload["error"]["service_message"] == "Scene #1: no such font"


@needs_airflow_3
def test_a_sensor_can_end_from_its_trigger(connection, service, pushed):
    service.settings.update({"render_seconds": 1.0})
    project = Attempt(render(wait_for_completion=False)).run()["project"]
    with DAG("a_dag", schedule=None):
        sensor = Json2VideoRenderSensor(task_id="wait", project=project, poke_interval=0.3, end_from_trigger=True)
    attempt = Attempt(sensor)
    attempt.start()
    assert last_event(attempt).task_instance_state == "success"
    assert pushed["return_value"]["project"] == project


@needs_airflow_3
def test_a_sensor_that_pushes_no_result_pushes_only_its_link(connection, service, pushed):
    service.settings.update({"render_seconds": 1.0})
    project = Attempt(render(wait_for_completion=False)).run()["project"]
    arguments = {"task_id": "wait", "project": project, "poke_interval": 0.3, "do_xcom_push": False}
    with DAG("a_dag", schedule=None):
        attempt = Attempt(Json2VideoRenderSensor(**arguments, end_from_trigger=True))
    attempt.start()
    assert json.loads(last_event(attempt).model_dump_json())["xcoms"] is None
    assert set(pushed) == {"json2video_link"}


@needs_airflow_3
def test_a_clear_reattaches_if_the_trigger_pushed_xcoms_and_did_not_end_the_task(connection, service, pushed):
    attempt = Attempt(render())
    attempt.start()
    last_event(attempt)  # and the triggerer dies before Airflow has stored it
    attempt.xcoms.update(pushed)
    again = Attempt(render(), try_number=2, max_tries=3, before=attempt)
    again.start()
    assert service.posts == 1


@needs_airflow_3
def test_a_task_ends_on_a_worker_if_its_trigger_cannot_push_xcoms(connection, service, monkeypatch):
    def down(*_, **__):
        raise RuntimeError("no supervisor")

    for name in {"set", "aset"} & set(dir(XCom)):
        monkeypatch.setattr(XCom, name, down)
    attempt = Attempt(render())
    attempt.start()
    assert not hasattr(last_event(attempt), "task_instance_state")
    assert attempt.fire().resume()["url"]


@needs_airflow_3
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"outlets": [Asset("s3://videos/a.mp4")]}, "outlets"),
        ({"on_success_callback": print}, "on_success_callback"),
        ({"post_execute": print}, "post_execute hook"),
        ({"multiple_outputs": True}, "multiple_outputs"),
        ({"map_index_template": "{{ task.task_id }}"}, "map_index_template"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_task_with_more_work_ends_on_a_worker_and_logs_the_reason(connection, service, arguments, reason, caplog):
    attempt = Attempt(render(**arguments))
    attempt.start()
    assert attempt.deferred.trigger.task_end is None
    assert reason in reason_for_worker(attempt.operator, attempt.context)
    assert attempt.fire().resume()["url"]


@needs_airflow_3
def test_with_a_listener_a_task_ends_on_a_worker(connection, service, monkeypatch):
    operator, context = render(), Attempt(render()).context
    assert reason_for_worker(operator, context) is None
    monkeypatch.setattr("airflow_json2video.triggers._task_end._has_listeners", lambda: True)
    assert "listeners" in reason_for_worker(operator, context)


@needs_airflow_3
def test_a_task_whose_result_is_expanded_over_ends_on_a_worker_and_a_mapped_task_does_not(connection, service):
    operator = render()
    with operator.dag:
        task(lambda facts: None).expand(facts=operator.output)
    assert "expands over" in reason_for_worker(operator, Attempt(operator).context)
    assert reason_for_worker(operator, Attempt(operator, map_index=0).context) is None


@pytest.mark.skipif(find_spec("airflow.sdk") is not None, reason="about Airflow 2")
def test_airflow_2_ends_the_task_on_a_worker_and_logs_the_reason(connection, service):
    attempt = Attempt(render())
    assert attempt.run()["url"]
    assert attempt.deferred.trigger.task_end is None
    assert reason_for_worker(attempt.operator, attempt.context) == "it needs Airflow 3"


def test_end_from_trigger_is_off_by_default(connection, service):
    attempt = Attempt(render(end_from_trigger=False))
    attempt.start()
    assert attempt.deferred.trigger.task_end is None


@needs_airflow_3
def test_a_task_that_ends_from_its_trigger_logs_the_warnings_of_the_local_service(
    connection, service, pushed, times_logged
):
    stood_in = {"scenes": [{"elements": [{"type": "video", "src": "https://media.example.com/a.mp4"}]}]}
    attempt = Attempt(render(movie=stood_in))
    attempt.start()
    last_event(attempt)
    (warning,) = service.renders()[0]["warnings"]
    assert times_logged(f"Render {pushed['return_value']['project']}: {warning}") == 1
    assert "warnings" not in pushed["return_value"]
