"""``archive`` and ``reconcile``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from airflow_json2video.core.identity import Stamp, TaskIdentity, add_stamp
from airflow_json2video.hooks.json2video import Json2VideoHook
from tests.unit.cli.conftest import MOVIE

ROOT = Path(__file__).parents[3]


def test_archive_stores_each_unstored_render_once_and_dry_run_lists_them(run, service, movie, tmp_path):
    projects = {json.loads(run("render", movie, "--json")[1])["project"] for _ in range(2)}
    to = ("--all-deployments", "--to", f"{tmp_path}/archive/{{project}}.mp4", "--json")
    code, out, _ = run("archive", "--dry-run", *to)
    assert (code, {row["project"] for row in json.loads(out)}) == (0, projects)
    assert not (tmp_path / "archive").exists()
    code, out, _ = run("archive", *to)
    assert code == 0
    assert {Path(row["stored_path"]).name for row in json.loads(out)} == {f"{project}.mp4" for project in projects}
    assert all(160 < row["hours_left"] <= 168 for row in json.loads(out))
    assert json.loads(run("archive", *to)[1]) == []
    assert service.posts == 2


def test_archive_ignores_renders_of_other_deployments(run, movie, tmp_path, airflow_db):
    run("render", movie)  # the shell's
    code, out, _ = run("archive", "--to", f"{tmp_path}/{{project}}.mp4", "--json")
    assert (code, json.loads(out)) == (0, [])
    assert list(tmp_path.glob("*.mp4")) == []


def test_reconcile_counts_renders_of_other_deployments_without_judging_them(run, service, connection, airflow_db):
    theirs = TaskIdentity(
        deployment="namespace:staging", dag_id="d", run_id="r", task_id="t", map_index=-1, generation=0
    )
    ours = dataclasses.replace(theirs, deployment="id:the-deployment-of-the-tests")
    for identity in (theirs, theirs, ours):  # two of one task would be a duplicate here
        Json2VideoHook().submit_movie(add_stamp(MOVIE, Stamp.of(identity, "f", attempt=1)))
    assert service.wait_idle()
    code, out, _ = run("reconcile", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["other_deployments"] == {"namespace:staging": 2}
    assert [render["submission_key"] for render in found["unknown"]] == [ours.submission_key]
    assert (found["renders"], found["wasted_credits"]) == ([], 0)
    assert "Renders of another deployment, not compared: 2 (namespace 'staging')" in run("reconcile")[1]


def test_a_render_that_cannot_be_stored_does_not_stop_the_others(run, service, movie, tmp_path):
    for _ in range(2):
        run("render", movie)
    first = service.renders()[0]["project"]
    (tmp_path / f"{first}.mp4").mkdir()  # in the way
    code, out, _ = run("archive", "--all-deployments", "--to", f"{tmp_path}/{{project}}.mp4", "--json")
    rows = {row["project"]: row for row in json.loads(out)}
    assert code == 1
    assert rows.pop(first)["error"]
    assert all(Path(row["stored_path"]).is_file() for row in rows.values())
