"""Two deployments of Airflow, one account, the same DAG, run and task: neither touches a render of the other."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_json2video.exceptions import Json2VideoError
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.operators.batch import Json2VideoBatchRenderOperator
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.operators.renders import Json2VideoDeleteRenderOperator, Json2VideoListRendersOperator
from airflow_json2video.storage.archive import find_unstored
from airflow_json2video.transfers.json2video_to_object_storage import Json2VideoToObjectStorageOperator
from tests.unit.attempts import Attempt
from tests.unit.conftest import connection_json
from tests.unit.operators.test_batch import BatchAttempt, shorten_delays

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2}]}


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("airflow_json2video.submission.submitter.backoff", lambda failures, jitter: 0.01)
    shorten_delays(monkeypatch)


@pytest.fixture
def in_(connection, quick, monkeypatch):
    """Be one of two deployments from here on; each has a database of its own."""

    def be(name, *, namespace=None, service=None):
        monkeypatch.setattr("airflow_json2video.deployment.read_variable", lambda key: name)
        if namespace is not None:
            extra = connection_json(host=service.url, namespace=namespace)
            monkeypatch.setenv("AIRFLOW_CONN_JSON2VIDEO_DEFAULT", extra)

    return be


def render(**arguments):
    return Json2VideoRenderOperator(task_id="render", movie=MOVIE, poll_interval=0.3, **arguments)


def batch(**arguments):
    rows = [{"name": name} for name in ("a", "b", "c")]
    movie = {**MOVIE, "variables": {"name": ""}}
    return Json2VideoBatchRenderOperator(
        task_id="batch", items=rows, item_key="name", movie=movie, poll_interval=0.3, **arguments
    )


def projects(service):
    return [render["project"] for render in service.renders()]


def test_a_later_attempt_does_not_reattach_to_the_same_task_of_another_deployment(in_, service):
    in_("production")
    Attempt(render()).start()  # and waits
    (theirs,) = projects(service)
    in_("staging")
    result = Attempt(render(), try_number=2).run()
    assert service.posts == 2
    assert result["project"] != theirs
    in_("production")
    again = Attempt(render(), try_number=2).run()
    assert (again["project"], service.posts) == (theirs, 2)


def test_one_line_logs_that_the_render_of_another_deployment_was_ignored(in_, service, times_logged):
    in_("production")
    Attempt(render()).start()
    Attempt(render(), try_number=2, max_tries=3).start()  # cleared: two renders of one task may be there
    (theirs, *_) = projects(service)
    in_("staging")
    times_logged("")
    Attempt(render(), try_number=2).run()
    assert times_logged("it belongs to the same task of another deployment (id production).") == 1
    assert theirs


def test_after_a_lost_response_the_render_of_another_deployment_is_not_reused(in_, service):
    in_("production")
    theirs = Attempt(render()).run()["project"]
    in_("staging")
    service.add_fault("lost", method="POST", path="/movies")
    result = Attempt(render()).run()
    assert result["project"] != theirs
    assert service.posts == 2


def test_a_clear_in_one_deployment_reuses_its_own_render_only(in_, service):
    in_("production")
    theirs = Attempt(render()).run()["project"]
    in_("staging")
    ours = Attempt(render()).run()["project"]
    cleared = Attempt(render(on_clear="reuse"), try_number=2, max_tries=3).run()["project"]
    assert cleared == ours != theirs
    in_("production")
    assert Attempt(render(on_clear="reuse"), try_number=2, max_tries=3).run()["project"] == theirs
    assert service.posts == 2


def test_a_video_that_another_deployment_stores_and_deletes_is_its_own(in_, service, tmp_path):
    path = f"{tmp_path}/{{project}}.mp4"
    in_("production")
    running = Attempt(render(output_path=path))
    running.start()
    (theirs,) = projects(service)
    in_("staging")
    stored = Attempt(render(output_path=path, delete_remote=True), try_number=2).run()
    assert stored["project"] != theirs
    in_("production")
    assert running.fire().resume()["project"] == theirs
    assert (tmp_path / f"{theirs}.mp4").exists()


def test_a_batch_does_not_reattach_to_items_of_another_deployment(in_, service, times_logged):
    in_("production")
    waiting = BatchAttempt(batch)
    waiting.start()
    in_("staging")
    times_logged("")
    assert BatchAttempt(batch, try_number=2).run()["done"] == 3
    assert times_logged("belongs to the same batch of another deployment (id production).") == 1
    assert service.posts == 6
    in_("production")
    assert BatchAttempt(batch, try_number=2).run()["done"] == 3
    assert service.posts == 6


def test_a_namespace_of_the_connection_separates_deployments_with_one_database(in_, service):
    in_("copied")
    theirs = Attempt(render()).run()["project"]
    in_("copied", namespace="staging", service=service)
    ours = Attempt(render(), try_number=2).run()["project"]
    assert ours != theirs
    again = Attempt(render(), try_number=2).run()["project"]
    assert (again, service.posts) == (ours, 2)


def test_two_deployments_with_one_namespace_are_one(in_, service):
    in_("blue", namespace="shop", service=service)
    ours = Attempt(render()).run()["project"]
    in_("green", namespace="shop", service=service)
    assert Attempt(render(), try_number=2).run()["project"] == ours
    assert service.posts == 1


def test_a_deployment_that_is_unknown_submits_nothing_and_says_what_to_do(connection, service, monkeypatch, quick):
    def broken(key):
        raise RuntimeError("403 Forbidden")

    monkeypatch.setattr("airflow_json2video.deployment.read_variable", broken)
    monkeypatch.setattr("airflow_json2video.deployment._RETRY_DELAYS", ())
    for operator in (render(), batch()):
        with pytest.raises(Json2VideoError, match=r"403 Forbidden.*'namespace'.*Nothing was submitted") as no:
            Attempt(operator).start()
        assert no.value.retryable
    assert service.posts == 0


def test_a_document_that_is_sent_unchanged_needs_no_deployment(connection, service, monkeypatch):
    monkeypatch.setattr("airflow_json2video.deployment.read_variable", None)
    assert Attempt(render(durable=False)).run()["project"]


def test_an_id_that_changes_before_the_post_costs_nothing(in_, service, monkeypatch):
    values = iter(["first", "second"])
    in_("production")
    monkeypatch.setattr("airflow_json2video.deployment.read_variable", lambda key: next(values))
    with pytest.raises(Json2VideoError, match=r"has changed since this attempt began.*Nothing was submitted"):
        Attempt(render()).run()
    assert service.posts == 0


@pytest.mark.parametrize("make", [render, batch])
def test_a_later_attempt_creates_no_id_if_an_earlier_one_may_have_had_another(in_, service, monkeypatch, make):
    in_("lost")
    Attempt(make()).start()
    posts = service.posts
    in_(None)  # the Variable was deleted
    added = []
    monkeypatch.setattr("airflow_json2video.deployment.add_variable", lambda *_, **__: added.append(1))
    with pytest.raises(Json2VideoError, match=r"variables set json2video_deployment_id lost.*'namespace'") as no:
        Attempt(make(), try_number=2).start()
    assert no.value.retryable
    assert (service.posts, added) == (posts, [])
    in_("lost")
    Attempt(make(), try_number=2).start()
    assert service.posts == posts


def test_a_lost_response_is_not_repeated_under_an_id_that_has_changed_meanwhile(in_, service, monkeypatch):
    monkeypatch.setattr("airflow_json2video.operators._render._MAX_HOLD", 0.005)
    in_("first")
    service.settings.update({"list_delay": 30.0})
    service.add_fault("lost", method="POST", path="/v2/movies")
    attempt = Attempt(render())
    assert attempt.start() is attempt.deferred
    in_("second")
    with pytest.raises(AirflowFailException, match=r"began as a task of the deployment id first"):
        attempt.fire().resume()
    assert service.posts == 1


def test_a_batch_stops_if_the_deployment_id_changes_meanwhile(in_, service):
    in_("first")
    waiting = BatchAttempt(batch)
    waiting.start()
    in_("second")
    with pytest.raises(AirflowFailException, match=r"began as a task of the deployment id first"):
        waiting.fire().next_step()
    assert service.posts == 3


def test_a_list_omits_the_renders_of_another_deployment(in_, service):
    in_("production")
    theirs = Attempt(render()).run()["project"]
    in_("staging")
    ours = Attempt(render()).run()["project"]
    nobodys = Json2VideoHook().submit_movie(MOVIE).project

    def listed():
        yesterday = datetime.now(timezone.utc) - timedelta(days=1)
        operator = Json2VideoListRendersOperator(task_id="list", date_start=yesterday)
        return {movie["project"] for movie in Attempt(operator).run()}

    assert listed() == {ours, nobodys}
    in_("production")
    assert listed() == {theirs, nobodys}


@pytest.mark.parametrize("way", ["delete", "store"])
def test_a_task_does_not_delete_the_render_of_another_deployment(in_, service, tmp_path, way):
    def operator(project):
        if way == "delete":
            return Json2VideoDeleteRenderOperator(task_id="delete", project=project)
        path = f"{tmp_path}/{{project}}.mp4"
        return Json2VideoToObjectStorageOperator(
            task_id="delete", project=project, output_path=path, delete_remote=True
        )

    in_("production")
    theirs = Attempt(render()).run()["project"]
    in_("staging")
    with pytest.raises(AirflowFailException, match=r"another deployment \(id production\), so its file is not deleted"):
        Attempt(operator(theirs)).run()
    assert not [r for r in service.requests if r.method == "DELETE"]
    ours = Attempt(render()).run()["project"]
    Attempt(operator(ours)).run()
    assert [r.query for r in service.requests if r.method == "DELETE"] == [f"project={ours}"]


def test_a_transfer_stores_a_render_that_was_submitted_anywhere(in_, service, tmp_path):
    in_("production")
    theirs = Attempt(render()).run()["project"]
    in_("staging")
    path = f"{tmp_path}/{{project}}.mp4"
    Attempt(Json2VideoToObjectStorageOperator(task_id="store", project=theirs, output_path=path)).run()
    assert (tmp_path / f"{theirs}.mp4").exists()


def test_archiving_stores_only_the_renders_of_this_deployment(in_, service, tmp_path):
    in_("production")
    theirs = Attempt(render()).run()["project"]
    in_("staging")
    ours = Attempt(render()).run()["project"]

    def found(**more):
        log = logging.getLogger()
        return {
            r.project
            for r in find_unstored(Json2VideoHook(), output_path=f"{tmp_path}/{{project}}.mp4", log=log, **more)
        }

    assert found() == {ours}
    assert found(wanted=lambda stamp: True) == {ours, theirs}
    in_(None)  # has rendered nothing yet
    assert found() == set()
