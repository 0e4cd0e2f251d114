"""Templates as code: make the account's template of a name equal to a movie, without creating a second one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_json2video.api import calls
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

__all__ = ["SyncedTemplate", "TemplateSync", "check_stored_template_variables"]

_LOOKUP_DELAYS = (5.0, 10.0, 20.0)
"""Seconds before each read of the list after a lost response. How soon a new template is listed is unknown."""


@dataclass(frozen=True)
class SyncedTemplate:
    """The id of the template, and what was changed."""

    id: str
    change: Literal["created", "updated", "unchanged"]


@dataclass(kw_only=True)
class TemplateSync:
    """Makes the account's template of one name equal to a movie.

    :param name: identifies the template; the service itself allows several with the same name.
    :param movie: the Movie JSON; replaces the stored one as a whole.
    :param tags: replace the stored ones; ``None`` does not change them.
    """

    client: Json2VideoClient
    name: str
    movie: Mapping[str, Any]
    log: TaskLog
    tags: Sequence[str] | None = None
    sleep: Callable[[float], None] = time.sleep

    def run(self) -> SyncedTemplate:
        """Create or update the template, unless it is unchanged.

        :raises ConfigurationError: several templates have this name; nothing was changed.
        :raises Json2VideoError: the service refused, or could not be reached.
        """
        found = self._find()
        if found is not None:
            return self._update(found)
        try:
            created = self.client.execute(calls.create_template(self.name, movie=self.movie, tags=self.tags)).id
        except Json2VideoError as error:
            if not _may_have_been_created(error):
                raise
            return self._find_after_lost_response(error)
        return SyncedTemplate(created, "created")

    def _find(self) -> TemplateSummary | None:
        same = [entry for entry in self.client.execute(calls.list_templates()) if entry.name == self.name]
        if len(same) > 1:
            raise ConfigurationError(
                f"{len(same)} templates are named {self.name!r}: {', '.join(entry.id for entry in same)}. "
                "It is unknown which of them is meant.",
                advice="Rename or delete all but one of them. Nothing was changed.",
            )
        return same[0] if same else None

    def _update(self, entry: TemplateSummary) -> SyncedTemplate:
        stored = self.client.execute(calls.get_template(entry.id))
        movie = None if _as_object(stored.movie) == _as_object(self.movie) else self.movie
        tags = None if self.tags is None or sorted(self.tags) == sorted(stored.tags) else list(self.tags)
        if movie is None and tags is None:
            return SyncedTemplate(entry.id, "unchanged")
        self.client.execute(calls.update_template(entry.id, movie=movie, tags=tags))
        return SyncedTemplate(entry.id, "updated")

    def _find_after_lost_response(self, lost: Json2VideoError) -> SyncedTemplate:
        self.log.warning("The template was sent, but the response was lost (%s). Searching by name.", lost.message)
        for delay in _LOOKUP_DELAYS:
            self.sleep(delay)
            found = self._find()
            if found is not None:
                return SyncedTemplate(self._update(found).id, "created")
        advice = (
            f"The account's list does not show template {self.name!r}, and it was not created a second time. A retry "
            "searches for it by name before it creates one."
        )
        raise lost.with_context(advice=advice, retryable=True)


def _may_have_been_created(error: Json2VideoError) -> bool:
    if isinstance(error, TransportError):
        return not isinstance(error, ServiceUnreachable)
    return isinstance(error, ServerError)


def _as_object(movie: Any) -> Any:
    """Return a movie as an object, whether it is stored as an object or as text; the order of keys does not matter."""
    if isinstance(movie, str):
        try:
            return json.loads(movie)
        except ValueError:
            return movie
    # Through JSON, so that a tuple becomes the array that is sent.
    return json.loads(json.dumps(movie)) if movie is not None else None


def check_stored_template_variables(client: Json2VideoClient, document: Mapping[str, Any], *, log: TaskLog) -> None:
    """Check the variables of a document that names a stored template. A free call, repeated if that may help.

    If the service does not return a schema that can be read, this only logs a warning: it is then unknown whether the
    variables are valid, and the render may succeed.

    :raises InvalidMovie: variables are missing or have the wrong type; the message names each, and what to write.
    """
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
        raise invalid_movie(findings, source=f"The input of template {template}", advice="Nothing was submitted.")
