"""Airflow's task state store (3.3 and later): a shortcut to a render that is already known.

It is never the only source: what it does not know, has lost or has mixed up is found in the account's list.
"""

from __future__ import annotations

from typing import Any

__all__ = ["TaskStateStore"]

_KEY = "airflow_json2video"


class TaskStateStore:
    """Stores which project a submission key became.

    :param store: the context's ``task_state_store``.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    @classmethod
    def from_context(cls, context: Any) -> TaskStateStore | None:
        """Return the store of a task's context; None if Airflow has none."""
        store = context.get("task_state_store")
        return cls(store) if store is not None else None

    def load(self, submission_key: str) -> str | None:
        """Return the project; None if it is unknown, belongs to another submission, or the store fails."""
        try:
            stored = self._store.get(_KEY)
        except Exception:  # a store that fails costs one read of the list
            return None
        if not isinstance(stored, dict) or stored.get("submission_key") != submission_key:
            return None
        project = stored.get("project")
        return project if isinstance(project, str) and len(project) == 16 else None

    def save(self, submission_key: str, project: str) -> None:
        """Store the project. If that fails, the render is found in the list."""
        try:
            self._store.set(_KEY, {"submission_key": submission_key, "project": project})
        except Exception:  # as above
            return
