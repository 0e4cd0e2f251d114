"""Loading what triggers need in a thread: ``requests``, ``pydantic`` and ``aiohttp`` take half a second and more.

A triggerer runs all its triggers in one event loop, which would block meanwhile. It imports a trigger's own module in
that loop, and a worker imports it to defer. So the modules in this folder import at their top only what Airflow itself
and the DAG file have loaded before; everything else is imported inside their functions, after :func:`load_in_thread`.
The exception is ``_task_end``, which is itself loaded in the thread. ``tests/unit/triggers/test_loading.py`` runs each
trigger and checks that nothing was loaded in the event loop.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module

__all__ = ["load_in_thread"]

_NEEDED_BY_ALL = (
    "airflow.providers.common.compat.connection",
    "airflow.providers.common.compat.sdk",
    "airflow_json2video.api.calls",
    "airflow_json2video.core.batch",
    "airflow_json2video.core.price",
    "airflow_json2video.core.rate_limit",
    "airflow_json2video.hooks.json2video",
    "airflow_json2video.polling.async_wait",
    "airflow_json2video.triggers._task_end",
    "airflow_json2video.triggers.render",
    "asgiref.sync",
)


async def load_in_thread(*more: str) -> None:
    """Import what triggers need without blocking the event loop. Every later import of it takes no time.

    :param more: modules that only this trigger needs.
    """
    missing = [module for module in (*_NEEDED_BY_ALL, *more) if module not in sys.modules]
    if missing:
        await asyncio.to_thread(_load, missing)


def _load(modules: list[str]) -> None:
    for module in modules:
        import_module(module)
