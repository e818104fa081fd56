"""Proves that nobody who writes YAML is told of tuples and timedeltas."""

from datetime import timedelta
from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError

from remediator.model import complaints


class _Inner(BaseModel):
    n: int


class _Given(BaseModel):
    after: Annotated[timedelta, Field(ge=timedelta(hours=1))] = timedelta(hours=2)
    who: Annotated[tuple[str, ...], Field(min_length=1)] = ("a",)
    inner: _Inner | None = None
    name: str = ""


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"after": "PT1S"}, "it should be greater than or equal to 1 hour"),
        ({"who": []}, "it should have at least 1 item, not 0"),
        ({"who": 3}, "it should be a list"),
        ({"inner": 3}, "it should be a mapping"),
        ({"name": 3}, "it should be text"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _Given.model_validate(given)
    assert [complaints.plain(one["msg"]) for one in refused.value.errors()] == [told]
