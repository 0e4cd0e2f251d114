"""What the two clients share: building a request, reading an answer, deciding on a repeat. No I/O.

One exchange is one :class:`~airflow_json2video.api.calls.Call` sent and answered. The clients only move
the bytes; what the bytes mean is decided here, so that they cannot drift apart.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from airflow_json2video.api.calls import Call
from airflow_json2video.api.clock import get_clock, read_date
from airflow_json2video.api.config import DEFAULT_HOST, ClientConfig, check_api_key, check_host
from airflow_json2video.api.errors import describe_request, error_from_response
from airflow_json2video.exceptions import (
    ApiError,
    Billing,
    ConfigurationError,
    HostNotResolved,
    InvalidResponse,
    Json2VideoError,
    ResponseLost,
    ServiceUnreachable,
    TransportError,
)
from airflow_json2video.json_values import NotJsonError, replace_surrogates, to_plain_json

__all__ = [
    "DEFAULT_HOST",
    "BaseClient",
    "ClientConfig",
    "Request",
    "Response",
    "check_api_key",
    "check_host",
    "root_cause",
]

T = TypeVar("T")

MAX_RETRY_AFTER = 120.0
"""Longest pause between two sendings that the service can ask for, in seconds."""

_FIRST_RETRY_DELAY = 0.5
_MAX_RETRY_DELAY = 30.0
_MAX_SNIPPET = 200
_MAX_REDACTED_BYTES = 64 * 1024
"""Bytes of an unreadable answer from which secrets are taken before its beginning is shown."""
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
"""What may be one half of a surrogate pair, escaped or as bytes."""
_MIN_UPLOAD_RATE = 64 * 1024
"""Bytes a second below which an upload is given up."""

_LOOK_FIRST = "Whether a render was started is not known until the account's list has been read."
_ADVICE_LOST = {
    "drive.put": "The drive keeps a pending record of the name: delete the file there, then upload it again.",
    "drive.upload": "If the name is blocked now, delete the file in the drive, then upload it again.",
}
_NOTHING_SENT = "Nothing was submitted. Check the network, the proxy and the host of the connection."


@dataclass(frozen=True, kw_only=True)
class Request:
    """The bytes of one call. The headers carry the key and are in no repr."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    time_limit: float


@dataclass(frozen=True, kw_only=True)
class Response:
    """The bytes that came back."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class BaseClient:
    """Turns calls into requests and answers into results, for one :class:`ClientConfig`."""

    def __init__(self, config: ClientConfig) -> None:
        self.config = config
        self._clock = get_clock(config.host)

    def record_time(self, call: Call[Any], answer: Response, *, seconds: float) -> None:
        """Read the service's time from an answer that has just arrived.

        :param seconds: how long the request took.
        """
        if call.url is None:
            self._clock.record(answer.status, answer.headers, seconds=seconds)

    def request(self, call: Call[Any]) -> Request:
        """Build the request of *call*.

        :raises ConfigurationError: when the body cannot be written as JSON, with the path of what cannot.
        """
        config = self.config
        limit = config.total_timeout
        if call.url is not None:
            # Outside the API: the storage refuses every header that its address was not signed for.
            headers = {}
            if call.content is not None:
                headers = {
                    "Content-Type": call.content.content_type,
                    "Content-Length": str(call.content.size),
                }
                limit = max(limit, call.content.size / _MIN_UPLOAD_RATE)
            proxy = config.proxy_for(call.url)
            return Request(method=call.method, url=call.url, headers=headers, proxy=proxy, time_limit=limit)
        url = config.host + call.path + (f"?{urlencode(call.query)}" if call.query else "")
        headers = {
            "x-api-key": config.api_key,
            "Accept": "application/json",
            "User-Agent": config.user_agent or "",
        }
        body = None
        if call.body is not None:
            body = _encode(call.body, call.name)
            headers["Content-Type"] = "application/json"
        return Request(
            method=call.method,
            url=url,
            headers=headers,
            body=body,
            proxy=config.proxy_for(url),
            time_limit=limit,
        )

    def read(self, call: Call[T], answer: Response | Json2VideoError) -> T | Json2VideoError:
        """Read an answer: the result of the call, or the error that it means.

        Errors are given and not raised, so that none of them carries the bytes' exception as its context.
        An error is what the client says when there is no answer, and is passed on.
        """
        if isinstance(answer, Json2VideoError):
            return answer
        status = answer.status
        if call.read is not None and 200 <= status < 300:
            with suppress(ValueError, TypeError, KeyError):
                return call.read(answer.body)
        document = _decode(answer.body)
        if call.url is not None:
            if 200 <= status < 300:
                return call.parse({})
            return self._refused(call, answer, _storage_words(answer) or f"{status} {answer.reason}".strip())
        words = _words(document)
        if status >= 500 or status in (408, 413, 414, 429):
            # These come from gateways as well, which do not speak the service's JSON.
            return self._refused(call, answer, words or answer.reason or f"HTTP {status}")
        if not isinstance(document, Mapping):
            return self._unreadable(call, answer, _nature(answer.body))
        if 300 <= status < 400:
            return self._unreadable(call, answer, "a redirect, which is not followed since the key would go with it")
        if status >= 400:
            return self._refused(call, answer, words or answer.reason or f"HTTP {status}")
        if document.get("success") is False and not (call.name == "movies.submit" and document.get("project")):
            return self._refused(call, answer, words or "the service says success: false and no more")
        try:
            return call.parse(document)
        except (ValueError, TypeError, KeyError) as error:
            problem = _problem(error)
        return self._unreadable(call, answer, problem)

    def transport_error(self, call: Call[Any], cause: BaseException | str, *, sent: bool) -> TransportError:
        """Say that no answer came.

        :param cause: what went wrong; its words are shown, it is not chained, since it may hold the request.
        :param sent: False only when the request certainly never left.
        """
        words = self._shown(cause if isinstance(cause, str) else _root_words(cause))
        where = urlsplit(call.url or self.config.host).netloc.rpartition("@")[2]
        request = describe_request(call.name, call.subject)
        submit = call.name == "movies.submit"
        advice = _LOOK_FIRST if submit else "Try again later." if call.repeatable else _ADVICE_LOST.get(call.name)
        if not sent:
            unresolved = not isinstance(cause, str) and isinstance(root_cause(cause), socket.gaierror)
            error_class = HostNotResolved if unresolved else ServiceUnreachable
            return error_class(
                f"No connection to {where} could be made for {request}: {words}.",
                project=_project(call),
                advice=_NOTHING_SENT if submit else None,
            )
        return ResponseLost(
            f"No complete response to {request} came from {where}: {words}.",
            project=_project(call),
            billing=Billing.UNKNOWN if submit else None,
            advice=advice,
        )

    def retry_delay(self, call: Call[Any], error: Json2VideoError, *, attempt: int, jitter: float) -> float | None:
        """Give the seconds until *call* may be sent again, or None when it must not be.

        :param attempt: how often it has been sent.
        :param jitter: a random number from 0 to 1: full jitter, so that many clients do not return together.
        """
        if not call.repeatable or attempt > self.config.retries or not _may_pass(error):
            return None
        delay = jitter * min(_MAX_RETRY_DELAY, _FIRST_RETRY_DELAY * 2.0 ** (attempt - 1))
        if error.retry_after is not None:
            delay += min(error.retry_after, MAX_RETRY_AFTER)
        return delay

    def _shown(self, words: str) -> str:
        """Return words of the service or of a library as they may stand in a message."""
        return self.config.redact(replace_surrogates(words))

    def _refused(self, call: Call[Any], answer: Response, words: str) -> ApiError:
        return error_from_response(
            answer.status,
            self._shown(words),
            call=call.name,
            subject=call.subject,
            retry_after=_retry_after(answer.headers),
        )

    def _unreadable(self, call: Call[Any], answer: Response, problem: str) -> InvalidResponse:
        submit = call.name == "movies.submit"
        # Redacted before it is cut to what is shown: half a key is a key's half.
        came = " ".join(self._shown(answer.body[:_MAX_REDACTED_BYTES].decode("utf-8", "replace")).split())
        shown = f"It begins: {came[:_MAX_SNIPPET]}" if came else "It is empty."
        request = describe_request(call.name, call.subject)
        return InvalidResponse(
            f"The response to {request} must be {call.expects}, got HTTP {answer.status}"
            f" with {self._shown(problem)}. {shown}{'...' if len(came) > _MAX_SNIPPET else ''}",
            http_status=answer.status,
            project=_project(call),
            billing=Billing.UNKNOWN if submit else None,
            advice=_LOOK_FIRST if submit else None,
        )


def _project(call: Call[Any]) -> str | None:
    return call.subject if call.name in ("movies.get", "movies.delete") else None


def _may_pass(error: Json2VideoError) -> bool:
    if isinstance(error, (ServiceUnreachable, ResponseLost)):
        return error.retryable
    status = error.http_status or 0
    return isinstance(error, ApiError) and (status >= 500 or status in (408, 429))


def _encode(body: Mapping[str, Any], name: str) -> bytes:
    with suppress(ValueError, TypeError, RecursionError):
        return _dumps(body)
    try:
        return _dumps(to_plain_json(body))
    except NotJsonError as error:
        where = f" at {error.path}" if error.path else ""
        what = "The document" if name == "movies.submit" else f"The body of {describe_request(name)}"
        problem = f"{what} cannot be written as JSON{where}: {error.what}; {error.remedy}."
    raise ConfigurationError(problem, advice="Nothing was submitted." if name == "movies.submit" else None)


def _dumps(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _decode(body: bytes) -> Any:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return replace_surrogates(document) if _HALF_CHARACTER.search(body) else document


def _words(document: Any) -> str | None:
    """Take the service's words out of any of its three shapes of error."""
    if not isinstance(document, Mapping):
        return None
    for name in ("message", "Message", "error"):
        words = document.get(name)
        if isinstance(words, Mapping):
            words = words.get("message")
        if isinstance(words, str) and words.strip():
            return words.strip()
    return None


def _storage_words(answer: Response) -> str | None:
    text = answer.body[:2000].decode("utf-8", "replace")
    found = [m.group(1) for tag in ("Code", "Message") if (m := re.search(rf"<{tag}>([^<]*)</{tag}>", text))]
    return ": ".join(found) or None


def _nature(body: bytes) -> str:
    text = body[:1000].lstrip()
    if not text:
        return "an empty body"
    if text[:1] == b"<":
        return "HTML or XML"
    if text[:1] in b"{[":
        return "JSON that is cut short or damaged" if _decode(body) is None else "a JSON list"
    return "something that is no JSON object"


def _problem(error: Exception) -> str:
    """Describe why an answer has another shape, without the values in it."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return f"another shape: {error}"
    first = errors(include_url=False, include_context=False, include_input=False)[0]
    return f"another shape: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read ``Retry-After``, in seconds or as an HTTP date, which is compared with the answer's own ``Date``."""
    value = next((v for k, v in headers.items() if k.lower() == "retry-after"), "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value, re.ASCII):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    answered = read_date(headers)
    return max(0.0, when.timestamp() - (time.time() if answered is None else answered))


def root_cause(error: BaseException) -> BaseException:
    """Find the innermost reason: the libraries wrap it up to three times."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        wrapped = [part for part in error.args if isinstance(part, BaseException)]
        inner = wrapped[-1] if wrapped else getattr(error, "reason", None) or error.__cause__ or error.__context__
        if not isinstance(inner, BaseException):
            break
        error = inner
    return error


def _root_words(error: BaseException) -> str:
    root = root_cause(error)
    # urllib3 writes the connection object, with its address in memory, before the words.
    words = re.sub(r"<[^<>]* object at 0x[0-9a-f]+>:?\s*", "", str(root)).strip().rstrip(".")
    return f"{type(root).__name__}: {words}" if words else type(root).__name__
