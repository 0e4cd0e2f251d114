"""Keeping the videos of a batch: where each goes, checked beforehand, and stored several at a time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_json2video.exceptions import ConfigurationError, DestinationFailed, Json2VideoError
from airflow_json2video.hooks.metrics import video_not_stored, video_stored
from airflow_json2video.hooks.storing import check_destination, find_stored, store_video
from airflow_json2video.hooks.waiting import wire
from airflow_json2video.rendering.batch import Batch, ItemState
from airflow_json2video.rendering.storing import check_template, fields_of, fill

if TYPE_CHECKING:
    from airflow_json2video.api.responses import MovieStatus
    from airflow_json2video.hooks.batch_log import ItemLog
    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.rendering.batch_items import BatchItems

__all__ = ["BatchFiles"]

_AT_ONCE = 4
"""Downloads side by side: enough to keep a line busy, few enough for a small worker."""
_MOST_FAILED_IN_A_ROW = 3
"""Files that cannot be written one after the other before nothing more is submitted: the disk may be full."""
_SHOWN = 10
_FIELDS = ("item", "row")


@dataclass(frozen=True, kw_only=True)
class BatchFiles:
    """Where the videos go, and what else is kept.

    :ivar template: see :func:`.store_video`; its fields are ``project``, ``item`` (the key) and ``row``.
    """

    template: str
    items: BatchItems
    hook: Json2VideoHook
    log: ItemLog
    subtitles: bool = False
    thumbnail: bool = False
    delete: bool = False

    def check(self) -> None:
        """Refuse what a paid video could not be kept at.

        :raises ConfigurationError: a key is no file name, two items have one path, or nothing can be written there.
        """
        check_template(self.template, known=_FIELDS)
        names = fields_of(self.template)
        if not names & {"project", "item", "row"}:
            raise ConfigurationError(
                f"output_path {self.template!r} gives all items of the batch the same file.",
                advice="Use {item}, {row} or {project} in it. Nothing was submitted.",
            )
        problems = []
        for index in range(len(self.items)):
            try:
                fill(self.template, {**self._fields(index), "project": "0" * 16})
            except ConfigurationError as error:
                problems.append(f"{self.items.where(index)}: {error}")
        if problems:
            more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
            shown = "\n  ".join([*problems[:_SHOWN], *more])
            raise ConfigurationError(
                f"{len(problems)} of {len(self.items)} items cannot be kept under their keys:\n  {shown}",
                advice="Use {row} or {project} instead of {item}, or other keys. Nothing was submitted.",
            )
        check_destination(self.template, log=self.log.task_log, known=_FIELDS)

    def has(self, index: int, movie: MovieStatus) -> bool:
        """Whether an item's render is kept already, though the service has lost its file."""
        found = find_stored(wire(movie), template=self.template, log=self.log, fields=self._fields(index))
        return found is not None

    def store(self, batch: Batch) -> None:
        """Store the video of every item that is done and not stored yet; one that cannot be is a failed item."""
        wanted = [index for index in batch.indices(ItemState.DONE) if batch.records[index].stored is None]
        if not wanted:
            return
        # The first by itself: it looks up the store's connection, which must not happen in several threads.
        failed_in_a_row = self._store(batch, wanted[:1], 0)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            for start in range(1, len(wanted), _AT_ONCE):
                some = wanted[start : start + _AT_ONCE]
                failed_in_a_row = self._store(batch, some, failed_in_a_row, threads=threads)

    def _store(
        self, batch: Batch, indices: Sequence[int], failed: int, *, threads: ThreadPoolExecutor | None = None
    ) -> int:
        movies = [{"project": batch.records[i].project, "status": "done", **batch.records[i].facts} for i in indices]
        paths = (threads.map if threads else map)(self._kept, indices, movies)
        for index, path in zip(indices, paths, strict=True):
            if isinstance(path, str):
                batch.records[index].stored, failed = path, 0
                continue
            video_not_stored()
            self.log.error("%s: %s", self.items.where(index), path)
            batch.failed(index, path)
            failed = failed + 1 if isinstance(path, DestinationFailed) else 0
            if failed >= _MOST_FAILED_IN_A_ROW:
                batch.halt(path)
        return failed

    def _kept(self, index: int, movie: Mapping[str, Any]) -> str | Json2VideoError:
        began = time.monotonic()
        try:
            stored = store_video(
                movie,
                template=self.template,
                hook=self.hook,
                log=self.log,
                fields=self._fields(index),
                subtitles=self.subtitles,
                thumbnail=self.thumbnail,
                delete=self.delete,
            )
        except Json2VideoError as error:
            return error
        if stored.downloaded:
            video_stored(stored.bytes, seconds=time.monotonic() - began)
        return stored.path

    def _fields(self, index: int) -> dict[str, str]:
        return {"item": self.items.keys[index], "row": str(index + 1)}
