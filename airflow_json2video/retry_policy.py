"""A retry policy for Airflow 3.3 and later: retries a failed render task only if a retry can help.

Earlier versions lack only its delays: the operator itself fails without a retry where a retry cannot help, and
everything else is retried after the task's ``retry_delay``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_json2video.exceptions import (
    Json2VideoError,
    RateLimited,
    RenderDeadlineExceeded,
    RenderFailed,
    RenderStalled,
    ServerError,
    StoreError,
    TransportError,
)

try:
    from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
except ImportError:
    raise ImportError(
        "Json2VideoRetryPolicy needs Airflow 3.3 or later. Leave it out on this version: the render operator fails "
        "without a retry where a retry cannot help, and the task's retry_delay applies to the rest."
    ) from None

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

__all__ = ["Json2VideoRetryPolicy"]


class Json2VideoRetryPolicy(RetryPolicy):
    """Decides from the failure whether a render task is retried, and after which delay.

    ============================================  ==========================================================
    failure                                       decision
    ============================================  ==========================================================
    quota, plan, bad document, template, key      fail now
    the video could not be stored                 retry after *network_delay*: no new render is paid for
    a source could not be fetched                 retry after *source_delay*
    a network error, a failure of the service     retry after *network_delay*: it reattaches, which is free
    too many requests                             retry after ``Retry-After``, at least *network_delay*
    deadline passed, render stalled               retry after *source_delay*: it is polled again first
    anything else                                 the task's own settings
    ============================================  ==========================================================

    :param source_delay: delay before a render whose source could not be fetched is retried.
    :param network_delay: delay after a network error.
    """

    def __init__(
        self,
        *,
        source_delay: timedelta = timedelta(minutes=10),
        network_delay: timedelta = timedelta(seconds=30),
    ) -> None:
        self.source_delay = source_delay
        self.network_delay = network_delay

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,  # noqa: ARG002
    ) -> RetryDecision:
        """Return the decision; the reason is logged and stored with the attempt."""
        if not isinstance(exception, Json2VideoError):
            return RetryDecision.default()
        if not exception.retryable:
            return RetryDecision.fail(reason=f"{type(exception).__name__}: a retry cannot help")
        if isinstance(exception, RenderFailed):
            if exception.source_unavailable:
                return RetryDecision.retry(self.source_delay, "a source could not be fetched; it may be back later")
            return RetryDecision.default()
        if isinstance(exception, (RenderDeadlineExceeded, RenderStalled)):
            return RetryDecision.retry(self.source_delay, "the render keeps running; the next attempt polls it again")
        if isinstance(exception, RateLimited) and exception.retry_after is not None:
            retry_after = timedelta(seconds=exception.retry_after)
            return RetryDecision.retry(max(retry_after, self.network_delay), "the service sent a Retry-After")
        if isinstance(exception, StoreError):
            return RetryDecision.retry(self.network_delay, "the render is done; a retry only stores its video")
        if isinstance(exception, (TransportError, ServerError, RateLimited)):
            return RetryDecision.retry(self.network_delay, "a retry reattaches to the render, which is free")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Return the policy as JSON."""
        return {
            "source_delay": self.source_delay.total_seconds(),
            "network_delay": self.network_delay.total_seconds(),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Json2VideoRetryPolicy:
        """Build the policy from what :meth:`serialize` returned."""
        return cls(**{name: timedelta(seconds=seconds) for name, seconds in data.items()})
