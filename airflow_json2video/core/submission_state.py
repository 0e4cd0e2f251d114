"""The state of a submission that waits, and the exceptions that end it without a result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_json2video.core.submission import Unconfirmed
from airflow_json2video.exceptions import SubmissionUnconfirmed

__all__ = ["SubmissionPaused", "SubmissionState", "unconfirmed_error"]


@dataclass(frozen=True)
class SubmissionState:
    """The state of a submission, as JSON: enough to continue it in another process of the same attempt.

    :param unconfirmed: the submission whose response is unknown; its times are by the service's clock.
    :param on_service_clock: False until the service has responded again: until then the time in *unconfirmed* is
        meaningless on another machine.
    :param sent: whether this attempt has sent a submission.
    :param refusals: number of submissions that were refused with a response that says that nothing was started.
    :param failures: number of requests in a row that failed and may succeed later.
    :param host_unresolved_since: when the host's name was first not resolved, epoch seconds; None once it is.
    :param list_refused_since: the same for a list that the service refuses to return.
    :param first_read_at: when the list was first read for the current decision.
    :param other_deployment_reported: whether the log has said that another deployment has a render of the same task.
    :param error: the last error.
    """

    unconfirmed: Unconfirmed | None = None
    on_service_clock: bool = False
    sent: bool = False
    refusals: int = 0
    failures: int = 0
    host_unresolved_since: float | None = None
    list_refused_since: float | None = None
    first_read_at: float | None = None
    other_deployment_reported: bool = False
    error: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> SubmissionState:
        """Read what :meth:`to_json` returned; fields of a newer version are ignored."""
        known = {name: fields[name] for name in cls.__dataclass_fields__ if name in fields}
        if known.get("unconfirmed") is not None:
            known["unconfirmed"] = Unconfirmed.from_json(known["unconfirmed"])
        return cls(**known)


class SubmissionPaused(Exception):
    """The submission has to wait for longer than it may hold a worker slot.

    :ivar seconds: how long. :ivar until: epoch seconds after which waiting is useless.
    :ivar state: the state to continue with.
    """

    def __init__(self, reason: str, *, seconds: float, until: float, state: SubmissionState) -> None:
        super().__init__(reason)
        self.seconds = seconds
        self.until = until
        self.state = state


def unconfirmed_error(
    state: SubmissionState, message: str, *, submission_key: str, retryable: bool
) -> SubmissionUnconfirmed:
    """Build the error of an attempt that ends without knowing whether a render was started.

    :param retryable: whether the next attempt may find out; if not, the advice says how you can.
    """
    search = (
        f"Search for 'submission_key': '{submission_key}' in the client-data of the account's renders "
        "(GET /movies, or the render logs of the dashboard)."
    )
    then = "Then clear the task: it reattaches to the render if the list shows it, and submits again if not."
    return SubmissionUnconfirmed(
        message,
        service_message=(state.error or {}).get("service_message"),
        retryable=retryable,
        advice=search if retryable else f"{search} {then}",
    )
