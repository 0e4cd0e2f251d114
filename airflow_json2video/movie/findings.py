"""What a look at a movie found: severity, path, words; and the error that carries a list of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from airflow_json2video.exceptions import InvalidMovie

__all__ = ["Finding", "Severity", "at", "invalid_movie", "path_of"]

_PLAIN_KEY = re.compile(r"[A-Za-z_][\w-]*\Z")


class Severity(str, Enum):
    """How sure a finding is. ``ERROR`` only for what is certainly wrong; a guess is a ``WARNING``."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One thing to know about a document before it is paid for.

    :param severity: ``ERROR`` stops a submission, ``WARNING`` does not.
    :param path: the place, in the document's own names: ``scenes[2].elements[0].src``; empty for the root.
    :param message: what is wrong and what to write instead.
    :param code: a stable identifier of the rule, such as ``missing-source``.
    """

    severity: Severity
    path: str
    message: str
    code: str

    def __str__(self) -> str:
        return f"{self.path or 'movie'}: {self.message}"


def path_of(steps: Iterable[str | int]) -> str:
    """Write keys and indices as a path: ``("scenes", 2, "src")`` becomes ``scenes[2].src``."""
    path = ""
    for step in steps:
        path = at(path, step)
    return path


def at(path: str, step: str | int) -> str:
    """Go one step further down from *path*. A key that is no plain name is quoted: ``variables['a b']``."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    if not _PLAIN_KEY.match(step):
        return f"{path}[{step!r}]"
    return f"{path}.{step}" if path else step


def invalid_movie(findings: Sequence[Finding], *, source: str = "The movie") -> InvalidMovie:
    """Make the error that lists every ERROR among *findings*, one to a line, and carries all in ``findings``.

    :param source: what the document is called in the message: a file's name, an argument.
    """
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if len(errors) == 1:
        message = f"{source} is not valid: {errors[0]}"
    else:
        message = "\n".join([f"{source} is not valid ({len(errors)} errors):", *(f"  {e}" for e in errors)])
    error = InvalidMovie(message if message.endswith((".", "!", "?")) else message + ".")
    error.findings = tuple(findings)
    return error
