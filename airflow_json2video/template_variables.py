"""Reading a stored template's JSON Schema, and holding a document's variables against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_json2video.exceptions import Json2VideoError
from airflow_json2video.movie.findings import Severity, invalid_movie
from airflow_json2video.movie.template_variables import check_template_variables

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.task_log import TaskLog

__all__ = ["require_fitting_variables"]


def require_fitting_variables(client: Json2VideoClient, document: Mapping[str, Any], *, log: TaskLog) -> None:
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
        refusal = invalid_movie(findings, source=f"What is given to template {template}")
        refusal.advice = "Nothing was submitted."
        raise refusal
