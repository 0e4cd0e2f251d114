"""Who submits: the deployment, the task instance, and how often it was cleared.

Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_json2video.core.identity import NO_DEPLOYMENT, TaskIdentity
from airflow_json2video.operators.render import attempt_before
from airflow_json2video.submission.deployment import deployment_of, require_no_namesakes
from airflow_json2video.version_compat import run_began

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.task_log import TaskLog

__all__ = ["task_identity"]


def task_identity(
    context: Context,
    hook: Json2VideoHook,
    *,
    log: TaskLog,
    items: Sequence[str] | None = None,
    is_resumed: bool = False,
) -> TaskIdentity:
    """Return who submits.

    :param items: keys of the items, where the task is a batch.
    :param is_resumed: whether this attempt itself may have submitted something already.
    :raises Json2VideoError: the deployment is unknown.
    """
    ti = context["ti"]
    identity = TaskIdentity(
        deployment=NO_DEPLOYMENT,
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        generation=ti.max_tries,
    )

    def before_creating() -> None:
        if is_resumed or attempt_before(context) is not None:
            names = {identity.namesake_key} if items is None else identity.namesakes(items)
            require_no_namesakes(hook.client, names, since=run_began(context))

    deployment = deployment_of(hook.settings.namespace, ti=ti, log=log, before_creating=before_creating)
    return replace(identity, deployment=deployment)
