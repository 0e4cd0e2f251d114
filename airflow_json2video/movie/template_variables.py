"""Validate the variables for a stored template against the template's JSON Schema, before a render is billed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from airflow_json2video.movie.expressions import has_expression
from airflow_json2video.movie.findings import Finding, Severity, at, format_path

__all__ = ["check_template_variables"]


def check_template_variables(variables: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Finding]:
    """Return the findings about *variables*, errors first.

    The type of a string with an expression is not checked, since its value is unknown. A number or a boolean may be
    written as a string, since the service's own clients send strings (n8n node 1.0.0). A name that the template does
    not declare is a warning, since a template may use names without a default.

    :param schema: the JSON Schema that ``GET /templates?format=jsonschema`` returns.
    :raises ValueError: it is not a JSON Schema, or has a reference that is not in it; nothing is downloaded.
    """
    # Both are dependencies of every supported Airflow.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError, UnknownType
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        Draft202012Validator.check_schema(dict(schema))
        validator = Draft202012Validator(dict(schema), registry=Registry())
        found = [finding for error in validator.iter_errors(dict(variables)) for finding in _findings(error)]
    except (SchemaError, UnknownType, Unresolvable) as error:
        raise ValueError(f"it is not a usable JSON Schema: {str(error).splitlines()[0]}") from error
    found.sort(key=lambda finding: finding.path)
    return [*dict.fromkeys(found), *_unknown_names(variables, schema)]


def _findings(error: Any) -> Iterator[Finding]:
    path = format_path(["variables", *error.absolute_path])
    if error.validator == "required":
        properties = error.schema.get("properties")
        for name in error.validator_value:
            if name not in error.instance:
                expected = _described(properties.get(name) if isinstance(properties, Mapping) else None)
                yield _error(at(path, name), f"is required by the template; write {expected}", "missing")
    elif isinstance(error.instance, str) and (has_expression(error.instance) or _is_text_form(error)):
        return
    elif error.validator == "type":
        given = _json_type(error.instance)
        yield _error(path, f"must be {_described(error.schema)}, got {given}", "wrong-type")
    elif error.validator == "enum":
        allowed = ", ".join(repr(value) for value in error.validator_value)
        yield _error(path, f"is {error.instance!r}; write one of {allowed}", "not-allowed")
    else:
        yield _error(path, f"{error.message} ({error.validator})", "schema")


def _is_text_form(error: Any) -> bool:
    """Return whether a string is written for the number or boolean that it represents."""
    if error.validator != "type":
        return False
    expected = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    text = error.instance.strip()
    if "boolean" in expected and text.lower() in ("true", "false"):
        return True
    if "number" in expected or "integer" in expected:
        try:
            return float(text) == float(text)  # NaN is not a number
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
    default = f" (default: {schema['default']!r})" if schema.get("default") not in (None, "", [], {}) else ""
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
