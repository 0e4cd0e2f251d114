"""The price of a render: its seconds, and what models would have generated for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_json2video.movie.pricing import render_credits

if TYPE_CHECKING:
    from airflow_json2video.local.settings import Settings
    from airflow_json2video.local.store import Store

__all__ = ["charge"]

_CACHED = 3 * 86400.0
"""Seconds for which the service caches a generated asset, unless it is saved to the drive."""


def charge(result: Mapping[str, Any], *, store: Store, settings: Settings, now: float) -> float:
    """Return the credits of a finished render, and record which assets have been paid.

    An asset that was paid in the last three days, or is saved to the drive, is free: a cache hit.

    :param result: the result of a renderer, with the ``outcome`` ``done``.
    :param now: epoch seconds on the service's clock.
    """
    large = settings.large_frame_price == 4
    width, height = (result["width"], result["height"]) if large else (1, 1)
    price = render_credits(result["duration"], width=width, height=height)
    for asset in result.get("generated") or ():
        paid = store.assets.get(asset["key"])
        is_there = paid is not None and (paid["saved"] or 0 <= now - paid["at"] < _CACHED)
        if is_there and not asset["fresh"]:
            continue
        store.assets.put(asset["key"], {"at": now, "saved": asset["saved"]})
        price += asset["credits"]
    return price
