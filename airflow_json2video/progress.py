"""Progress of the command lines, on standard error: a bar on a terminal, one line per quarter elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

__all__ = ["Formatter", "OnProgress", "progress_bar", "spinner"]

OnProgress = Callable[[int, int], None]
"""Called with how much is done and the total."""
Formatter = Callable[[int, int], str]
"""Returns both as a text, such as ``frame 3 of 50``."""


@contextmanager
def progress_bar(name: str, *, formatter: Formatter, before: str) -> Iterator[OnProgress]:
    """Show progress on standard error; yields a function that updates it.

    :param before: shown until the first update.
    """
    if _is_terminal():
        with _bar(name, formatter, before) as update:
            yield update
    else:
        yield _lines(name, formatter)


@contextmanager
def spinner(name: str) -> Iterator[None]:
    """Show on a terminal that something is in progress, and for how long; show nothing elsewhere."""
    if not _is_terminal():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task(name, total=None)
        yield


def _is_terminal() -> bool:
    # Airflow installs rich; this package does not depend on it.
    return sys.stderr.isatty() and find_spec("rich") is not None


@contextmanager
def _bar(name: str, formatter: Formatter, before: str) -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"{name}: {before}", total=None)

        def update(done: int, total: int) -> None:
            progress.update(task, description=f"{name}: {formatter(done, total)}", completed=done, total=total)

        yield update


def _lines(name: str, formatter: Formatter) -> OnProgress:
    shown = 0

    def update(done: int, total: int) -> None:
        nonlocal shown
        quarter = 4 * done // max(1, total)
        if quarter > shown:
            shown = quarter
            print(f"{name}: {formatter(done, total)}", file=sys.stderr, flush=True)

    return update
