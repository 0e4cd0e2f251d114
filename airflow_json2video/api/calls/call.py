"""What a call is."""

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
    """One request to the API, and how its answer is read.

    :param name: as ``movies.submit``; used in messages and to tell what an error means.
    :param path: below the API's base, as ``/movies``.
    :param repeatable: whether sending it again does no harm.
    :param parse: reads the JSON object of a success; raises ``ValueError`` on another shape.
    :param expects: the shape in words, for the error when it is another.
    :param query: only what is set.
    :param body: sent as JSON.
    :param subject: the id or name that it is about, for messages.
    :param url: a whole address instead of ``path``, outside the API: it is sent no key.
    :param content: a file as the body.
    :param read: reads the bytes of a success without building all that is in them; may raise ``ValueError``, and
        then ``parse`` says what is wrong.
    :param max_bytes: bytes above which an answer is given up, where that is less than the client's own limit.
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
        """Give the same request, of whose answer something else is read."""
        return Call(**{**vars(self), "parse": parse, "read": read, "max_bytes": max_bytes})


def drop_none(**query: str | None) -> dict[str, str]:
    """Leave out what is None."""
    return {name: value for name, value in query.items() if value is not None}


def require_object(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Give the object that stands under *name*."""
    part = answer.get(name)
    if not isinstance(part, Mapping):
        raise ValueError(f"{name!r} is missing or no object")
    return part


def require_list(answer: Mapping[str, Any], name: str) -> list[Any]:
    """Give the list that stands under *name*."""
    part = answer.get(name)
    if not isinstance(part, list):
        raise ValueError(f"{name!r} is missing or no list")
    return part
