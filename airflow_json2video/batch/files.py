"""Store the videos of a batch: the path of each, the checks before anything is submitted, parallel downloads."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_json2video.core.batch import BatchLedger, ItemState
from airflow_json2video.core.result import to_json
from airflow_json2video.core.storage_path import check_path_template, format_path, paths_written, placeholders
from airflow_json2video.exceptions import ConfigurationError, DestinationFailed, Json2VideoError
from airflow_json2video.metrics import video_not_stored, video_stored
from airflow_json2video.storage.download import Cancellation
from airflow_json2video.storage.preflight import check_destination, require_unoccupied, warn_of_local_path
from airflow_json2video.storage.store import find_stored, store_video

if TYPE_CHECKING:
    from airflow_json2video.api.responses import MovieStatus
    from airflow_json2video.core.batch_items import BatchItems
    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.task_log import ItemLog

__all__ = ["BatchFiles"]

_MAX_CONCURRENT_DOWNLOADS = 4
"""Enough to use a network connection fully, few enough for a small worker."""
_MAX_CONCURRENT_CHECKS = 16
_MAX_WRITE_FAILURES_IN_A_ROW = 3
"""Files in a row that cannot be written before nothing more is submitted: the disk may be full."""
_MAX_PROBLEMS_SHOWN = 10
_CLEANUP_TIMEOUT_S = 5.0
"""Seconds that a task which is being ended waits for its downloads to remove their temporary files."""
_PLACEHOLDERS = ("item", "row")


@dataclass(frozen=True, kw_only=True)
class BatchFiles:
    """Stores the videos of a batch, and what belongs to them.

    :ivar output_path: see :func:`.store_video`; its placeholders are ``project``, ``item`` (the key) and ``row``.
    """

    output_path: str
    items: BatchItems
    hook: Json2VideoHook
    log: ItemLog
    subtitles: bool = False
    thumbnail: bool = False
    delete: bool = False
    _own: set[int] = field(default_factory=set, init=False)
    """Items at whose path the video of an earlier render of the same item is stored."""

    def check(self) -> None:
        """Check that every item has files of its own. No store is accessed.

        :raises ConfigurationError: a key cannot be part of a file name, or two items share a file.
        """
        check_path_template(self.output_path, known=_PLACEHOLDERS)
        names = placeholders(self.output_path)
        if not names & {"project", "item", "row"}:
            raise ConfigurationError(
                f"output_path {self.output_path!r} is the same file for all items of the batch.",
                advice="Use {item}, {row} or {project} in it. Nothing was submitted.",
            )
        problems, paths = [], []
        for index in range(len(self.items)):
            try:
                path = format_path(self.output_path, {**self._fields(index), "project": "0" * 16})
                paths.append(paths_written(path, subtitles=self.subtitles, thumbnail=self.thumbnail))
            except ConfigurationError as error:
                problems.append(f"{self.items.where(index)}: {error}")
        if not problems and "project" not in names:
            times = Counter(place for places in paths for place in places)
            problems = [
                f"{self.items.where(index)}: {place!r} is also a file of another item"
                for index, places in enumerate(paths)
                for place in places
                if times[place] > 1
            ]
        self._refuse(problems, "cannot be stored by their keys", advice="Use {row} or {project} instead of {item}")

    def check_before_submit(self, unpaid: Sequence[int], *, executor: str | None) -> None:
        """Check that the videos can be stored and would not overwrite others.

        :param unpaid: the items that may be submitted. :param executor: see :func:`.remote_executor`.
        :raises ConfigurationError: they cannot be stored, or would overwrite other videos.
        :raises DestinationFailed: the store does not answer.
        """
        check_destination(self.output_path, log=self.log.task_log, known=_PLACEHOLDERS, deletes=self.delete)
        if self.delete:
            warn_of_local_path(self.output_path, executor=executor, log=self.log.task_log)
            self._require_unoccupied(unpaid)

    def _refuse(self, problems: Sequence[str], what: str, *, advice: str) -> None:
        if problems:
            more = [f"and {len(problems) - _MAX_PROBLEMS_SHOWN} more"] if len(problems) > _MAX_PROBLEMS_SHOWN else []
            shown = "\n  ".join([*problems[:_MAX_PROBLEMS_SHOWN], *more])
            raise ConfigurationError(
                f"{len(problems)} of {len(self.items)} items {what}:\n  {shown}",
                advice=f"{advice}, or other keys. Nothing was submitted.",
            )

    def _require_unoccupied(self, indices: Sequence[int]) -> None:
        if "project" in placeholders(self.output_path):
            return

        def problem(index: int) -> str | None:
            try:
                require_unoccupied(
                    self.output_path, fields=self._fields(index), subtitles=self.subtitles, thumbnail=self.thumbnail
                )
            except ConfigurationError as error:
                return f"{self.items.where(index)}: {error.message}"
            return None

        with ThreadPoolExecutor(_MAX_CONCURRENT_CHECKS) as threads:
            found = threads.map(problem, [index for index in indices if index not in self._own])
            problems = [text for text in found if text is not None]
        self._refuse(problems, "would overwrite other videos", advice="Use {project} in output_path")

    def is_stored(self, index: int, movie: MovieStatus) -> bool:
        """Return whether the video of an item's render is stored, for a render whose file the service deleted."""
        found = find_stored(to_json(movie), output_path=self.output_path, log=self.log, fields=self._fields(index))
        if found is not None:
            self._own.add(index)
        return found is not None

    def store(self, batch: BatchLedger) -> None:
        """Store the video of every item that is done and not stored yet; an item whose video cannot be stored fails."""
        done = [index for index in batch.items_in(ItemState.DONE) if batch.records[index].stored is None]
        if not done:
            return
        # The first one alone: it reads the store's connection, which must not happen in several threads.
        failed_in_a_row = self._record(batch, done[:1], [self._store_one(batch, done[0])], 0)
        cancellation, running = Cancellation(), list[Future[str | Json2VideoError]]()
        threads = ThreadPoolExecutor(_MAX_CONCURRENT_DOWNLOADS)
        try:
            for start in range(1, len(done), _MAX_CONCURRENT_DOWNLOADS):
                some = done[start : start + _MAX_CONCURRENT_DOWNLOADS]
                running = [threads.submit(self._store_one, batch, index, cancellation) for index in some]
                failed_in_a_row = self._record(batch, some, [one.result() for one in running], failed_in_a_row)
        except BaseException:  # execution_timeout or a kill; leaving the pool would wait for its downloads
            cancellation.set()
            wait(running, _CLEANUP_TIMEOUT_S)
            raise
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    def _record(
        self, batch: BatchLedger, indices: Sequence[int], paths: Sequence[str | Json2VideoError], failed: int
    ) -> int:
        """Record where the videos are stored; return how many in a row could not be written."""
        for index, path in zip(indices, paths, strict=True):
            if isinstance(path, str):
                batch.records[index].stored, failed = path, 0
                continue
            video_not_stored()
            self.log.error("%s: %s", self.items.where(index), path)
            batch.mark_failed(index, path)
            failed = failed + 1 if isinstance(path, DestinationFailed) else 0
            if failed >= _MAX_WRITE_FAILURES_IN_A_ROW:
                batch.stop(path)
        return failed

    def _store_one(
        self, batch: BatchLedger, index: int, cancellation: Cancellation | None = None
    ) -> str | Json2VideoError:
        began, record = time.monotonic(), batch.records[index]
        at = record.submitted_at
        submitted = datetime.fromtimestamp(at, timezone.utc).isoformat() if at else None
        movie = {"project": record.project, "status": "done", "created_at": submitted, **record.facts}
        try:
            stored = store_video(
                movie,
                output_path=self.output_path,
                hook=self.hook,
                log=self.log,
                fields=self._fields(index),
                subtitles=self.subtitles,
                thumbnail=self.thumbnail,
                delete=self.delete,
                cancellation=cancellation,
            )
        except Json2VideoError as error:
            return error
        if stored.downloaded:
            video_stored(stored.bytes, seconds=time.monotonic() - began)
        return stored.path

    def _fields(self, index: int) -> dict[str, str]:
        return {"item": self.items.keys[index], "row": str(index + 1)}
