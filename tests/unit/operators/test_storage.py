"""The render task stores its video: it checks the path before it pays, and a retry never pays again."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_json2video.exceptions import ConfigurationError, DestinationFailed, DownloadFailed, Json2VideoError
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.transfers.json2video_to_object_storage import Json2VideoToObjectStorageOperator
from tests.unit.attempts import Attempt
from tests.unit.stores import FolderStore, attach

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2, "elements": [{"type": "text", "text": "Hi"}]}]}
SPOKEN = {**MOVIE, "elements": [{"type": "subtitles", "captions": "1\n00:00:00,000 --> 00:00:01,000\nHi\n"}]}


class Died(BaseException):
    """The process ends here, as by a kill."""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("airflow_json2video.submission.submitter.backoff", lambda failures, jitter: 0.01)
    monkeypatch.setattr("airflow_json2video.storage.download._MAX_DELAY", 0.01)


@pytest.fixture
def render(connection, tmp_path):
    def make(**arguments):
        arguments = {"output_path": f"{tmp_path}/kept/{{project}}.mp4", **arguments}
        return Json2VideoRenderOperator(
            **{"task_id": "render", "movie": MOVIE, "poll_interval": 0.3, "retries": 2, **arguments}
        )

    return make


@pytest.fixture
def transfer(connection, tmp_path):
    def make(project, **arguments):
        arguments = {"output_path": f"{tmp_path}/kept/{{project}}.mp4", **arguments}
        return Json2VideoToObjectStorageOperator(task_id="keep", project=project, **arguments)

    return make


def kept_in(folder):
    return sorted(found.name for found in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_result_has_the_path_of_the_stored_video(render, service, tmp_path, deferrable):
    result = Attempt(render(movie=SPOKEN, deferrable=deferrable, store=("video", "subtitles"))).run()
    project = result["project"]
    assert result["stored_path"] == f"{tmp_path}/kept/{project}.mp4"
    assert result["stored_bytes"] == result["size"] == Path(result["stored_path"]).stat().st_size
    assert result["subtitles_path"] == f"{tmp_path}/kept/{project}.ass"
    assert result["thumbnail_path"] is None
    assert json.loads(json.dumps(result)) == result


def test_without_output_path_the_result_has_no_stored_path(render):
    result = Attempt(render(output_path=None)).run()
    assert {result[name] for name in ("stored_path", "stored_bytes", "subtitles_path", "thumbnail_path")} == {None}


def test_a_path_may_have_airflows_expressions_and_our_placeholders(render, tmp_path):
    attempt = Attempt(render(output_path=f"{tmp_path}/{{{{ ds }}}}/{{project}}.mp4"), names={"ds": "2026-05-12"})
    result = attempt.render_templates().run()
    assert result["stored_path"] == f"{tmp_path}/2026-05-12/{result['project']}.mp4"


@pytest.mark.parametrize("path", ["/x/{film}.mp4", "x/{project}.mp4", "nonsense://x/{project}.mp4", "/dev/null/x.mp4"])
def test_a_path_that_a_video_cannot_be_stored_at_is_refused_before_anything_is_paid_for(render, service, path):
    with pytest.raises(AirflowFailException, match="Nothing was submitted"):
        Attempt(render(output_path=path)).run()
    assert service.posts == 0


def test_a_storage_that_does_not_respond_fails_retryably_before_the_submission(render, service, tmp_path):
    store = attach("s3", FolderStore(root=tmp_path))
    (tmp_path / "bucket").mkdir()
    info = store.info
    store.info = lambda path, **_: (_ for _ in ()).throw(ConnectionError("no route"))
    with pytest.raises(DestinationFailed, match="no route"):
        Attempt(render(output_path="s3://bucket/")).run()
    assert service.posts == 0
    store.info = info
    assert Attempt(render(output_path="s3://bucket/"), try_number=2).run()["stored_path"].startswith("s3://bucket/")


def test_a_video_that_could_not_be_stored_is_stored_by_the_retry_without_a_new_render(render, service, tmp_path):
    service.add_fault("file", status="missing", times=None)
    first = Attempt(render())
    with pytest.raises(DownloadFailed, match="Airflow will retry") as failure:
        first.run()
    assert "It is unknown whether" not in str(failure.value)
    assert kept_in(tmp_path / "kept") == []
    service.clear_faults()
    result = Attempt(render(), try_number=2, before=first).run()
    assert result["project"] == first.xcoms["json2video_project"]
    assert service.posts == 1


def test_when_no_retries_are_left_the_advice_says_how_to_get_the_paid_video(render, service):
    service.add_fault("file", status="missing", times=None)
    with pytest.raises(DownloadFailed, match="Clear the task to reuse this render"):
        Attempt(render(), try_number=3).run()


def test_a_clear_after_a_failed_store_stores_the_paid_video(render, service):
    service.add_fault("file", status="missing", times=None)
    first = Attempt(render(), max_tries=0)
    with pytest.raises(DownloadFailed):
        first.run()
    service.clear_faults()
    cleared = Attempt(render(), try_number=2, max_tries=1, before=first)
    assert cleared.run()["project"] == first.xcoms["json2video_project"]
    assert service.posts == 1


@pytest.mark.parametrize("path", ["{project}.mp4", "latest.mp4"])
def test_a_crash_right_after_the_services_file_was_deleted_pays_for_nothing_more(
    render, service, tmp_path, monkeypatch, path
):
    operator = render(
        output_path=f"{tmp_path}/kept/{path}", movie=SPOKEN, delete_remote=True, store=("video", "subtitles")
    )
    first = Attempt(operator)
    delete = Json2VideoHook.delete_movie

    def delete_and_die(self, project):
        delete(self, project)
        raise Died

    monkeypatch.setattr(Json2VideoHook, "delete_movie", delete_and_die)
    with pytest.raises(Died):
        first.run()
    monkeypatch.setattr(Json2VideoHook, "delete_movie", delete)
    assert Json2VideoHook().get_movie(first.xcoms["json2video_project"]).movie.deleted_at
    again = render(
        output_path=f"{tmp_path}/kept/{path}", movie=SPOKEN, delete_remote=True, store=("video", "subtitles")
    )
    result = Attempt(again, try_number=2, before=first).run()
    assert service.posts == 1
    assert result["project"] == first.xcoms["json2video_project"]
    assert result["stored_bytes"] == Path(result["stored_path"]).stat().st_size
    assert result["subtitles_path"].endswith(".ass")
    assert result["url"] is None


def test_a_render_that_was_deleted_and_is_not_stored_is_rendered_again(render, service, tmp_path):
    first = Attempt(render(delete_remote=True))
    project = first.run()["project"]
    (tmp_path / "kept" / f"{project}.mp4").unlink()
    assert Attempt(render(delete_remote=True), try_number=2, before=first).run()["project"] != project
    assert service.posts == 2


def test_while_the_storage_is_down_a_deleted_render_is_not_rendered_again(render, service, tmp_path, monkeypatch):
    store = attach("s3", FolderStore(root=tmp_path))
    (tmp_path / "bucket").mkdir()
    first = Attempt(render(output_path="s3://bucket/", delete_remote=True))
    first.run()
    info = store.info

    def down(path, **options):
        if path.endswith(".mp4"):
            raise ConnectionError("no route")
        return info(path, **options)

    store.info = down
    # Deferring would wait for a service that answers; how long the worker waits is not what this is about.
    monkeypatch.setattr("airflow_json2video.submission.submitter._CONFIRMATION_GRACE", 0.1)
    operator = render(output_path="s3://bucket/", delete_remote=True, deferrable=False, render_timeout=0.05)
    with pytest.raises(Json2VideoError, match="no route"):
        Attempt(operator, try_number=2, before=first).run()
    assert service.posts == 1


def test_after_a_deletion_the_button_opens_the_services_pages_and_the_result_has_no_url(render, service):
    attempt = Attempt(render(delete_remote=True))
    result = attempt.run()
    assert result["url"] is None
    assert attempt.xcoms["json2video_link"] == f"{service.url.removesuffix('/v2')}/#{result['project']}"


def test_a_crash_while_storing_returns_no_result_and_the_retry_does(render, service, tmp_path, monkeypatch):
    first = Attempt(render())

    def die(*arguments, **options):
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr("airflow_json2video.storage.store._Fetcher._check_video", die)
        with pytest.raises(Died):
            first.run()
    assert kept_in(tmp_path / "kept") == []
    assert "return_value" not in first.xcoms
    assert not [key for key in first.xcoms if "returned_by_attempt" in key]
    assert Attempt(render(), try_number=2, before=first).run()["stored_path"]
    assert service.posts == 1


@pytest.mark.skipif(find_spec("airflow.sdk") is None, reason="about Airflow 3")
def test_a_task_that_stores_its_video_ends_on_a_worker_and_logs_why(render, times_logged):
    attempt = Attempt(render(end_from_trigger=True))
    attempt.start()
    assert attempt.deferred.trigger.task_end is None
    assert times_logged("the task stores the video (output_path)") == 1


def test_store_and_delete_remote_need_an_output_path(render):
    for options in ({"store": ["video", "subtitles"]}, {"store": ["video", "thumbnail"]}, {"delete_remote": True}):
        with pytest.raises(ConfigurationError, match="need an output_path"):
            render(output_path=None, **options)
    with pytest.raises(ConfigurationError, match="with wait_for_completion=False"):
        render(wait_for_completion=False)


def test_a_render_whose_file_expires_within_a_day_is_warned_of(render, service, times_logged):
    first = Attempt(render(output_path=None))
    first.start()
    first.fire()
    service.clock.advance(timedelta(days=6, hours=12).total_seconds())
    real, shift = time.time, timedelta(days=6, hours=12).total_seconds()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + shift)
        Attempt(render(output_path=None), try_number=2, before=first).run()
        assert times_logged("deletes the file of render") == 1
        Attempt(render(), try_number=2, before=first).run()
        assert times_logged("deletes the file of render") == 0
    assert service.posts == 1


def test_a_transfer_stores_what_a_render_task_rendered(render, transfer, service, tmp_path):
    result = Attempt(render(output_path=None)).run()
    kept = Attempt(transfer(result)).run()
    assert kept == {
        **result,
        "stored_path": f"{tmp_path}/kept/{result['project']}.mp4",
        "stored_bytes": result["size"],
        "remaining_quota": kept["remaining_quota"],
    }
    service.add_fault("file", status="missing", times=None)
    assert Attempt(transfer(result["project"])).run()["stored_path"] == kept["stored_path"]


def test_a_transfer_of_a_render_in_progress_fails_so_that_it_is_retried(render, transfer, service):
    service.settings.update({"render_seconds": 600})
    project = Attempt(render(output_path=None, wait_for_completion=False)).run()["project"]
    with pytest.raises(Json2VideoError, match="is running and has no video yet") as failure:
        Attempt(transfer(project)).run()
    assert failure.value.retryable


@pytest.mark.parametrize("project", ["short", {"url": "u"}])
def test_a_transfer_of_an_invalid_project_fails_without_a_retry(transfer, project):
    with pytest.raises(AirflowFailException, match="Invalid project id"):
        Attempt(transfer(project)).run()


def test_a_transfer_of_a_project_that_stays_unknown_fails_so_that_it_is_retried(transfer, monkeypatch):
    monkeypatch.setattr("airflow_json2video.core.refusal.CONFIRM_REFUSAL_AFTER", (0.05, 0.1))
    with pytest.raises(Json2VideoError, match="was not found in this account") as refused:
        Attempt(transfer("abcdefghijklmnop")).run()
    assert refused.value.retryable
    assert "pays for nothing" in str(refused.value)


def test_a_transfer_of_an_expired_render_fails_without_a_retry_unless_it_is_stored(
    render, transfer, service, tmp_path, monkeypatch
):
    result = Attempt(render()).run()
    service.clock.advance(8 * 86400)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 8 * 86400)
    assert Attempt(transfer(result["project"])).run()["stored_bytes"] == result["size"]
    (tmp_path / "kept" / f"{result['project']}.mp4").unlink()
    with pytest.raises(AirflowFailException, match="has deleted its file, since it is older than seven days"):
        Attempt(transfer(result["project"])).run()


@pytest.mark.parametrize("delete", [False, True])
@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_brief_refusal_does_not_fail_a_transfer(render, transfer, service, monkeypatch, status, delete):
    monkeypatch.setattr("airflow_json2video.core.refusal.CONFIRM_REFUSAL_AFTER", (0.05, 30.0))
    result = Attempt(render(output_path=None)).run()
    service.add_fault("answer", status=status, method="GET", path="/v2/movies", times=1)
    kept = Attempt(transfer(result["project"], delete_remote=delete)).run()
    assert kept["stored_bytes"] == result["size"]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_transfer_that_is_refused_for_long_is_retried(render, transfer, service, monkeypatch, status):
    monkeypatch.setattr("airflow_json2video.core.refusal.CONFIRM_REFUSAL_AFTER", (0.05, 0.1))
    result = Attempt(render(output_path=None)).run()
    service.add_fault("answer", status=status, method="GET", path="/v2/movies", times=None)
    with pytest.raises(Json2VideoError, match="A retry of this task asks again") as refused:
        Attempt(transfer(result["project"])).run()
    assert refused.value.retryable


def test_a_brief_refusal_does_not_fail_a_task_whose_render_has_expired(render, service, monkeypatch):
    monkeypatch.setattr("airflow_json2video.core.refusal.CONFIRM_REFUSAL_AFTER", (0.05, 30.0))
    first = Attempt(render())
    result = first.run()
    service.clock.advance(8 * 86400)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 8 * 86400)
    service.add_fault("answer", status=401, method="GET", path="/v2/movies", nth=[3], times=None)
    again = Attempt(render(), try_number=2, before=first).run()
    assert again["stored_path"] == result["stored_path"]
    assert service.posts == 1
