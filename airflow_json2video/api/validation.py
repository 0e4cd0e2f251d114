"""Checks of arguments before anything is sent. Each error names the argument and what it must be."""

from __future__ import annotations

import re
from collections.abc import Sized
from datetime import datetime, timezone

from airflow_json2video.exceptions import ConfigurationError

__all__ = [
    "PROJECT_LENGTH",
    "TEMPLATE_LENGTH",
    "check_folder",
    "check_int",
    "check_name",
    "check_project",
    "check_stored_folder",
    "check_stored_name",
    "check_template_id",
    "check_text",
    "describe_type",
    "format_datetime",
    "parse_datetime",
]

PROJECT_LENGTH = 16
TEMPLATE_LENGTH = 20


def _check_id(value: object, length: int, what: str) -> str:
    if isinstance(value, str) and re.fullmatch(rf"[A-Za-z0-9_-]{{{length}}}", value, re.ASCII):
        return value
    if not isinstance(value, str):
        found = f"a value of type {type(value).__name__}"
    elif len(value) != length:
        found = str(len(value))
    else:
        found = "another character"
    raise ConfigurationError(f"Invalid {what} {value!r}: expected {length} letters or digits, got {found}.")


def check_project(project: object) -> str:
    """Return *project* if it has the form of a project id: 16 letters or digits.

    :raises ConfigurationError: otherwise.
    """
    return _check_id(project, PROJECT_LENGTH, "project id")


def check_template_id(template: object) -> str:
    """Return *template* if it has the form of a template id: 20 letters or digits.

    :raises ConfigurationError: otherwise.
    """
    return _check_id(template, TEMPLATE_LENGTH, "template id")


def check_int(value: object, name: str, *, low: int, high: int | None = None) -> int:
    """Return *value* if it is an integer in the range.

    :raises ConfigurationError: otherwise.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= low and (high is None or value <= high):
        return value
    allowed = f"of at least {low}" if high is None else f"from {low} to {high}"
    raise ConfigurationError(f"{name} must be an integer {allowed}, got {value!r}.")


def check_text(value: object, name: str, *, longest: int | None = None) -> str:
    """Return *value* if it is a string that is not blank.

    :raises ConfigurationError: otherwise.
    """
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{name} must be a string that is not blank, got {describe_type(value)}.")
    if longest is not None and len(value) > longest:
        raise ConfigurationError(f"{name} must have at most {longest} characters, got {len(value)}.")
    return value


def check_name(value: object, name: str = "name") -> str:
    """Return *value* if it can be the name of a file in the drive.

    :raises ConfigurationError: otherwise.
    """
    text = check_text(value, name)
    if "/" in text:
        raise ConfigurationError(f"{name} must not contain '/', got {text!r}. Pass the folder as folder.")
    return text


def check_folder(value: object, name: str = "folder") -> str:
    """Return the path of a folder as the drive expects it: without slashes around it; the root is empty.

    :raises ConfigurationError: it is not a string, or contains '..'.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a string, got {describe_type(value)}.")
    folder = value.strip().strip("/")
    if any(part in ("", ".", "..") for part in folder.split("/")) and folder:
        raise ConfigurationError(f"{name} must be the path of a folder, got {value!r}.")
    return folder


def check_stored_name(value: object, name: str = "name") -> str:
    """Return *value* if the drive stores it unchanged as the name of a file.

    The service replaces characters other than letters, digits and ``._-`` by ``_`` (API reference), so the file would
    not be found by its original name.

    :raises ConfigurationError: otherwise; the message has the name that it would become.
    """
    text = check_name(value, name)
    stored = re.sub(r"[^a-zA-Z0-9._-]", "_", text)
    stored = stored if stored.strip(".") else stored.replace(".", "_")
    if stored != text:
        raise ConfigurationError(
            f"The drive would store {text!r} as {stored!r}.",
            advice=f"Pass {name}={stored!r}, or another name of [a-zA-Z0-9._-].",
        )
    return text


def check_stored_folder(value: object, name: str = "folder") -> str:
    """Return *value* without slashes around it, if the drive stores it unchanged as the path of a folder.

    :raises ConfigurationError: otherwise; the message has the path that it would become.
    """
    folder = check_folder(value, name)
    stored = re.sub(r"/{2,}", "/", re.sub(r"[^a-zA-Z0-9/_-]", "", folder)).strip("/")
    if stored != folder:
        raise ConfigurationError(
            f"The drive would store the folder {folder!r} as {stored!r}.",
            advice=f"Pass {name}={stored!r}, or another path of [a-zA-Z0-9/_-].",
        )
    return folder


def parse_datetime(value: object, name: str) -> datetime | None:
    """Return a time in UTC: an aware datetime, or ISO 8601 text with a time zone.

    :raises ConfigurationError: otherwise; without a time zone it would mean another time on another machine.
    """
    if value is None:
        return None
    if isinstance(value, str):
        try:
            # Python 3.10 does not read the Z.
            value = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", value.strip()))
        except ValueError:
            raise ConfigurationError(f"{name} must be an ISO 8601 time, got {value!r}.") from None
    if not isinstance(value, datetime):
        raise ConfigurationError(f"{name} must be a datetime or ISO 8601 text, got {describe_type(value)}.")
    if value.tzinfo is None:
        raise ConfigurationError(f"{name} must have a time zone, got {value.isoformat()}.")
    return value.astimezone(timezone.utc)


def format_datetime(value: datetime | None) -> str | None:
    """Return a UTC time in the service's format, with milliseconds and Z."""
    return None if value is None else value.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def describe_type(value: object) -> str:
    """Describe *value* for a message, without showing it."""
    if value is None:
        return "None"
    if isinstance(value, str) and not value.strip():
        return "a blank string"
    if isinstance(value, Sized) and len(value) == 0:
        return "an empty value"
    return f"a value of type {type(value).__name__}"
