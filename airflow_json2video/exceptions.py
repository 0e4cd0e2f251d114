"""Everything that can go wrong between a task and JSON2Video, and what it means for the bill.

::

    Json2VideoError
    ├── ConfigurationError          the connection or an argument is wrong
    ├── InvalidMovie                the document is certainly wrong; carries findings with paths
    ├── BudgetExceeded              the render may cost more than max_credits
    ├── CreditReserveReached              it would leave fewer than min_remaining_credits
    ├── TransportError              no usable answer came back
    │   ├── ServiceUnreachable          the request was never sent
    │   │   └── HostNotResolved             the name of the host does not resolve
    │   ├── ResponseLost                  it was sent; the answer was lost, late or cut short
    │   └── InvalidResponse            an answer came that is not what the API describes
    ├── ApiError                    the service answered and refused
    │   ├── AuthenticationFailed        the API key is missing, wrong or revoked
    │   ├── PermissionDenied            the key's role does not suffice, or storage is blocked
    │   ├── AccountSuspended            the account ran out of credits some time ago
    │   ├── QuotaExhausted              not enough credits, or the plan's movie count is used up
    │   ├── PlanLimitExceeded           the movie is larger than the plan allows
    │   ├── NotFound
    │   │   ├── ProjectNotFound
    │   │   ├── TemplateNotFound
    │   │   └── MediaNotFound
    │   ├── AlreadyExists               a drive file of that name is there
    │   ├── InvalidRequest              any other refusal of what was sent
    │   ├── RateLimited                 HTTP 429
    │   └── ServerError                 HTTP 5xx, or a runtime error leaked into another status
    │       └── RenderNotStarted            the service says that it could not start the render
    ├── RenderError                 the submission was fine, the render was not
    │   ├── AttemptSuperseded           a later attempt of the task has started; nothing was sent
    │   ├── SubmissionUnconfirmed         it is not known whether a paid render was started
    │   ├── RenderFailed                the render ended in ``error`` (free of charge)
    │   ├── RenderStalled               the service reports ``timeout``; it may still finish
    │   ├── RenderDeadlineExceeded      our own deadline passed while the render went on
    │   ├── RenderExpired               the render is done, and its file is gone
    │   └── BatchFailed                 items of a batch failed; the others are kept
    └── StoreError                  the render is fine, its file could not be kept
        ├── DownloadFailed              the file did not arrive whole
        ├── VideoCorrupted                what arrived is not the video that was rendered
        └── DestinationFailed           the file could not be written to, or read back from, where it is to be kept

Each error says whether a repeat can help (``retryable``), whether money may have been spent (``money``),
the service's own words (``service_message``), the place in the document (``path``) and what to do
(``advice``). The service's words are read in :mod:`airflow_json2video.api.errors`. :func:`error_of` finds the
error in what a failure callback of Airflow is given. No API key ever reaches this module: the clients take
it out of a text before they pass the text on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from textwrap import wrap
from typing import Any, Protocol

__all__ = [
    "AccountSuspended",
    "AlreadyExists",
    "ApiError",
    "AttemptSuperseded",
    "AuthenticationFailed",
    "BatchFailed",
    "Billing",
    "BudgetExceeded",
    "ConfigurationError",
    "CreditReserveReached",
    "DestinationFailed",
    "DownloadFailed",
    "HostNotResolved",
    "InvalidMovie",
    "InvalidRequest",
    "InvalidResponse",
    "Json2VideoError",
    "MediaNotFound",
    "NotFound",
    "PermissionDenied",
    "PlanLimitExceeded",
    "ProjectNotFound",
    "QuotaExhausted",
    "RateLimited",
    "RenderDeadlineExceeded",
    "RenderError",
    "RenderExpired",
    "RenderFailed",
    "RenderNotStarted",
    "RenderStalled",
    "ResponseLost",
    "ServerError",
    "ServiceUnreachable",
    "StoreError",
    "SubmissionUnconfirmed",
    "TemplateNotFound",
    "TransportError",
    "VideoCorrupted",
    "error_from_facts",
    "error_of",
]


class Billing(str, Enum):
    """What became of the money when this error was raised."""

    NOT_SPENT = "not spent"
    SPENT = "spent"
    UNKNOWN = "not known"

    @property
    def in_words(self) -> str:
        """A sentence that says so."""
        return _MONEY_IN_WORDS[self]


_MONEY_IN_WORDS = {
    Billing.NOT_SPENT: "Nothing was charged.",
    Billing.SPENT: "The render is charged.",
    Billing.UNKNOWN: "It is not known whether a render was started; one that was is charged.",
}
_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z'\"])")
_LINE = 110
"""Characters of a line in a task's log; Airflow's log page cuts longer ones off."""


class _Log(Protocol):
    def error(self, event: str, /, *args: Any) -> Any: ...


class Json2VideoError(Exception):
    """Base of every error of this package.

    :param message: what went wrong and where, one sentence or more.
    :param advice: what to do about it; the class has a default.
    :param service_message: the service's own words, verbatim, if it said any.
    :param http_status: the HTTP status of the answer, if there was one.
    :param project: the render concerned, if known (the service's word for its id).
    :param path: the place in the document, as ``scenes[0].elements[2]``, if the error is about one.
    :param retryable: whether the same call or task may succeed when repeated as it is.
    :param money: whether a render was or may have been paid for.
    :param retry_after: seconds the service asked to wait, if it did.
    """

    retryable: bool = False
    money: Billing = Billing.NOT_SPENT
    advice: str = ""
    _cost: str = ""  # what it cost, where that is more than the kind of money says
    _is_reported: bool = False

    def __init__(
        self,
        message: str,
        *,
        advice: str | None = None,
        service_message: str | None = None,
        http_status: int | None = None,
        project: str | None = None,
        path: str | None = None,
        retryable: bool | None = None,
        money: Billing | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.service_message = service_message
        self.http_status = http_status
        self.project = project
        self.path = path
        self.retry_after = retry_after
        if advice is not None:
            self.advice = advice
        if retryable is not None:
            self.retryable = retryable
        if money is not None:
            self.money = money

    def report(self, log: _Log) -> None:
        """Log the whole error; from then on its text is the headline alone, so that no log shows it twice."""
        log.error("%s", self.in_lines())
        self._is_reported = True

    def __str__(self) -> str:
        if self._is_reported:
            return self.headline
        between = "\n" if "\n" in self.message else " "
        return f"{self.message}{between}{self.advice}".strip()

    @property
    def code(self) -> str:
        """The kind of error, by which code tells one from another: the name of the class."""
        return type(self).__name__

    @property
    def headline(self) -> str:
        """What is wrong and where, in one line, without what to do about it."""
        return self.message.partition("\n")[0].rstrip(":")

    def in_lines(self) -> str:
        """Return the whole error as short lines: what is wrong and where, what to do, what it cost."""
        lines: list[str] = []
        for line in f"{self.message}\n{self.advice}".split("\n"):
            indent = line[: len(line) - len(line.lstrip())]
            for sentence in _SENTENCE_END.split(line.strip()):
                lines += wrap(
                    sentence,
                    _LINE,
                    initial_indent=indent,
                    subsequent_indent=indent + "    ",
                    break_long_words=False,
                    break_on_hyphens=False,
                )
        text = "\n".join(line for line in lines if line.strip())
        said = self.money is Billing.NOT_SPENT and re.search(r"[Nn]othing was|not charged|billed|paid", text)
        cost = self._cost or self.money.in_words
        return text if said or cost in text else f"{text}\n{cost}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword arguments are not in Exception.args, so the default pickle would lose the facts.
        return error_from_facts, (self.facts(),)

    def facts(self) -> dict[str, Any]:
        """Return every fact as a JSON object: for an event, an XCom or a log; :func:`error_from_facts` reads it."""
        return {
            "error": type(self).__name__,
            "message": self.message,
            "advice": self.advice,
            "service_message": self.service_message,
            "http_status": self.http_status,
            "project": self.project,
            "path": self.path,
            "retryable": self.retryable,
            "money": self.money.value,
            "retry_after": self.retry_after,
        }


class ConfigurationError(Json2VideoError):
    """The connection or an argument is wrong. Nothing was sent."""


class InvalidMovie(Json2VideoError):
    """The document is certainly wrong. Nothing was sent."""

    advice = "Nothing was submitted. Correct the document and run the task again."
    findings: tuple[Any, ...] = ()
    """Every :class:`~airflow_json2video.movie.Finding`, warnings too; it does not travel through :meth:`facts`."""


class BudgetExceeded(Json2VideoError):
    """The render costs more than the task's own ``max_credits``, or it cannot be told. Nothing was submitted."""

    advice = "Nothing was submitted. Shorten the movie, or raise max_credits."


class CreditReserveReached(Json2VideoError):
    """The render would leave fewer credits in the account than ``min_remaining_credits``. It was not submitted."""


class TransportError(Json2VideoError):
    """No usable answer came back."""

    retryable = True


class ServiceUnreachable(TransportError):
    """No connection could be made, so the request was never sent."""

    advice = "Check the network, the proxy and the host of the connection."


class HostNotResolved(ServiceUnreachable):
    """The name of the host does not resolve, so the request was never sent."""

    advice = "Check the spelling of the connection's host, and the name server."


class ResponseLost(TransportError):
    """The request was sent, and the answer was lost, cut short or too late."""

    advice = "The service may have done what was asked."


class InvalidResponse(TransportError):
    """An answer came that is not what the API describes: HTML, empty, cut short or of another shape."""

    advice = "If it keeps happening, check that the host of the connection is JSON2Video and no proxy's page."


class ApiError(Json2VideoError):
    """The service answered and refused."""


class AuthenticationFailed(ApiError):
    """The API key is missing, wrong or revoked."""

    advice = "Put a valid API key into the password of the connection. Renders already submitted go on."


class PermissionDenied(ApiError):
    """The role of the API key does not suffice, or the drive is blocked."""

    advice = "Use a key with the role this call needs: 'render' for movies and media, 'editor' for changing templates."


class AccountSuspended(ApiError):
    """The account was left without credits and is suspended."""

    advice = "Add credits in the JSON2Video dashboard. Renders already paid for can still be found there."


class QuotaExhausted(ApiError):
    """The account cannot pay for this render. Nothing was submitted."""

    advice = "Add credits or shorten the movie; a retry before that fails in the same way."


class PlanLimitExceeded(ApiError):
    """The movie is larger than the account's plan allows. Nothing was submitted."""

    advice = "Lower 'resolution', or 'width' and 'height', or move to a plan that allows this size."


class NotFound(ApiError):
    """What the call names is not in this account."""


class ProjectNotFound(NotFound):
    """No render has this project id, or it belongs to another account."""

    advice = "Check the project id and that the connection's key is of the account that submitted the render."


class TemplateNotFound(NotFound):
    """No template has this id, or it belongs to another account."""

    advice = "Check the 20-character template id in the JSON2Video dashboard. Nothing was submitted."


class MediaNotFound(NotFound):
    """No file or folder of this name is in the drive."""

    advice = "List the folder to see what is there."


class AlreadyExists(ApiError):
    """A file of this name is in the drive already."""

    advice = "Delete it first, or use another name."


class InvalidRequest(ApiError):
    """The service refused what was sent."""

    advice = "Correct what the service names; a retry fails in the same way."


class RateLimited(ApiError):
    """Too many requests (HTTP 429)."""

    retryable = True
    advice = "Wait, then try again."


class ServerError(ApiError):
    """The service failed (HTTP 5xx, or a runtime error of its own in another status)."""

    retryable = True
    advice = "Try again later."


class RenderNotStarted(ServerError):
    """The service answered a submission with an error of its own that says that no render was started."""

    advice = "Nothing was submitted. Try again later."


class RenderError(Json2VideoError):
    """The submission was fine, the render was not."""


class AttemptSuperseded(RenderError):
    """This attempt stalled, and Airflow has given the task to a later one. Nothing was sent."""

    advice = "Nothing was submitted by this attempt; the later one goes on."


class SubmissionUnconfirmed(RenderError):
    """It is not known whether a paid render was started; none is started on a guess."""

    money = Billing.UNKNOWN
    retryable = True


class RenderFailed(RenderError):
    """The render ended in status ``error``. Failed renders cost nothing.

    ``path`` is the place in the submitted document, and ``scene`` and ``element`` are the numbers in it: they count
    from 0, whatever the service's own words count from.
    """

    source_unavailable: bool = False

    @property
    def scene(self) -> int | None:
        """Number of the scene, as in ``path``; None if the service named none."""
        return self._number("scenes")

    @property
    def element(self) -> int | None:
        """Number of the element in its scene, or in the movie's own elements; None if the service named none."""
        return self._number("elements")

    def _number(self, key: str) -> int | None:
        found = re.search(rf"\b{key}\[(\d+)\]", self.path or "")
        return int(found.group(1)) if found else None

    def facts(self) -> dict[str, Any]:
        """See :meth:`Json2VideoError.facts`."""
        return {**super().facts(), "source_unavailable": self.source_unavailable}


class RenderStalled(RenderError):
    """The service reports ``timeout``: it has been rendering for too long, and may still finish."""

    money = Billing.UNKNOWN
    retryable = True


class RenderDeadlineExceeded(RenderError):
    """Our own deadline passed. The render cannot be cancelled: it goes on, is billed, and can be adopted."""

    money = Billing.SPENT
    retryable = True
    _cost = "The render keeps running and will be billed."


class RenderExpired(RenderError):
    """The render is done and its file is gone: deleted, or older than seven days."""

    money = Billing.SPENT
    advice = "Store the file in the same task (output_path), or fetch it within seven days of the render's end."


class BatchFailed(RenderError):
    """More items of a batch failed than may. What was rendered is kept, and the report says how each item stands."""


class StoreError(Json2VideoError):
    """The render is done and paid for, and its file could not be kept. Nothing stands under the final name.

    A later attempt finds the render and stores it; no new one is paid for while its file is there.
    """

    money = Billing.SPENT
    retryable = True
    advice = "The render itself is not lost: its file is at JSON2Video for seven days, and a retry stores it."


class DownloadFailed(StoreError):
    """The file did not arrive whole, after all tries."""


class VideoCorrupted(StoreError):
    """What arrived is not the video that was rendered: its length, its type or its duration is another."""


class DestinationFailed(StoreError):
    """The file could not be written to the place where it is to be kept, or that place did not answer."""


_CLASSES: dict[str, type[Json2VideoError]] = {
    c.__name__: c for c in list(globals().values()) if isinstance(c, type) and issubclass(c, Json2VideoError)
}


def error_from_facts(facts: dict[str, Any]) -> Json2VideoError:
    """Rebuild an error from :meth:`Json2VideoError.facts`; an unknown class name gives the base class.

    The reader may be older or newer than the writer (a rolling upgrade), so nothing here is required.
    """
    facts = dict(facts)
    cls = _CLASSES.get(str(facts.pop("error", "")), Json2VideoError)
    message = str(facts.pop("message", "") or "an error that carries no message")
    known: dict[str, Any] = {
        k: facts[k]
        for k in ("advice", "service_message", "http_status", "project", "path", "retryable", "retry_after")
        if k in facts
    }
    money = facts.get("money")
    if money in {m.value for m in Billing}:
        known["money"] = Billing(money)
    error = cls(message, **known)
    if isinstance(error, RenderFailed):
        error.source_unavailable = bool(facts.get("source_unavailable"))
    return error


def error_of(failure: Any) -> Json2VideoError | None:
    """Return the error that failed a task of this package: the same for a failure that is retried and a final one.

    :param failure: the context that Airflow hands to a failure or retry callback, or an exception.
    :returns: None if the task failed for another reason, or if Airflow hands on no exception (after a kill).
    """
    if isinstance(failure, Mapping):
        failure = failure.get("exception")
    seen: set[int] = set()
    while isinstance(failure, BaseException) and id(failure) not in seen:
        seen.add(id(failure))
        found = failure if isinstance(failure, Json2VideoError) else getattr(failure, "json2video_error", None)
        if isinstance(found, Json2VideoError):
            return found
        failure = failure.__cause__ or failure.__context__
    return None
