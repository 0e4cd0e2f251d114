"""Strict reading of JSON from clients, so that every value can be written again."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from airflow_json2video.local.limits import LIMITS, is_deeper

__all__ = ["read_json"]


def read_json(body: bytes | str) -> Any:
    """Read a JSON text strictly.

    Python's reader also accepts NaN, numbers that become infinite, unpaired surrogates, and nesting too deep to be
    written. Once stored, each of these would break every response that contains it.

    :raises ValueError: it is not JSON, or nested more than 100 deep.
    """
    try:
        value = json.loads(body, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if is_deeper(value, LIMITS.depth):
        raise ValueError(f"nested more than {LIMITS.depth} deep")
    # An unpaired surrogate can only come from an escape.
    marker: Any = b"\\ud" if isinstance(body, bytes) else "\\ud"
    if marker in body.lower():
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"the number {text[:20]} is too large")
    return number


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")
