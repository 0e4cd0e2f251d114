"""The contenders: the command of each, and what it can draw."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.local.movies import Subject

__all__ = ["CONTENDERS", "Contender"]


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way to draw a movie.

    :param module: the module to run with ``python -m``.
    :param arguments: its arguments; ``{movie}``, ``{out}`` and ``{assets}`` are filled in.
    :param styles: the transitions that it has; None: all of them.
    """

    key: str
    title: str
    module: str
    arguments: tuple[str, ...]
    styles: frozenset[str] | None = None

    def can(self, subject: Subject) -> bool:
        """Return whether it supports everything in the movie."""
        return self.styles is None or subject.styles <= self.styles

    def command(self, *, movie: Path, out: Path, assets: Path) -> list[str]:
        """Return the command that draws a movie file."""
        filled = [a.format(movie=movie, out=out, assets=assets) for a in self.arguments]
        return [sys.executable, "-m", self.module, *filled]


def _ours(mode: str) -> Contender:
    arguments = ("local", "render", "{movie}", "-o", "{out}", "--mode", mode, "--assets", "{assets}", "--offline")
    return Contender(
        key=f"ours-{mode}", title=f"this package, `{mode}`", module="airflow_json2video", arguments=arguments
    )


_PLAIN = ("{movie}", "{out}", "{assets}")
CONTENDERS: dict[str, Contender] = {
    c.key: c
    for c in (
        _ours("preview"),
        _ours("full"),
        Contender(
            key="moviepy",
            title="moviepy 2",
            module="benchmarks.local.with_moviepy",
            arguments=_PLAIN,
            styles=frozenset({"fade"}),
        ),
        Contender(key="ffmpeg", title="FFmpeg filter graph", module="benchmarks.local.with_ffmpeg", arguments=_PLAIN),
    )
}
