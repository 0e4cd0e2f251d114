"""Runs an operator as Airflow does, one attempt at a time, without a scheduler.

Only Airflow's side of a task instance is replaced; submission, polling and results go over
HTTP to the local service. Real schedulers, triggerers and workers are in tests/integration.
"""

from __future__ import annotations

import asyncio
import json
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace

from airflow.providers.common.compat.sdk import TaskDeferred


class Attempt:
    """One attempt of one task instance: ``run()`` goes through submit, defer, poll and resume.

    :param before: the attempt before this one, whose XComs Airflow deletes as this one starts.
    """

    def __init__(
        self, operator, *, try_number=1, max_tries=2, run_id="manual__1", map_index=-1, names=None, before=None
    ):
        self.operator = operator
        server_context = SimpleNamespace(
            xcom_keys_to_clear=sorted(before.xcoms) if before is not None else [], next_method=None
        )
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
                _ti_context_from_server=server_context,
                xcom_push=lambda key, value: self.xcoms.__setitem__(key, value),
                xcom_pull=lambda *, task_ids, key, map_indexes: self.xcoms.get(key),
            ),
            **(names or {}),
        }

    def render_templates(self):
        self.operator.render_template_fields(self.context)
        return self

    def start(self):
        """Run execute() and return its result or its TaskDeferred."""
        return self._outcome(lambda: self.operator.execute(self.context))

    def _outcome(self, step):
        try:
            result = step()
        except TaskDeferred as deferred:
            self.deferred = deferred
            return deferred
        if self.operator.do_xcom_push:
            self.xcoms["return_value"] = result
        return result

    def trigger(self):
        """The trigger as the triggerer makes it: from what was serialized, through JSON."""
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
        method, kwargs = self.deferred.method_name, {**kwargs, "event": self.event}
        return self._outcome(lambda: self.operator.resume_execution(method, kwargs, self.context))

    def run(self):
        outcome = self.start()
        return self.fire().resume() if self.deferred is not None and outcome is self.deferred else outcome


def outlet_event_accessors():
    """Airflow's own accessors of outlet events, as a task's context has them."""
    for module in ("airflow.sdk.execution_time.context", "airflow.utils.context"):
        if find_spec(module.partition(".execution_time")[0]):
            return import_module(module).OutletEventAccessors()
    raise AssertionError


def alias_events(accessor):
    """Address and extra of each event of an alias: objects in Airflow 3, dictionaries in 2.11."""
    if hasattr(accessor, "dataset_alias_events"):
        return [(event["dest_dataset_uri"], event["extra"]) for event in accessor.dataset_alias_events]
    return [(event.dest_asset_key.uri, event.extra) for event in accessor.asset_alias_events]
