"""The transfer: keeps the video of a render that is done already, wherever it was submitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_json2video.exceptions import ConfigurationError, Json2VideoError
from airflow_json2video.operators.base import Json2VideoBaseOperator, fail_task, path_to_str

if TYPE_CHECKING:
    import os

    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_json2video.core.render_status import RenderOutcome
    from airflow_json2video.core.result import RenderResult

__all__ = ["Json2VideoToObjectStorageOperator"]


class Json2VideoToObjectStorageOperator(Json2VideoBaseOperator):
    """Keeps the video of a finished render at a path, whole or not at all; it is free and safe to repeat.

    The result is that of the render task (:class:`~airflow_json2video.core.result.RenderResult`), with
    ``stored_path`` and what belongs to it.

    :param project: 16-character project id of the render, or the result of a render task (templated).
    :param output_path: as of :class:`~airflow_json2video.operators.render.Json2VideoRenderOperator` (templated).
    :param json2video_conn_id: the connection of the account that submitted it (templated).
    :param store_subtitles: keep the render's ASS subtitles beside the video.
    :param store_thumbnail: keep the render's picture beside the video, where the service names one.
    :param delete_after_store: delete the file at JSON2Video, once what was stored has been looked at.
    """

    template_fields: Sequence[str] = ("project", "output_path", "json2video_conn_id")

    def __init__(
        self,
        *,
        project: str | Mapping[str, Any] | XComArg,
        output_path: str | os.PathLike[str] | XComArg,
        json2video_conn_id: str = "json2video_default",
        store_subtitles: bool = False,
        store_thumbnail: bool = False,
        delete_after_store: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(json2video_conn_id=json2video_conn_id, **kwargs)
        self.project: Any = project
        self.output_path: Any = path_to_str(output_path)
        self.store_subtitles = store_subtitles
        self.store_thumbnail = store_thumbnail
        self.delete_after_store = delete_after_store

    def execute(self, context: Context) -> RenderResult:  # noqa: ARG002
        """Ask for the render as it is now, and keep its video."""
        from airflow_json2video.api.validation import check_project
        from airflow_json2video.core.result import render_result
        from airflow_json2video.core.storage_path import check_path_template
        from airflow_json2video.deployment import require_not_of_another_deployment
        from airflow_json2video.operators._storage import VideoStore
        from airflow_json2video.polling.wait import retry_refusals

        given = self.project.get("project") if isinstance(self.project, Mapping) else self.project
        key = self.project.get("submission_key") if isinstance(self.project, Mapping) else None
        try:
            project = check_project(given)
            keeping = VideoStore.of(self)
            if keeping is None:
                raise ConfigurationError("output_path is empty, so it is not known where the video is to be kept.")
            check_path_template(keeping.template, known=())
            if self.delete_after_store:
                retry_refusals(self.hook, lambda: require_not_of_another_deployment(self.hook, project), log=self.log)
            ended = keeping.ended(self._ended(project))
            if ended.error is not None or ended.movie is None:
                raise ended.error or Json2VideoError("The render ended, and nothing says how.")
            result = render_result(ended.movie, remaining_quota=ended.remaining_quota, submission_key=key)
            keeping.require_room(ended.movie)
            return keeping.keep(ended.movie, result)
        except Json2VideoError as error:
            self._fail(error)

    def _ended(self, project: str) -> RenderOutcome:
        from airflow_json2video.core.poll_schedule import PollSchedule
        from airflow_json2video.core.render_status import RenderOutcome, RenderTracker
        from airflow_json2video.core.result import to_json
        from airflow_json2video.polling.wait import retry_refusals

        answer = retry_refusals(self.hook, lambda: self.hook.get_movie(project), log=self.log)
        now = self.hook.clock.now()
        watch = RenderTracker(
            project, submitted_at=now, deadline=now + 3600, schedule=PollSchedule(), submission_time_known=False
        )
        quota = to_json(answer.remaining_quota) if answer.remaining_quota is not None else None
        step = watch.on_status(to_json(answer.movie), now=now, remaining_quota=quota)
        if isinstance(step, RenderOutcome):
            return step
        raise Json2VideoError(
            f"Render {project} is {answer.movie.status}, and its video is not there yet, so nothing can be stored.",
            project=project,
            retryable=True,
            advice="Wait for it before, as with Json2VideoRenderSensor.",
        )

    def _fail(self, error: Json2VideoError, context: Context | None = None) -> NoReturn:  # noqa: ARG002
        from airflow_json2video.exceptions import StoreError
        from airflow_json2video.metrics import video_not_stored

        if isinstance(error, StoreError):
            video_not_stored()
        fail_task(error, log=self.log)
