"""Every error of the package, whether a retry can help, and what the error means for the bill.

::

    Json2VideoError
    ├── ConfigurationError          the connection or an argument is wrong
    ├── InvalidMovie                the document is wrong; carries findings with paths
    ├── BudgetExceeded              the render may cost more than max_credits
    ├── CreditReserveReached        the render would leave fewer than min_remaining_credits
    ├── TransportError              no usable response was received
    │   ├── ServiceUnreachable          the request was not sent
    │   │   └── HostNotResolved             the host name does not resolve
    │   ├── ResponseLost                the request was sent; no complete response was received in time
    │   └── InvalidResponse             the response is not one that the API describes
    ├── ApiError                    the service refused the request
    │   ├── AuthenticationFailed        the API key is missing, wrong or revoked
    │   ├── PermissionDenied            the key's role does not suffice, or storage is blocked
    │   ├── AccountSuspended            the account ran out of credits some time ago
    │   ├── QuotaExhausted              not enough credits, or the plan's movie count is used up
    │   ├── PlanLimitExceeded           the movie is larger than the plan allows
    │   ├── NotFound
    │   │   ├── ProjectNotFound
    │   │   ├── TemplateNotFound
    │   │   └── MediaNotFound
    │   ├── AlreadyExists               the drive has a file of that name
    │   ├── InvalidRequest              any other refusal
    │   ├── RateLimited                 HTTP 429
    │   └── ServerError                 HTTP 5xx, or a runtime error leaked into another status
    │       └── RenderNotStarted            the service could not start the render
    ├── RenderError                 the submission was accepted, or may have been; the render is not usable
    │   ├── AttemptSuperseded           a later attempt of the task has started; nothing was sent
    │   ├── SubmissionUnconfirmed       it is unknown whether a paid render was started
    │   ├── RenderFailed                the render ended in ``error`` (free of charge)
    │   ├── RenderStalled               the service reports ``timeout``; it may still finish
    │   ├── RenderDeadlineExceeded      the task's deadline passed; the render keeps running
    │   ├── RenderExpired               the render is done, and its file was deleted
    │   └── BatchFailed                 too many items of a batch failed; the other renders are usable
    └── StoreError                  the render is done, its file could not be stored
        ├── DownloadFailed              the download is incomplete
        ├── VideoCorrupted              the downloaded file is not the rendered video
        └── DestinationFailed           the destination could not be written to or read from

An error carries whether a retry can help (``retryable``), whether a render was billed (``billing``), the service's
message (``service_message``), the place in the document (``path``) and what to do (``advice``). It is complete when it
is raised: :meth:`Json2VideoError.with_context` returns a copy with more context. HTTP responses are read in
:mod:`airflow_json2video.api.errors`. :func:`find_error` returns the error of a failed task in a failure callback.
The clients redact the API key before they build an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from typing_extensions import Self

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
    "error_from_dict",
    "find_error",
]


class Billing(str, Enum):
    """Whether a render was billed when the error was raised."""

    NOT_CHARGED = "not_charged"
    CHARGED = "charged"
    UNKNOWN = "unknown"

    @property
    def sentence(self) -> str:
        """The sentence that ends an error in a task's log."""
        return _BILLING_SENTENCES[self]


_BILLING_SENTENCES = {
    Billing.NOT_CHARGED: "Nothing was charged.",
    Billing.CHARGED: "The render is billed.",
    Billing.UNKNOWN: "It is unknown whether a render was started. If one was, it is billed.",
}
_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z'\"])")
_MENTIONS_BILLING = re.compile(r"[Nn]othing was|not charged|billed|paid")
_MAX_LINE_LENGTH = 110
"""Characters of a line in a task's log; Airflow's log page cuts off longer ones."""


class _Log(Protocol):
    def error(self, event: str, /, *args: Any) -> Any: ...


class Json2VideoError(Exception):
    """Base of every error of this package.

    :param message: what is wrong and where, in one or more sentences.
    :param advice: what to do about it; each class has a default.
    :param service_message: the service's message, verbatim; None if it sent none.
    :param http_status: the HTTP status of the response; None if there is none.
    :param project: the id of the render concerned, if known.
    :param path: the place in the document, such as ``scenes[0].elements[2]``, if the error is about one.
    :param retryable: whether repeating the same call or task may succeed.
    :param billing: whether a render was billed or may have been.
    :param retry_after: seconds that the service asked to wait, if it did.
    """

    retryable: bool = False
    billing: Billing = Billing.NOT_CHARGED
    advice: str = ""
    _billing_sentence: str = ""  # replaces the sentence of ``billing``, for a class that can be more exact
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
        billing: Billing | None = None,
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
        if billing is not None:
            self.billing = billing

    def with_context(
        self,
        *,
        message: str | None = None,
        advice: str | None = None,
        project: str | None = None,
        path: str | None = None,
        retryable: bool | None = None,
        billing: Billing | None = None,
    ) -> Self:
        """Return a copy of this error with the given attributes; the others, and the traceback, stay the same."""
        given = {
            "message": message,
            "advice": advice,
            "project": project,
            "path": path,
            "retryable": retryable,
            "billing": billing,
        }
        error = type(self).__new__(type(self))
        error.__dict__.update(vars(self), **{name: value for name, value in given.items() if value is not None})
        error.args = (error.message,)
        return error.with_traceback(self.__traceback__)

    def report(self, log: _Log) -> Self:
        """Log the error in full, and return a copy whose text is the headline, so that no log shows the rest twice."""
        log.error("%s", self.format_report())
        error = self.with_context()
        error._is_reported = True
        return error

    def __str__(self) -> str:
        if self._is_reported:
            return self.headline
        between = "\n" if "\n" in self.message else " "
        return f"{self.message}{between}{self.advice}".strip()

    @property
    def code(self) -> str:
        """The kind of error, for code that distinguishes them: the name of the class."""
        return type(self).__name__

    @property
    def headline(self) -> str:
        """What is wrong and where, in one line, without the advice."""
        return self.message.partition("\n")[0].rstrip(":")

    def format_report(self) -> str:
        """Return the error as short lines: what is wrong and where, what to do, and what it cost."""
        lines: list[str] = []
        for line in f"{self.message}\n{self.advice}".split("\n"):
            indent = line[: len(line) - len(line.lstrip())]
            for sentence in _SENTENCE_END.split(line.strip()):
                lines += wrap(
                    sentence,
                    _MAX_LINE_LENGTH,
                    initial_indent=indent,
                    subsequent_indent=indent + "    ",
                    break_long_words=False,
                    break_on_hyphens=False,
                )
        text = "\n".join(line for line in lines if line.strip())
        billing = self._billing_sentence or self.billing.sentence
        is_mentioned = self.billing is Billing.NOT_CHARGED and _MENTIONS_BILLING.search(text)
        return text if is_mentioned or billing in text else f"{text}\n{billing}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword arguments are not in Exception.args, so the default pickle would lose the attributes.
        return error_from_dict, (self.to_dict(),)

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a JSON object for an event, an XCom or a log; see :func:`error_from_dict`."""
        return {
            "error": type(self).__name__,
            "message": self.message,
            "advice": self.advice,
            "service_message": self.service_message,
            "http_status": self.http_status,
            "project": self.project,
            "path": self.path,
            "retryable": self.retryable,
            "billing": self.billing.value,
            "retry_after": self.retry_after,
        }


class ConfigurationError(Json2VideoError):
    """The connection or an argument is wrong. Nothing was sent."""


class InvalidMovie(Json2VideoError):
    """The document is wrong. Nothing was sent.

    :param findings: every :class:`~airflow_json2video.movie.Finding`, warnings included; :meth:`to_dict` omits them.
    """

    advice = "Nothing was submitted. Correct the document and run the task again."

    def __init__(self, message: str, *, findings: Sequence[Any] = (), **attributes: Any) -> None:
        super().__init__(message, **attributes)
        self.findings: tuple[Any, ...] = tuple(findings)


class BudgetExceeded(Json2VideoError):
    """The render costs more than ``max_credits``, or its cost is unknown. Nothing was submitted."""

    advice = "Nothing was submitted. Shorten the movie, or raise max_credits."


class CreditReserveReached(Json2VideoError):
    """The render would leave fewer credits in the account than ``min_remaining_credits``. It was not submitted."""


class TransportError(Json2VideoError):
    """No usable response was received."""

    retryable = True


class ServiceUnreachable(TransportError):
    """No connection could be made, so the request was not sent."""

    advice = "Check the network, the proxy and the host of the connection."


class HostNotResolved(ServiceUnreachable):
    """The host name does not resolve, so the request was not sent."""

    advice = "Check the spelling of the connection's host, and the DNS server."


class ResponseLost(TransportError):
    """The request was sent, and its response was lost, incomplete or too late."""

    advice = "The service may have carried out the request."


class InvalidResponse(TransportError):
    """The response is not one that the API describes: HTML, empty, incomplete or of another structure."""

    advice = "If this happens again, check that the connection's host is JSON2Video and not a proxy."


class ApiError(Json2VideoError):
    """The service refused the request."""


class AuthenticationFailed(ApiError):
    """The API key is missing, wrong or revoked."""

    advice = "Put a valid API key into the password of the connection. Renders that were submitted keep running."


class PermissionDenied(ApiError):
    """The role of the API key does not suffice, or the drive is blocked."""

    advice = "Use a key with the role that the call needs: 'render' for movies and media, 'editor' to change templates."


class AccountSuspended(ApiError):
    """The account has had no credits for some time and is suspended."""

    advice = "Add credits in the JSON2Video dashboard. It still lists the renders that were paid for."


class QuotaExhausted(ApiError):
    """The account cannot pay for this render. Nothing was submitted."""

    advice = "Add credits or shorten the movie; until then a retry fails in the same way."


class PlanLimitExceeded(ApiError):
    """The movie is larger than the account's plan allows. Nothing was submitted."""

    advice = "Lower 'resolution', or 'width' and 'height', or move to a plan that allows this size."


class NotFound(ApiError):
    """The account has no resource of this id or name."""


class ProjectNotFound(NotFound):
    """No render has this project id, or it belongs to another account."""

    advice = "Check the project id, and that the connection's key belongs to the account that submitted the render."


class TemplateNotFound(NotFound):
    """No template has this id, or it belongs to another account."""

    advice = "Check the 20-character template id in the JSON2Video dashboard. Nothing was submitted."


class MediaNotFound(NotFound):
    """The drive has no file or folder of this name."""

    advice = "List the folder to see its files."


class AlreadyExists(ApiError):
    """The drive already has a file of this name."""

    advice = "Delete that file first, or use another name."


class InvalidRequest(ApiError):
    """The service refused the content of the request."""

    advice = "Correct what the service's message names; a retry fails in the same way."


class RateLimited(ApiError):
    """Too many requests (HTTP 429)."""

    retryable = True
    advice = "Wait, then try again."


class ServerError(ApiError):
    """The service failed (HTTP 5xx, or a leaked runtime error with another status)."""

    retryable = True
    advice = "Try again later."


class RenderNotStarted(ServerError):
    """The service reported that it could not start the render."""

    advice = "Nothing was submitted. Try again later."


class RenderError(Json2VideoError):
    """The submission was accepted, or may have been, and the render is not usable."""


class AttemptSuperseded(RenderError):
    """This attempt stalled, and Airflow has started a later one. Nothing was sent."""

    advice = "This attempt submitted nothing; the later one continues."


class SubmissionUnconfirmed(RenderError):
    """It is unknown whether a paid render was started, and none was started in its place."""

    billing = Billing.UNKNOWN
    retryable = True


class RenderFailed(RenderError):
    """The render ended in status ``error``. Failed renders cost nothing.

    ``path`` is the place in the submitted document, and ``scene`` and ``element`` are the indexes in it. They count
    from 0, also where the service's message counts from 1.

    :param source_unavailable: whether the service could not download a source of the document.
    """

    def __init__(self, message: str, *, source_unavailable: bool = False, **attributes: Any) -> None:
        super().__init__(message, **attributes)
        self.source_unavailable = source_unavailable

    @property
    def scene(self) -> int | None:
        """The index of the scene in ``path``; None if the service named none."""
        return self._index("scenes")

    @property
    def element(self) -> int | None:
        """The index of the element in its scene, or in the movie's elements; None if the service named none."""
        return self._index("elements")

    def _index(self, key: str) -> int | None:
        found = re.search(rf"\b{key}\[(\d+)\]", self.path or "")
        return int(found.group(1)) if found else None

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a JSON object; see :meth:`Json2VideoError.to_dict`."""
        return {**super().to_dict(), "source_unavailable": self.source_unavailable}


class RenderStalled(RenderError):
    """The service reports ``timeout``: the render takes too long, and may still finish."""

    billing = Billing.UNKNOWN
    retryable = True


class RenderDeadlineExceeded(RenderError):
    """The task's deadline passed. The render cannot be canceled: it keeps running, and a retry can reattach to it."""

    billing = Billing.CHARGED
    retryable = True
    _billing_sentence = "The render keeps running and will be billed."


class RenderExpired(RenderError):
    """The render is done, and its file was deleted: on request, or seven days after the render ended."""

    billing = Billing.CHARGED
    advice = "Store the file in the same task (output_path), or download it within seven days of the end of the render."


class BatchFailed(RenderError):
    """More items of a batch failed than ``max_failures`` allows. The report has the state of every item."""


class StoreError(Json2VideoError):
    """The render is done and billed, and its file could not be stored. The destination has no file of the final name.

    A later attempt reattaches to the render and stores it; no new render is submitted while its file exists.
    """

    billing = Billing.CHARGED
    retryable = True
    advice = "JSON2Video stores the file of the render for seven days, and a retry downloads it again."


class DownloadFailed(StoreError):
    """The download is incomplete after the last request."""


class VideoCorrupted(StoreError):
    """The downloaded file is not the rendered video: its size, type or duration differs."""


class DestinationFailed(StoreError):
    """The file could not be written to its destination, or the destination did not respond."""


_CLASSES: dict[str, type[Json2VideoError]] = {
    c.__name__: c for c in list(globals().values()) if isinstance(c, type) and issubclass(c, Json2VideoError)
}
_OPTIONAL = ("advice", "service_message", "http_status", "project", "path", "retryable", "retry_after")


def error_from_dict(attributes: Mapping[str, Any]) -> Json2VideoError:
    """Rebuild an error from :meth:`Json2VideoError.to_dict`; an unknown class becomes the base class.

    The reader may be older or newer than the writer (a rolling upgrade), so no key is required.
    """
    cls = _CLASSES.get(str(attributes.get("error", "")), Json2VideoError)
    known: dict[str, Any] = {name: attributes[name] for name in _OPTIONAL if name in attributes}
    billing = attributes.get("billing")
    if billing in {each.value for each in Billing}:
        known["billing"] = Billing(billing)
    if issubclass(cls, RenderFailed):
        known["source_unavailable"] = bool(attributes.get("source_unavailable"))
    return cls(str(attributes.get("message") or "an error without a message"), **known)


def find_error(failure: Any) -> Json2VideoError | None:
    """Return the error that failed a task of this package, whether the task is retried or not.

    :param failure: the context that Airflow passes to a failure or retry callback, or an exception.
    :returns: None if the task failed for another reason, or if Airflow passes no exception (after a kill).
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
