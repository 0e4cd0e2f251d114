"""From an operator's arguments to the submitted document: files, XComs, and Airflow's and JSON2Video's braces.

Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from jinja2 import TemplateNotFound

from airflow_json2video.api.config import is_loopback
from airflow_json2video.exceptions import ConfigurationError, InvalidMovie
from airflow_json2video.json_values import NotJsonError, to_plain_json
from airflow_json2video.movie.documents import load_document
from airflow_json2video.movie.expressions import render_airflow_expressions
from airflow_json2video.operators._templating import Fields, Given, find_file, searched_folders
from airflow_json2video.version_compat import context_names

__all__ = ["build_document", "fill_document", "fill_source", "given_movie", "plain_document"]

_NOT_SUBMITTED = "Nothing was submitted."


def build_document(
    *, movie: Any, template: str | None, variables: Mapping[str, Any] | None, from_json_file: str = "movie"
) -> dict[str, Any]:
    """Build the document that the arguments of a render task describe.

    :param movie: Movie JSON as a mapping, as text, or a ``Movie``.
    :param template: id of a stored template, instead of *movie*.
    :param variables: added to the movie's own variables, or passed to the template.
    :raises InvalidMovie: the text is not a JSON object.
    :raises ConfigurationError: both or neither of movie and template are set, or a type is wrong.
    """
    if (movie is None) == (template is None):
        raise ConfigurationError(
            f"A render needs either 'movie' or 'template', got {'neither' if movie is None else 'both'}.",
            advice=_NOT_SUBMITTED,
        )
    if variables is not None and not isinstance(variables, Mapping):
        raise ConfigurationError(
            f"'variables' must be an object of names and values, got {type(variables).__name__}.",
            advice=_NOT_SUBMITTED,
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
            f"'movie' must be a Movie JSON object, its text, or a path that ends in .json, got {type(movie).__name__}."
        )
    if variables:
        own = document.get("variables")
        document["variables"] = {**(own if isinstance(own, Mapping) else {}), **variables}
    return document


def plain_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document as plain JSON, after Airflow's expressions in it were rendered.

    :raises ConfigurationError: JSON does not allow a value in it.
    """
    try:
        plain: dict[str, Any] = to_plain_json(document)
    except NotJsonError as error:
        raise ConfigurationError(
            f"The document has a value that JSON cannot hold: {error.path!r} is {error.what}; {error.remedy}.",
            advice=_NOT_SUBMITTED,
        ) from None
    return plain


def fill_document(fields: Fields, *, columns: Collection[str] = ()) -> None:
    """Render Airflow's expressions in ``movie`` and ``variables`` in place; JSON2Video's expressions stay.

    The author's text is rendered first, and data is merged into the result. So a value of another task, of a row or of
    a stored document never reaches Jinja.

    :param fields: of an operator that has ``movie``, ``template`` and ``variables``; *template* is rendered already.
    :param columns: names of the rows' variables; a name without a value in the movie becomes null.
    :raises ConfigurationError: an argument is not a movie or not variables.
    :raises InvalidMovie: the movie is not JSON, or an expression in it is wrong.
    """
    movie, source = given_movie(fields)
    stored = fields.value("template")
    variables = fields.given("variables")
    fields.set("movie", movie.value)
    fields.set("variables", variables.value)
    if movie.value is None and stored is None:
        return  # execute() reports it
    written = None if variables.is_data else variables.value
    data = dict(_checked_variables(variables.value)) if variables.is_data else {}
    is_data = movie.is_data and stored is None
    if is_data:
        document = build_document(movie=movie.value, template=None, variables=None, from_json_file=source)
        under, data = _mapping(document.get("variables")), data or fill_variables(fields, written)
    else:
        author, under = _without_data(movie.value, fields)
        # The id of a template may be data, so it is not rendered here.
        template = None if stored is None else ""
        document = build_document(movie=author, template=template, variables=written, from_json_file=source)
        declared = None if template is not None else {*columns, *map(str, under), *map(str, data)}
        document = _rendered(document, fields, declared=declared, columns=columns, source=source)
    if columns or under or data:
        own = {} if is_data else _mapping(document.get("variables"))
        document = {**document, "variables": {**dict.fromkeys(columns), **under, **own, **data}}
    if stored is None:
        fields.set("movie", document)
    if variables.value:
        fields.set("variables", {name: document["variables"][name] for name in variables.value})


def fill_variables(fields: Fields, variables: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the author's variables, rendered without the movie, which is data: other names are JSON2Video's."""
    if not variables:
        return {}
    alone = build_document(movie=None, template="", variables=variables)
    return dict(_rendered(alone, fields, declared=None)["variables"])


def given_movie(fields: Fields) -> tuple[Given, str]:
    """Return an operator's movie, read from its file if it is a path, and its name for errors. Nothing is rendered.

    :raises InvalidMovie: the file does not exist, or another task returned its path.
    """
    movie = fields.given("movie")
    if not isinstance(movie.value, str) or not movie.value.strip().endswith(".json"):
        return movie, f"the movie of {movie.origin}" if movie.origin else "movie"
    path = movie.value.strip()
    if movie.is_data:
        raise InvalidMovie(
            f"{movie.origin[0].upper()}{movie.origin[1:]} returned the text {path!r} as the movie. It is not "
            "Movie JSON, and a path that another task returns is not opened.",
            advice=f"Return the movie itself, or set the path in the DAG file. {_NOT_SUBMITTED}",
        )
    return Given(_movie_file(path, fields), False), path


def fill_source(fields: Fields) -> None:
    """Render ``source``, the path of a file to read; a relative path is resolved like that of a movie file.

    :raises ConfigurationError: the file does not exist.
    """
    fields.fill("source")
    source = fields.value("source")
    if not source or not isinstance(source, str) or "://" in source or source.startswith(("/", "~")):
        return
    found = find_file(source, fields.jinja_env)
    if found is None:
        raise ConfigurationError(
            f"The file {source!r} of 'source' was not found. Searched: {_folders(fields)}.",
            advice="Use a path relative to the DAG file's folder or to the DAG's template_searchpath, an absolute "
            f"path, or one such as s3://bucket/{source.rpartition('/')[2]}. {_NOT_SUBMITTED}",
        )
    fields.set("source", str(found))


def _movie_file(path: str, fields: Fields) -> str | bytes:
    if found := find_file(path, fields.jinja_env):
        return found.read_bytes()
    loader = fields.jinja_env.loader
    if loader is not None and not searched_folders(fields.jinja_env):  # a custom loader
        with suppress(TemplateNotFound):
            return loader.get_source(fields.jinja_env, path)[0]
    raise InvalidMovie(
        f"The movie file {path!r} was not found. Searched: {_folders(fields)}.",
        advice="Use a path relative to the DAG file's folder or to the DAG's template_searchpath. " + _NOT_SUBMITTED,
    )


def _rendered(document: dict[str, Any], fields: Fields, **options: Any) -> dict[str, Any]:
    names = context_names() | set(fields.context) | set(fields.jinja_env.globals)
    rendered: dict[str, Any] = render_airflow_expressions(
        document, airflow_names=names, render=fields.render, resolve=fields.resolved, **options
    )
    return rendered


def _without_data(movie: Any, fields: Fields) -> tuple[Any, Mapping[str, Any]]:
    """Return the author's movie, and separately its variables if another task returns all of them."""
    own = movie.get("variables") if isinstance(movie, Mapping) else None
    given = fields.resolved(own)
    return (movie, {}) if given is own else ({**movie, "variables": {}}, _checked_variables(given))


def _checked_variables(variables: Any) -> Mapping[str, Any]:
    document = build_document(movie={}, template=None, variables=variables)
    return _mapping(document.get("variables"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _folders(fields: Fields) -> str:
    return ", ".join(searched_folders(fields.jinja_env)) or "no folder, since the task is not in a DAG"


def add_webhook(document: Mapping[str, Any], webhook: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of *document* whose exports call *webhook* when the render has ended.

    It is added after the destinations of the movie's first export, so that it is called after them. A document that
    already calls this URL stays unchanged.

    :param webhook: the URL, or a whole destination: ``{"endpoint": ..., "content-type": ...}``, or the ``id``
        of a connection of the dashboard.
    :raises ConfigurationError: the webhook is not an https URL and not a destination.
    """
    destination = _webhook_destination(webhook)
    exports = document.get("exports")
    if exports is not None and not isinstance(exports, list):
        raise ConfigurationError(
            "The webhook cannot be added: the movie's 'exports' must be an array.", advice=_NOT_SUBMITTED
        )
    first, *others = exports or [{}]
    if not isinstance(first, Mapping) or not isinstance(first.get("destinations", []), list):
        raise ConfigurationError(
            "'destinations' of the movie's first export must be an array to add a webhook.",
            advice=_NOT_SUBMITTED,
        )
    before = list(first.get("destinations", []))
    if any(_is_same_destination(other, destination) for other in before):
        return dict(document)
    return {**document, "exports": [{**first, "destinations": [*before, destination]}, *others]}


def _webhook_destination(webhook: Any) -> dict[str, Any]:
    if isinstance(webhook, str):
        return {"type": "webhook", "endpoint": _webhook_address(webhook)}
    if not isinstance(webhook, Mapping):
        raise ConfigurationError(
            f"'webhook' must be an https URL or a destination object, got {type(webhook).__name__}.",
            advice=_NOT_SUBMITTED,
        )
    if webhook.get("type", "webhook") != "webhook":
        raise ConfigurationError(
            f"'webhook' must be a destination of type 'webhook', got {webhook['type']!r}.",
            advice=f"Add other destinations to the movie's 'exports'. {_NOT_SUBMITTED}",
        )
    if "id" in webhook:
        return {key: value for key, value in webhook.items() if key != "type"}
    if "endpoint" not in webhook:
        raise ConfigurationError(
            "'webhook' needs an 'endpoint', or the 'id' of a dashboard connection.", advice=_NOT_SUBMITTED
        )
    return {"type": "webhook", **webhook, "endpoint": _webhook_address(webhook["endpoint"])}


def _webhook_address(address: Any) -> str:
    text = address.strip() if isinstance(address, str) else ""
    try:
        parts = urlsplit(text)
        host = parts.hostname
        local = is_loopback(host)
        with_login = bool(parts.username or parts.password)
    except ValueError:
        host, local, with_login, parts = None, False, False, urlsplit("")
    if not host or parts.scheme not in ("https", "http") or (parts.scheme == "http" and not local):
        raise ConfigurationError(
            f"'webhook' must be a URL that begins with https://, got {text[:80]!r}.", advice=_NOT_SUBMITTED
        )
    if with_login:
        raise ConfigurationError(
            "'webhook' has a user or a password in its URL, which the service would store and list.",
            advice=f"Use an unguessable token in its path instead. {_NOT_SUBMITTED}",
        )
    return text


def _is_same_destination(other: Any, destination: Mapping[str, Any]) -> bool:
    if not isinstance(other, Mapping):
        return False
    key = "id" if "id" in destination else "endpoint"
    return bool(other.get(key) == destination[key])
