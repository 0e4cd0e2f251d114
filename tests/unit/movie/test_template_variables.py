"""The validation of variables for a stored template."""

from __future__ import annotations

import pytest

from airflow_json2video.movie.findings import Severity
from airflow_json2video.movie.template_variables import check_template_variables

SCHEMA = {
    "type": "object",
    "required": ["headline", "rooms"],
    "properties": {
        "headline": {"type": "string"},
        "style": {"enum": ["plain", "loud"]},
        "seconds": {"type": "number", "minimum": 1},
        "rooms": {"type": "array", "items": {"type": "object", "required": ["name"]}},
        "loud": {"type": ["boolean", "null"]},
    },
}
GOOD = {"headline": "Sale", "rooms": [{"name": "Loft"}]}


def said(variables, schema=SCHEMA):
    return [str(finding) for finding in check_template_variables(variables, schema)]


def test_valid_variables_have_no_findings():
    assert said({**GOOD, "style": "loud", "seconds": 2.5, "loud": None}) == []


def test_every_missing_variable_is_named_once_with_advice():
    assert said({}) == [
        "variables.headline: is required by the template; write a text",
        "variables.rooms: is required by the template; write an array",
    ]


def test_the_finding_of_a_disallowed_value_lists_the_allowed_ones():
    assert said({**GOOD, "style": "bold"}) == ["variables.style: is 'bold'; write one of 'plain', 'loud'"]


def test_a_finding_inside_a_variable_has_its_full_path():
    assert said({**GOOD, "rooms": [{"name": "a"}, {}]}) == [
        "variables.rooms[1].name: is required by the template; write a value"
    ]


def test_other_violations_have_the_message_of_the_validator():
    assert said({**GOOD, "seconds": 0}) == ["variables.seconds: 0 is less than the minimum of 1 (minimum)"]


@pytest.mark.parametrize("value", ["5", "2.5", " 3 ", "{{ length }}", "{{ a }} s"])
def test_a_number_may_be_a_string_and_an_expression_is_not_checked(value):
    assert said({**GOOD, "seconds": value}) == []


@pytest.mark.parametrize("value", ["five", "nan", ""])
def test_another_string_for_a_number_is_an_error(value):
    assert said({**GOOD, "seconds": value}) == [f"variables.seconds: must be a number, got the text {value!r}"]


def test_a_boolean_may_be_a_string():
    assert said({**GOOD, "loud": "True"}) == []
    assert said({**GOOD, "loud": "very"}) == ["variables.loud: must be true or false or null, got the text 'very'"]


def test_an_undeclared_name_is_a_warning_and_comes_last():
    findings = check_template_variables({"headlines": "x", "zzz": 1, "rooms": []}, SCHEMA)
    assert [finding.severity for finding in findings] == [Severity.ERROR, Severity.WARNING, Severity.WARNING]
    assert "did you mean 'headline'?" in findings[1].message
    assert "it declares 'headline', 'style', 'seconds', 'rooms', 'loud'" in findings[2].message


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"properties": [1]},
        {"properties": {"headline": {"required": True}}},
        {"$ref": "#/nowhere"},
    ],
    ids=["an unknown type", "no properties", "an old draft", "a loose end"],
)
def test_an_unusable_schema_is_a_value_error(schema):
    with pytest.raises(ValueError, match="it is not a usable JSON Schema"):
        check_template_variables(GOOD, schema)


def test_references_of_a_schema_are_not_downloaded():
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:
        called = threading.Event()

        def wait():
            server.settimeout(0.5)
            try:
                server.accept()
                called.set()
            except TimeoutError:
                pass

        thread = threading.Thread(target=wait)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        with pytest.raises(ValueError, match="it is not a usable JSON Schema"):
            check_template_variables(GOOD, {"$ref": address})
        thread.join()
    assert not called.is_set()
