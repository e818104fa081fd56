"""What a parameter takes, what its declaration may say, and what a person may give a run."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from remediator.runbook import arguments
from remediator.runbook.arguments import NotTaken, ParameterSpec


def spec(**given: Any) -> ParameterSpec:
    return ParameterSpec.model_validate(given)


@pytest.mark.parametrize(
    ("given", "value", "read"),
    [
        ({}, "x", "x"),
        ({"pattern": "[a-c]+"}, "abc", "abc"),
        ({"enum": ["small", "large"]}, "large", "large"),
        ({"type": "integer", "minimum": 1, "maximum": 5}, 5, 5),
        ({"type": "number"}, 3, 3.0),
        ({"type": "boolean"}, False, False),
        ({"type": "duration", "maximum": "1h"}, "15m", timedelta(minutes=15)),
        ({"type": "duration"}, timedelta(seconds=5), timedelta(seconds=5)),
        ({"type": "list", "maximum": 2}, ["a", "b"], ["a", "b"]),
        ({"type": "list", "enum": ["a", "b"]}, [], []),
    ],
)
def test_a_value_that_does(given: dict[str, Any], value: Any, read: Any) -> None:
    assert arguments.read(spec(**given), value) == read


@pytest.mark.parametrize(
    ("given", "value", "message"),
    [
        ({}, 5, "5 is not text"),
        ({}, None, "nothing is not text"),
        ({}, "x" * 4097, "is not text"),
        ({"pattern": "[a-c]+"}, "abcd", "'abcd' does not match [a-c]+"),
        ({"enum": ["small", "large"]}, "smal", 'did you mean "small"?'),
        ({"enum": ["small", "large"]}, "x", "it is one of small, large"),
        ({"type": "integer"}, 1.0, "1.0 is not a whole number"),
        ({"type": "integer"}, True, "True is not a whole number"),
        ({"type": "integer", "minimum": 1}, 0, "0 is less than 1"),
        ({"type": "number", "maximum": 0.5}, 0.6, "0.6 is more than 0.5"),
        ({"type": "boolean"}, "true", "'true' is not true or false"),
        ({"type": "duration"}, "5", "'5' is not a duration like 90s or 15m"),
        ({"type": "duration", "maximum": "1h"}, "2h", "2h is more than 1h"),
        ({"type": "list"}, "a", "'a' is not a list of texts"),
        ({"type": "list"}, [1], "[1] is not a list of texts"),
        ({"type": "list", "minimum": 1}, [], "a list of 0 is less than 1"),
        ({"type": "list", "pattern": "a+"}, ["a", "b"], "'b' does not match a+"),
    ],
)
def test_a_value_that_does_not(given: dict[str, Any], value: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is held against what is expected below
        arguments.read(spec(**given), value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({"type": "text"}, "type", "should be 'string', 'integer'"),
        ({"minimum": 1}, "minimum", "a bound is for numbers; this is text"),
        ({"type": "integer", "minimum": "a"}, "minimum", "'a' is not a whole number"),
        ({"type": "integer", "minimum": 5, "maximum": 1}, "maximum", "it is below minimum"),
        ({"type": "list", "maximum": -1}, "maximum", "a list is bounded by counts of items"),
        ({"type": "integer", "pattern": "a"}, "pattern", "a pattern is for texts"),
        ({"pattern": "(a"}, "pattern", "no regular expression (RE2)"),
        ({"type": "integer", "enum": [1, "2"]}, "enum", "'2' is not a whole number"),
        ({"type": "integer", "maximum": 5, "default": 6}, "default", "6 is more than 5"),
        ({"type": "list", "default": "a"}, "default", "'a' is not a list of texts"),
    ],
)
def test_a_declaration_with_a_fault_names_the_key(
    given: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(**given)
    (fault,) = caught.value.errors()
    assert fault["loc"][0] == field
    assert message in fault["msg"]


DECLARED = {
    "max": spec(type="integer", default=20, maximum=50),
    "names": spec(type="list", default=[]),
    "hard": spec(type="boolean", default=False),
    "share": spec(type="number", default=0.5),
    "wait": spec(type="duration", default="5m"),
    "tier": spec(description="Which tier."),
}


def test_what_a_person_gives_as_text_is_read_as_the_type() -> None:
    given = {
        "max": "30",
        "names": "a, b",
        "hard": "True",
        "share": "0.25",
        "wait": "10m",
        "tier": "1",
    }
    assert arguments.checked(DECLARED, given) == {
        "max": 30,
        "names": ["a", "b"],
        "hard": True,
        "share": 0.25,
        "wait": "10m",
        "tier": "1",
    }
    assert arguments.checked(DECLARED, {"max": 30, "tier": "x"}) == {"max": 30, "tier": "x"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mx": 1, "tier": "x"}, 'there is no parameter "mx"; did you mean "max"?'),
        ({"zzz": 1, "tier": "x"}, "it has max, names, hard, share, wait, tier"),
        ({"max": 60, "tier": "x"}, "max: 60 is more than 50"),
        ({"max": "many", "tier": "x"}, "max: 'many' is not a whole number"),
        ({"hard": "yes", "tier": "x"}, "hard: 'yes' is not true or false"),
        ({}, 'the parameter "tier" must be given: Which tier.'),
    ],
)
def test_what_a_person_gives_is_checked(given: dict[str, Any], message: str) -> None:
    with pytest.raises(NotTaken) as caught:
        arguments.checked(DECLARED, given)
    assert message in str(caught.value)


def test_a_runbook_without_parameters_takes_none() -> None:
    with pytest.raises(NotTaken, match="it has none"):
        arguments.checked({}, {"a": 1})
