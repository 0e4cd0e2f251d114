"""The variables for a stored template, held against the template's own JSON Schema before a render is paid for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from airflow_json2video.movie.expressions import has_expression
from airflow_json2video.movie.findings import Finding, Severity, at, format_path

__all__ = ["check_template_variables"]


def check_template_variables(variables: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Finding]:
    """Say what is wrong with *variables*, errors first.

    A text that holds an expression is what it will be filled with, so its type is not judged; nor is a number or a
    truth value that is written as a text, since the service's own clients send those as texts (n8n node 1.0.0).
    A name that the template does not declare is a warning: a template may use names that it gives no default.

    :param schema: as ``GET /templates?format=jsonschema`` gives it.
    :raises ValueError: it is no JSON Schema, or refers to what is not in it; nothing is fetched.
    """
    # Both come with every Airflow that this package works with.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError, UnknownType
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        Draft202012Validator.check_schema(dict(schema))
        validator = Draft202012Validator(dict(schema), registry=Registry())
        found = [finding for error in validator.iter_errors(dict(variables)) for finding in _findings(error)]
    except (SchemaError, UnknownType, Unresolvable) as error:
        raise ValueError(f"it is no JSON Schema that can be used: {str(error).splitlines()[0]}") from error
    found.sort(key=lambda finding: finding.path)
    return [*dict.fromkeys(found), *_unknown_names(variables, schema)]


def _findings(error: Any) -> Iterator[Finding]:
    path = format_path(["variables", *error.absolute_path])
    if error.validator == "required":
        properties = error.schema.get("properties")
        for name in error.validator_value:
            if name not in error.instance:
                wanted = _described(properties.get(name) if isinstance(properties, Mapping) else None)
                yield _error(at(path, name), f"is required by the template and missing; write {wanted}", "missing")
    elif isinstance(error.instance, str) and (has_expression(error.instance) or _is_meant(error)):
        return
    elif error.validator == "type":
        given = _json_type(error.instance)
        yield _error(path, f"must be {_described(error.schema)}, and is {given}", "wrong-type")
    elif error.validator == "enum":
        allowed = ", ".join(repr(value) for value in error.validator_value)
        yield _error(path, f"is {error.instance!r}; write one of {allowed}", "not-allowed")
    else:
        yield _error(path, f"{error.message} ({error.validator})", "schema")


def _is_meant(error: Any) -> bool:
    """Whether a text is written where its number or truth value is wanted."""
    if error.validator != "type":
        return False
    wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    text = error.instance.strip()
    if "boolean" in wanted and text.lower() in ("true", "false"):
        return True
    if "number" in wanted or "integer" in wanted:
        try:
            return float(text) == float(text)  # a NaN is no number
        except ValueError:
            return False
    return False


def _unknown_names(variables: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Finding]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return
    for name in variables:
        if name in properties:
            continue
        close = get_close_matches(str(name), [str(known) for known in properties], n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it declares {_listed(properties)}"
        message = f"the template does not declare this variable; {hint}"
        yield Finding(Severity.WARNING, at("variables", str(name)), message, "unknown-variable")


def _listed(properties: Mapping[str, Any]) -> str:
    names = [repr(str(name)) for name in list(properties)[:10]]
    return ", ".join(names) + (", ..." if len(properties) > len(names) else "") if names else "none"


def _described(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "a value"
    if isinstance(schema.get("enum"), list):
        return "one of " + ", ".join(repr(value) for value in schema["enum"])
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    words = [_WORDS.get(kind, "a value") for kind in kinds]
    default = (
        f" (the template's own is {schema['default']!r})" if schema.get("default") not in (None, "", [], {}) else ""
    )
    return f"{' or '.join(words)}{default}"


_WORDS = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return repr(value).lower()
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, (int, float)):
        return f"the number {value!r}"
    return "an object" if isinstance(value, Mapping) else "an array"


def _error(path: str, message: str, code: str) -> Finding:
    return Finding(Severity.ERROR, path, message, code)
