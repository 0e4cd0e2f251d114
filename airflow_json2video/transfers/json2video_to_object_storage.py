"""The transfer that stores the video of a finished render, wherever it was submitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_json2video.exceptions import Json2VideoError
from airflow_json2video.operators.base import Json2VideoBaseOperator, path_to_str, validate_store

if TYPE_CHECKING:
    import os

    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_json2video.core.result import RenderResult

__all__ = ["Json2VideoToObjectStorageOperator"]


class Json2VideoToObjectStorageOperator(Json2VideoBaseOperator):
    """Stores the video of a finished render at a path, complete or not at all. It is free and safe to repeat.

    The result is that of the render task (:class:`~airflow_json2video.core.result.RenderResult`), with
    ``stored_path`` and its related keys.

    **The arguments you need**

    :param project: 16-character project id of the render, or the result of a render task (templated).
    :param output_path: see :class:`~airflow_json2video.operators.render.Json2VideoRenderOperator` (templated).
    :param json2video_conn_id: the connection of the account that submitted the render (templated).

    **The rest**

    :param store: which files to store: ``"video"``, and also ``"subtitles"`` (ASS) and ``"thumbnail"``, next to the
        video.
    :param delete_remote: delete JSON2Video's copy after the stored file has been verified.
    """

    template_fields: Sequence[str] = ("project", "output_path", "json2video_conn_id")

    def __init__(
        self,
        *,
        project: str | Mapping[str, Any] | XComArg,
        output_path: str | os.PathLike[str] | XComArg,
        json2video_conn_id: str = "json2video_default",
        store: Sequence[Literal["video", "subtitles", "thumbnail"]] = ("video",),
        delete_remote: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(json2video_conn_id=json2video_conn_id, **kwargs)
        self.project: Any = project
        self.output_path: Any = path_to_str(output_path)
        self.store = validate_store(store, delete_remote=delete_remote, output_path=output_path)
        self.delete_remote = delete_remote

    def execute(self, context: Context) -> RenderResult:
        """Read the status of the render, and store its video."""
        from airflow_json2video.operators._storage import store_finished_render

        try:
            return store_finished_render(
                self.project,
                output_path=self.output_path,
                files=self.store,
                delete_remote=self.delete_remote,
                hook=self.hook,
                log=self.log,
            )
        except Json2VideoError as error:
            self._fail(error, context)
