"""The upload to the drive against the local service."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_json2video.api import calls
from airflow_json2video.api.upload import FileContent
from airflow_json2video.api.validation import check_stored_folder, check_stored_name
from airflow_json2video.exceptions import ConfigurationError, Json2VideoError, MediaNotFound, TransportError
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.local.drive import file_name, folder_name
from airflow_json2video.transfers.object_storage_to_json2video import ObjectStorageToJson2VideoOperator
from tests.unit import uploads
from tests.unit.attempts import Attempt
from tests.unit.uploads import upload

hook, logo, quick = uploads.hook, uploads.logo, uploads.quick


def sent(service, method, path="/v2/media/file"):
    return [entry for entry in service.requests if (entry.method, entry.path) == (method, path)]


def test_an_uploaded_file_can_be_downloaded_from_the_url_of_the_result(hook, logo):
    import requests

    result = upload(logo, folder="brand")
    assert result == {
        "name": "logo.png",
        "folder": "brand",
        "url": hook.get_file("brand/logo.png").url,
        "size": 9,
        "content_type": "image/png",
        "status": "uploaded",
        "uploaded": True,
    }
    assert requests.get(result["url"], timeout=10).content == b"a picture"


def test_a_file_of_the_same_name_and_size_is_not_sent_again(hook, service, logo):
    first = upload(logo)
    assert upload(logo) == {**first, "uploaded": False}
    assert len(sent(service, "POST")) == 1


def test_a_file_of_another_size_is_refused_unless_asked_and_nothing_is_changed(hook, logo):
    upload(logo)
    logo.write_bytes(b"another picture")
    with pytest.raises(AirflowFailException, match="is in the drive with 9 bytes; this file has 15"):
        upload(logo)
    assert hook.get_file("logo.png").size == 9


@pytest.mark.parametrize(("if_exists", "size"), [("replace", 15), ("keep", 9)])
def test_if_exists_decides_whether_a_file_of_another_size_is_replaced_or_reused(hook, logo, if_exists, size):
    upload(logo)
    logo.write_bytes(b"another picture")
    result = upload(logo, if_exists=if_exists)
    assert (result["size"], result["uploaded"]) == (size, if_exists == "replace")
    assert hook.get_file("logo.png").size == size


def test_the_record_of_an_interrupted_upload_is_deleted_when_its_url_has_expired(
    hook, service, logo, times_logged, monkeypatch
):
    hook.client.execute(calls.start_upload(FileContent.from_source(logo)))  # and the worker dies here
    service.clock.advance(200)
    monkeypatch.setattr("airflow_json2video.storage.drive_upload._UPLOAD_URL_LIFETIME", -1000.0)
    assert upload(logo)["uploaded"]
    assert times_logged("was never finished; deleting its record.") == 1
    assert hook.get_file("logo.png").status == "uploaded"


def test_an_upload_in_progress_elsewhere_is_waited_for(hook, service, logo):
    import threading

    content = FileContent.from_source(logo)
    ticket = hook.client.execute(calls.start_upload(content))
    other = threading.Timer(0.3, lambda: Json2VideoHook().client.execute(calls.put_file(ticket, content)))
    other.start()
    assert not upload(logo)["uploaded"]
    other.join()
    assert sent(service, "DELETE") == []


def test_an_upload_that_fails_leaves_no_record_that_blocks_the_name_and_a_retry_sends_it(hook, service, logo):
    service.add_fault("lost", method="PUT", path="/storage/*", when="before")
    with pytest.raises(TransportError, match="A retry sends the file again") as failed:
        upload(logo)
    assert failed.value.retryable
    with pytest.raises(MediaNotFound):
        hook.get_file("logo.png")
    assert upload(logo)["uploaded"]


def test_an_upload_whose_response_is_lost_and_that_has_arrived_is_a_success(hook, service, logo):
    service.add_fault("lost", method="PUT", path="/storage/*")
    assert upload(logo)["uploaded"]
    assert len(sent(service, "POST")) == 1


def test_a_file_above_500_mb_is_refused_before_the_first_call(hook, service, tmp_path):
    with (tmp_path / "large.mp4").open("wb") as file:
        file.truncate(524_288_001)  # a hole: it takes no room
    with pytest.raises(AirflowFailException, match="has 524288001 bytes; a file of the drive has 1 to 524288000"):
        upload(tmp_path / "large.mp4")
    assert service.requests == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "my logo.png"}, "would store 'my logo.png' as 'my_logo.png'"),
        ({"name": "Café.png"}, "would store 'Café.png' as 'Caf_.png'"),
        ({"name": "a/b.png"}, "must not contain '/', got 'a/b.png'. Pass the folder as folder"),
        ({"folder": "my files"}, "would store the folder 'my files' as 'myfiles'"),
    ],
    ids=["a space", "an accent", "a slash", "a folder"],
)
def test_a_name_that_the_drive_would_rewrite_is_refused_with_the_name_it_would_become(
    hook, service, logo, arguments, words
):
    with pytest.raises(AirflowFailException) as failed:
        upload(logo, **arguments)
    assert words in str(failed.value)
    assert service.requests == []


@pytest.mark.parametrize("name", ["a.png", "a b.png", "über.mp4", "...", "a..b", "x" * 50, "(1).mov"])
def test_the_rule_for_names_is_the_services_own(name):
    try:
        check_stored_name(name)
        kept = name
    except ConfigurationError as error:
        kept = error.message.rpartition(" as ")[2].strip("'.") or "."
    assert kept.strip(".") == file_name(name).strip(".")


@pytest.mark.parametrize("folder", ["a", "a/b", "a b/c", "ü/x", "a.b"])
def test_the_rule_for_folders_is_the_services_own(folder):
    try:
        kept = check_stored_folder(folder)
    except ConfigurationError as error:
        kept = error.message.rpartition(" as ")[2].strip("'.")
    assert kept == folder_name(folder)


def test_a_missing_source_is_refused_before_the_first_call(hook, service, tmp_path):
    with pytest.raises(AirflowFailException, match="File not found"):
        upload(tmp_path / "nothing.png")
    with pytest.raises(AirflowFailException, match="File not found"):
        upload(tmp_path)
    assert service.requests == []


def test_a_storage_that_cannot_be_read_is_an_error_that_a_retry_may_help(hook, service):
    with pytest.raises(Json2VideoError, match="cannot be read") as failed:
        upload("s3://a_missing_connection@bucket/logo.png")
    assert failed.value.retryable
    assert service.requests == []


def test_a_source_is_any_object_storage_path(hook, logo):
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    assert upload(f"file://{logo}")["uploaded"]
    try:
        source = ObjectStoragePath(f"file://{logo}")
    except TypeError:
        pytest.skip("the class of this Airflow breaks with its library")
    assert not Attempt(ObjectStorageToJson2VideoOperator(task_id="upload", source=source)).run()["uploaded"]


def test_an_unknown_choice_is_refused_when_the_dag_is_parsed():
    with pytest.raises(ConfigurationError, match="if_exists must be one of"):
        ObjectStorageToJson2VideoOperator(task_id="upload", source="x", if_exists="overwrite")
