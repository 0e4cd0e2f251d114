"""Airflow's store for one task (3.3 and later): a shortcut to a render that is already known.

It is never the only source: what it does not know, has lost or has mixed up is found in the account's list.
"""

from __future__ import annotations

from typing import Any

__all__ = ["TaskStateStore"]

_KEY = "airflow_json2video"


class TaskStateStore:
    """Remembers which project a submission key became.

    :param store: the context's ``task_state_store``.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    @classmethod
    def from_context(cls, context: Any) -> TaskStateStore | None:
        """Give the memory of a task's context; None where Airflow keeps none."""
        store = context.get("task_state_store")
        return cls(store) if store is not None else None

    def load(self, submission_key: str) -> str | None:
        """Give the project, or None: not known, of another submission, or the store is in trouble."""
        try:
            kept = self._store.get(_KEY)
        except Exception:  # a store that fails costs a listing, and nothing else
            return None
        if not isinstance(kept, dict) or kept.get("submission_key") != submission_key:
            return None
        project = kept.get("project")
        return project if isinstance(project, str) and len(project) == 16 else None

    def save(self, submission_key: str, project: str) -> None:
        """Keep the project; what cannot be kept is found in the list."""
        try:
            self._store.set(_KEY, {"submission_key": submission_key, "project": project})
        except Exception:  # as above
            return
