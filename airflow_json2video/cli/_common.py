"""A command as data, from which both ``python -m airflow_json2video`` and Airflow's own command line are made."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ACCOUNT", "JSON", "Argument", "Command"]


@dataclass(frozen=True)
class Argument:
    """What ``ArgumentParser.add_argument`` takes; Airflow's ``Arg`` takes the same."""

    flags: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, *flags: str, **options: Any) -> Argument:
        """Make one, written as ``add_argument`` is."""
        return cls(flags, options)


@dataclass(frozen=True)
class Command:
    """One command.

    :ivar run: does it and says whether all is well; False is exit code 1. Its answer goes to ``options.out``.
    """

    name: str
    help: str
    run: Callable[[argparse.Namespace], bool]
    arguments: tuple[Argument, ...]
    description: str


ACCOUNT = (
    Argument.of(
        "--conn-id",
        help="Airflow connection of the account (default: the key in JSON2VIDEO_API_KEY, else json2video_default)",
    ),
    Argument.of(
        "--host", help="base address of the API, with JSON2VIDEO_API_KEY; a service on this machine needs no key"
    ),
)
JSON = Argument.of("--json", action="store_true", help="give the answer as JSON")
