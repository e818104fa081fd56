"""JSON as the journal's text columns hold it: canonical, so that equal values are equal texts."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from remediator.model.canonical import JSON
from remediator.model.verdicts import Ruling, Verdict

# The settings of `canonical.dumps`; made once, since a storm encodes 100,000 small values.
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def dumps(value: JSON) -> str:
    """Return what `canonical.dumps` returns, sooner.

    Raises:
        ValueError: a number is NaN or infinite.
        TypeError: a value is not JSON.
    """
    return _ENCODER.encode(value)


def loads(text: str) -> Any:
    """Return the value of a JSON column."""
    return json.loads(text)


def verdicts_to_text(verdicts: Sequence[Verdict]) -> str:
    """Return verdicts as a JSON column."""
    return dumps([verdict.to_json() for verdict in verdicts])


def verdicts_from_text(text: str) -> tuple[Verdict, ...]:
    """Read back what `verdicts_to_text` wrote."""
    return tuple(_verdict(value) for value in loads(text))


def _verdict(value: Mapping[str, Any]) -> Verdict:
    return Verdict(
        rule=value["rule"],
        ruling=Ruling(value["ruling"]),
        reason=value["reason"],
        lifted_by=value["lifted_by"],
    )
