"""Stored files: with delete_remote they are never overwritten, and they are found again after any time."""

from __future__ import annotations

import os
import time
from datetime import datetime, timezone
from functools import partial
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_json2video.batch.recovery import BatchRecovery
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.submission.submitter import Submitter
from airflow_json2video.transfers.json2video_to_object_storage import Json2VideoToObjectStorageOperator
from tests.unit.attempts import Attempt
from tests.unit.operators.test_batch import BatchAttempt, shorten_delays

MOVIE = {"resolution": "sd", "variables": {"name": "x"}, "scenes": [{"duration": 1, "comment": "{{ name }}"}]}


@pytest.fixture(autouse=True)
def _shorten_delays(monkeypatch):
    shorten_delays(monkeypatch)
    monkeypatch.setattr("airflow_json2video.submission.submitter.backoff", lambda failures, jitter: 0.01)


@pytest.fixture
def render(connection, tmp_path):
    def make(**arguments):
        arguments = {"output_path": f"{tmp_path}/film.mp4", "delete_remote": True, **arguments}
        return Json2VideoRenderOperator(**{"task_id": "render", "movie": MOVIE, "poll_interval": 0.3, **arguments})

    return make


@pytest.fixture
def later(service, monkeypatch):
    """Move the clocks of the service and of this machine."""

    def later(days):
        real = time.time
        service.clock.advance(days * 86400)
        monkeypatch.setattr(time, "time", lambda: real() + days * 86400)
        for made in (BatchRecovery, Submitter):
            monkeypatch.setitem(made.__init__.__kwdefaults__, "clock", time.time)

    return later


@pytest.fixture
def run():
    """A run that started now, without a record in Airflow that it was cleared."""
    began = datetime.now(timezone.utc)
    return {"dag_run": SimpleNamespace(run_after=began, start_date=None, clear_number=1)}


def mapped(operator, **written):
    """What Airflow's context says of a mapped task: the task as it stands in the DAG."""
    return {"dag": SimpleNamespace(task_dict={operator.task_id: SimpleNamespace(partial_kwargs=written)})}


def test_another_run_or_task_never_overwrites_the_only_copy_and_is_refused_before_it_is_paid_for(render, service):
    Attempt(render()).run()
    for other in (Attempt(render(), run_id="manual__2"), Attempt(render(task_id="another"))):
        with pytest.raises(AirflowFailException, match=r"already exists.*only copy.*Nothing was submitted"):
            other.run()
    assert service.posts == 1


def test_without_a_deletion_or_with_the_project_in_the_name_each_run_stores_its_video(render, service, tmp_path):
    for run in ("manual__1", "manual__2"):
        Attempt(render(delete_remote=False), run_id=run).run()
        Attempt(render(output_path=f"{tmp_path}/{{project}}.mp4"), run_id=run).run()
    assert service.posts == 4


def test_subtitles_of_another_video_are_not_overwritten_either(render, service, tmp_path):
    (tmp_path / "film.ass").write_text("[Script Info]")
    with pytest.raises(AirflowFailException, match=r"film\.ass' already exists"):
        Attempt(render(store=("video", "subtitles"))).run()
    assert service.posts == 0


def test_mapped_task_instances_with_one_path_are_refused_before_anything_is_paid_for(render, service, tmp_path):
    operator = render()
    names = mapped(operator, output_path=operator.output_path)
    with pytest.raises(AirflowFailException, match="is the same for all mapped task instances"):
        Attempt(operator, map_index=3, names=names).run()
    assert service.posts == 0


@pytest.mark.parametrize("written", [{"output_path": "/x/{{ ti.map_index }}.mp4"}, {}])
def test_mapped_task_instances_with_paths_of_their_own_are_rendered(render, service, written):
    operator = render()
    assert Attempt(operator, map_index=3, names=mapped(operator, **written)).run()["stored_path"]
    assert service.posts == 1


def test_a_task_that_is_cleared_replaces_its_own_video(render, service):
    first = Attempt(render(), max_tries=0)
    project = first.run()["project"]
    changed = render(movie={**MOVIE, "comment": "changed"})
    assert Attempt(changed, try_number=2, max_tries=1, before=first).run()["project"] != project
    assert service.posts == 2


def test_a_file_that_another_run_stored_meanwhile_stays_and_the_paid_video_is_not_lost(render, service, tmp_path):
    first = Attempt(render())
    first.start()
    first.fire()
    film = tmp_path / "film.mp4"
    film.write_bytes(b"the only copy of another video")
    os.utime(film, (time.time() + 1, time.time() + 1))
    with pytest.raises(AirflowFailException, match=r"written by another task or run.*is not overwritten"):
        first.resume()
    assert film.read_bytes() == b"the only copy of another video"
    film.unlink()
    cleared = Attempt(render(), try_number=2, max_tries=3, before=first)
    assert cleared.run()["project"] == first.xcoms["json2video_project"]
    assert service.posts == 1


def test_a_stored_file_is_recognized_although_the_clock_of_its_disk_is_behind(render, service, tmp_path):
    first = Attempt(render())
    project = first.run()["project"]
    film = tmp_path / "film.mp4"
    os.utime(film, (film.stat().st_mtime - 15, film.stat().st_mtime - 15))
    assert Attempt(render(), try_number=2, before=first).run()["project"] == project
    assert service.posts == 1


def test_another_run_of_a_batch_overwrites_nothing_and_is_refused_before_anything_is_paid_for(
    connection, service, tmp_path
):
    make = partial(
        Json2VideoBatchRenderOperator,
        task_id="batch",
        movie=MOVIE,
        items=[{"name": f"name-{number}"} for number in range(3)],
        item_key="name",
        poll_interval=0.3,
        output_path=f"{tmp_path}/{{item}}.mp4",
        delete_remote=True,
    )
    first = BatchAttempt(make, max_tries=0)
    assert first.run()["done"] == 3
    with pytest.raises(AirflowFailException, match=r"3 of 3 items would overwrite other videos"):
        BatchAttempt(make, run_id="manual__2").run()
    assert service.posts == 3
    changed = partial(make, movie={**MOVIE, "comment": "changed"})
    assert BatchAttempt(changed, try_number=2, max_tries=1, before=first).run()["done"] == 3
    assert service.posts == 6


@pytest.mark.parametrize(
    ("path", "items", "more"),
    [
        ("{item}", ["a.mp4", "a"], {"store": ("video", "subtitles")}),
        ("{item}", ["a.ass", "a"], {"store": ("video", "subtitles")}),
        ("{item}", ["a", "a.png"], {"store": ("video", "thumbnail")}),
        ("{row}{item}.mp4", ["11", *(f"x{row}" for row in range(2, 11)), "1"], {}),
    ],
)
def test_two_items_never_share_a_file(connection, service, tmp_path, path, items, more):
    operator = Json2VideoBatchRenderOperator(
        task_id="batch",
        movie=MOVIE,
        items=[{"name": name} for name in items],
        item_key="name",
        output_path=f"{tmp_path}/{path}",
        **more,
    )
    with pytest.raises(AirflowFailException, match=r"2 of \d+ items(.|\n)*is also a file of another item"):
        Attempt(operator).render_templates().run()
    assert service.posts == 0


def test_a_transfer_never_overwrites_the_only_copy_of_another_video(render, service, tmp_path):
    projects = [Attempt(render(output_path=None, delete_remote=False), run_id=run).run()["project"] for run in "ab"]

    def transfer(project):
        path = f"{tmp_path}/latest.mp4"
        return Attempt(
            Json2VideoToObjectStorageOperator(task_id="store", project=project, output_path=path, delete_remote=True)
        ).run()

    transfer(projects[0])
    os.utime(tmp_path / "latest.mp4", (0, 0))
    with pytest.raises(AirflowFailException, match=r"already exists.*only copy"):
        transfer(projects[1])
    assert Json2VideoHook().get_movie(projects[1]).movie.url, "the other one is still at JSON2Video"


@pytest.mark.parametrize("days", [9, 30, 200])
@pytest.mark.parametrize("name", ["{project}.mp4", "film.mp4"])
def test_a_clear_pays_for_nothing_that_is_stored(render, service, later, run, tmp_path, days, name):
    make = partial(render, delete_remote=False, output_path=f"{tmp_path}/{name}")
    first = Attempt(make(), max_tries=0, names=run)
    result = first.run()
    later(days)
    cleared = Attempt(make(), try_number=2, max_tries=1, before=first, names=run)
    again = cleared.run()
    assert (again["project"], again["stored_path"]) == (result["project"], result["stored_path"])
    assert service.posts == 1


@pytest.mark.parametrize("days", [9, 30, 200])
def test_a_clear_of_a_batch_pays_only_for_what_is_not_stored(connection, service, later, run, tmp_path, days):
    batch = partial(
        Json2VideoBatchRenderOperator,
        task_id="batch",
        movie=MOVIE,
        items=[{"name": f"name-{number}"} for number in range(4)],
        item_key="name",
        poll_interval=0.3,
        output_path=f"{tmp_path}/{{item}}.mp4",
    )
    first = BatchAttempt(batch, max_tries=0, names=run)
    first.run()
    later(days)
    (tmp_path / "name-2.mp4").unlink()
    cleared = BatchAttempt(batch, try_number=2, max_tries=1, before=first, names=run)
    assert cleared.run()["done"] == 4
    assert service.posts == 5
    assert (tmp_path / "name-2.mp4").exists()
