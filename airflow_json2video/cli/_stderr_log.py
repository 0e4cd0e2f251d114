"""What a command tells on its way: on standard error, since a program reads the answer on standard output."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["StderrLog"]


class StderrLog:
    """A log for a person at a terminal."""

    def info(self, event: str, *args: Any) -> None:
        """Tell what happens."""
        print(event % args if args else event, file=sys.stderr, flush=True)

    def warning(self, event: str, *args: Any) -> None:
        """Tell what a person should look at."""
        self.info(f"warning: {event}", *args)
