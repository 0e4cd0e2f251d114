"""A template as code: the account's template of a name becomes what a file says, and no second one is made."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_json2video.exceptions import (
    ConfigurationError,
    Json2VideoError,
    ServerError,
    ServiceUnreachable,
    TransportError,
)
from airflow_json2video.movie.findings import Severity, invalid_movie
from airflow_json2video.movie.template_variables import check_template_variables

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.responses import TemplateSummary
    from airflow_json2video.task_log import TaskLog

__all__ = ["SyncedTemplate", "TemplateSync", "check_variables_of_template"]

_PAUSES = (5.0, 10.0, 20.0)
"""Seconds before each reading of the list after a response was lost. How soon a new template shows is unknown."""


@dataclass(frozen=True)
class SyncedTemplate:
    """The template that is as asked for now, and what was done for it."""

    id: str
    change: Literal["created", "updated", "unchanged"]


@dataclass(kw_only=True)
class TemplateSync:
    """Makes the account's template of one name equal to a movie.

    :param name: what the template is known by; the service itself allows several of one name.
    :param movie: the Movie JSON; replaces the stored one as a whole.
    :param tags: replace the stored ones; ``None`` leaves those as they are.
    """

    client: Json2VideoClient
    name: str
    movie: Mapping[str, Any]
    log: TaskLog
    tags: Sequence[str] | None = None
    sleep: Callable[[float], None] = time.sleep

    def run(self) -> SyncedTemplate:
        """Create, update or leave the template.

        :raises ConfigurationError: several templates have this name; nothing was changed.
        :raises Json2VideoError: the service refused, or could not be reached.
        """
        found = self._look()
        if found is not None:
            return self._update(found)
        from airflow_json2video.api import calls

        try:
            made = self.client.execute(calls.create_template(self.name, movie=self.movie, tags=self.tags)).id
        except Json2VideoError as error:
            if not _may_have_been_made(error):
                raise
            return self._after_lost_answer(error)
        return SyncedTemplate(made, "created")

    def _look(self) -> TemplateSummary | None:
        from airflow_json2video.api import calls

        same = [entry for entry in self.client.execute(calls.list_templates()) if entry.name == self.name]
        if len(same) > 1:
            raise ConfigurationError(
                f"{len(same)} templates are named {self.name!r}: {', '.join(entry.id for entry in same)}. "
                "Which of them is meant cannot be told.",
                advice="Rename or delete all but one of them. Nothing was changed.",
            )
        return same[0] if same else None

    def _update(self, entry: TemplateSummary) -> SyncedTemplate:
        from airflow_json2video.api import calls

        stored = self.client.execute(calls.get_template(entry.id))
        movie = None if _as_object(stored.movie) == _as_object(self.movie) else self.movie
        tags = None if self.tags is None or sorted(self.tags) == sorted(stored.tags) else list(self.tags)
        if movie is None and tags is None:
            return SyncedTemplate(entry.id, "unchanged")
        self.client.execute(calls.update_template(entry.id, movie=movie, tags=tags))
        return SyncedTemplate(entry.id, "updated")

    def _after_lost_answer(self, lost: Json2VideoError) -> SyncedTemplate:
        self.log.warning("The template was sent, and the answer is lost (%s). Looking for it by name.", lost.message)
        for pause in _PAUSES:
            self.sleep(pause)
            found = self._look()
            if found is not None:
                return SyncedTemplate(self._update(found).id, "created")
        advice = (
            f"The account's list shows no template {self.name!r}, and none was created a second time. A retry looks "
            "for it by its name before it creates one."
        )
        raise lost.with_context(advice=advice, retryable=True)


def _may_have_been_made(error: Json2VideoError) -> bool:
    if isinstance(error, TransportError):
        return not isinstance(error, ServiceUnreachable)
    return isinstance(error, ServerError)


def _as_object(movie: Any) -> Any:
    """Read a movie as it is stored, an object or its text; the order of keys does not matter."""
    if isinstance(movie, str):
        try:
            return json.loads(movie)
        except ValueError:
            return movie
    # Through JSON, so that a tuple is the array that it is sent as.
    return json.loads(json.dumps(movie)) if movie is not None else None


def check_variables_of_template(client: Json2VideoClient, document: Mapping[str, Any], *, log: TaskLog) -> None:
    """Check the variables of a document that names a stored template. A free call, repeated if that may help.

    A service that does not give the schema, or gives one that cannot be read, is a warning: whether the variables
    fit is then not known, and the render may be right.

    :raises InvalidMovie: variables are missing or of the wrong kind; names each, and what to write instead.
    """
    from airflow_json2video.api import calls

    template, variables = str(document["template"]), document.get("variables")
    try:
        schema = client.execute(calls.get_template_variables(template))
        findings = check_template_variables(variables if isinstance(variables, Mapping) else {}, schema)
    except (Json2VideoError, ValueError) as error:
        log.warning("The variables of template %s were not checked: %s", template, error)
        return
    for finding in findings:
        if finding.severity is Severity.WARNING:
            log.warning("%s", finding)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise invalid_movie(findings, source=f"What is given to template {template}", advice="Nothing was submitted.")
