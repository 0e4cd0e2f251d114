"""Airflow's asset state store (3.3 and later): what a watcher has reported, so that a restart repeats nothing."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from airflow_json2video.version_compat import asset_state_stores

__all__ = ["WatcherStateStore"]

log = logging.getLogger(__name__)

_KEY = "airflow_json2video"
_RETRY_DELAYS = (1.0, 2.0, 4.0, 8.0)
"""Seconds between the attempts to load a watcher's state: without it, events are missed."""


class WatcherStateStore:
    """Stores what a watcher of assets has reported. If that fails, a restart can repeat or miss an event.

    :param stores: the store of each asset that the trigger watches; all have the same content.
    :param key: of this trigger alone, because an asset may have several watchers.
    """

    def __init__(self, stores: list[Any], key: str) -> None:
        self._stores = stores
        self._key = key

    @classmethod
    def of(cls, trigger: Any, *, identity: list[Any]) -> WatcherStateStore | None:
        """Return the store of an event trigger; None before Airflow 3.3, which has no such store.

        :param identity: what distinguishes this watcher from others of this package; plain JSON.
        """
        stores = asset_state_stores(trigger)
        digest = sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
        return cls(stores, f"{_KEY}.{digest}") if stores else None

    async def load(self) -> Any:
        """Return what was saved last in any of the stores, or None."""
        found = [state for store in self._stores if isinstance(state := await self._read(store), dict)]
        return max(found, key=lambda state: state.get("start") or 0.0, default=None)

    async def _read(self, store: Any) -> Any:
        for delay in (*_RETRY_DELAYS, None):
            try:
                return await store.aget(self._key)
            except Exception as error:
                if delay is None:
                    log.warning(
                        "Could not load the watcher's state (%r); starting from now, earlier renders are skipped.",
                        error,
                    )
                    return None
            await asyncio.sleep(delay)
        return None

    async def save(self, state: Mapping[str, Any]) -> None:
        """Save the state in every store."""
        for store in self._stores:
            try:
                await store.aset(self._key, dict(state))
            except Exception as error:
                log.warning("Could not save the watcher's state (%r); a restart may repeat events.", error)
