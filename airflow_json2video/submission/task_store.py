"""Airflow's own stores (3.3 and later): for one task, as a short cut to a render that is known already, and for assets.

That of a task is never the only source: what it does not know, has lost or has mixed up is found in the account's list.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

__all__ = ["TaskStateStore", "WatcherStateStore"]

log = logging.getLogger(__name__)

_KEY = "airflow_json2video"
_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds between the tries to read what a watcher has told: without it, events are missed."""


class TaskStateStore:
    """Remembers which project a submission key became.

    :param store: the context's ``task_state_store``.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    @classmethod
    def of(cls, context: Any) -> TaskStateStore | None:
        """Give the memory of a task's context; None where Airflow keeps none."""
        store = context.get("task_state_store")
        return cls(store) if store is not None else None

    def recall(self, submission_key: str) -> str | None:
        """Give the project, or None: not known, of another submission, or the store is in trouble."""
        try:
            kept = self._store.get(_KEY)
        except Exception:  # a store that fails costs a listing, and nothing else
            return None
        if not isinstance(kept, dict) or kept.get("submission_key") != submission_key:
            return None
        project = kept.get("project")
        return project if isinstance(project, str) and len(project) == 16 else None

    def remember(self, submission_key: str, project: str) -> None:
        """Keep the project; what cannot be kept is found in the list."""
        try:
            self._store.set(_KEY, {"submission_key": submission_key, "project": project})
        except Exception:  # as above
            return


class WatcherStateStore:
    """Keeps what a watcher of assets has told. What cannot be kept costs an event twice after a restart, or one missed.

    :param stores: the store of each asset that the trigger watches; all hold the same.
    :param key: of this trigger alone, since an asset may have several watchers.
    """

    def __init__(self, stores: list[Any], key: str) -> None:
        self._stores = stores
        self._key = key

    @classmethod
    def of(cls, trigger: Any, *, told_apart_by: list[Any]) -> WatcherStateStore | None:
        """Give the memory of an event trigger; None where Airflow keeps none (before 3.3).

        :param told_apart_by: what makes it another watcher than another one of ours; plain JSON.
        """
        import json
        from hashlib import sha256

        from airflow_json2video.version_compat import asset_stores

        stores = asset_stores(trigger)
        digest = sha256(json.dumps(told_apart_by, sort_keys=True).encode()).hexdigest()[:16]
        return cls(stores, f"{_KEY}.{digest}") if stores else None

    async def recall(self) -> Any:
        """Give what was kept last by any of the stores, or None."""
        found = [kept for store in self._stores if isinstance(kept := await self._read(store), dict)]
        return max(found, key=lambda kept: kept.get("start") or 0.0, default=None)

    async def _read(self, store: Any) -> Any:
        for pause in (*_PAUSES, None):
            try:
                return await store.aget(self._key)
            except Exception as error:
                if pause is None:
                    log.warning("What this watcher has told could not be read: %r. It starts from now.", error)
                    return None
            await asyncio.sleep(pause)
        return None

    async def remember(self, state: Mapping[str, Any]) -> None:
        """Keep the state in every store."""
        for store in self._stores:
            try:
                await store.aset(self._key, dict(state))
            except Exception as error:
                log.warning("What this watcher has told could not be kept: %r.", error)
