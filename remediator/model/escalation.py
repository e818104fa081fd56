"""Calling a person: who is called, and who is called later when nobody has answered. Pure.

An escalation is a list of calls. What has no delay goes out at once; a later call waits in the
outbox, and is dropped when the run ends well, the alert clears, or somebody acknowledges.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby, pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, field_validator

from remediator.model.limits import Frozen
from remediator.model.quantities import Duration
from remediator.model.views import Note, NoteKind

MOST_CALLS = 10
LONGEST_DELAY = timedelta(days=1)
"""Who is called later than that was not meant to be called for this."""


class AcknowledgeOutcome(StrEnum):
    """What became of a person's acknowledgement."""

    ACKNOWLEDGED = "acknowledged"
    REPEATED = "repeated"  # somebody had answered before
    NOBODY_CALLED = "nobody_called"  # the run has called no person
    UNKNOWN = "unknown"  # no such run


class Call(Frozen):
    """One entry of an escalation: whom to call, and how long after it began."""

    to: Annotated[tuple[str, ...], Field(min_length=1)]
    """Notifiers, all at once."""
    after: Annotated[Duration, Field(le=LONGEST_DELAY)] = timedelta()
    """So long after the escalation began, unless somebody has answered it."""

    @field_validator("to", mode="before")
    @classmethod
    def _one_name_will_do(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given


def _as_list(given: Any) -> Any:
    """Let a name stand for a list of one, and a name in the list for a call at once."""
    if isinstance(given, str | Mapping | Call):
        given = [given]
    if not isinstance(given, list | tuple):
        return given
    return [{"to": [one]} if isinstance(one, str) else one for one in given]


def _in_order(given: tuple[Call, ...]) -> tuple[Call, ...]:
    if len(given) > MOST_CALLS:
        raise ValueError(f"at most {MOST_CALLS} calls")
    if any(later.after < one.after for one, later in pairwise(given)):
        raise ValueError(
            "write the calls in the order in which they are made: `after` counts "
            "from the beginning of the escalation"
        )
    names = [name for call in given for name in call.to]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{twice} is called twice; one call for each notifier")
    return given


_NAME = {"type": "string"}
_CALL = {
    "type": "object",
    "properties": {
        "after": {
            "type": "string",
            "pattern": "^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d|w))+$",
            "description": "So long after the escalation began, unless somebody has answered it.",
        },
        "to": {
            "description": "Notifiers, all at once.",
            "anyOf": [_NAME, {"type": "array", "items": _NAME, "minItems": 1}],
        },
    },
    "required": ["to"],
    "additionalProperties": False,
}

Calls = Annotated[
    tuple[Call, ...],
    BeforeValidator(_as_list),
    AfterValidator(_in_order),
    WithJsonSchema(
        {
            "anyOf": [
                _NAME,
                _CALL,
                {"type": "array", "items": {"anyOf": [_NAME, _CALL]}, "maxItems": MOST_CALLS},
            ],
            "examples": ["pagerduty", ["slack", {"after": "10m", "to": "pagerduty"}]],
        }
    ),
]
"""A name, or a list of names and of `{after: 10m, to: NAME}`."""


def calls(*given: str | Call) -> tuple[Call, ...]:
    """Return an escalation; a name stands for a call at once."""
    return tuple(Call(to=(one,)) if isinstance(one, str) else one for one in given)


def names(of: Iterable[Call]) -> tuple[str, ...]:
    """Return whom an escalation may call, in its order."""
    return tuple(dict.fromkeys(name for call in of for name in call.to))


def notes(of: Sequence[Call], run_id: str, text: str, at: datetime) -> tuple[Note, ...]:
    """Return the notes of an escalation: one for those who are called at once, one for each delay.

    Where nobody is named, who is told of everything is told of it.
    """
    note = Note(NoteKind.ESCALATION, run_id, text, at)
    if not of:
        return (note,)
    return tuple(
        replace(note, to=names(group), due=at + after if after else None)
        for after, group in groupby(of, key=lambda call: call.after)
    )
