"""Airflow's store for assets (3.3 and later): what a watcher has reported, so that a restart repeats nothing."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from airflow_json2video.version_compat import asset_stores

__all__ = ["WatcherStateStore"]

log = logging.getLogger(__name__)

_KEY = "airflow_json2video"
_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds between the tries to read what a watcher has told: without it, events are missed."""


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
