"""Checks of what a caller passes, before anything is sent. Each names the argument and what it should be."""

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
        found = f"this is of type {type(value).__name__}"
    elif len(value) != length:
        found = f"this has {len(value)}"
    else:
        found = "this contains something else"
    raise ConfigurationError(f"{value!r} is no {what}: it must be {length} letters and digits, and {found}.")


def check_project(project: object) -> str:
    """Give *project* back if it has the form of a project id: 16 letters and digits.

    :raises ConfigurationError: otherwise.
    """
    return _check_id(project, PROJECT_LENGTH, "project id")


def check_template_id(template: object) -> str:
    """Give *template* back if it has the form of a template id: 20 letters and digits.

    :raises ConfigurationError: otherwise.
    """
    return _check_id(template, TEMPLATE_LENGTH, "template id")


def check_int(value: object, name: str, *, low: int, high: int | None = None) -> int:
    """Give *value* back if it is a whole number in the range.

    :raises ConfigurationError: otherwise.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= low and (high is None or value <= high):
        return value
    allowed = f"of at least {low}" if high is None else f"from {low} to {high}"
    raise ConfigurationError(f"{name} must be a whole number {allowed}, and not {value!r}.")


def check_text(value: object, name: str, *, longest: int | None = None) -> str:
    """Give *value* back if it is a text with something in it.

    :raises ConfigurationError: otherwise.
    """
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{name} must be a text with something in it, and this is {describe_type(value)}.")
    if longest is not None and len(value) > longest:
        raise ConfigurationError(f"{name} has {len(value)} characters; at most {longest} are possible.")
    return value


def check_name(value: object, name: str = "name") -> str:
    """Give *value* back if it can name a file of the drive.

    :raises ConfigurationError: otherwise.
    """
    text = check_text(value, name)
    if "/" in text:
        raise ConfigurationError(f"{name} {text!r} contains a '/'; give the folder as folder.")
    return text


def check_folder(value: object, name: str = "folder") -> str:
    """Give *value* as the drive wants a folder: without slashes around it, the root as an empty text.

    :raises ConfigurationError: when it is no text, or goes up.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a text, and this is {describe_type(value)}.")
    folder = value.strip().strip("/")
    if any(part in ("", ".", "..") for part in folder.split("/")) and folder:
        raise ConfigurationError(f"{name} {value!r} is no path of a folder.")
    return folder


def check_stored_name(value: object, name: str = "name") -> str:
    """Give *value* back if the drive keeps it as a file's name, letter by letter.

    The service puts ``_`` for whatever is no letter, digit or one of ``._-`` (API reference), so the file would
    be looked for in vain under the name that it was given.

    :raises ConfigurationError: otherwise; the message has the name that it would become.
    """
    text = check_name(value, name)
    kept = re.sub(r"[^a-zA-Z0-9._-]", "_", text)
    kept = kept if kept.strip(".") else kept.replace(".", "_")
    if kept != text:
        raise ConfigurationError(
            f"The drive would store {text!r} as {kept!r}.",
            advice=f"Give {name}={kept!r}, or another of [a-zA-Z0-9._-].",
        )
    return text


def check_stored_folder(value: object, name: str = "folder") -> str:
    """Give *value* without slashes around it if the drive keeps it as a folder's path, letter by letter.

    :raises ConfigurationError: otherwise; the message has the path that it would become.
    """
    folder = check_folder(value, name)
    kept = re.sub(r"/{2,}", "/", re.sub(r"[^a-zA-Z0-9/_-]", "", folder)).strip("/")
    if kept != folder:
        raise ConfigurationError(
            f"The drive would store the folder {folder!r} as {kept!r}.",
            advice=f"Give {name}={kept!r}, or another of [a-zA-Z0-9/_-].",
        )
    return folder


def parse_datetime(value: object, name: str) -> datetime | None:
    """Read a time: an aware datetime, or ISO 8601 text with a zone. In UTC.

    :raises ConfigurationError: otherwise; a time without a zone means another range on another machine.
    """
    if value is None:
        return None
    if isinstance(value, str):
        try:
            # Python 3.10 does not read the Z.
            value = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", value.strip()))
        except ValueError:
            raise ConfigurationError(f"{name} is no ISO 8601 time: {value!r}.") from None
    if not isinstance(value, datetime):
        raise ConfigurationError(f"{name} must be a datetime or an ISO 8601 text, and this is {describe_type(value)}.")
    if value.tzinfo is None:
        raise ConfigurationError(f"{name} must carry a time zone; {value.isoformat()} does not.")
    return value.astimezone(timezone.utc)


def format_datetime(value: datetime | None) -> str | None:
    """Write a UTC time as the service does, with milliseconds and Z."""
    return None if value is None else value.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def describe_type(value: object) -> str:
    """Say what *value* is, for a message, without showing it."""
    if value is None:
        return "missing"
    if isinstance(value, Sized) and len(value) == 0:
        return "empty"
    return f"of type {type(value).__name__}"
