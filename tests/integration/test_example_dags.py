"""Each DAG of dags_examples, unchanged, in a real Airflow against the local service."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.support.airflow import Airflow, airflow_version
from tests.support.processes import ROOT
from tests.support.service import ServiceProcess
from tests.support.video import read_back

pytestmark = [pytest.mark.integration, pytest.mark.long]

RESULT_FIELDS = {
    *("project", "url", "duration", "width", "height", "size", "rendering_time"),
    *("subtitles", "created_at", "ended_at", "remaining_quota", "submission_key"),
    *("stored_path", "stored_bytes", "subtitles_path", "thumbnail_path"),
}


def run(airflow: Airflow, dag_id: str, **conf) -> str:
    """Run a DAG, which must succeed, and return the run's id."""
    run_id = airflow.trigger(dag_id, conf=conf)
    changes = airflow.wait_for_run(dag_id, run_id, timeout=120)
    assert changes[-1].state == "success", failure_logs(airflow, dag_id, run_id)
    return run_id


def failure_logs(airflow: Airflow, dag_id: str, run_id: str) -> str:
    """Return the logs of a failed run's tasks."""
    instances = airflow.task_instances(dag_id, run_id)
    return "\n".join(
        f"=== {ti.task_id}[{ti.map_index}] {ti.state}\n"
        + airflow.task_log(dag_id, run_id, ti.task_id, map_index=ti.map_index)[-3000:]
        for ti in instances
    )


def deferred(airflow: Airflow, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> bool:
    """Return whether a task was deferred: only then is there a log of a trigger."""
    logs = airflow.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
    return any((logs if map_index < 0 else logs / f"map_index={map_index}").glob("attempt=*.trigger.*"))


def test_movie_from_file(airflow: Airflow, service: ServiceProcess, tmp_path: Path):
    dag_id = "json2video_movie_from_file"
    run_id = run(airflow, dag_id, shop="The Corner Café", output_dir=str(tmp_path))

    result = airflow.xcom(dag_id, run_id, "render")
    assert set(result) == RESULT_FIELDS
    stored = Path(result["stored_path"])
    assert stored == tmp_path / f"{result['project']}.mp4"
    facts = read_back(stored)
    assert (facts.width, facts.height, facts.size) == (result["width"], result["height"], result["size"])
    assert facts.duration == pytest.approx(result["duration"], abs=0.1)
    assert service.submissions() == 1
    assert deferred(airflow, dag_id, run_id, "render")
    assert "The Corner Café" in service.call("GET", f"movies?project={result['project']}")["movie"]["json"]


def test_movie_from_models(airflow: Airflow, service: ServiceProcess):
    dag_id = "json2video_movie_from_models"
    run_id = run(airflow, dag_id)

    result = airflow.xcom(dag_id, run_id, "render")
    assert result["width"] == result["height"]
    assert result["duration"] == pytest.approx(3.5, abs=0.1)
    assert service.submissions() == 1
    assert deferred(airflow, dag_id, run_id, "render")


def test_template_with_variables(airflow: Airflow, service: ServiceProcess):
    dag_id = "json2video_template_with_variables"
    template = service.call(
        "POST",
        "templates",
        {
            "name": "rooms",
            "movie": {
                "resolution": "sd",
                "variables": {"headline": "", "rooms": []},
                "scenes": [
                    {"duration": 1, "elements": [{"type": "text", "text": "{{ headline }}"}]},
                    {"iterate": "rooms", "duration": 1, "elements": [{"type": "text", "text": "{{ name }}"}]},
                ],
            },
        },
    )
    run_id = run(airflow, dag_id, template=template["templateId"], headline="Summer sale")

    result = airflow.xcom(dag_id, run_id, "render")
    assert result["duration"] == pytest.approx(3.0, abs=0.1), "one scene, and one for each of two rooms"
    assert service.submissions() == 1
    assert deferred(airflow, dag_id, run_id, "render")


def test_template_as_code(airflow: Airflow, service: ServiceProcess):
    dag_id = "json2video_template_as_code"
    projects, ids = set(), set()
    for headline in ("Spring sale", "Summer sale"):
        run_id = run(airflow, dag_id, headline=headline)
        result = airflow.xcom(dag_id, run_id, "render")
        assert result["duration"] == pytest.approx(3.0, abs=0.1), "one scene, and one for each of two rooms"
        projects.add(result["project"])
        ids.add(airflow.xcom(dag_id, run_id, "template"))
        sent = service.call("GET", f"movies?project={result['project']}")["movie"]["json"]
        assert headline in sent
        assert airflow.xcom(dag_id, run_id, "logo")["url"] in sent

    assert len(projects) == 2
    assert len(ids) == 1, "the second run finds the template as it should be"
    assert airflow.xcom(dag_id, run_id, "logo")["uploaded"] is False, "and the logo"
    assert len(service.call("GET", "templates")["templates"]) == 1


def test_taskflow(airflow: Airflow, service: ServiceProcess):
    dag_id = "json2video_taskflow"
    run_id = run(airflow, dag_id, name="Porto")

    result = airflow.xcom(dag_id, run_id, "greeting")
    assert set(result) == RESULT_FIELDS
    assert airflow.xcom(dag_id, run_id, "announce") == f"{result['duration']} s at {result['url']}"
    sent = service.call("GET", f"movies?project={result['project']}")["movie"]["json"]
    assert "Good morning, Porto" in sent
    postcards = [airflow.xcom(dag_id, run_id, "postcard", map_index=index) for index in range(2)]
    assert len({video["project"] for video in postcards}) == 2
    assert service.submissions() == 3
    assert deferred(airflow, dag_id, run_id, "greeting")
    assert all(deferred(airflow, dag_id, run_id, "postcard", map_index=index) for index in range(2))


def test_mapped_over_csv(airflow: Airflow, service: ServiceProcess):
    dag_id = "json2video_mapped_over_csv"
    rows = (ROOT / "dags_examples" / "data" / "rooms.csv").read_text().strip().splitlines()[1:]
    run_id = run(airflow, dag_id)

    results = [airflow.xcom(dag_id, run_id, "render", map_index=index) for index in range(len(rows))]
    assert len({result["project"] for result in results}) == len(rows) > 1
    assert service.submissions() == len(rows), "each row is paid for once"
    assert all(deferred(airflow, dag_id, run_id, "render", map_index=index) for index in range(len(rows)))
    assert set(results[0]) == RESULT_FIELDS
    on_workers = airflow.task_log(dag_id, run_id, "render", map_index=0, triggers=False)
    assert ("is done" in on_workers) == (airflow_version() < (3, 0)), "from Airflow 3 the trigger ends the task"
    assert airflow.xcom(dag_id, run_id, "report") == pytest.approx(2.0 * len(rows), abs=0.1 * len(rows))


def test_batch_from_csv(airflow: Airflow, service: ServiceProcess, tmp_path: Path):
    dag_id = "json2video_batch_from_csv"
    rows = (ROOT / "dags_examples" / "data" / "rooms.csv").read_text().strip().splitlines()[1:]
    run_id = run(airflow, dag_id, report_dir=str(tmp_path))

    summary = airflow.xcom(dag_id, run_id, "batch")
    assert (summary["items"], summary["done"], summary["credits"]) == (len(rows), len(rows), 2 * len(rows))
    assert service.submissions() == len(rows), "each row is paid for once"
    assert deferred(airflow, dag_id, run_id, "batch")
    report = [json.loads(line) for line in Path(summary["report_path"]).read_text().splitlines()]
    assert [line["key"] for line in report] == [row.split(",")[0] for row in rows]
    assert all(line["status"] == "done" and line["url"] for line in report)
    log = airflow.task_log(dag_id, run_id, "batch", triggers=False)
    assert log.count("Batch state is missing") == 0
    assert airflow.xcom(dag_id, run_id, "summarize").startswith(
        f"{len(rows)} of {len(rows)} for {2 * len(rows)} credits"
    )


def test_synchronous(airflow: Airflow, service: ServiceProcess):
    dag_id = "json2video_synchronous"
    run_id = run(airflow, dag_id)

    result = airflow.xcom(dag_id, run_id, "render")
    assert set(result) == RESULT_FIELDS
    assert result["duration"] == pytest.approx(2.0, abs=0.1)
    assert not deferred(airflow, dag_id, run_id, "render"), "it waits on its worker"
    submitted, waited = airflow.xcom(dag_id, run_id, "submit"), airflow.xcom(dag_id, run_id, "wait")
    assert submitted["url"] is None
    assert waited["project"] == submitted["project"] != result["project"]
    assert waited["url"]
    assert service.submissions() == 2, "render and submit; the sensor submits nothing"


def test_store_video(airflow: Airflow, service: ServiceProcess, tmp_path: Path):
    dag_id = "json2video_store_video"
    run_id = run(airflow, dag_id, output_dir=str(tmp_path))

    rendered, stored = airflow.xcom(dag_id, run_id, "render"), airflow.xcom(dag_id, run_id, "store")
    for result, folder in ((rendered, tmp_path), (stored, tmp_path / "elsewhere")):
        assert set(result) == RESULT_FIELDS
        assert result["stored_path"] == f"{folder}/{result['project']}.mp4"
        facts = read_back(Path(result["stored_path"]))
        assert facts.size == result["stored_bytes"] == result["size"]
        assert facts.duration == pytest.approx(2.0, abs=0.1)
    assert Path(rendered["subtitles_path"]).read_text().startswith("[Script Info]")
    assert service.call("GET", f"movies?project={rendered['project']}")["movie"]["url"] is None, "it was deleted"
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.is_file()) == [".ass", ".mp4"]
    assert airflow.xcom(dag_id, run_id, "render", key="json2video_cost")["charged_credits"] == 2
    assert service.submissions() == 2


def test_video_assets(airflow: Airflow, service: ServiceProcess):
    consumer = "json2video_publish_weekly_report"
    airflow.wait_for_dag(consumer)
    run_id = run(airflow, "json2video_make_weekly_report")

    result = airflow.xcom("json2video_make_weekly_report", run_id, "render")
    [started] = airflow.wait_for_runs(consumer, 1)
    assert airflow.wait_for_run(consumer, started)[-1].state == "success", failure_logs(airflow, consumer, started)
    [video] = airflow.xcom(consumer, started, "publish")
    for name in ("project", "url", "duration", "size", "width", "height"):
        assert video[name] == result[name] is not None
    assert video["credits"] == 2
    assert len(video["movie_hash"]) == 32
    assert airflow.xcom(consumer, started, "latest") == result["url"]
    assert service.submissions() == 1


SPRING = {"resolution": "sd", "client-data": {"campaign": "spring"}, "scenes": [{"duration": 2}]}


@pytest.mark.skipif(airflow_version() < (3, 0), reason="assets are watched from Airflow 3 on")
def test_any_render(airflow: Airflow, service: ServiceProcess):
    dag_id = "json2video_any_render"
    airflow.wait_for_dag(dag_id)
    _wait_for_a_poll(service)
    service.call("POST", "movies", {**SPRING, "client-data": {"campaign": "autumn"}})
    first = service.call("POST", "movies", SPRING)["project"]
    assert _projects_of_runs(airflow, dag_id, runs=1) == [first]


@pytest.mark.skipif(airflow_version() < (3, 0), reason="assets are watched from Airflow 3 on")
def test_a_render_that_ends_while_no_triggerer_runs_fires_its_event_afterwards_and_is_missed_before_3_3(
    airflow: Airflow, service: ServiceProcess
):
    dag_id = "json2video_any_render"
    airflow.wait_for_dag(dag_id)
    _wait_for_a_poll(service)
    runs = len(airflow.api.runs(dag_id))
    first = service.call("POST", "movies", SPRING)["project"]
    expected = [*_projects_of_runs(airflow, dag_id, runs=runs + 1)]
    assert expected[-1] == first

    time.sleep(6)  # until the watcher has stored which events it fired
    airflow.kill("triggerer")
    missed = service.call("POST", "movies", SPRING)["project"]
    time.sleep(3)
    service.control("DELETE", "requests")
    airflow.start_component("triggerer")
    airflow.wait_healthy()
    _wait_for_a_poll(service, timeout=90)
    if airflow_version() >= (3, 3):
        expected.append(missed)
        assert _projects_of_runs(airflow, dag_id, runs=len(expected)) == expected
    expected.append(service.call("POST", "movies", SPRING)["project"])
    assert _projects_of_runs(airflow, dag_id, runs=len(expected)) == expected
    time.sleep(15)
    assert len(airflow.wait_for_runs(dag_id, len(expected))) == len(expected), "each render starts one run"


def _wait_for_a_poll(service: ServiceProcess, *, timeout: float = 60.0) -> None:
    """Wait until the watcher has read the list; the triggerer starts a DAG's watchers after it has parsed the DAG."""
    end = time.monotonic() + timeout
    while not [r for r in service.requests(method="GET", path="/v2/movies") if "date_start" in r["query"]]:
        assert time.monotonic() < end, "the watcher has not read the list"
        time.sleep(0.5)


def _projects_of_runs(airflow: Airflow, dag_id: str, *, runs: int) -> list[str]:
    """Return the renders that the runs of a DAG were started for, in their order."""
    videos = []
    for run_id in airflow.wait_for_runs(dag_id, runs):
        assert airflow.wait_for_run(dag_id, run_id)[-1].state == "success", failure_logs(airflow, dag_id, run_id)
        videos += airflow.xcom(dag_id, run_id, "list_videos")
    return [video["project"] for video in sorted(videos, key=lambda video: video["ended_at"])]
