"""What the tests of the drive share: a hook whose uploads are confirmed without a delay, a file, and its upload."""

from __future__ import annotations

import pytest

from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.transfers.object_storage_to_json2video import ObjectStorageToJson2VideoOperator
from tests.unit.attempts import Attempt

__all__ = ["hook", "logo", "quick", "upload"]


@pytest.fixture
def hook(connection, service):
    service.settings.update({"upload_confirm": 0.0})
    return Json2VideoHook()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Poll a file without delays; these tests are not about the delays."""
    monkeypatch.setattr("airflow_json2video.storage.drive_upload._POLL_INTERVAL", 0.01)


@pytest.fixture
def logo(tmp_path):
    path = tmp_path / "logo.png"
    path.write_bytes(b"a picture")
    return path


def upload(source, **arguments):
    return Attempt(ObjectStorageToJson2VideoOperator(task_id="upload", source=str(source), **arguments)).run()
