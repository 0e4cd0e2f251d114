"""The calls for stored templates, of the account and of the library."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_json2video.api.calls.call import Call, drop_none, require_list, require_object
from airflow_json2video.api.responses import Acknowledged, Template, TemplateSaved, TemplateSummary
from airflow_json2video.api.validation import check_template_id, check_text, describe_type
from airflow_json2video.exceptions import ConfigurationError

__all__ = [
    "create_template",
    "delete_template",
    "duplicate_template",
    "get_template",
    "get_template_variables",
    "list_library",
    "list_templates",
    "update_template",
]

MAX_TEMPLATE_NAME = 100


def list_templates(*, tag: str | None = None, shared: str | None = None) -> Call[list[TemplateSummary]]:
    """List the account's templates, the most recently changed first, without pages.

    :param tag: only templates with this tag, ignoring case. The response is filtered again, since the vendor's client
        does not use the service's filter.
    :param shared: ``tools`` lists the shared library of Make.com instead.
    """

    def parse(response: Mapping[str, Any]) -> list[TemplateSummary]:
        found = [TemplateSummary.model_validate(entry) for entry in require_list(response, "templates")]
        return [t for t in found if tag is None or tag.lower() in {name.lower() for name in t.tags}]

    return Call(
        name="templates.list",
        method="GET",
        path="/templates",
        repeatable=True,
        query=drop_none(
            tag=None if tag is None else check_text(tag, "tag"),
            shared=None if shared is None else check_text(shared, "shared"),
        ),
        parse=parse,
        expects="a list of 'templates'",
    )


def get_template(template: str, *, scopes: Iterable[str] | None = None) -> Call[Template]:
    """Read one template.

    :param scopes: ``movie`` (the default) and ``prompt``.
    """
    return Call(
        name="templates.get",
        method="GET",
        path="/templates",
        repeatable=True,
        query=drop_none(id=check_template_id(template), scopes=None if scopes is None else ",".join(scopes)),
        parse=lambda response: Template.model_validate(require_object(response, "template")),
        expects="a 'template'",
        subject=template,
    )


def get_template_variables(template: str) -> Call[dict[str, Any]]:
    """Read the variables of a template, as a JSON Schema."""

    def parse(response: Mapping[str, Any]) -> dict[str, Any]:
        schema = require_object(response, "template").get("variables", response.get("variables"))
        if isinstance(schema, str):
            schema = json.loads(schema)
        if not isinstance(schema, Mapping):
            raise ValueError("'template' has no object 'variables'")
        return dict(schema)

    return Call(
        name="templates.variables",
        method="GET",
        path="/templates",
        repeatable=True,
        query={"id": check_template_id(template), "format": "jsonschema"},
        parse=parse,
        expects="a 'template' with a JSON Schema in 'variables'",
        subject=template,
    )


def list_library(*, tags: Iterable[str] = ()) -> Call[list[TemplateSummary]]:
    """List the published library, with sizes and previews, without the movies.

    :param tags: *adds* templates with these tags to the published ones; it is not a filter.
    """
    joined = ",".join(check_text(tag, "tags") for tag in tags)
    return Call(
        name="templates.library",
        method="GET",
        path="/templates/library",
        repeatable=True,
        query=drop_none(tags=joined or None),
        parse=lambda response: [TemplateSummary.model_validate(t) for t in require_list(response, "templates")],
        expects="a list of 'templates'",
    )


def _template_body(
    name: str | None,
    movie: Mapping[str, Any] | str | None,
    tags: Iterable[str] | str | None,
    prompt: str | None,
) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if name is not None:
        body["name"] = check_text(name, "name", longest=MAX_TEMPLATE_NAME)
    if movie is not None:
        if not isinstance(movie, (Mapping, str)):
            raise ConfigurationError(f"movie must be an object or JSON text, got {describe_type(movie)}.")
        body["movie"] = movie
    if tags is not None:
        body["tags"] = tags if isinstance(tags, str) else list(tags)
    if prompt is not None:
        body["prompt"] = prompt
    return body


def create_template(
    name: str,
    *,
    movie: Mapping[str, Any] | str,
    tags: Iterable[str] | str | None = None,
    prompt: str | None = None,
) -> Call[TemplateSaved]:
    """Create a template. Requires a key with the role ``editor``. Each request creates another template.

    :param name: at most 100 characters.
    :param movie: an object or JSON text, about 100 KB at most; stored unchanged.
    """
    check_text(name, "name")
    return Call(
        name="templates.create",
        method="POST",
        path="/templates",
        repeatable=False,
        body=_template_body(name, movie, tags, prompt),
        parse=TemplateSaved.model_validate,
        expects="an object with a 'templateId'",
        subject=name,
    )


def update_template(
    template: str,
    *,
    name: str | None = None,
    movie: Mapping[str, Any] | str | None = None,
    tags: Iterable[str] | str | None = None,
    prompt: str | None = None,
) -> Call[TemplateSaved]:
    """Change the given properties of a template; ``movie`` is replaced. Requires the role ``editor``."""
    body = _template_body(name, movie, tags, prompt)
    if not body:
        raise ConfigurationError("Nothing to change: pass name, movie, tags or prompt.")
    return Call(
        name="templates.update",
        method="POST",
        path="/templates",
        repeatable=True,
        query={"id": check_template_id(template)},
        body=body,
        parse=lambda response: TemplateSaved.model_validate({"templateId": template, **response}),
        expects="an object with a 'templateId'",
        subject=template,
    )


def duplicate_template(
    template: str, *, name: str | None = None, variables: Mapping[str, Any] | None = None
) -> Call[TemplateSaved]:
    """Copy a template of the account or the library. Requires the role ``editor``. Each request creates a copy.

    :param name: of the copy; the default is the name of the original with ``(custom)``.
    :param variables: merged into the variables of the copy.
    """
    body = _template_body(name, None, None, None)
    if variables is not None:
        body["variables"] = dict(variables)
    return Call(
        name="templates.duplicate",
        method="POST",
        path="/templates",
        repeatable=False,
        query={"id": check_template_id(template), "action": "duplicate"},
        body=body,
        parse=TemplateSaved.model_validate,
        expects="an object with a 'templateId'",
        subject=template,
    )


def delete_template(template: str) -> Call[Acknowledged]:
    """Delete a template. Renders that use it keep running. Requires the role ``editor``."""
    return Call(
        name="templates.delete",
        method="DELETE",
        path="/templates",
        repeatable=False,
        query={"id": check_template_id(template)},
        parse=Acknowledged.model_validate,
        expects="a confirmation",
        subject=template,
    )
