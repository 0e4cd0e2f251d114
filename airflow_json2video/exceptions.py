"""Everything that can go wrong between a task and JSON2Video, and what it means for the bill.

::

    Json2VideoError
    ├── ConfigurationError          the connection or an argument is wrong
    ├── InvalidMovie                the document is certainly wrong; carries findings with paths
    ├── BudgetExceeded              the render may cost more than max_credits
    ├── ReserveReached              it would leave fewer than min_remaining_credits
    ├── TransportError              no usable answer came back
    │   ├── ServiceUnreachable          the request was never sent
    │   ├── AnswerLost                  it was sent; the answer was lost, late or cut short
    │   └── UnreadableAnswer            an answer came that is not what the API describes
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
    ├── RenderError                 the submission was fine, the render was not
    │   ├── AttemptSuperseded           a later attempt of the task has started; nothing was sent
    │   ├── SubmissionAmbiguous         it is not known whether a paid render was started
    │   ├── RenderFailed                the render ended in ``error`` (free of charge)
    │   ├── RenderStalled               the service reports ``timeout``; it may still finish
    │   ├── RenderDeadlineExceeded      our own deadline passed while the render went on
    │   ├── RenderExpired               the render is done, and its file is gone
    │   └── BatchFailed                 items of a batch failed; the others are kept
    └── StoreError                  the render is fine, its file could not be kept
        ├── DownloadFailed              the file did not arrive whole
        ├── VideoDamaged                what arrived is not the video that was rendered
        └── DestinationFailed           the file could not be written to, or read back from, where it is to be kept

The service's messages are no stable identifiers, so they are read here and nowhere else: status
first, then the family of the message. Each error says whether a repeat can help (``retryable``),
whether money may have been spent (``money``), the service's own words (``service_message``) and
what a person should do (``advice``). No API key ever reaches this module: the clients take it out
of a text before they pass the text on.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

__all__ = [
    "AccountSuspended",
    "AlreadyExists",
    "AnswerLost",
    "ApiError",
    "AttemptSuperseded",
    "AuthenticationFailed",
    "BatchFailed",
    "BudgetExceeded",
    "ConfigurationError",
    "DestinationFailed",
    "DownloadFailed",
    "InvalidMovie",
    "InvalidRequest",
    "Json2VideoError",
    "MediaNotFound",
    "Money",
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
    "RenderStalled",
    "ReserveReached",
    "ServerError",
    "ServiceUnreachable",
    "StoreError",
    "SubmissionAmbiguous",
    "TemplateNotFound",
    "TransportError",
    "UnreadableAnswer",
    "VideoDamaged",
    "error_from_answer",
    "error_from_facts",
    "error_from_render",
]


class Money(str, Enum):
    """What became of the money when this error was raised."""

    NOT_SPENT = "not spent"
    SPENT = "spent"
    UNKNOWN = "not known"


class Json2VideoError(Exception):
    """Base of every error of this package.

    :param message: what went wrong and where, one sentence or more.
    :param advice: what to do about it; the class has a default.
    :param service_message: the service's own words, verbatim, if it said any.
    :param http_status: the HTTP status of the answer, if there was one.
    :param project: the render concerned, if known (the service's word for its id).
    :param retryable: whether the same call or task may succeed when repeated as it is.
    :param money: whether a render was or may have been paid for.
    :param retry_after: seconds the service asked to wait, if it did.
    """

    retryable: bool = False
    money: Money = Money.NOT_SPENT
    advice: str = ""

    def __init__(
        self,
        message: str,
        *,
        advice: str | None = None,
        service_message: str | None = None,
        http_status: int | None = None,
        project: str | None = None,
        retryable: bool | None = None,
        money: Money | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.service_message = service_message
        self.http_status = http_status
        self.project = project
        self.retry_after = retry_after
        if advice is not None:
            self.advice = advice
        if retryable is not None:
            self.retryable = retryable
        if money is not None:
            self.money = money

    def __str__(self) -> str:
        between = "\n" if "\n" in self.message else " "
        return f"{self.message}{between}{self.advice}".strip()

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword arguments are not in Exception.args, so the default pickle would lose the facts.
        return error_from_facts, (self.facts(),)

    def facts(self) -> dict[str, Any]:
        """Give every fact as a JSON object: for an event, an XCom or a log; :func:`error_from_facts` reads it."""
        return {
            "error": type(self).__name__,
            "message": self.message,
            "advice": self.advice,
            "service_message": self.service_message,
            "http_status": self.http_status,
            "project": self.project,
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


class ReserveReached(Json2VideoError):
    """The render would leave fewer credits in the account than ``min_remaining_credits``. It was not submitted."""


class TransportError(Json2VideoError):
    """No usable answer came back."""

    retryable = True


class ServiceUnreachable(TransportError):
    """No connection could be made, so the request was never sent."""

    advice = "Check the network, the proxy and the host of the connection."


class AnswerLost(TransportError):
    """The request was sent, and the answer was lost, cut short or too late."""

    advice = "The service may have done what was asked."


class UnreadableAnswer(TransportError):
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


class RenderError(Json2VideoError):
    """The submission was fine, the render was not."""


class AttemptSuperseded(RenderError):
    """This attempt stalled, and Airflow has given the task to a later one. Nothing was sent."""

    advice = "Nothing was submitted by this attempt; the later one goes on."


class SubmissionAmbiguous(RenderError):
    """It is not known whether a paid render was started; none is started on a guess."""

    money = Money.UNKNOWN
    retryable = True


class RenderFailed(RenderError):
    """The render ended in status ``error``. Failed renders cost nothing.

    ``scene`` and ``element`` count from 1, as the service does; ``path`` is the place in the document.
    """

    scene: int | None = None
    element: int | None = None
    source_unavailable: bool = False

    @property
    def path(self) -> str | None:
        """Where in the submitted document, as ``scenes[0].elements[2]``; None if the service did not say."""
        if self.scene is None:
            return None
        scene = f"scenes[{self.scene - 1}]"
        return scene if self.element is None else f"{scene}.elements[{self.element - 1}]"


class RenderStalled(RenderError):
    """The service reports ``timeout``: it has been rendering for too long, and may still finish."""

    money = Money.UNKNOWN
    retryable = True


class RenderDeadlineExceeded(RenderError):
    """Our own deadline passed. The render cannot be cancelled: it goes on, is billed, and can be adopted."""

    money = Money.SPENT
    retryable = True


class RenderExpired(RenderError):
    """The render is done and its file is gone: deleted, or older than seven days."""

    money = Money.SPENT
    advice = "Store the file in the same task (output_path), or fetch it within seven days of the render's end."


class BatchFailed(RenderError):
    """More items of a batch failed than may. What was rendered is kept, and the report says how each item stands."""


class StoreError(Json2VideoError):
    """The render is done and paid for, and its file could not be kept. Nothing stands under the final name.

    A later attempt finds the render and stores it; no new one is paid for while its file is there.
    """

    money = Money.SPENT
    retryable = True
    advice = "The render itself is not lost: its file is at JSON2Video for seven days, and a retry stores it."


class DownloadFailed(StoreError):
    """The file did not arrive whole, after all tries."""


class VideoDamaged(StoreError):
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
        for k in ("advice", "service_message", "http_status", "project", "retryable", "retry_after")
        if k in facts
    }
    money = facts.get("money")
    if money in {m.value for m in Money}:
        known["money"] = Money(money)
    error = cls(message, **known)
    if isinstance(error, RenderFailed):
        _read_render_message(error)
    return error


_RUNTIME_ERROR = re.compile(
    r"^\s*(?:Error:\s*)?(?:Uncaught\s+)?(?:Type|Reference|Range|Syntax|Eval|URI|Internal)Error\b"
    r"|cannot read propert(?:y|ies) of (?:null|undefined)",
    re.IGNORECASE,
)
_KEY_REFUSED = re.compile(
    r"\bapi[ -]?key\b|\b(?:invalid|expired|revoked|unknown) key\b|\bkey (?:is|has) (?:invalid|expired|been revoked)\b"
    r"|^unauthori[sz]ed\b"
)
_QUOTA = ("insufficient credits", "not enough credits", "exceeded the quota")
_LOOK_FIRST = "Whether a render was started is not known until the account's list has been looked at."


def error_from_answer(
    http_status: int,
    message: str,
    *,
    call: str,
    subject: str | None = None,
    retry_after: float | None = None,
) -> ApiError:
    """Turn a refusal into the member of the tree that says what it means.

    :param http_status: status of the answer; anything but a usable 200.
    :param message: the service's words (``message``, else ``error``, else the HTTP reason).
    :param call: name of the call, as ``movies.submit``; it decides what may have been spent and what an
        unknown id is the id of.
    :param subject: the id or name that the call was about, for the message.
    :param retry_after: seconds from the ``Retry-After`` header.

    Classification after the API's error tables and live observations: a wrong key answers 400 and not
    401; 401 is a quota; an unknown project answers 400 with a leaked ``TypeError``.
    """
    about = f" {subject!r}" if subject else ""
    cls, what, advice = _classify(http_status, message, call=call, about=about)
    shown = message.strip() or f"HTTP {http_status} and no more"
    error = cls(
        f"{call}: {what}. JSON2Video answered {http_status}: {shown}{'' if shown[-1] in '.!?' else '.'}",
        advice=advice,
        service_message=message,
        http_status=http_status,
        retry_after=retry_after,
    )
    if call == "movies.submit" and _may_have_been_accepted(error):
        error.money = Money.UNKNOWN
        error.advice = _LOOK_FIRST
    if call in ("movies.get", "movies.delete"):
        error.project = subject
    return error


def _classify(status: int, message: str, *, call: str, about: str) -> tuple[type[ApiError], str, str | None]:
    """Give the class, the sentence, and an advice where the class's own does not fit."""
    text = message.lower()
    leaked = bool(_RUNTIME_ERROR.search(message))
    family = call.partition(".")[0]
    if status >= 500 or status == 408:
        return ServerError, "the service failed", None
    if status == 429 or "too many requests" in text or "rate limit" in text:
        return RateLimited, "too many requests", None
    if call == "drive.put":
        advice = (
            "The upload address is good for two minutes. The drive keeps a pending record of the name:"
            " delete the file there, then upload it again."
        )
        return InvalidRequest, f"the storage refused the file{about}", advice
    if _KEY_REFUSED.search(text):
        return AuthenticationFailed, "the API key was refused", None
    if "account_suspended" in text or ("account" in text and "suspended" in text):
        return AccountSuspended, "the account is suspended", None
    if status == 402 or any(words in text for words in _QUOTA):
        return QuotaExhausted, "the account cannot pay for this render", None
    if "plan allowance" in text or "than your plan" in text:
        return PlanLimitExceeded, "the movie is larger than the plan allows", None
    if "storage is blocked" in text:
        return PermissionDenied, "the drive is blocked", "Add credits in the JSON2Video dashboard, or delete files."
    if "insufficient permissions" in text:
        return PermissionDenied, "the role of the API key does not suffice", None
    if call in ("movies.get", "movies.delete") and _names_missing_project(leaked, text, status):
        return ProjectNotFound, f"there is no project{about} in this account", None
    if family in ("movies", "templates") and "template" in text and "not found" in text:
        return TemplateNotFound, f"there is no template{about} in this account", None
    if leaked:
        return ServerError, "the service failed", None
    if (family == "drive" and "already exists" in text) or (status == 409 and family == "drive"):
        return AlreadyExists, f"{about.strip() or 'a file of this name'} is there already", None
    if "not found" in text or status == 404:
        return _missing(call, about)
    if status == 401:
        # The tables keep 401 for plans, older pages for keys.
        if "plan" in text or "quota" in text:
            return PlanLimitExceeded, "the plan does not allow it", "Make the movie smaller, or move to a larger plan."
        return AuthenticationFailed, "the API key was refused", None
    if status == 403:
        return PermissionDenied, "the key may not do this", None
    return InvalidRequest, "the service refused it", None


def _may_have_been_accepted(error: ApiError) -> bool:
    """Whether a submission may have become a render although it was answered with *error*."""
    if isinstance(error, (ServerError, RateLimited)):
        return True
    # A conflict, or a "no" in an answer of success that is none of the refusals known.
    status = error.http_status or 0
    return type(error) in (InvalidRequest, NotFound) and (status < 400 or status == 409)


def _names_missing_project(leaked: bool, text: str, http_status: int) -> bool:
    return leaked or http_status == 404 or ("not found" in text and ("movie" in text or "project" in text))


def _missing(call: str, about: str) -> tuple[type[NotFound], str, str | None]:
    family = call.partition(".")[0]
    if family == "drive":
        return MediaNotFound, f"there is no{about or ' such file'} in the drive", None
    if family == "templates":
        return TemplateNotFound, f"there is no template{about} in this account", None
    return NotFound, "the service does not know this address", "Check the host of the connection."


_SCENE = re.compile(r"scene\s*#\s*(\d+)", re.IGNORECASE)
_ELEMENT = re.compile(r"element\s*#\s*(\d+)", re.IGNORECASE)
_SOURCE_UNAVAILABLE = re.compile(r"failed to (download|fetch|load)|could not be (downloaded|fetched)", re.IGNORECASE)
_DOCUMENT_FAULT = re.compile(
    r"requires an? '?\w+'? property|is required for|duration cannot be zero|cannot be used as a source"
    r"|width and height required|unknown element type|invalid (value|type|colou?r|property|json)",
    re.IGNORECASE,
)


def error_from_render(message: str | None, *, project: str) -> RenderFailed:
    """Turn the message of a render that ended in ``error`` into an error that says where and what next.

    :param message: the service's words, verbatim; may be empty.
    :param project: the render.
    """
    words = (message or "").strip() or "(the service gave no reason)"
    error = RenderFailed(f"Render {project} failed.", service_message=words, project=project, retryable=True)
    _read_render_message(error)
    where = f" at {error.path}" if error.path else ""
    error.message = f"Render {project} failed{where}: {words}{'' if words[-1] in '.!?' else '.'}"
    error.args = (error.message,)
    if error.source_unavailable:
        advice = "Check that the source's address is public and answers; a retry submits a new render."
    elif error.retryable:
        advice = "The reason may pass; a retry submits a new render."
    else:
        advice = "The document is at fault: a retry of the same document would fail again."
    error.advice = f"A failed render is not charged. {advice}"
    return error


def _read_render_message(error: RenderFailed) -> None:
    words = error.service_message or ""
    if scene := _SCENE.search(words):
        error.scene = int(scene.group(1))
    if element := _ELEMENT.search(words):
        error.element = int(element.group(1))
    error.source_unavailable = bool(_SOURCE_UNAVAILABLE.search(words))
    if not error.source_unavailable and _DOCUMENT_FAULT.search(words):
        error.retryable = False
