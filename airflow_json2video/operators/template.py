"""The operator that creates or updates a stored template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.operators.base import Json2VideoApiOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_json2video.movie import Movie
    from airflow_json2video.operators._templating import Fields

__all__ = ["Json2VideoSyncTemplateOperator"]


class Json2VideoSyncTemplateOperator(Json2VideoApiOperator):
    """Creates a template, or updates it if it differs, and returns its id as the task's result.

    The template is identified by its name. If the account's template of that name is the same, nothing is sent. The
    API key needs the role ``editor``.

    **Braces.** The movie is stored as written: every ``{{ name }}`` in it belongs to JSON2Video,
    which fills it when the template is rendered. Airflow's own expressions work in *name* and *tags*.

    :param name: at most 100 characters (templated).
    :param movie: Movie JSON as a dictionary, as text, as a :class:`~airflow_json2video.movie.Movie`, as the result of
        another task, or as a path that ends in ``.json``, found like any template file.
    :param tags: replace the stored tags; without them the stored tags stay (templated).
    :param json2video_conn_id: the connection that holds the API key (templated).
    """

    template_fields: Sequence[str] = ("name", "movie", "tags", "json2video_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"movie": "json"}

    def __init__(
        self,
        *,
        name: str,
        movie: Movie | Mapping[str, Any] | str | XComArg,
        tags: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name: Any = name
        to_document = getattr(movie, "to_document", None)
        self.movie: Any = movie if to_document is None else to_document()
        self.tags: Any = tags
        self._source = "The movie"

    def _fill_fields(self, fields: Fields) -> None:
        from airflow_json2video.operators._document import given_movie

        fields.fill(*(name for name in fields.names if name != "movie"))
        given, self._source = given_movie(fields)
        self.movie = given.value

    def _run(self, context: Context) -> str:  # noqa: ARG002
        from airflow_json2video.movie.checks import require_valid
        from airflow_json2video.operators._document import build_document
        from airflow_json2video.templates import TemplateSync

        if self.movie is None:
            raise ConfigurationError("The template's movie is None: the task that should return it returned nothing.")
        document = build_document(movie=self.movie, template=None, variables=None, from_json_file=self._source)
        for finding in require_valid(document, source=self._source):
            self.log.warning("%s: %s", finding.path or "movie", finding.message)
        tags = [tag.strip() for tag in self.tags.split(",")] if isinstance(self.tags, str) else self.tags
        sync = TemplateSync(client=self.hook.client, name=self.name, movie=document, tags=tags, log=self.log)
        synced = sync.run()
        self.log.info("Template %r (%s): %s.", self.name, synced.id, synced.change)
        return synced.id
