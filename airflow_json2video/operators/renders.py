"""Operators for the account's list of renders."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_json2video.operators.base import Json2VideoApiOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

__all__ = ["Json2VideoDeleteRenderOperator", "Json2VideoListRendersOperator"]


class Json2VideoListRendersOperator(Json2VideoApiOperator):
    """Lists the account's renders of a time range as a list of dictionaries.

    Renders of another deployment are omitted, since a DAG may store or delete what it lists. Renders that were not
    submitted by Airflow are included. Each has the service's own fields (``project``, ``status``, ``url``,
    ``duration`` and so on) and ``client_data``; the submitted documents are omitted. The order is the service's.

    :param date_start: a datetime with a zone, or ISO 8601 text (templated).
    :param date_end: the same, at most 93 days later; default: the end of today (templated).
    :param statuses: only renders in one of these, such as ``["done"]``.
    :param json2video_conn_id: the connection that holds the API key (templated).
    """

    template_fields: Sequence[str] = ("date_start", "date_end", "json2video_conn_id")

    def __init__(
        self,
        *,
        date_start: datetime | str,
        date_end: datetime | str | None = None,
        statuses: Collection[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.date_start = date_start
        self.date_end = date_end
        self.statuses = statuses

    def _run(self, context: Context) -> list[dict[str, Any]]:  # noqa: ARG002
        from airflow_json2video.core.identity import is_of_another_deployment
        from airflow_json2video.core.result import select_fields, to_json
        from airflow_json2video.deployment import get_deployment

        movies = list(self.hook.client.movies(date_start=self.date_start, date_end=self.date_end))
        ours = get_deployment(self.hook.settings.namespace)
        return [
            {**select_fields(to_json(movie)), "client_data": movie.client_data}
            for movie in movies
            if (self.statuses is None or movie.status in self.statuses)
            and not is_of_another_deployment(movie.client_data, movie.json_text, ours=ours)
        ]


class Json2VideoDeleteRenderOperator(Json2VideoApiOperator):
    """Deletes the file of a render now instead of after seven days. It does not stop a render and refunds nothing.

    It is safe to repeat. A render of another deployment is refused.

    :param project: 16-character project id (templated).
    :param json2video_conn_id: the connection that holds the API key (templated).
    """

    template_fields: Sequence[str] = ("project", "json2video_conn_id")

    def __init__(self, *, project: str | XComArg, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.project: Any = project

    def _run(self, context: Context) -> None:  # noqa: ARG002
        from airflow_json2video.deployment import require_not_of_another_deployment

        require_not_of_another_deployment(self.hook, self.project)
        self.hook.delete_movie(self.project)
        self.log.info("Deleted the file of render %s.", self.project)
