"""The base of the kinds of values, and the problems that they report.

A kind of value (:class:`Kind`) returns **the value unchanged**: nothing is coerced, so a document that is read and
written again is the same document. A problem that is an error is always raised. A warning, for what is only
undocumented, is reported by ``check``, and is raised by a constructor in Python if the set of values is closed.
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
    """Why a value is validated, which decides which problems count. It is passed as pydantic's context."""

    READ = "a document is read: only errors are raised"
    CHECK = "a document is checked: every problem is reported"
    AUTHOR = "a constructor is called: undocumented values of closed sets are raised too"


@dataclass(frozen=True)
class Problem:
    """A problem of one value."""

    code: str
    message: str
    severity: Severity = Severity.ERROR
    closed: bool = False


def refuse(problem: Problem) -> PydanticCustomError:
    """Return pydantic's error for *problem*, with its code and severity in the context."""
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
    """Base of the kinds, used as in ``Annotated[float | str, Number(at_least=0)]``."""

    def problem(self, value: Any) -> Problem | None:
        """Return the problem of *value*, which is neither None nor a string with an expression; None if it is valid."""
        raise NotImplementedError

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the literals and expressions."""
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
    """Return whether *value* is ``[]``, which PHP writes for an empty object."""
    return isinstance(value, (list, tuple)) and not value


def json_type(value: object) -> str:
    """Return the JSON type of *value* with its article, for a message."""
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
