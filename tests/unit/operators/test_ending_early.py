"""A batch that is ended while it stores videos ends immediately, without waiting for its downloads."""

from __future__ import annotations

import signal
import time
from types import SimpleNamespace

import pytest

from airflow_json2video.batch.files import BatchFiles
from airflow_json2video.core.batch import BatchLedger, BatchRules
from airflow_json2video.core.batch_items import BatchItems
from airflow_json2video.hooks.json2video import Json2VideoHook
from airflow_json2video.task_log import ItemLog
from tests.unit.videohost import video_host


class Timeout(BaseException):
    """As Airflow raises it in the task, from a signal."""


class Log:
    def info(self, *arguments):
        pass

    debug = warning = error = info


def test_a_timeout_does_not_wait_for_running_downloads(connection, tmp_path):
    with video_host(size=3_000_000, seconds=60.0) as host:
        items = BatchItems.of([{"scenes": []}] * 9, base=None, key=None)
        files = BatchFiles(
            output_path=f"{tmp_path}/{{row}}.mp4", items=items, hook=Json2VideoHook(connection), log=ItemLog(Log())
        )
        batch = BatchLedger(9, digest="", rules=BatchRules())
        for index in range(9):
            project = f"{index:016}"
            batch.mark_submitted(index, project, at=time.time())
            batch.mark_done(index, host.movie(project))
        first = SimpleNamespace(records=batch.records, items_in=lambda state: [0], mark_failed=batch.mark_failed)
        files.store(first)
        host.pause = 120.0

        def ring(*_):
            raise Timeout

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 1.5)
        began = time.monotonic()
        try:
            with pytest.raises(Timeout):
                files.store(batch)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert time.monotonic() - began < 60
    assert [found.name for found in tmp_path.iterdir() if found.is_file()] == ["1.mp4"]
