"""With an executor on several machines, a warning is logged for files on the disk of one worker."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.version_compat import remote_executor
from tests.unit.attempts import Attempt

MOVIE = {"resolution": "sd", "scenes": [{"duration": 1}]}


@pytest.mark.parametrize(
    ("configured", "of_the_task", "executor"),
    [
        ("LocalExecutor", None, None),
        ("SequentialExecutor", None, None),
        ("CeleryExecutor", None, "CeleryExecutor"),
        ("airflow.providers.celery.executors.celery_executor.CeleryExecutor", None, "CeleryExecutor"),
        ("LocalExecutor,CeleryExecutor", None, None),
        ("LocalExecutor,CeleryExecutor", "CeleryExecutor", "CeleryExecutor"),
        ("CeleryExecutor,mine:LocalExecutor", "mine", None),
        ("LocalExecutor,far:company.far.FarExecutor", "far", "FarExecutor"),
        ("LocalExecutor;team_a=CeleryExecutor", "CeleryExecutor", "CeleryExecutor"),
    ],
)
def test_the_executor_of_a_task_is_known_from_the_configuration(monkeypatch, configured, of_the_task, executor):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", configured)
    assert remote_executor(SimpleNamespace(executor=of_the_task)) == executor


def test_a_pod_is_known_without_the_configuration(monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
    monkeypatch.setenv("AIRFLOW_IS_K8S_EXECUTOR_POD", "True")
    assert remote_executor(SimpleNamespace(executor=None)) == "KubernetesExecutor"


@pytest.mark.parametrize(("executor", "times"), [("CeleryExecutor", 1), ("LocalExecutor", 0)])
@pytest.mark.parametrize("delete", [True, False])
def test_a_warning_is_logged_if_the_only_copy_is_on_the_disk_of_one_worker(
    connection, tmp_path, monkeypatch, times_logged, executor, times, delete
):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    path = f"{tmp_path}/{{project}}.mp4"
    Attempt(
        Json2VideoRenderOperator(
            task_id="render", movie=MOVIE, poll_interval=0.3, output_path=path, delete_remote=delete
        )
    ).run()
    assert times_logged("is on the disk of this worker") == times * delete


@pytest.mark.parametrize(("executor", "times"), [("CeleryExecutor", 2), ("LocalExecutor", 0)])
def test_a_batch_logs_a_warning_for_rows_and_videos_on_the_disk_of_one_worker(
    connection, tmp_path, monkeypatch, times_logged, executor, times
):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    (tmp_path / "rows.csv").write_text("name\nx\n")
    operator = Json2VideoBatchRenderOperator(
        task_id="batch",
        movie={**MOVIE, "variables": {"name": ""}},
        source=str(tmp_path / "rows.csv"),
        output_path=f"{tmp_path}/{{item}}.mp4",
        delete_remote=True,
    )
    Attempt(operator).render_templates().start()
    assert times_logged("is on the disk of this worker") == times
