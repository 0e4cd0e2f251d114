"""From an operator's arguments to the document that is submitted: files, XComs, and whose braces are whose.

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

_NOTHING = "Nothing was submitted."


def build_document(
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
        plain: dict[str, Any] = to_plain_json(document)
    except NotJsonError as error:
        raise ConfigurationError(
            f"The document has a value that JSON cannot hold: {error.path!r} is {error.what}; {error.remedy}.",
            advice="Nothing was submitted.",
        ) from None
    return plain


def fill_document(fields: Fields, *, columns: Collection[str] = ()) -> None:
    """Fill ``movie`` and ``variables`` in place: Airflow's expressions only, JSON2Video's are left.

    The author's text is templated first, and data is merged into what comes out of that. So a value of another task, of
    a row or of a stored document never reaches Jinja, whatever it holds.

    :param fields: of an operator that has ``movie``, ``template`` and ``variables``; *template* is filled already.
    :param columns: names that each row gives to the movie; those that have no value in the movie become null.
    :raises ConfigurationError: something was given that is no movie and no variables.
    :raises InvalidMovie: the movie is no JSON, or an expression in it is wrong.
    """
    operator = fields.operator
    movie, source = given_movie(fields)
    variables = fields.given("variables")
    operator.movie, operator.variables = movie.value, variables.value
    if movie.value is None and operator.template is None:
        return  # execute() says so
    written = None if variables.is_data else variables.value
    data = dict(_checked_variables(variables.value)) if variables.is_data else {}
    is_data = movie.is_data and operator.template is None
    if is_data:
        document = build_document(movie=movie.value, template=None, variables=None, from_json_file=source)
        under, data = _mapping(document.get("variables")), data or fill_variables(fields, written)
    else:
        author, under = _without_data(movie.value, fields)
        # The id of a template may be data, so it is not among what is templated.
        template = None if operator.template is None else ""
        document = build_document(movie=author, template=template, variables=written, from_json_file=source)
        declared = None if template is not None else {*columns, *map(str, under), *map(str, data)}
        document = _rendered(document, fields, declared=declared, columns=columns, source=source)
    if columns or under or data:
        own = {} if is_data else _mapping(document.get("variables"))
        document = {**document, "variables": {**dict.fromkeys(columns), **under, **own, **data}}
    if operator.template is None:
        operator.movie = document
    if variables.value:
        operator.variables = {name: document["variables"][name] for name in variables.value}


def fill_variables(fields: Fields, variables: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return variables of the author's, rendered without the movie, as it is data: other names are JSON2Video's."""
    if not variables:
        return {}
    alone = build_document(movie=None, template="", variables=variables)
    return dict(_rendered(alone, fields, declared=None)["variables"])


def given_movie(fields: Fields) -> tuple[Given, str]:
    """Return the movie of an operator, a movie file read, and what to call it in an error. Nothing is templated.

    :raises InvalidMovie: there is no such file, or another task gave the path of one.
    """
    movie = fields.given("movie")
    if not isinstance(movie.value, str) or not movie.value.strip().endswith(".json"):
        return movie, f"the movie of {movie.origin}" if movie.origin else "movie"
    path = movie.value.strip()
    if movie.is_data:
        raise InvalidMovie(
            f"{movie.origin[0].upper()}{movie.origin[1:]} returned the text {path!r} as the movie. It is no Movie "
            "JSON, and a path that another task returns is not opened.",
            advice=f"Return the movie itself, or write the path in the DAG file. {_NOTHING}",
        )
    return Given(_movie_file(path, fields), False), path


def fill_source(fields: Fields) -> None:
    """Fill ``source``, the path of a file to read; a relative one is looked for where movie files are.

    :raises ConfigurationError: no such file.
    """
    fields.fill("source")
    source = fields.operator.source
    if not source or not isinstance(source, str) or "://" in source or source.startswith(("/", "~")):
        return
    found = find_file(source, fields.jinja_env)
    if found is None:
        raise ConfigurationError(
            f"The file {source!r} of 'source' was not found. Searched: {_folders(fields)}.",
            advice="Give a path relative to the DAG file's folder or to the DAG's template_searchpath, a whole path, "
            f"or an address such as s3://bucket/{source.rpartition('/')[2]}. {_NOTHING}",
        )
    fields.operator.source = str(found)


def _movie_file(path: str, fields: Fields) -> str | bytes:
    if found := find_file(path, fields.jinja_env):
        return found.read_bytes()
    loader = fields.jinja_env.loader
    if loader is not None and not searched_folders(fields.jinja_env):  # a loader of the author's own
        with suppress(TemplateNotFound):
            return loader.get_source(fields.jinja_env, path)[0]
    raise InvalidMovie(
        f"The movie file {path!r} was not found. Searched: {_folders(fields)}.",
        advice="Give a path relative to the DAG file's folder or to the DAG's template_searchpath. " + _NOTHING,
    )


def _rendered(document: dict[str, Any], fields: Fields, **options: Any) -> dict[str, Any]:
    names = context_names() | set(fields.context) | set(fields.jinja_env.globals)
    rendered: dict[str, Any] = render_airflow_expressions(
        document, airflow_names=names, render=fields.render, resolve=fields.resolved, **options
    )
    return rendered


def _without_data(movie: Any, fields: Fields) -> tuple[Any, Mapping[str, Any]]:
    """Return the author's movie, and apart from it the variables that another task gives it whole."""
    own = movie.get("variables") if isinstance(movie, Mapping) else None
    given = fields.resolved(own)
    return (movie, {}) if given is own else ({**movie, "variables": {}}, _checked_variables(given))


def _checked_variables(variables: Any) -> Mapping[str, Any]:
    document = build_document(movie={}, template=None, variables=variables)
    return _mapping(document.get("variables"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _folders(fields: Fields) -> str:
    return ", ".join(searched_folders(fields.jinja_env)) or "nowhere, since the task has no DAG"


def add_webhook(document: Mapping[str, Any], webhook: str | Mapping[str, Any]) -> dict[str, Any]:
    """Give a copy of *document* whose exports call *webhook* when the render has ended.

    It is put behind the destinations of the movie's first export, so that it is called after them; a document that
    calls this address already stays as it is.

    :param webhook: the address, or a whole destination: ``{"endpoint": ..., "content-type": ...}``, or the ``id``
        of a connection of the dashboard.
    :raises ConfigurationError: it is no https address, or no destination.
    """
    destination = _webhook_destination(webhook)
    exports = document.get("exports")
    if exports is not None and not isinstance(exports, list):
        raise ConfigurationError("A webhook cannot be added: the movie's 'exports' are no array.", advice=_NOTHING)
    first, *others = exports or [{}]
    if not isinstance(first, Mapping) or not isinstance(first.get("destinations", []), list):
        raise ConfigurationError(
            "A webhook cannot be added: the movie's first export has no array of 'destinations'.", advice=_NOTHING
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
            f"'webhook' must be an https address or a destination object, not {type(webhook).__name__}.",
            advice=_NOTHING,
        )
    if webhook.get("type", "webhook") != "webhook":
        raise ConfigurationError(
            f"'webhook' is a destination of type {webhook['type']!r}.",
            advice=f"Write other destinations into the movie's 'exports'. {_NOTHING}",
        )
    if "id" in webhook:
        return {key: value for key, value in webhook.items() if key != "type"}
    if "endpoint" not in webhook:
        raise ConfigurationError(
            "'webhook' has neither an 'endpoint' nor the 'id' of a dashboard connection.", advice=_NOTHING
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
            f"'webhook' must be an address that begins with https://, and this is {text[:80]!r}.", advice=_NOTHING
        )
    if with_login:
        raise ConfigurationError(
            "'webhook' has a user or a password in its address, which the service would store and list.",
            advice=f"Put an unguessable token into its path instead. {_NOTHING}",
        )
    return text


def _is_same_destination(other: Any, destination: Mapping[str, Any]) -> bool:
    if not isinstance(other, Mapping):
        return False
    key = "id" if "id" in destination else "endpoint"
    return bool(other.get(key) == destination[key])
