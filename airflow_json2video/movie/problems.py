"""What a value of a document is checked against, and how an objection to it is expressed.

A kind of value (:class:`Kind`) returns **what it was given**: nothing is coerced, so a document that is read and
written again is the same document. An objection has a severity. An error stops everybody. A warning, for what is only
undocumented, is reported by ``check``, and stops an author who writes Python when the set of values is closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError, core_schema

from airflow_json2video.movie.findings import Severity
from airflow_json2video.movie.lexer import has_expression

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

__all__ = ["EXPRESSION_SCHEMA", "Kind", "Problem", "Purpose", "is_empty_object", "json_type", "refuse"]

EXPRESSION_SCHEMA: dict[str, Any] = {"type": "string", "pattern": r"\{\{|\{%", "description": "{{ expression }}"}


class Purpose(Enum):
    """Why a value is validated; it decides which objections count. Travels as pydantic's context."""

    READ = "a document is read: only what is certainly wrong stops it"
    CHECK = "a document is checked: every objection is reported"
    AUTHOR = "a constructor is called: undocumented values of closed sets stop it too"


@dataclass(frozen=True)
class Problem:
    """An objection to one value."""

    code: str
    message: str
    severity: Severity = Severity.ERROR
    closed: bool = False


def refuse(problem: Problem) -> PydanticCustomError:
    """Make pydantic's error of *problem*; code and severity can be read back from it."""
    # The template is formatted with the context's keys only, so braces in a message are safe.
    return PydanticCustomError(
        "movie_json",
        "{message}",
        {
            "message": problem.message,
            "code": problem.code,
            "severity": problem.severity.value,
        },
    )


@dataclass(frozen=True)
class Kind:
    """Base of the kinds. Used as ``Annotated[float | str, Number(at_least=0)]``."""

    def problem(self, value: Any) -> Problem | None:
        """Say what is wrong with *value*, which is neither None nor a string holding an expression."""
        raise NotImplementedError

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the literals, and of the expression where that is not included already."""
        raise NotImplementedError

    def _validate(self, value: Any, info: core_schema.ValidationInfo) -> Any:
        if isinstance(value, Enum):
            value = value.value
        if isinstance(value, str) and has_expression(value):
            return value
        problem = self.problem(value)
        if problem is None:
            return value
        purpose = info.context if isinstance(info.context, Purpose) else Purpose.READ
        counts = problem.severity is Severity.ERROR or purpose is Purpose.CHECK
        if counts or (purpose is Purpose.AUTHOR and problem.closed):
            raise refuse(problem)
        return value

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(
        self, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return self.json_schema()


def is_empty_object(value: object) -> bool:
    """Whether *value* is the ``[]`` that PHP writes for an object without members."""
    return isinstance(value, (list, tuple)) and not value


def json_type(value: object) -> str:
    """Name the JSON type of *value* with its article, for a message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, Sequence):
        return "an array"
    return f"a Python {type(value).__name__}"
