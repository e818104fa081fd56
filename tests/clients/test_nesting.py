"""Proves that JSON of any depth is read as far as it can be meant. Pure."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.clients.kubernetes import nesting


def _deep(opening: str, closing: str, depth: int) -> str:
    return opening * depth + "1" + closing * depth


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"b\\"}":', "}]")])
def test_what_is_too_deep_is_null_and_the_rest_is_read(opening: str, closing: str) -> None:
    whole = (
        f'{{"before": ["}}{{", 1], "deep": {_deep(opening, closing, 5000)}, "after": {{"x": 2}}}}'
    )
    found = nesting.loads(whole.encode())
    assert found["before"] == ["}{", 1]
    assert found["after"] == {"x": 2}
    value, depth = found["deep"], 0
    while isinstance(value, list | dict):
        (value,) = value if isinstance(value, list) else value.values()
        depth += 1
    assert value is None
    assert depth == nesting.DEEPEST - 1


def test_what_is_no_json_is_none() -> None:
    for text in (b"[" * 5000, b'"\xff"', b"{]"):
        with pytest.raises(ValueError, match=r"."):
            nesting.loads(text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(_JSON)
def test_pruning_leaves_alone_what_is_not_too_deep(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert nesting._pruned(text) == text
