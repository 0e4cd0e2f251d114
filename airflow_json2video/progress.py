"""How far something is, on a terminal: a bar there, a line for each quarter elsewhere. For every command line here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

__all__ = ["progress_bar", "shown_waiting"]

OnProgress = Callable[[int, int], None]
InWords = Callable[[int, int], str]


@contextmanager
def progress_bar(name: str, *, in_words: InWords, before: str) -> Iterator[OnProgress]:
    """Give what is told how much is done and how much there is in all; it shows them on standard error.

    :param in_words: says both, as "frame 3 of 50".
    :param before: what is shown until something is told.
    """
    if _is_terminal():
        with _bar(name, in_words, before) as told:
            yield told
    else:
        yield _lines(name, in_words)


@contextmanager
def shown_waiting(name: str) -> Iterator[None]:
    """Show on a terminal that something goes on, and for how long it has; nothing elsewhere."""
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
    # rich comes with every Airflow; this package does not ask for it.
    return sys.stderr.isatty() and find_spec("rich") is not None


@contextmanager
def _bar(name: str, in_words: InWords, before: str) -> Iterator[OnProgress]:
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

        def told(done: int, total: int) -> None:
            progress.update(task, description=f"{name}: {in_words(done, total)}", completed=done, total=total)

        yield told


def _lines(name: str, in_words: InWords) -> OnProgress:
    shown = 0

    def told(done: int, total: int) -> None:
        nonlocal shown
        quarter = 4 * done // max(1, total)
        if quarter > shown:
            shown = quarter
            print(f"{name}: {in_words(done, total)}", file=sys.stderr, flush=True)

    return told
