"""Imports for triggers: ``requests``, ``pydantic`` and ``aiohttp`` take half a second and more to load.

A triggerer runs all its triggers in one event loop, which would stand still meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module

__all__ = ["load_in_thread"]

_OF_ALL_TRIGGERS = (
    "airflow.providers.common.compat.connection",
    "airflow.providers.common.compat.sdk",
    "airflow_json2video.api.calls",
    "airflow_json2video.polling.async_wait",
    "airflow_json2video.hooks.json2video",
    "airflow_json2video.metrics",
    "airflow_json2video.supervisor_calls",
    "airflow_json2video.core.price",
    "airflow_json2video.core.rate_limit",
    "airflow_json2video.core.packing",
    "airflow_json2video.triggers._task_end",
    "airflow_json2video.triggers.render",
    "asgiref.sync",
)


async def load_in_thread(*more: str) -> None:
    """Import what triggers need without blocking the event loop; every later import of it is instant.

    :param more: modules that only this trigger needs.
    """
    missing = [module for module in (*_OF_ALL_TRIGGERS, *more) if module not in sys.modules]
    if missing:
        await asyncio.to_thread(_load, missing)


def _load(modules: list[str]) -> None:
    for module in modules:
        import_module(module)
