"""The value of an expression, if it is certain."""

import pytest

from airflow_json2video.movie.evaluator import UnknownValue, evaluate, is_true, resolve

VARIABLES = {
    "a": 4,
    "b": 2.5,
    "name": "Bee",
    "yes": True,
    "room": {"size": {"w": 3}},
    "late": "{{ x }}",
    "none_": None,
    "late_room": {"title": "{{ x }}"},
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("-a + 10 / 4", -1.5),
        ("a - 1 - 1", 2),
        ("min(a, 3)", 3),
        ("ceil(max(b, 1) + min(1, a))", 4),
        ("a >= 4 ? 'big' : 'small'", "big"),
        ("a < 1 ? 1 : b > 9 ? 2 : 3", 3),
        ("yes == true and a > 0", True),
        ("a == 5 or name == 'Bee'", True),
        ("room.size.w * 2", 6),
        ("'a' + name", "aBee"),
        ("null", None),
    ],
)
def test_documented_expressions_have_a_value(expression, value):
    assert evaluate(expression, VARIABLES) == value


@pytest.mark.parametrize(
    "expression",
    ["nobody", "room.height", "room.size.w.x", "fancy(1)", "a / 0", "a +", "a b", "ds | upper", "name * 2", "late",
     "late_room.title", "a % 2", "not yes", "!yes", "+a", "room['size']", "'false' ? 1 : 2", "1 / 0 ? 1 : 2",
     "(" * 200 + "a" + ")" * 200, "*".join(["999999999"] * 900), "a" * 20_000,
     "a == '4'", "'it''s'", "", "min()", "(a", "min(1 2)", "a ? b", "yes + 1", "'a\\n'"],
)  # fmt: skip
def test_an_uncertain_value_is_unknown(expression):
    with pytest.raises(UnknownValue):
        evaluate(expression, VARIABLES)


def test_a_string_that_is_one_expression_becomes_its_value():
    assert resolve("{{ a }}", VARIABLES) == 4
    assert resolve("{{-a}}", VARIABLES) == -4
    assert resolve("{{a}} x {{ yes }}", VARIABLES) == "4 x true"
    assert resolve("plain", VARIABLES) == "plain"
    assert resolve(5, VARIABLES) == 5
    for text in ("{% if a %}1{% endif %}", "{{ a }}{% if a %}1{% endif %}", "{# c #}{{ a }}", "x{{ room }}"):
        with pytest.raises(UnknownValue):
            resolve(text, VARIABLES)


def test_an_empty_condition_is_false_and_a_text_that_says_false_is_unknown():
    assert [is_true(value) for value in ("", 0, False, None, "x", 1)] == [False] * 4 + [True] * 2
    with pytest.raises(UnknownValue):
        is_true("false")
