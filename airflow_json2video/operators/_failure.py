"""The advice of an error that ends an attempt: whether Airflow retries, and what happens to the render meanwhile.

Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_json2video.exceptions import (
    Billing,
    Json2VideoError,
    ProjectNotFound,
    RenderExpired,
    RenderFailed,
    RenderStalled,
)
from airflow_json2video.movie.findings import excerpt

__all__ = ["with_next_step"]


def with_next_step(
    error: Json2VideoError, *, ti: Any, durable: bool, document: Mapping[str, Any] | None
) -> Json2VideoError:
    """Return the error of a render task with advice that says what happens next.

    :param ti: the task instance. :param durable: whether a later attempt can find the render.
    :param document: the submitted movie, in which the error shows the place that it is about; None if it is unknown.
    """
    attempt, attempts = ti.try_number, ti.max_tries + 1
    will_retry = error.retryable and attempt < attempts
    advice = error.advice
    if error.retryable or attempt < attempts:
        then = "Airflow will retry." if will_retry else "No retries left."
        then = then if error.retryable else "A retry cannot help, so the task is not retried."
        advice = f"{advice} This was attempt {attempt} of {attempts}. {then}".strip()
    if error.project and error.billing is not Billing.NOT_CHARGED:
        advice = _with_render(advice, error, will_retry=will_retry, durable=durable)
    if isinstance(error, RenderFailed) and error.path and document is not None:
        found = excerpt(document, error.path)
        advice = f"In the document, {found}.\n{advice}" if found else advice
    return error.with_context(advice=advice)


def _with_render(advice: str, error: Json2VideoError, *, will_retry: bool, durable: bool) -> str:
    if not durable:
        return (
            f"Render {error.project} is billed if it succeeds. With durable=False no later attempt reattaches to it: a "
            "retry or a clear pays for a new one."
        )
    if will_retry or isinstance(error, (ProjectNotFound, RenderExpired, RenderStalled)):
        return advice
    return f"{advice} Clear the task to reuse this render: while its file exists, no new one is paid for."
