"""Parameters that a runbook declares, and the values that it is given for them.

Values come from another runbook's `with`, from a person who starts a run, or from the default.
Pure; called by `compile`, by `scope`, and by the engine when a person starts a run. What an
action takes is another matter: `parameters`.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, model_validator

from remediator.model.limits import Frozen
from remediator.model.quantities import format_duration, parse_duration

LONGEST_TEXT = 4096
"""Characters of one text: what one label may bring (`expressions`)."""
MOST_ITEMS = 1000
"""Items of one list: far beyond what a run may touch, and little to keep in each run."""


class ParameterType(StrEnum):
    """What a parameter's value is."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DURATION = "duration"
    LIST = "list"


_T = ParameterType

CEL_TYPES: Mapping[ParameterType, str] = {
    _T.STRING: "STRING",
    _T.INTEGER: "INT",
    _T.NUMBER: "DOUBLE",
    _T.BOOLEAN: "BOOL",
    _T.DURATION: "DURATION",
    _T.LIST: "LIST<STRING>",
}
"""The type of `params.NAME`, by CEL's name."""

_WORDS: Mapping[ParameterType, str] = {
    _T.STRING: "text",
    _T.INTEGER: "a whole number",
    _T.NUMBER: "a number",
    _T.BOOLEAN: "true or false",
    _T.DURATION: "a duration like 90s or 15m",
    _T.LIST: "a list of texts",
}


class ParameterSpec(Frozen):
    """One parameter: what a `use` of this document, or a person who starts it, may set."""

    type: Annotated[ParameterType, Field(examples=["string", "integer"])] = ParameterType.STRING
    """What its value is: string, integer, number, boolean, duration, or list (of strings)."""
    description: Annotated[str, Field(max_length=300, examples=["The most replicas."])] = ""
    """One sentence for those who set it."""
    default: Annotated[Any, Field(examples=[20])] = None
    """Its value where none is given; without one it must be given."""
    minimum: Annotated[int | float | str | None, Field(examples=[1])] = None
    """The least value of a number or duration; the fewest items of a list."""
    maximum: Annotated[int | float | str | None, Field(examples=[50])] = None
    """The largest value of a number or duration; the most items of a list."""
    enum: Annotated[tuple[Any, ...], Field(max_length=100, examples=[["small", "large"]])] = ()
    """The only values there are."""
    pattern: Annotated[str | None, Field(max_length=500, examples=["[a-z-]+"])] = None
    """A regular expression that the whole text, or each text of a list, must match."""

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is None

    @model_validator(mode="after")
    def _fits(self) -> "ParameterSpec":
        _check_bounds(self)
        if self.pattern is not None:
            if self.type not in (_T.STRING, _T.LIST):
                raise ValueError(f"pattern is for texts; this is {_WORDS[self.type]}")
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern is no regular expression: {error}") from None
        for one in self.enum:
            _typed(self, one, "enum: ")
        if self.default is not None:
            try:
                read(self, self.default)
            except ValueError as error:
                raise ValueError(f"default: {error}") from None
        return self


def _check_bounds(spec: ParameterSpec) -> None:
    given = [one for one in (spec.minimum, spec.maximum) if one is not None]
    if not given:
        return
    if spec.type in (_T.STRING, _T.BOOLEAN):
        raise ValueError(f"minimum and maximum are for numbers; this is {_WORDS[spec.type]}")
    bounds = [_bound(spec, one) for one in given]
    if len(bounds) == 2 and bounds[0] > bounds[1]:
        raise ValueError("minimum is above maximum")


def _bound(spec: ParameterSpec, value: Any) -> Any:
    if spec.type is _T.LIST:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"a list is bounded by counts of items; {value!r} is none")
        return value
    return _typed(spec, value, "")


def _typed(spec: ParameterSpec, value: Any, what: str) -> Any:
    try:
        return _READ[spec.type](value)
    except (ValueError, TypeError):
        raise ValueError(f"{what}{value!r:.80} is not {_WORDS[spec.type]}") from None


def read(spec: ParameterSpec, value: Any) -> Any:
    """Return a value as expressions see it, when it is one that the parameter takes.

    Args:
        value: as YAML, JSON or an expression gives it; a duration may be text.

    Raises:
        ValueError: it does not do; the text says what would.
    """
    found = _typed(spec, value, "")
    size = len(found) if spec.type is _T.LIST else found
    if spec.minimum is not None and size < _bound(spec, spec.minimum):
        raise ValueError(f"{_shown(spec, size)} is less than {spec.minimum}")
    if spec.maximum is not None and size > _bound(spec, spec.maximum):
        raise ValueError(f"{_shown(spec, size)} is more than {spec.maximum}")
    if spec.enum and found not in [_READ[spec.type](one) for one in spec.enum]:
        known = ", ".join(str(one) for one in spec.enum)
        raise ValueError(f"{value!r:.80} is not one of {known}")
    if spec.pattern is not None:
        for text in found if spec.type is _T.LIST else (found,):
            if not re.fullmatch(spec.pattern, text):
                raise ValueError(f"{text!r:.80} does not match {spec.pattern}")
    return found


def _shown(spec: ParameterSpec, size: Any) -> str:
    if spec.type is _T.LIST:
        return f"a list of {size}"
    return duration_text(size) if isinstance(size, timedelta) else str(size)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    if len(value) > LONGEST_TEXT:
        raise ValueError
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise TypeError
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _list(value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or len(value) > MOST_ITEMS:
        raise TypeError
    return [_text(one) for one in value]


_READ: Mapping[ParameterType, Callable[[Any], Any]] = {
    _T.STRING: _text,
    _T.INTEGER: _integer,
    _T.NUMBER: _number,
    _T.BOOLEAN: _boolean,
    _T.DURATION: parse_duration,
    _T.LIST: _list,
}


def duration_text(value: timedelta) -> str:
    """Return a duration as authors write it; one below zero with its sign."""
    return format_duration(value) if value >= timedelta() else f"-{format_duration(-value)}"
