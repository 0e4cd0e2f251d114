"""What a submission knows while it waits, and how it says that it has to wait or that it does not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_json2video.core.submission import Unconfirmed
from airflow_json2video.exceptions import SubmissionUnconfirmed

__all__ = ["SubmissionPaused", "SubmissionState", "unconfirmed_error"]


@dataclass(frozen=True)
class SubmissionState:
    """What a submission knows, as JSON: enough to go on with it in another process of the same attempt.

    :param unconfirmed: the submission whose response is unknown; moments are the service's.
    :param on_service_clock: False while the service has not answered since: then its moment means nothing on another
        machine.
    :param sent: whether this attempt has sent a submission.
    :param refusals: how many were refused in words that say that nothing was started.
    :param failures: requests in a row that failed in a way that may pass.
    :param unresolved_since: when the host's name was first not resolved, epoch seconds; None once it is.
    :param list_refused_since: the same for a list that the service refuses to return.
    :param first_read_at: when the list was first read for the decision in question.
    :param other_deployment_reported: whether the log has said that another deployment has a render of the same task.
    :param error: what went wrong last.
    """

    unconfirmed: Unconfirmed | None = None
    on_service_clock: bool = False
    sent: bool = False
    refusals: int = 0
    failures: int = 0
    unresolved_since: float | None = None
    list_refused_since: float | None = None
    first_read_at: float | None = None
    other_deployment_reported: bool = False
    error: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> SubmissionState:
        """Read what :meth:`to_json` returned; fields of a newer version are ignored."""
        known = {name: facts[name] for name in cls.__dataclass_fields__ if name in facts}
        if known.get("unconfirmed") is not None:
            known["unconfirmed"] = Unconfirmed.from_json(known["unconfirmed"])
        return cls(**known)


class SubmissionPaused(Exception):
    """The submission has to wait for longer than it may hold a worker slot.

    :ivar seconds: how long. :ivar until: epoch seconds after which it is useless.
    :ivar state: to go on with.
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

    :param retryable: whether the next attempt may find out, instead of a person.
    """
    look = (
        f"Look for 'submission_key': '{submission_key}' in the client-data of the account's renders "
        "(GET /movies, or the render logs of the dashboard)."
    )
    then = "Then clear the task: it adopts the render if the list shows it, and submits again if it does not."
    return SubmissionUnconfirmed(
        message,
        service_message=(state.error or {}).get("service_message"),
        retryable=retryable,
        advice=look if retryable else f"{look} {then}",
    )
