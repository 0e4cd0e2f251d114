from __future__ import annotations

import pytest

from airflow_json2video.local import LocalService


@pytest.fixture
def service(tmp_path):
    with LocalService(mode="instant", home=tmp_path / "home") as service:
        yield service
