"""Results of earlier renders: an unchanged movie reuses the file, under a new project id."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["ResultCache"]

# Keys that do not affect the video.
_IGNORED_KEYS = ("client-data", "id", "comment", "exports", "cache")
# Files of one render that are not part of its result.
_RENDER_FILES = {"job.json", "movie.json", "log.txt", "progress.json", "assets"}


class ResultCache:
    """Finds the result of an earlier render by the document and the drawing settings.

    Media files are not compared: a change of a file is not detected, as with the real service.

    :param folder: returns the folder of a render.
    """

    def __init__(self, folder: Callable[[str], Path]) -> None:
        self._folder = folder
        self._projects: dict[str, str] = {}

    def restore(self, project: str, document: Mapping[str, Any], *, drawn: Mapping[str, Any]) -> dict[str, Any] | None:
        """Copy an earlier result to the folder of *project* and return it; None if there is none.

        :param drawn: how it is drawn: the mode, and every setting that affects the result.
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
                if file.name not in _RENDER_FILES and file.is_file():
                    shutil.copyfile(file, target / file.name)
        except (OSError, ValueError):
            return None
        return result if isinstance(result, dict) else None

    def add(self, project: str, document: Mapping[str, Any], *, drawn: Mapping[str, Any]) -> None:
        """Record that *project* has the result of a movie."""
        self._projects[_key(document, drawn)] = project


def _key(document: Mapping[str, Any], drawn: Mapping[str, Any]) -> str:
    seen = {name: value for name, value in document.items() if name not in _IGNORED_KEYS}
    return hashlib.sha256(json.dumps([drawn, seen], sort_keys=True).encode()).hexdigest()


def _opts_out(node: Any) -> bool:
    """Return whether the movie, a scene or an element has ``cache: false``."""
    if isinstance(node, list):
        return any(_opts_out(item) for item in node)
    if not isinstance(node, Mapping):
        return False
    return node.get("cache") is False or _opts_out(node.get("scenes")) or _opts_out(node.get("elements"))
