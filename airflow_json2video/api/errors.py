"""Map a refusal of the service to an error.

The messages are not stable identifiers, so they are read here and nowhere else: the status first, then the kind of
message. Sources: the API's error tables, and responses of the live service.
"""

from __future__ import annotations

import re

from airflow_json2video.exceptions import (
    AccountSuspended,
    AlreadyExists,
    ApiError,
    AuthenticationFailed,
    Billing,
    InvalidRequest,
    MediaNotFound,
    NotFound,
    PermissionDenied,
    PlanLimitExceeded,
    ProjectNotFound,
    QuotaExhausted,
    RateLimited,
    RenderNotStarted,
    ServerError,
    TemplateNotFound,
)

__all__ = ["CHECK_LIST_FIRST", "describe_request", "error_from_response"]

_REQUESTS = {
    "movies.submit": "the submission",
    "movies.get": "the request for the status of render {}",
    "movies.list": "the request for the list of renders",
    "movies.delete": "the deletion of the file of render {}",
    "templates.list": "the request for the list of templates",
    "templates.library": "the request for the template library",
    "templates.get": "the request for template {}",
    "templates.variables": "the request for the variables of template {}",
    "templates.create": "the creation of template {}",
    "templates.update": "the change of template {}",
    "templates.duplicate": "the copy of template {}",
    "templates.delete": "the deletion of template {}",
    "drive.storage": "the request for the state of the drive",
    "drive.file": "the request for file {} of the drive",
    "drive.folder": "the request for folder {} of the drive",
    "drive.folders": "the request for the folders of the drive",
    "drive.upload": "the upload of {} to the drive",
    "drive.put": "the upload of {} to the drive",
    "drive.move": "the move of {} in the drive",
    "drive.delete": "the deletion of {} in the drive",
    "drive.create_folder": "the creation of folder {} in the drive",
    "drive.delete_folder": "the deletion of folder {} in the drive",
}


def describe_request(call: str, subject: str | None = None) -> str:
    """Return the name of a request in a message, such as ``the submission``.

    :param call: name of the call, such as ``movies.submit``. :param subject: the id or name that it is about.
    """
    words = _REQUESTS.get(call, f"the request {call!r}")
    return words.format(subject) if subject else words.replace(" {}", "")


_RUNTIME_ERROR = re.compile(
    r"^\s*(?:Error:\s*)?(?:Uncaught\s+)?(?:Type|Reference|Range|Syntax|Eval|URI|Internal)Error\b"
    r"|cannot read propert(?:y|ies) of (?:null|undefined)",
    re.IGNORECASE,
)
_KEY_REFUSED = re.compile(
    r"\bapi[ -]?key\b|\binvalid token\b|\b(?:invalid|expired|revoked|unknown) key\b"
    r"|\bkey (?:is|has) (?:invalid|expired|been revoked)\b"
    r"|^unauthori[sz]ed\b"
)
_NOT_STARTED = re.compile(r"^\s*error (?:creating movie|starting subprocess)\b", re.IGNORECASE)
"""The errors of ``POST /movies`` for which the API reference says "retry with exponential backoff"."""
_QUOTA = ("insufficient credits", "not enough credits", "exceeded the quota")
CHECK_LIST_FIRST = "Whether a render was started is unknown until the account's list of renders has been read."
_TEMPLATE_NOT_FOUND = re.compile(r"template(?: \S+)? not found\.?\Z", re.IGNORECASE)


def error_from_response(
    http_status: int,
    message: str,
    *,
    call: str,
    subject: str | None = None,
    retry_after: float | None = None,
) -> ApiError:
    """Return the error that a refusal means.

    :param http_status: status of the response; anything but a usable 200.
    :param message: the service's message (``message``, else ``error``, else the HTTP reason).
    :param call: name of the call, such as ``movies.submit``. It decides whether something may have been billed, and
        of what kind an unknown id is.
    :param subject: the id or name that the call was about, for the message.
    :param retry_after: seconds from the ``Retry-After`` header.

    The classification follows the API's error tables and the live service: a wrong key is answered with 400 and not
    with 401; 401 is a quota; an unknown project is answered with 400 and a leaked ``TypeError``.
    """
    about = f" {subject!r}" if subject else ""
    cls, what, advice = _classify(http_status, message, call=call, about=about)
    quoted = message.strip() or "no message"
    response = f"JSON2Video answered HTTP {http_status} to {describe_request(call, subject)}: {quoted}"
    if cls is TemplateNotFound and subject and _TEMPLATE_NOT_FOUND.match(quoted):
        response = f"JSON2Video answered HTTP {http_status}."
    error = cls(
        f"{what}. {response}{'' if response[-1] in '.!?' else '.'}",
        advice=advice,
        service_message=message,
        http_status=http_status,
        project=subject if call in ("movies.get", "movies.delete") else None,
        retry_after=retry_after,
    )
    if call == "movies.submit" and _may_have_been_accepted(error):
        return error.with_context(billing=Billing.UNKNOWN, advice=CHECK_LIST_FIRST)
    return error


def _classify(status: int, message: str, *, call: str, about: str) -> tuple[type[ApiError], str, str | None]:
    """Return the class, the first sentence, and the advice if it is not the default of the class."""
    text = message.lower()
    leaked = bool(_RUNTIME_ERROR.search(message))
    family = call.partition(".")[0]
    if status >= 500 and call == "movies.submit" and _NOT_STARTED.match(message):
        return RenderNotStarted, "The service could not start the render", None
    if status >= 500 or status == 408:
        return ServerError, "The service failed", None
    if status == 429 or "too many requests" in text or "rate limit" in text:
        return RateLimited, "Too many requests were sent", None
    if call == "drive.put":
        advice = (
            "The upload URL is valid for two minutes. The drive keeps a pending record of the name:"
            " delete the file there, then upload it again."
        )
        return InvalidRequest, f"The storage refused the file{about}", advice
    if _KEY_REFUSED.search(text):
        return AuthenticationFailed, "The API key was refused", None
    if "account_suspended" in text or ("account" in text and "suspended" in text):
        return AccountSuspended, "The account is suspended", None
    if "quota of drafts" in text:
        advice = "Remove 'draft' from the movie, or wait until the plan's drafts are renewed. Nothing was submitted."
        return QuotaExhausted, "The drafts of the account's plan are used up", advice
    if status == 402 or any(words in text for words in _QUOTA):
        return QuotaExhausted, "The account cannot pay for this render", None
    if call == "movies.submit" and status in (413, 414):
        advice = (
            "A document may have 2 MB, and the HTML of one element about 8 kB. Publish large parts at a URL and "
            "write it in 'src'. Nothing was submitted."
        )
        return InvalidRequest, "The document is too large", advice
    if "16-character" in text:
        return InvalidRequest, "The service refused the project id", "Check the id: it has 16 characters."
    if "plan allowance" in text or "than your plan" in text:
        return PlanLimitExceeded, "The movie is larger than the plan allows", None
    if "storage is blocked" in text:
        return PermissionDenied, "The drive is blocked", "Add credits in the JSON2Video dashboard, or delete files."
    if "insufficient permissions" in text:
        return PermissionDenied, "The role of the API key does not suffice", None
    if call in ("movies.get", "movies.delete") and _names_missing_project(leaked, text, status):
        return ProjectNotFound, f"Render{about} was not found in this account", None
    if family in ("movies", "templates") and "template" in text and "not found" in text:
        return TemplateNotFound, f"Template{about} was not found in this account", None
    if leaked:
        return ServerError, "The service failed", None
    if (family == "drive" and "already exists" in text) or (status == 409 and family == "drive"):
        return AlreadyExists, f"{about.strip() or 'A file of this name'} already exists", None
    if "not found" in text or status == 404:
        return _missing(call, about)
    if status == 401:
        # The error tables use 401 for plans, older pages for keys.
        if "plan" in text or "quota" in text:
            return (
                PlanLimitExceeded,
                "The plan does not allow this request",
                "Make the movie smaller, or move to a larger plan.",
            )
        return AuthenticationFailed, "The API key was refused", None
    if status == 403:
        return PermissionDenied, "The API key does not permit this request", None
    return InvalidRequest, "The service refused the request", None


def _may_have_been_accepted(error: ApiError) -> bool:
    """Whether a submission may have become a render although it was answered with *error*."""
    if isinstance(error, (ServerError, RateLimited)):
        return not isinstance(error, RenderNotStarted)
    # A conflict, or an unknown refusal in a response with a status of success.
    status = error.http_status or 0
    return type(error) in (InvalidRequest, NotFound) and (status < 400 or status == 409)


def _names_missing_project(leaked: bool, text: str, http_status: int) -> bool:
    return leaked or http_status == 404 or ("not found" in text and ("movie" in text or "project" in text))


def _missing(call: str, about: str) -> tuple[type[NotFound], str, str | None]:
    family = call.partition(".")[0]
    if family == "drive":
        return MediaNotFound, f"{about.strip() or 'The file'} was not found in the drive", None
    if family == "templates":
        return TemplateNotFound, f"Template{about} was not found in this account", None
    return NotFound, "The service does not know this URL", "Check the host of the connection."
