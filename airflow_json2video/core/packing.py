"""JSON as a short text, for what travels through Airflow's database between two slices of a batch."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

__all__ = ["pack", "unpack"]


def pack(value: Any) -> str:
    """Return JSON as a short text that every store of Airflow takes, whatever characters are in it."""
    plain = json.dumps(value, separators=(",", ":")).encode()
    return base64.b85encode(zlib.compress(plain, 6)).decode()


def unpack(text: str) -> Any:
    """Read what :func:`pack` wrote.

    :raises ValueError: it is something else.
    """
    try:
        return json.loads(zlib.decompress(base64.b85decode(text)))
    except zlib.error as error:
        raise ValueError(str(error)) from None
