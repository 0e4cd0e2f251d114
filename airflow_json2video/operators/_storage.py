"""The files of a render in object storage: check the destination before a render is paid for, then store them.

Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_json2video import metrics
from airflow_json2video.api.validation import check_project
from airflow_json2video.core.poll_schedule import PollSchedule
from airflow_json2video.core.render_status import RenderOutcome, RenderTracker, format_duration
from airflow_json2video.core.result import render_result, select_fields, to_json
from airflow_json2video.core.storage_path import check_path_template, placeholders, seconds_left
from airflow_json2video.deployment import require_not_of_another_deployment
from airflow_json2video.exceptions import ConfigurationError, Json2VideoError, RenderExpired, StoreError
from airflow_json2video.polling.wait import retry_refusals
from airflow_json2video.storage.preflight import check_destination, require_unoccupied, warn_of_local_path
from airflow_json2video.storage.store import find_stored, store_video

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_json2video.api.responses import MovieStatus
    from airflow_json2video.core.result import RenderResult
    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.task_log import TaskLog

__all__ = ["VideoStore", "store_finished_render", "warn_of_expiry"]

_EXPIRY_WARNING = 86400.0
"""Seconds before the service deletes a file from which on the log warns about it."""
_VARIES_BY_INDEX = re.compile(r"\b(map_index|ti|task_instance|task_instance_key_str|task|expanded_ti_count)\b")
"""Names of Airflow's context whose values differ between the mapped task instances of a run."""


@dataclass(kw_only=True)
class VideoStore:
    """The files of a render that a task stores, and where.

    :ivar output_path: see :func:`.store_video`. :ivar files: of ``video``, ``subtitles`` and ``thumbnail``.
    :ivar delete_remote: whether the service's copy is deleted afterwards. :ivar executor: see :func:`.remote_executor`.
    """

    output_path: str
    files: tuple[str, ...]
    delete_remote: bool
    hook: Json2VideoHook
    log: TaskLog
    executor: str | None = None
    _is_checked: bool = field(default=False, init=False)
    _is_own: bool = field(default=False, init=False)
    """Whether the file at the path is the video of an earlier render of this task."""

    def check(self, context: Context) -> None:
        """Check, before a render is paid for, that its video can be stored.

        :raises ConfigurationError: it cannot, or it would overwrite the only copy of another video.
        :raises DestinationFailed: the storage does not respond.
        """
        if self._is_checked:
            return
        check_destination(self.output_path, log=self.log, deletes=self.delete_remote)
        if self.delete_remote and "project" not in placeholders(self.output_path):
            _require_one_task(self.output_path, context)
            if not self._is_own:
                self._require_unoccupied()
        if self.delete_remote:
            warn_of_local_path(self.output_path, executor=self.executor, log=self.log)
        self._is_checked = True

    def is_stored(self, movie: MovieStatus) -> bool:
        """Return whether a render is already stored, for one whose file the service has deleted."""
        found = find_stored(to_json(movie), output_path=self.output_path, log=self.log) is not None
        self._is_own = self._is_own or found
        return found

    def require_unoccupied(self, movie: Mapping[str, Any]) -> None:
        """Check that storing an earlier render's video does not overwrite the only copy of another video.

        :param movie: of the render, as JSON.
        :raises ConfigurationError: it does.
        """
        if self.delete_remote and find_stored(movie, output_path=self.output_path, log=self.log) is None:
            self._require_unoccupied()

    def _require_unoccupied(self) -> None:
        require_unoccupied(self.output_path, subtitles="subtitles" in self.files, thumbnail="thumbnail" in self.files)

    def recover_expired(self, outcome: RenderOutcome) -> RenderOutcome:
        """Return a render whose file the service has deleted as finished, so that its stored files are found."""
        if not isinstance(outcome.error, RenderExpired) or not outcome.error.project:
            return outcome
        project = outcome.error.project
        answer = retry_refusals(self.hook, lambda: self.hook.get_movie(project), log=self.log)
        quota = to_json(answer.remaining_quota) if answer.remaining_quota is not None else {}
        return RenderOutcome(movie=select_fields(to_json(answer.movie)), remaining_quota=quota)

    def store(self, movie: Mapping[str, Any], result: RenderResult) -> RenderResult:
        """Store the files, and return the result with their paths.

        :raises Json2VideoError: see :func:`.store_video`.
        """
        started = time.monotonic()
        stored = store_video(
            movie,
            output_path=self.output_path,
            hook=self.hook,
            log=self.log,
            subtitles="subtitles" in self.files,
            thumbnail="thumbnail" in self.files,
            delete=self.delete_remote,
        )
        if stored.downloaded:
            metrics.video_stored(stored.bytes, seconds=time.monotonic() - started)
        return stored.add_to(result)


def store_finished_render(
    render: Any,
    *,
    output_path: Any,
    files: tuple[str, ...],
    delete_remote: bool,
    hook: Json2VideoHook,
    log: TaskLog,
) -> RenderResult:
    """Store the video of a render that was submitted elsewhere, and return the result with its path.

    :param render: the project id, or the result of a render task.
    :raises Json2VideoError: the render has no video yet, or its video could not be stored.
    """
    given = render.get("project") if isinstance(render, Mapping) else render
    key = render.get("submission_key") if isinstance(render, Mapping) else None
    project = check_project(given)
    if output_path is None:
        raise ConfigurationError("output_path is None, so the video cannot be stored.")
    check_path_template(output_path, known=())
    store = VideoStore(output_path=output_path, files=files, delete_remote=delete_remote, hook=hook, log=log)
    try:
        if delete_remote:
            retry_refusals(hook, lambda: require_not_of_another_deployment(hook, project), log=log)
        outcome = store.recover_expired(_outcome(project, hook=hook, log=log))
        if outcome.error is not None or outcome.movie is None:
            raise outcome.error or Json2VideoError("The render finished without a status.")
        result = render_result(outcome.movie, remaining_quota=outcome.remaining_quota, submission_key=key)
        store.require_unoccupied(outcome.movie)
        return store.store(outcome.movie, result)
    except StoreError:
        metrics.video_not_stored()
        raise


def _outcome(project: str, *, hook: Json2VideoHook, log: TaskLog) -> RenderOutcome:
    answer = retry_refusals(hook, lambda: hook.get_movie(project), log=log)
    now = hook.clock.now()
    tracker = RenderTracker(
        project, submitted_at=now, deadline=now + 3600, schedule=PollSchedule(), submission_time_known=False
    )
    quota = to_json(answer.remaining_quota) if answer.remaining_quota is not None else None
    step = tracker.on_status(to_json(answer.movie), now=now, remaining_quota=quota)
    if isinstance(step, RenderOutcome):
        return step
    raise Json2VideoError(
        f"Render {project} is {answer.movie.status} and has no video yet, so nothing can be stored.",
        project=project,
        retryable=True,
        advice="Wait for it first, for example with Json2VideoRenderSensor.",
    )


def _require_one_task(output_path: str, context: Context) -> None:
    """Raise if all mapped task instances of the run have the same path."""
    dag = context.get("dag")
    task = dag.task_dict.get(context["ti"].task_id) if dag is not None else None
    written = getattr(task, "partial_kwargs", {}).get("output_path")
    if isinstance(written, str) and not _VARIES_BY_INDEX.search(written):
        raise ConfigurationError(
            f"output_path {output_path!r} is the same for all mapped task instances. With delete_remote=True each of "
            "them would overwrite the only copy of another video.",
            advice="Use {project} or {{ ti.map_index }} in output_path, or map over output_path too. Nothing was "
            "submitted.",
        )


def warn_of_expiry(movie: Mapping[str, Any], *, log: TaskLog) -> None:
    """Log a warning if the service will delete the file of a render within a day and no copy is stored."""
    left = seconds_left(movie, now=time.time())
    if left is not None and left < _EXPIRY_WARNING:
        log.warning(
            "JSON2Video deletes the file of render %s in %s, seven days after the render ended, and no copy is stored. "
            "Set output_path, or download the file before then.",
            movie["project"],
            format_duration(left),
        )
