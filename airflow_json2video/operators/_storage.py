"""Keeping the video from within a task: what an operator was told about it, and doing so.

Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_json2video.core.render_status import RenderOutcome, format_duration
from airflow_json2video.core.result import select_fields, to_json
from airflow_json2video.core.storage_path import placeholders, seconds_left
from airflow_json2video.exceptions import ConfigurationError, RenderExpired
from airflow_json2video.polling.wait import retry_refusals
from airflow_json2video.storage.preflight import check_destination, require_unoccupied, warn_of_local_path
from airflow_json2video.storage.store import find_stored, store_video
from airflow_json2video.version_compat import remote_executor

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_json2video.api.responses import MovieStatus
    from airflow_json2video.core.result import RenderResult
    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.task_log import TaskLog

__all__ = ["VideoStore", "warn_of_expiry"]

_SOON = 86400.0
_VARIES_BY_INDEX = re.compile(r"\b(map_index|ti|task_instance|task_instance_key_str|task|expanded_ti_count)\b")
"""Names of Airflow's context that have another value in each mapped task instance of a run."""


@dataclass(kw_only=True)
class VideoStore:
    """What is to be kept of a render, and where.

    :ivar template: see :func:`.store_video`. :ivar subtitles: the ASS file too. :ivar thumbnail: the picture too.
    :ivar delete: whether the service's file is deleted afterwards. :ivar executor: see :func:`.remote_executor`.
    """

    template: str
    subtitles: bool
    thumbnail: bool
    delete: bool
    hook: Json2VideoHook
    log: TaskLog
    executor: str | None
    _is_checked: bool = field(default=False, init=False)
    _is_ours: bool = field(default=False, init=False)
    """Whether what stands at the path is the video of an earlier render of this task."""

    @classmethod
    def of(cls, operator: Any) -> VideoStore | None:
        """Read the arguments of *operator*; None if it is not to keep anything."""
        if operator.output_path is None:
            return None
        return cls(
            template=operator.output_path,
            subtitles=operator.store_subtitles,
            thumbnail=operator.store_thumbnail,
            delete=operator.delete_after_store,
            hook=operator.hook,
            log=operator.log,
            executor=remote_executor(operator),
        )

    def check(self, context: Context) -> None:
        """Refuse before a render is paid for a destination at which its video could not be stored.

        :raises ConfigurationError: it could not, or it would overwrite the only copy of another video.
        :raises DestinationFailed: the place does not answer.
        """
        if self._is_checked:
            return
        check_destination(self.template, log=self.log, deletes=self.delete)
        if self.delete and "project" not in placeholders(self.template):
            _require_one_task(self.template, context)
            if not self._is_ours:
                require_unoccupied(self.template, subtitles=self.subtitles, thumbnail=self.thumbnail)
        if self.delete:
            warn_of_local_path(self.template, executor=self.executor, log=self.log)
        self._is_checked = True

    def has(self, movie: MovieStatus) -> bool:
        """Whether a render is kept already, though the service has lost its file."""
        found = find_stored(to_json(movie), template=self.template, log=self.log) is not None
        self._is_ours = self._is_ours or found
        return found

    def require_room(self, movie: Mapping[str, Any]) -> None:
        """Refuse to store the video of a render that was paid for elsewhere over the only copy of another.

        :param movie: of the render, in wire names. :raises ConfigurationError: it would be.
        """
        if self.delete and find_stored(movie, template=self.template, log=self.log) is None:
            require_unoccupied(self.template, subtitles=self.subtitles, thumbnail=self.thumbnail)

    def ended(self, ended: RenderOutcome) -> RenderOutcome:
        """Take a render whose file the service has no more for finished, so that what is kept of it is found."""
        if not isinstance(ended.error, RenderExpired) or not ended.error.project:
            return ended
        project = ended.error.project
        answer = retry_refusals(self.hook, lambda: self.hook.get_movie(project), log=self.log)
        quota = to_json(answer.remaining_quota) if answer.remaining_quota is not None else {}
        return RenderOutcome(movie=select_fields(to_json(answer.movie)), remaining_quota=quota)

    def keep(self, movie: Mapping[str, Any], result: RenderResult) -> RenderResult:
        """Keep what is asked for and give the result with where it is.

        :raises Json2VideoError: as :func:`.store_video`.
        """
        from airflow_json2video.metrics import video_stored

        began = time.monotonic()
        stored = store_video(
            movie,
            template=self.template,
            hook=self.hook,
            log=self.log,
            subtitles=self.subtitles,
            thumbnail=self.thumbnail,
            delete=self.delete,
        )
        if stored.downloaded:
            video_stored(stored.bytes, seconds=time.monotonic() - began)
        return stored.add_to(result)


def _require_one_task(template: str, context: Context) -> None:
    """Refuse a path that all mapped task instances of the run have in common."""
    dag = context.get("dag")
    task = dag.task_dict.get(context["ti"].task_id) if dag is not None else None
    written = getattr(task, "partial_kwargs", {}).get("output_path")
    if isinstance(written, str) and not _VARIES_BY_INDEX.search(written):
        raise ConfigurationError(
            f"output_path {template!r} is the same for all mapped task instances, and with delete_after_store each of "
            "them would overwrite the only copy of another video.",
            advice="Write {project} or {{ ti.map_index }} into output_path, or map over output_path too. Nothing was "
            "submitted.",
        )


def warn_of_expiry(movie: Mapping[str, Any], *, log: TaskLog) -> None:
    """Say so when the service will delete the file of a render within a day, and nobody keeps it."""
    left = seconds_left(movie, now=time.time())
    if left is not None and left < _SOON:
        log.warning(
            "JSON2Video deletes the file of render %s in %s, seven days after its end. Nothing keeps it: set "
            "output_path, or get it before.",
            movie["project"],
            format_duration(left),
        )
