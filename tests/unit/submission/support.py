"""The document, the task and the clock of the submission tests."""

from __future__ import annotations

import time

from airflow_json2video.core.identity import TaskIdentity

MOVIE = {"resolution": "sd", "scenes": [{"duration": 2}], "client-data": {"order": 7}}
TASK = TaskIdentity(deployment="id:here", dag_id="news", run_id="run", task_id="render", map_index=3, generation=2)
NOT_STARTED = ("Error creating movie: the queue is full", "Error starting subprocess")
"""Messages of the service that say that no render was started."""


class FakeClock:
    """A clock on which sleeping takes no real time; it moves the service's clock too."""

    def __init__(self, service_clock=None):
        self.seconds = 0.0
        self.delays = []
        self._began = time.time() if service_clock is None else service_clock.now()
        self._service_clock = service_clock

    def clock(self):
        return self._began + self.seconds

    def sleep(self, seconds):
        self.seconds += seconds
        self.delays.append(seconds)
        if self._service_clock is not None:
            self._service_clock.move_to(self.clock())
