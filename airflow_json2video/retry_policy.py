"""Retry where it helps, not where it burns: a retry policy for Airflow 3.3 and later.

On earlier versions nothing is lost but the pauses: the operator itself fails for good where a retry
cannot help, and everything else is retried after the task's ``retry_delay``.
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
        "Json2VideoRetryPolicy needs Airflow 3.3 or later. On this version leave it out: the render operator fails "
        "for good where a retry cannot help, and the task's retry_delay holds for the rest."
    ) from None

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

__all__ = ["Json2VideoRetryPolicy"]


class Json2VideoRetryPolicy(RetryPolicy):
    """Decides by the meaning of the failure whether a render task is retried, and after which pause.

    ============================================  ==========================================================
    failure                                       decision
    ============================================  ==========================================================
    quota, plan, bad document, template, key      fail now
    the video could not be kept                   retry after *network_delay*: no new render is paid for
    a source could not be fetched                 retry after *source_delay*
    network trouble, the service's own failure    retry after *network_delay*: adoption makes it free
    too many requests                             retry when the service asked for it, else *network_delay*
    deadline passed, render stalled               retry after *source_delay*: it is looked at again first
    anything else                                 the task's own settings
    ============================================  ==========================================================

    :param source_delay: pause before a render whose source could not be fetched is tried again.
    :param network_delay: pause after network trouble.
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
        """Give the decision; the reason is logged and stored with the attempt."""
        if not isinstance(exception, Json2VideoError):
            return RetryDecision.default()
        if not exception.retryable:
            return RetryDecision.fail(reason=f"{type(exception).__name__}: a retry cannot help")
        if isinstance(exception, RenderFailed):
            if exception.source_unavailable:
                return RetryDecision.retry(self.source_delay, "a source could not be fetched; it may be back later")
            return RetryDecision.default()
        if isinstance(exception, (RenderDeadlineExceeded, RenderStalled)):
            return RetryDecision.retry(self.source_delay, "the render goes on; the next attempt looks at it again")
        if isinstance(exception, RateLimited) and exception.retry_after is not None:
            wish = timedelta(seconds=exception.retry_after)
            return RetryDecision.retry(max(wish, self.network_delay), "the service asked to wait")
        if isinstance(exception, StoreError):
            return RetryDecision.retry(self.network_delay, "the render is done; a retry only keeps its video")
        if isinstance(exception, (TransportError, ServerError, RateLimited)):
            return RetryDecision.retry(self.network_delay, "what was submitted is adopted, so a retry is free")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Give the policy as JSON."""
        return {
            "source_delay": self.source_delay.total_seconds(),
            "network_delay": self.network_delay.total_seconds(),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Json2VideoRetryPolicy:
        """Read what :meth:`serialize` wrote."""
        return cls(**{name: timedelta(seconds=seconds) for name, seconds in data.items()})
