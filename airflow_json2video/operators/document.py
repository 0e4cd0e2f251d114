"""From an operator's arguments to the document that is submitted: files, XComs, and whose braces are whose.

Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from airflow_json2video.exceptions import ConfigurationError, InvalidMovie
from airflow_json2video.json_values import NotJson, plain_json
from airflow_json2video.movie.expressions import render_airflow_expressions
from airflow_json2video.movie.loading import load_document
from airflow_json2video.version_compat import context_names

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context

__all__ = ["document_of", "no_file", "plain_document", "render_document_fields", "resolved_movie"]


def document_of(
    *, movie: Any, template: str | None, variables: Mapping[str, Any] | None, from_json_file: str = "movie"
) -> dict[str, Any]:
    """Put the arguments of a render task together as one document.

    :param movie: Movie JSON as a mapping, as text, or a ``Movie``.
    :param template: id of a stored template, instead of *movie*.
    :param variables: laid over the movie's own variables, or handed to the template.
    :raises InvalidMovie: the text is not a JSON object.
    :raises ConfigurationError: both or neither of movie and template, or a wrong type.
    """
    if (movie is None) == (template is None):
        raise ConfigurationError(
            f"A render needs either 'movie' or 'template', and got {'neither' if movie is None else 'both'}.",
            advice="Nothing was submitted.",
        )
    if variables is not None and not isinstance(variables, Mapping):
        raise ConfigurationError(
            f"'variables' must be an object of names and values, not {type(variables).__name__}.",
            advice="Nothing was submitted.",
        )
    if template is not None:
        document: dict[str, Any] = {"template": template}
    elif hasattr(movie, "to_document"):
        document = movie.to_document()
    elif isinstance(movie, (str, bytes)):
        document = load_document(movie, source=from_json_file)
    elif isinstance(movie, Mapping):
        document = dict(movie)
    else:
        raise InvalidMovie(
            f"'movie' must be a Movie JSON object, its text, or a path that ends in .json, not {type(movie).__name__}."
        )
    if variables:
        own = document.get("variables")
        document["variables"] = {**(own if isinstance(own, Mapping) else {}), **variables}
    return document


def plain_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document as plain JSON, once all of its expressions are filled.

    :raises ConfigurationError: a value in it has no place in JSON.
    """
    try:
        plain: dict[str, Any] = plain_json(document)
    except NotJson as error:
        raise ConfigurationError(
            f"The document has a value that JSON cannot hold: {error.path!r} is {error.what}; {error.remedy}.",
            advice="Nothing was submitted.",
        ) from None
    return plain


def render_document_fields(
    operator: Any,
    context: Context,
    jinja_env: jinja2.Environment,
    seen_oids: Collection[int],
    *,
    declared: Collection[str] = (),
) -> None:
    """Render ``movie`` and ``variables`` in place: Airflow's expressions only, JSON2Video's are kept.

    What comes out of an XCom is data and not a template, as everywhere in Airflow.

    :param operator: has ``movie``, ``template`` and ``variables``.
    :param declared: names that the movie will be given; its variables that have no value yet become null.
    """
    movie, movie_is_data, source = resolved_movie(operator.movie, context, jinja_env, seen_oids)
    variables, variables_are_data = _resolved(operator.variables, context, seen_oids)
    operator.movie, operator.variables = movie, variables
    if movie is None and operator.template is None:
        return  # execute() says so
    document = document_of(movie=movie, template=operator.template, variables=variables, from_json_file=source)
    if declared:
        own = document.get("variables")
        document["variables"] = {**dict.fromkeys(declared), **(own if isinstance(own, Mapping) else {})}
    names = context_names() | set(context) | set(jinja_env.globals)

    def render(text: str) -> Any:
        return operator.render_template(no_file(text), context, jinja_env)

    rendered: dict[str, Any] = document
    if not movie_is_data:
        rendered = render_airflow_expressions(document, airflow_names=names, render=render)
    elif variables and not variables_are_data:
        alone = {"template": "", "variables": dict(variables)}
        values = render_airflow_expressions(alone, airflow_names=names, render=render)["variables"]
        rendered = {**document, "variables": {**document["variables"], **values}}
    if variables_are_data and variables:
        rendered = {**rendered, "variables": {**rendered["variables"], **variables}}
    rendered = _resolve_leaves(rendered, context)
    if operator.template is None:
        operator.movie = rendered
    if variables:
        operator.variables = {name: rendered["variables"][name] for name in variables}


def no_file(text: str) -> str:
    """Give a template that Airflow does not take for a template file, however it ends. It renders to the same."""
    return text + "{# #}" if text.endswith(".json") else text


def resolved_movie(
    movie: Any, context: Context, jinja_env: jinja2.Environment, seen_oids: Collection[int]
) -> tuple[Any, bool, str]:
    """Give a movie with its XCom or its file read, whether it came out of an XCom, and what to call it."""
    movie, is_data = _resolved(movie, context, seen_oids)
    source = "movie"
    if isinstance(movie, str) and movie.strip().endswith(".json"):
        source = movie.strip()
        movie = _read_file(source, jinja_env)
    return movie, is_data, source


def _resolved(value: Any, context: Context, seen_oids: Collection[int]) -> tuple[Any, bool]:
    """Give a field's value, and whether it came out of an XCom."""
    if id(value) in seen_oids:
        return value, True
    resolve = None if isinstance(value, os.PathLike) else getattr(value, "resolve", None)
    if callable(resolve):
        return resolve(context), True
    return value, False


def _resolve_leaves(value: Any, context: Context) -> Any:
    if isinstance(value, dict):
        return {k: _resolve_leaves(v, context) for k, v in value.items()}
    if isinstance(value, list):
        return [_resolve_leaves(v, context) for v in value]
    resolve = getattr(value, "resolve", None)
    return resolve(context) if callable(resolve) and not isinstance(value, os.PathLike) else value


def _read_file(path: str, jinja_env: jinja2.Environment) -> str:
    import jinja2

    try:
        if jinja_env.loader is None:
            raise jinja2.TemplateNotFound(path)
        return jinja_env.loader.get_source(jinja_env, path)[0]
    except jinja2.TemplateNotFound:
        searched = ", ".join(getattr(jinja_env.loader, "searchpath", [])) or "nowhere"
        raise InvalidMovie(
            f"The movie file {path!r} was not found. Looked in: {searched}.",
            advice="Give a path relative to the DAG file's folder or to the DAG's template_searchpath. "
            "Nothing was submitted.",
        ) from None
