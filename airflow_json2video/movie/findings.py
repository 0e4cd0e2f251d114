"""The findings of a check of a movie, and the error that lists them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from airflow_json2video.exceptions import InvalidMovie

__all__ = ["Finding", "Severity", "at", "count_noun", "excerpt", "format_path", "invalid_movie"]

_PLAIN_KEY = re.compile(r"[A-Za-z_][\w-]*\Z")
_STEP = re.compile(r"([A-Za-z_][\w-]*)|\[(\d+)\]")
_MAX_EXCERPT = 300  # characters
_MAX_WARNINGS = 20
"""Maximum number of warnings that are listed with the errors of an invalid movie."""


class Severity(str, Enum):
    """The severity of a finding: ``ERROR`` only for what is certainly wrong, else ``WARNING``."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """A problem of a document.

    :param severity: ``ERROR`` stops a submission, ``WARNING`` does not.
    :param path: the place in the document, such as ``scenes[2].elements[0].src``; empty for the root.
    :param message: what is wrong and what to write instead.
    :param code: a stable identifier of the rule, such as ``missing-source``.
    """

    severity: Severity
    path: str
    message: str
    code: str

    def __str__(self) -> str:
        return f"{self.path or 'movie'}: {self.message}"

    @property
    def line(self) -> str:
        """The finding as one line of a list: severity, path, message and code."""
        return f"{self.severity.value}: {self} [{self.code}]"


def format_path(steps: Iterable[str | int]) -> str:
    """Return keys and indexes as a path: ``("scenes", 2, "src")`` becomes ``scenes[2].src``."""
    path = ""
    for step in steps:
        path = at(path, step)
    return path


def at(path: str, step: str | int) -> str:
    """Return the path of a member of *path*. A key that is not a plain name is quoted: ``variables['a b']``."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    if not _PLAIN_KEY.match(step):
        return f"{path}[{step!r}]"
    return f"{path}.{step}" if path else step


def excerpt(document: Any, path: str) -> str | None:
    """Return the value at *path* in *document*, as JSON that is shortened; None if it is unknown.

    For a missing property, the object around it is returned. If scenes are repeated or have a condition, the service's
    indexes need not be those of the document, so None is returned.
    """
    scenes = document.get("scenes") if isinstance(document, Mapping) else None
    if any(isinstance(scene, Mapping) and {"iterate", "condition"} & scene.keys() for scene in scenes or ()):
        return None
    node, place = document, ""
    for key, index in _STEP.findall(path):
        step = int(index) if index else key
        fits = isinstance(node, list) and len(node) > step if index else isinstance(node, Mapping) and key in node
        if not fits:
            break
        node, place = node[step], at(place, step)
    else:
        step = None
    if not place or place.startswith("exports") or (step is not None and not isinstance(step, str)):
        return None
    text = json.dumps(node, ensure_ascii=False, default=str)
    return f"{place} is {text if len(text) <= _MAX_EXCERPT else text[:_MAX_EXCERPT] + '...'}"


def invalid_movie(findings: Sequence[Finding], *, source: str = "The movie", advice: str | None = None) -> InvalidMovie:
    """Build the error that lists *findings*, errors first, one per line.

    Warnings are listed too, since they often name the cause of an error, such as a misspelled key.

    :param source: what the document is called in the message, such as the name of a file or an argument.
    :param advice: what to do, in place of the default.
    """
    listed = sorted(findings, key=lambda finding: finding.severity is Severity.WARNING)
    errors = [finding for finding in listed if finding.severity is Severity.ERROR]
    if len(listed) == 1:
        message = f"{source} is not valid: {listed[0]}"
        message = message if message.endswith((".", "!", "?")) else message + "."
    else:
        heading = f"{source} is not valid ({count_noun(len(errors), 'error')}"
        heading += f", {count_noun(len(listed) - len(errors), 'warning')}):" if len(listed) > len(errors) else "):"
        shown = listed[: len(errors) + _MAX_WARNINGS]
        lines = [f"  {finding.line}" for finding in shown]
        if len(listed) > len(shown):
            lines.append(f"  ... and {count_noun(len(listed) - len(shown), 'more warning')}")
        message = "\n".join([heading, *lines])
    return InvalidMovie(message, path=errors[0].path if errors else None, advice=advice, findings=findings)


def count_noun(number: int, word: str) -> str:
    """Return a number with its noun, such as ``1 error`` or ``2 errors``."""
    return f"{number} {word}{'' if number == 1 else 's'}"
