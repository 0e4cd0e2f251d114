"""How far a render is: a bar on a terminal, a line for each quarter elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

__all__ = ["shown_progress"]

Told = Callable[[int, int], None]


@contextmanager
def shown_progress(name: str) -> Iterator[Told]:
    """Give what is told the frames done and the frames in all; it shows them on standard error."""
    # rich comes with every Airflow; this package does not ask for it.
    if sys.stderr.isatty() and find_spec("rich") is not None:
        with _bar(name) as told:
            yield told
    else:
        yield _lines(name)


@contextmanager
def _bar(name: str) -> Iterator[Told]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"{name}: files and plan", total=None)

        def told(done: int, frames: int) -> None:
            progress.update(task, description=f"{name}: frame {done} of {frames}", completed=done, total=frames)

        yield told


def _lines(name: str) -> Told:
    shown = 0

    def told(done: int, frames: int) -> None:
        nonlocal shown
        quarter = 4 * done // max(1, frames)
        if quarter > shown:
            shown = quarter
            print(f"{name}: frame {done} of {frames}", file=sys.stderr, flush=True)

    return told
