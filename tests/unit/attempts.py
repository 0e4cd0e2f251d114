"""Runs an operator as Airflow does, one attempt at a time, without a scheduler.

What is stood in for is only Airflow's side of a task instance; submission, polling and results go over
HTTP to the local service. Real schedulers, triggerers and workers are in tests/integration.
"""

from __future__ import annotations

import asyncio
import json
from importlib import import_module
from types import SimpleNamespace

from airflow.providers.common.compat.sdk import TaskDeferred


class Attempt:
    """One attempt of one task instance: ``run()`` goes through submit, defer, poll and resume."""

    def __init__(self, operator, *, try_number=1, max_tries=2, run_id="manual__1", map_index=-1, names=None):
        self.operator = operator
        self.xcoms = {}
        self.deferred = None
        self.event = None
        self.context = {
            "ti": SimpleNamespace(
                dag_id="a_dag",
                run_id=run_id,
                task_id=operator.task_id,
                map_index=map_index,
                try_number=try_number,
                max_tries=max_tries,
                xcom_push=lambda key, value: self.xcoms.__setitem__(key, value),
            ),
            **(names or {}),
        }

    def render_templates(self):
        self.operator.render_template_fields(self.context)
        return self

    def start(self):
        """Run execute(); True if it deferred, else the result is returned."""
        try:
            return self.operator.execute(self.context)
        except TaskDeferred as deferred:
            self.deferred = deferred
            return deferred

    def trigger(self):
        """The trigger as the triggerer makes it: from what was serialised, through JSON."""
        path, kwargs = self.deferred.trigger.serialize()
        module, _, name = path.rpartition(".")
        return getattr(import_module(module), name)(**json.loads(json.dumps(kwargs)))

    def fire(self):
        """Run the trigger to its one event."""

        async def first():
            events = [event async for event in self.trigger().run()]
            assert len(events) == 1
            return events[0]

        self.event = json.loads(json.dumps(asyncio.run(first()).payload))
        return self

    def resume(self):
        kwargs = json.loads(json.dumps(self.deferred.kwargs or {}))
        return self.operator.resume_execution(self.deferred.method_name, {**kwargs, "event": self.event}, self.context)

    def run(self):
        outcome = self.start()
        return self.fire().resume() if outcome is self.deferred else outcome
