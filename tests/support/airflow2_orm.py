"""Answers :class:`tests.support.airflow_api.OrmApi` from the database of an Airflow 2.11, one JSON line for each query.

Airflow 2.11's REST API would need its web server, a user and some ten seconds more. This runs with
Airflow 2.11 only, as a process of its own; the environment says which database.
"""


# mypy: ignore-errors
# Written for Airflow 2.11; the type checker sees another version.

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

# Airflow may print while it is imported, and the responses go to the standard output.
_answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

from airflow.api.common.airflow_health import get_airflow_health  # noqa: E402
from airflow.api.common.trigger_dag import trigger_dag  # noqa: E402
from airflow.models import DagBag, DagModel, DagRun, TaskInstance, XCom  # noqa: E402
from airflow.models.errors import ParseImportError  # noqa: E402
from airflow.models.serialized_dag import SerializedDagModel  # noqa: E402
from airflow.utils.session import create_session  # noqa: E402
from airflow.utils.state import TaskInstanceState  # noqa: E402
from sqlalchemy.exc import OperationalError  # noqa: E402


def health() -> dict[str, str | None]:
    return {name: part["status"] for name, part in get_airflow_health().items()}


def has_dag(dag_id: str) -> bool:
    # The row of a DAG is written first; its serialized form, which a run needs, follows.
    return DagModel.get_current(dag_id) is not None and SerializedDagModel.has_dag(dag_id)


def import_errors() -> list[str]:
    with create_session() as session:
        return [f"{e.filename}:\n{e.stacktrace}" for e in session.query(ParseImportError)]


def trigger(dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
    trigger_dag(dag_id, run_id=run_id, conf=conf, replace_microseconds=False)


def runs(dag_id: str) -> list[str]:
    with create_session() as session:
        return [run_id for (run_id,) in session.query(DagRun.run_id).filter_by(dag_id=dag_id)]


def run_state(dag_id: str, run_id: str) -> str | None:
    with create_session() as session:
        state = session.query(DagRun.state).filter_by(dag_id=dag_id, run_id=run_id).scalar()
        return str(state) if state else None


def task_instances(dag_id: str, run_id: str) -> list[dict[str, Any]]:
    def moment(value: Any) -> str | None:
        return value.isoformat() if value else None

    with create_session() as session:
        found = session.query(TaskInstance).filter_by(dag_id=dag_id, run_id=run_id)
        return [
            {
                "task_id": ti.task_id,
                "map_index": ti.map_index,
                "try_number": ti.try_number,
                "state": str(ti.state) if ti.state else None,
                "start_date": moment(ti.start_date),
                "end_date": moment(ti.end_date),
            }
            for ti in found
        ]


def xcom(dag_id: str, run_id: str, task_id: str, key: str, map_index: int) -> list[Any]:
    with create_session() as session:
        found = session.query(XCom).filter_by(
            dag_id=dag_id, run_id=run_id, task_id=task_id, key=key, map_index=map_index
        )
        return [x.value for x in found]  # deserialized by the model when it is loaded


def clear(dag_id: str, run_id: str, task_id: str) -> None:
    dag = DagBag(read_dags_from_db=True).get_dag(dag_id)
    subset = dag.partial_subset(task_id, include_downstream=True, include_upstream=False)
    with create_session() as session:
        when = session.query(DagRun.execution_date).filter_by(dag_id=dag_id, run_id=run_id).scalar()
        subset.clear(start_date=when, end_date=when, session=session)


def mark(dag_id: str, run_id: str, task_id: str, state: str) -> None:
    dag = DagBag(read_dags_from_db=True).get_dag(dag_id)
    dag.set_task_instance_state(task_id=task_id, run_id=run_id, state=TaskInstanceState(state))


_QUESTIONS = {
    f.__name__: f for f in (health, has_dag, import_errors, trigger, runs, run_state, task_instances, xcom, clear, mark)
}


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        question, arguments = json.loads(line)
        try:
            answer = {"value": _QUESTIONS[question](**arguments)}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{question}: {error!r}", "passing": isinstance(error, OperationalError)}
        _answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
