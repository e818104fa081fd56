"""Parameters that a runbook declares, and the values that it is given for them.

Values come from another runbook's `with`, from a person who starts a run, or from the default.
Pure; called by `compile`, by `scope`, and by the engine when a person starts a run. What an
action takes is another matter: `parameters`.
"""

import itertools
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from remediator.model.limits import Frozen
from remediator.model.matchers import regular_expression
from remediator.model.quantities import format_duration, parse_duration
from remediator.runbook.findings import did_you_mean

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

    type: Annotated[ParameterType, Field(examples=["integer"])] = ParameterType.STRING
    """What its value is: string, integer, number, boolean, duration, or list (of strings)."""
    description: Annotated[str, Field(max_length=300, examples=["The most replicas."])] = ""
    """One sentence for those who set it."""
    minimum: Annotated[int | float | str | None, Field(examples=[1])] = None
    """The least value of a number or duration; the fewest items of a list."""
    maximum: Annotated[int | float | str | None, Field(examples=[50])] = None
    """The largest value of a number or duration; the most items of a list."""
    enum: Annotated[tuple[Any, ...], Field(max_length=100, examples=[["small", "large"]])] = ()
    """The only values there are; for a list, of its items."""
    pattern: Annotated[str | None, Field(max_length=500, examples=["[a-z-]+"])] = None
    """A regular expression (RE2) that the whole text, or each text of a list, must match."""
    default: Annotated[Any, Field(examples=[20])] = None
    """Its value where none is given; without one it must be given."""

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is None

    # Each key is checked by itself, after those before it, so that a fault is where it stands.

    @field_validator("minimum", "maximum")
    @classmethod
    def _bounds(cls, given: Any, info: ValidationInfo) -> Any:
        so_far = _so_far(info)
        if given is None or so_far is None:
            return given
        if so_far.type in (_T.STRING, _T.BOOLEAN):
            raise ValueError(f"a bound is for numbers; this is {_WORDS[so_far.type]}")
        bound = _bound(so_far, given)
        if so_far.minimum is not None and bound < _bound(so_far, so_far.minimum):
            raise ValueError("it is below minimum")
        return given

    @field_validator("enum")
    @classmethod
    def _values(cls, given: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        so_far = _so_far(info)
        if so_far is not None:
            for one in given:
                _one(so_far, one)
        return given

    @field_validator("pattern")
    @classmethod
    def _is_pattern(cls, given: str | None, info: ValidationInfo) -> str | None:
        so_far = _so_far(info)
        if given is None or so_far is None:
            return given
        if so_far.type not in (_T.STRING, _T.LIST):
            raise ValueError(f"a pattern is for texts; this is {_WORDS[so_far.type]}")
        regular_expression(given)
        return given

    @field_validator("default")
    @classmethod
    def _does(cls, given: Any, info: ValidationInfo) -> Any:
        so_far = _so_far(info)
        if given is not None and so_far is not None:
            read(so_far, given)
        return given


def _so_far(info: ValidationInfo) -> "ParameterSpec | None":
    """Return what stands before the key that is checked; None where that has a fault."""
    before = itertools.takewhile(lambda name: name != info.field_name, ParameterSpec.model_fields)
    if any(name not in info.data for name in before):
        return None
    return ParameterSpec.model_construct(**info.data)


def _bound(spec: ParameterSpec, value: Any) -> Any:
    if spec.type is _T.LIST:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"a list is bounded by counts of items; {value!r} is none")
        return value
    return _typed(spec.type, value)


def _typed(kind: ParameterType, value: Any) -> Any:
    try:
        return _READ[kind](value)
    except (ValueError, TypeError):
        given = "nothing" if value is None else f"{value!r:.80}"
        raise ValueError(f"{given} is not {_WORDS[kind]}") from None


def _one(spec: ParameterSpec, value: Any) -> Any:
    """Return a value of `enum`, or a value that is compared with them: of a list, an item."""
    return _typed(_T.STRING if spec.type is _T.LIST else spec.type, value)


def read(spec: ParameterSpec, value: Any) -> Any:
    """Return a value as expressions see it, when it is one that the parameter takes.

    Args:
        value: as YAML, JSON or an expression gives it; a duration may be text.

    Raises:
        ValueError: it does not do; the text says what would.
    """
    found = _typed(spec.type, value)
    size = len(found) if spec.type is _T.LIST else found
    if spec.minimum is not None and size < _bound(spec, spec.minimum):
        raise ValueError(f"{_shown(size, spec)} is less than {spec.minimum}")
    if spec.maximum is not None and size > _bound(spec, spec.maximum):
        raise ValueError(f"{_shown(size, spec)} is more than {spec.maximum}")
    items = found if spec.type is _T.LIST else [found]
    if spec.enum:
        known = [_one(spec, one) for one in spec.enum]
        for item in items:
            if item not in known:
                near = did_you_mean(str(item), [str(one) for one in spec.enum])
                words = near or f"it is one of {', '.join(str(one) for one in spec.enum)}"
                raise ValueError(f"{item!r:.80} is not known here; {words}")
    if spec.pattern is not None:
        pattern = _pattern(spec.pattern)
        for item in items:
            if pattern.fullmatch(item) is None:
                raise ValueError(f"{item!r:.80} does not match {spec.pattern}")
    return found


@lru_cache(maxsize=512)
def _pattern(text: str) -> Any:
    return regular_expression(text)


def from_text(spec: ParameterSpec, text: str) -> Any:
    """Return the JSON value that a text on the command line stands for; it is not checked.

    A list is written with commas between its items.
    """
    if spec.type is _T.LIST:
        return [one.strip() for one in text.split(",") if one.strip()]
    if spec.type is _T.BOOLEAN and text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind, read_number in ((_T.INTEGER, int), (_T.NUMBER, float)):
        if spec.type is kind:
            try:
                return read_number(text)
            except ValueError:
                return text  # refused where it is checked, in the words for everybody
    return text


class NotTaken(Exception):
    """What a person gave for a parameter does not do; the text says which, and what would."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def checked(declared: Mapping[str, ParameterSpec], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run is started with, as JSON: what was given and nothing else.

    Args:
        given: JSON values, or texts as `from_text` takes them.

    Raises:
        NotTaken: one is unknown, does not do, or is missing.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        spec = declared.get(name)
        if spec is None:
            hint = did_you_mean(name, declared) or (
                f"it has {', '.join(declared)}" if declared else "it has none"
            )
            raise NotTaken(name, f'there is no parameter "{name}"; {hint}')
        plain = from_text(spec, value) if isinstance(value, str) else value
        try:
            read(spec, plain)
        except ValueError as error:
            raise NotTaken(name, f"{name}: {error}") from None
        found[name] = plain
    for name, spec in declared.items():
        if spec.required and name not in given:
            raise NotTaken(name, f'the parameter "{name}" must be given: {spec.description}')
    return found


def _shown(size: Any, spec: ParameterSpec) -> str:
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
