"""What the two clients share: building a request, reading a response, deciding on a retry. No I/O.

The clients only transfer the bytes of a :class:`~airflow_json2video.api.calls.Call`. What the bytes mean is decided
here, so that the two cannot differ.
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
from airflow_json2video.api.config import ClientConfig
from airflow_json2video.api.errors import CHECK_LIST_FIRST, describe_request, error_from_response
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

__all__ = ["BaseClient", "Request", "Response", "root_cause"]

T = TypeVar("T")

MAX_RETRY_AFTER = 120.0
"""Longest delay before a retry, in seconds, that the service can request with ``Retry-After``."""

_FIRST_RETRY_DELAY = 0.5
_MAX_RETRY_DELAY = 30.0
_MAX_SNIPPET = 200
_MAX_REDACTED_BYTES = 64 * 1024
"""Bytes of an invalid response that are redacted before its beginning is shown."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
"""What may be half of a surrogate pair, escaped or as bytes."""
_MIN_UPLOAD_RATE = 64 * 1024
"""Bytes per second below which an upload is aborted."""

_RESPONSE_LOST_ADVICE = {
    "drive.put": "The drive keeps a pending record of the name: delete the file there, then upload it again.",
    "drive.upload": "If the name is blocked now, delete the file in the drive, then upload it again.",
}
_NOTHING_SENT = "Nothing was submitted. Check the network, the proxy and the host of the connection."


@dataclass(frozen=True, kw_only=True)
class Request:
    """The bytes of one call. The headers contain the API key and are not part of the repr."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    time_limit: float


@dataclass(frozen=True, kw_only=True)
class Response:
    """The bytes of a response."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class BaseClient:
    """Turns calls into requests, and responses into results, for one :class:`ClientConfig`."""

    def __init__(self, config: ClientConfig) -> None:
        self.config = config
        self._clock = get_clock(config.host)

    def record_time(self, call: Call[Any], response: Response, *, seconds: float) -> None:
        """Record the service's time from a response that has just been received.

        :param seconds: duration of the request.
        """
        if call.url is None:
            self._clock.record(response.status, response.headers, seconds=seconds)

    def request(self, call: Call[Any]) -> Request:
        """Build the request of *call*.

        :raises ConfigurationError: the body cannot be written as JSON; names the path of the value.
        """
        config = self.config
        limit = config.total_timeout
        if call.url is not None:
            # Outside the API: the storage refuses every header that the URL was not signed for.
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

    def read(self, call: Call[T], response: Response | Json2VideoError) -> T | Json2VideoError:
        """Return the result of the call, or the error that the response means.

        An error is returned and not raised, so that it does not have the exception of the parser as its context.

        :param response: the response, or the client's error if there is none, which is returned unchanged.
        """
        if isinstance(response, Json2VideoError):
            return response
        status = response.status
        if call.read is not None and 200 <= status < 300:
            with suppress(ValueError, TypeError, KeyError):
                return call.read(response.body)
        document = _decode(response.body)
        if call.url is not None:
            if 200 <= status < 300:
                return call.parse({})
            return self._refused(call, response, _storage_message(response) or f"{status} {response.reason}".strip())
        message = _service_message(document)
        if status >= 500 or status in (408, 413, 414, 429):
            # Gateways send these statuses too, without the service's JSON.
            return self._refused(call, response, message or response.reason or f"HTTP {status}")
        if not isinstance(document, Mapping):
            return self._invalid_response(call, response, _describe_body(response.body))
        if 300 <= status < 400:
            return self._invalid_response(call, response, "a redirect, which is not followed because of the API key")
        if status >= 400:
            return self._refused(call, response, message or response.reason or f"HTTP {status}")
        if document.get("success") is False and not (call.name == "movies.submit" and document.get("project")):
            return self._refused(call, response, message or "success: false without a message")
        try:
            return call.parse(document)
        except (ValueError, TypeError, KeyError) as error:
            problem = _describe_mismatch(error)
        return self._invalid_response(call, response, problem)

    def transport_error(self, call: Call[Any], cause: BaseException | str, *, sent: bool) -> TransportError:
        """Build the error of a request without a response.

        :param cause: what went wrong. Its text is part of the message; it is not chained, since it may contain the
            request.
        :param sent: False only if the request was certainly not sent.
        """
        reason = self._clean(cause if isinstance(cause, str) else _describe_root_cause(cause))
        where = urlsplit(call.url or self.config.host).netloc.rpartition("@")[2]
        request = describe_request(call.name, call.subject)
        submit = call.name == "movies.submit"
        retry_advice = "Try again later." if call.repeatable else _RESPONSE_LOST_ADVICE.get(call.name)
        if not sent:
            unresolved = not isinstance(cause, str) and isinstance(root_cause(cause), socket.gaierror)
            error_class = HostNotResolved if unresolved else ServiceUnreachable
            return error_class(
                f"No connection to {where} could be made for {request}: {reason}.",
                project=_project(call),
                advice=_NOTHING_SENT if submit else None,
            )
        return ResponseLost(
            f"No complete response to {request} was received from {where}: {reason}.",
            project=_project(call),
            billing=Billing.UNKNOWN if submit else None,
            advice=CHECK_LIST_FIRST if submit else retry_advice,
        )

    def retry_delay(self, call: Call[Any], error: Json2VideoError, *, attempt: int, jitter: float) -> float | None:
        """Return the seconds until *call* may be sent again; None if it must not be.

        :param attempt: how many times it has been sent.
        :param jitter: a random number from 0 to 1 (full jitter), so that many clients do not retry at the same time.
        """
        if not call.repeatable or attempt > self.config.retries or not _is_transient(error):
            return None
        delay = jitter * min(_MAX_RETRY_DELAY, _FIRST_RETRY_DELAY * 2.0 ** (attempt - 1))
        if error.retry_after is not None:
            delay += min(error.retry_after, MAX_RETRY_AFTER)
        return delay

    def _clean(self, words: str) -> str:
        """Return a text of the service or of a library without secrets and without unpaired surrogates."""
        return self.config.redact(replace_surrogates(words))

    def _refused(self, call: Call[Any], response: Response, words: str) -> ApiError:
        return error_from_response(
            response.status,
            self._clean(words),
            call=call.name,
            subject=call.subject,
            retry_after=_retry_after(response.headers),
        )

    def _invalid_response(self, call: Call[Any], response: Response, problem: str) -> InvalidResponse:
        submit = call.name == "movies.submit"
        # Redacted before it is shortened, so that no part of a key remains.
        beginning = " ".join(self._clean(response.body[:_MAX_REDACTED_BYTES].decode("utf-8", "replace")).split())
        shown = f"It begins: {beginning[:_MAX_SNIPPET]}" if beginning else "It is empty."
        request = describe_request(call.name, call.subject)
        return InvalidResponse(
            f"The response to {request} must be {call.expects}, got HTTP {response.status}"
            f" with {self._clean(problem)}. {shown}{'...' if len(beginning) > _MAX_SNIPPET else ''}",
            http_status=response.status,
            project=_project(call),
            billing=Billing.UNKNOWN if submit else None,
            advice=CHECK_LIST_FIRST if submit else None,
        )


def _project(call: Call[Any]) -> str | None:
    return call.subject if call.name in ("movies.get", "movies.delete") else None


def _is_transient(error: Json2VideoError) -> bool:
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
    return replace_surrogates(document) if _SURROGATE.search(body) else document


def _service_message(document: Any) -> str | None:
    """Return the service's message from any of its three forms of error; None if there is none."""
    if not isinstance(document, Mapping):
        return None
    for name in ("message", "Message", "error"):
        words = document.get(name)
        if isinstance(words, Mapping):
            words = words.get("message")
        if isinstance(words, str) and words.strip():
            return words.strip()
    return None


def _storage_message(response: Response) -> str | None:
    text = response.body[:2000].decode("utf-8", "replace")
    found = [m.group(1) for tag in ("Code", "Message") if (m := re.search(rf"<{tag}>([^<]*)</{tag}>", text))]
    return ": ".join(found) or None


def _describe_body(body: bytes) -> str:
    text = body[:1000].lstrip()
    if not text:
        return "an empty body"
    if text[:1] == b"<":
        return "HTML or XML"
    if text[:1] in b"{[":
        return "JSON that is incomplete or damaged" if _decode(body) is None else "a JSON list"
    return "something other than a JSON object"


def _describe_mismatch(error: Exception) -> str:
    """Describe why a response has another structure, without the values in it."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return f"another structure: {error}"
    first = errors(include_url=False, include_context=False, include_input=False)[0]
    return f"another structure: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read ``Retry-After``: seconds, or an HTTP date, which is compared with the ``Date`` of the response."""
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
    """Return the innermost cause of *error*: the libraries wrap it up to three times."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        wrapped = [part for part in error.args if isinstance(part, BaseException)]
        inner = wrapped[-1] if wrapped else getattr(error, "reason", None) or error.__cause__ or error.__context__
        if not isinstance(inner, BaseException):
            break
        error = inner
    return error


def _describe_root_cause(error: BaseException) -> str:
    root = root_cause(error)
    # urllib3 writes the repr of the connection, with its address in memory, before the message.
    words = re.sub(r"<[^<>]* object at 0x[0-9a-f]+>:?\s*", "", str(root)).strip().rstrip(".")
    return f"{type(root).__name__}: {words}" if words else type(root).__name__
