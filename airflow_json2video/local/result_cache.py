"""Results of earlier renders: the same movie again is the same file again, under a project of its own."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["ResultCache"]

# What does not change a picture.
_BESIDE = ("client-data", "id", "comment", "exports", "cache")
# What belongs to one render and not to its result.
_OWN = {"job.json", "movie.json", "log.txt", "progress.json", "assets"}


class ResultCache:
    """Finds the result of a movie that was rendered before, by its document and how it is drawn.

    The contents behind addresses are not looked at: a file that changed is not noticed, as with the real service.

    :param folder: gives the folder of a render.
    """

    def __init__(self, folder: Callable[[str], Path]) -> None:
        self._folder = folder
        self._projects: dict[str, str] = {}

    def restore(self, project: str, document: Mapping[str, Any], *, drawn: Mapping[str, Any]) -> dict[str, Any] | None:
        """Lay an earlier result into the folder of *project* and give it; None if there is none.

        :param drawn: how it is drawn: the mode, and every switch that decides what a movie may use.
        """
        earlier = self._projects.get(_key(document, drawn))
        if earlier is None or _opts_out(document):
            return None
        source, target = self._folder(earlier), self._folder(project)
        try:
            result = json.loads((source / "result.json").read_text())
            if not (source / "out.mp4").is_file():
                return None
            target.mkdir(parents=True, exist_ok=True)
            for file in source.iterdir():
                if file.name not in _OWN and file.is_file():
                    shutil.copyfile(file, target / file.name)
        except (OSError, ValueError):
            return None
        return result if isinstance(result, dict) else None

    def add(self, project: str, document: Mapping[str, Any], *, drawn: Mapping[str, Any]) -> None:
        """Remember that *project* holds the result of a movie."""
        self._projects[_key(document, drawn)] = project


def _key(document: Mapping[str, Any], drawn: Mapping[str, Any]) -> str:
    seen = {name: value for name, value in document.items() if name not in _BESIDE}
    return hashlib.sha256(json.dumps([drawn, seen], sort_keys=True).encode()).hexdigest()


def _opts_out(node: Any) -> bool:
    """Whether ``cache: false`` stands at the movie, a scene or an element."""
    if isinstance(node, list):
        return any(_opts_out(item) for item in node)
    if not isinstance(node, Mapping):
        return False
    return node.get("cache") is False or _opts_out(node.get("scenes")) or _opts_out(node.get("elements"))
