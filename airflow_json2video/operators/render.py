"""The operator that renders one movie. What it does when the task runs is in ``_render``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from airflow_json2video.exceptions import ConfigurationError, Json2VideoError
from airflow_json2video.links import Json2VideoRenderLink
from airflow_json2video.operators.base import (
    Json2VideoBaseOperator,
    default_deferrable,
    path_to_str,
    refuse_arguments,
    to_seconds,
    validate_choice,
    validate_credits,
    validate_store,
    validate_wait_for_credits,
)

if TYPE_CHECKING:
    import datetime as dt

    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_json2video.core.result import RenderResult
    from airflow_json2video.movie import Movie
    from airflow_json2video.operators._render import RenderAttempt
    from airflow_json2video.operators._templating import Fields

__all__ = ["Json2VideoRenderOperator"]


class Json2VideoRenderOperator(Json2VideoBaseOperator):
    """Renders a movie with JSON2Video, paid for once, without holding a worker slot while it renders.

    The movie is checked, submitted once, and waited for in the triggerer. A retry, or a run after a crash, reattaches
    to the render that an earlier attempt started. The result is a dictionary
    (:class:`~airflow_json2video.core.result.RenderResult`).

    **Braces.** Movie JSON and Airflow both write ``{{ name }}``. An expression is Airflow's if every name in it is in
    Airflow's context, and JSON2Video's if every name is a variable of the movie. An expression that is both or neither
    fails the task, and the error shows its place in the document.

    **The arguments you need**

    :param movie: Movie JSON as a dictionary, as text, as a :class:`~airflow_json2video.movie.Movie`, or as a
        path that ends in ``.json``, found like any template file (templated).
    :param template: id of a template stored at JSON2Video, instead of *movie* (templated).
    :param variables: added to the variables of the movie, or passed to the template (templated).
    :param output_path: where to store the video, such as ``s3://aws_default@videos/{{ run_id }}/{project}.mp4``: a
        local path, or any that Airflow's ``ObjectStoragePath`` reads (templated). ``{project}`` in single braces is
        the id of the render. A file appears there complete or not at all. Before the submission, a small file is
        written there and deleted.
    :param json2video_conn_id: the connection that holds the API key (templated).
    :param max_credits: refuse to submit a movie whose estimate is higher, or that cannot be estimated. A render that
        an earlier attempt paid for is reused in any case.

    **The rest: files**

    :param store: which files to store at *output_path*: ``"video"``, and also ``"subtitles"`` (ASS) and
        ``"thumbnail"``, next to the video.
    :param delete_remote: delete JSON2Video's copy after the stored file has been verified. The stored file is the only
        copy then, so a path where another video is stored is refused before the submission.
    :param webhook: https URL that JSON2Video calls when the render has ended, or a whole webhook destination; it is
        added to the movie's ``exports`` (templated). The task waits in any case.

    **The rest: cost**

    :param min_remaining_credits: refuse to submit if fewer credits would be left in the account. The account is asked
        immediately before the submission, which is free.
    :param wait_for_credits: wait in the triggerer while the account cannot pay or has reached *min_remaining_credits*,
        until this limit: a timedelta from the refusal, a datetime, or a time of day (UTC if it has no time zone). The
        last two also as ISO text (templated). None (the default) fails the task.

    **The rest: waiting**

    :param wait_for_completion: ``False`` ends the task immediately after the submission; the result holds the project.
    :param render_timeout: seconds (or a timedelta) from the submission until the task stops waiting. One deadline for
        all attempts: no restart, resumption or retry extends it. The render itself cannot be canceled.
    :param poll_interval: seconds; scales the poll schedule, which follows the account's render times. Two polls are
        never less than 5 seconds apart.
    :param deferrable: wait in the triggerer, or on the worker with the same behavior. Default: ``True``, unless
        the environment variable ``AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE`` is ``False``.
    :param end_from_trigger: end the task in the triggerer when the render is done, so that no worker is needed for it;
        ignored, with a line in the log, if a worker has more to do (outlets, callbacks, listeners).

    **The rest: retries and clears**

    :param on_clear: what clearing a task that returned its result means: ``"reuse"`` returns the same render while its
        file exists and the document is the same, ``"resubmit"`` pays for a new one. A render that the task has not
        returned as its result yet is reused in any case.
    :param on_lost_response: when the response to the submission was lost and the account's list has not shown the
        render for the connection's ``confirmation_time`` (five minutes): ``"resubmit"`` submits again, ``"fail"``
        submits nothing more and fails the task without a retry.
    :param durable: add a stamp to the movie's ``client-data`` by which a later attempt finds the render. ``False``
        sends the document exactly as it is; a retry then pays again.
    """

    template_fields: Sequence[str] = (
        "movie",
        "template",
        "variables",
        "webhook",
        "json2video_conn_id",
        "output_path",
        "wait_for_credits",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"movie": "json", "variables": "json"}
    operator_extra_links = (Json2VideoRenderLink(),)

    def __init__(
        self,
        *,
        movie: Movie | Mapping[str, Any] | str | XComArg | None = None,
        template: str | XComArg | None = None,
        variables: Mapping[str, Any] | XComArg | None = None,
        output_path: str | os.PathLike[str] | XComArg | None = None,
        json2video_conn_id: str = "json2video_default",
        max_credits: float | None = None,
        store: Sequence[Literal["video", "subtitles", "thumbnail"]] = ("video",),
        delete_remote: bool = False,
        webhook: str | Mapping[str, Any] | XComArg | None = None,
        min_remaining_credits: float | None = None,
        wait_for_credits: timedelta | dt.datetime | dt.time | str | XComArg | None = None,
        wait_for_completion: bool = True,
        render_timeout: float | timedelta = 3600.0,
        poll_interval: float = 10.0,
        deferrable: bool | None = None,
        end_from_trigger: bool = False,
        on_clear: Literal["reuse", "resubmit"] = "reuse",
        on_lost_response: Literal["resubmit", "fail"] = "resubmit",
        durable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(json2video_conn_id=json2video_conn_id, **kwargs)
        # A model becomes its document here, so that Airflow can store and show the field.
        to_document = getattr(movie, "to_document", None)
        self.movie: Any = movie if to_document is None else to_document()
        self.template: Any = template
        self.variables: Any = variables
        self.output_path: Any = path_to_str(output_path)
        self.max_credits = validate_credits("max_credits", max_credits)
        self.store = validate_store(store, delete_remote=delete_remote, output_path=output_path)
        self.delete_remote = delete_remote
        self.webhook: Any = webhook
        self.min_remaining_credits = validate_credits("min_remaining_credits", min_remaining_credits)
        self.wait_for_credits = validate_wait_for_credits(wait_for_credits)
        self.wait_for_completion = wait_for_completion
        self.render_timeout = to_seconds("render_timeout", render_timeout)
        self.poll_interval = to_seconds("poll_interval", poll_interval)
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self.end_from_trigger = end_from_trigger
        self.on_clear = validate_choice("on_clear", on_clear, ("reuse", "resubmit"))
        self.on_lost_response = validate_choice("on_lost_response", on_lost_response, ("resubmit", "fail"))
        self.durable = durable
        self.is_history_carried_over = False
        self._attempt: RenderAttempt | None = None
        if (movie is None) == (template is None):
            refuse_arguments(
                self,
                f"Task {self.task_id!r}: a render needs either 'movie' or 'template', got "
                f"{'neither' if movie is None else 'both'}.",
            )
        if output_path is not None and not wait_for_completion:
            raise ConfigurationError(
                f"Task {self.task_id!r}: with wait_for_completion=False there is no video yet to store at output_path.",
                advice="Store it in another task: Json2VideoToObjectStorageOperator.",
            )
        if wait_for_credits is not None and not self.deferrable:
            raise ConfigurationError(
                f"Task {self.task_id!r}: wait_for_credits waits in the triggerer, so it needs deferrable=True.",
                advice="Without the argument, AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE decides.",
            )

    def _begin(self, context: Context) -> RenderAttempt:
        # The one lazy import: a DAG file does not load the module.
        from airflow_json2video.operators._render import RenderAttempt

        self._attempt = RenderAttempt(self, context)
        return self._attempt

    def _fill_fields(self, fields: Fields) -> None:
        self._begin(fields.context).fill_fields(fields)

    def execute(self, context: Context) -> RenderResult:
        """Submit the movie, or reattach to the render of an earlier attempt, and wait for its video."""
        return self._begin(context).start()

    def resume_submission(
        self, context: Context, event: Any = None, state: Mapping[str, Any] | None = None, **_: Any
    ) -> RenderResult:
        """Continue after a wait for the service, for the account's list or for credits."""
        return self._begin(context).resume(event, state)

    def execute_complete(
        self,
        context: Context,
        event: Any = None,
        project: str = "",
        submission_key: str | None = None,
        estimated_credits: int | None = None,
        **_: Any,
    ) -> RenderResult:
        """Return the result after the trigger has fired, or fail with the reason."""
        return self._begin(context).complete(
            event, project=project, submission_key=submission_key, estimated_credits=estimated_credits
        )

    def resume_arguments(self) -> dict[str, Any]:
        """Return the arguments that ``resume_submission`` needs; Airflow fills the template fields again by itself."""
        return {}

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002
        """Return the files that the movie is made of, the video, and its facts, for Airflow's OpenLineage provider."""
        from airflow_json2video.operators._lineage.extractor import lineage_of

        attempt = self._attempt or self._begin({})
        return lineage_of(attempt.document_or_none, attempt.video)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:
        """Return the files that the movie would have been made of."""
        return self.get_openlineage_facets_on_complete(task_instance)

    def on_kill(self) -> None:
        """Log what happens to the render when a kill or a timeout ends the task on the worker."""
        if self._attempt is not None:
            self._attempt.log_still_running()

    def _fail(self, error: Json2VideoError, context: Context) -> NoReturn:
        self._begin(context).fail(error)
