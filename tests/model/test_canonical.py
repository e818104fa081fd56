"""Canonical JSON is the standard library's text, whichever encoder writes it."""

import enum
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model import canonical

TEXTS = st.text() | st.sampled_from(["\x00\x08\x0c\n\r\t\x1f\x7f", '"\\/', "\u2028</é😀", "\ud800"])
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


def by_the_standard_library(value: object) -> str:
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


@given(VALUES)
def test_the_text_is_the_standard_librarys(value: Any) -> None:
    assert canonical.dumps(value) == by_the_standard_library(value)


class Word(enum.StrEnum):
    A = "a"


class Number(enum.IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    "value",
    [{"a": Word.A}, {"a": Number.ONE}, {Word.A: 1}, {1: "a"}, {None: 1}, {True: 1}, 2**70, -0.0],
    ids=str,
)
def test_so_it_is_for_odd_values(value: Any) -> None:
    assert canonical.dumps(value) == by_the_standard_library(value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_have_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical.dumps({"plan": [{"share": number}]})


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", complex(1, 2), [{"a": b""}]], ids=repr)
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical.dumps(value)
