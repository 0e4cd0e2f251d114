"""The description of one request to the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from airflow_json2video.api.upload import FileContent

__all__ = ["Call", "drop_none", "require_list", "require_object"]

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T]):
    """One request to the API, and how its response is parsed.

    :param name: such as ``movies.submit``; used in messages and to classify errors.
    :param path: relative to the API's base URL, such as ``/movies``.
    :param repeatable: whether it is safe to send it again.
    :param parse: reads the JSON object of a success; raises ``ValueError`` for another structure.
    :param expects: the expected structure in words, for the error.
    :param query: the query parameters that are set.
    :param body: sent as JSON.
    :param subject: the id or name that it is about, for messages.
    :param url: a complete URL outside the API, instead of ``path``; the API key is not sent to it.
    :param content: a file that is sent as the body.
    :param read: reads the bytes of a success without building all objects in it. If it raises ``ValueError``,
        ``parse`` reports what is wrong.
    :param max_bytes: maximum size of the response, if it is less than the client's limit.
    """

    name: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    repeatable: bool
    parse: Callable[[Mapping[str, Any]], T] = field(repr=False)
    expects: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    subject: str | None = None
    url: str | None = field(default=None, repr=False)
    content: FileContent | None = None
    read: Callable[[bytes], T] | None = field(default=None, repr=False)
    max_bytes: int | None = None

    def with_parser(
        self, *, parse: Callable[[Mapping[str, Any]], U], read: Callable[[bytes], U], max_bytes: int
    ) -> Call[U]:
        """Return the same request with another parser of its response."""
        return Call(**{**vars(self), "parse": parse, "read": read, "max_bytes": max_bytes})


def drop_none(**query: str | None) -> dict[str, str]:
    """Return the parameters that are not None."""
    return {name: value for name, value in query.items() if value is not None}


def require_object(response: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the object with the key *name*; raise ``ValueError`` if there is none."""
    part = response.get(name)
    if not isinstance(part, Mapping):
        raise ValueError(f"{name!r} is missing or not an object")
    return part


def require_list(response: Mapping[str, Any], name: str) -> list[Any]:
    """Return the list with the key *name*; raise ``ValueError`` if there is none."""
    part = response.get(name)
    if not isinstance(part, list):
        raise ValueError(f"{name!r} is missing or not a list")
    return part
