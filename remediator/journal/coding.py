"""JSON as the journal's text columns hold it: canonical, so that equal values are equal texts."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from remediator.model import canonical
from remediator.model.runs import Outputs
from remediator.model.verdicts import Ruling, Verdict

dumps = canonical.dumps

_DECODER = msgspec.json.Decoder()


def loads(text: str) -> Any:
    """Return the value of a JSON column."""
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return json.loads(text)  # what the standard library wrote and msgspec does not read


def verdicts_to_text(verdicts: Sequence[Verdict]) -> str:
    """Return verdicts as a JSON column."""
    return dumps([verdict.to_json() for verdict in verdicts])


def verdicts_from_text(text: str) -> tuple[Verdict, ...]:
    """Read back what `verdicts_to_text` wrote."""
    return tuple(_verdict(value) for value in loads(text))


def outputs_to_text(outputs: Outputs) -> str:
    """Return a run's outputs as a JSON column."""
    return dumps({"values": outputs.values, "failed": dict(outputs.failed)})


def outputs_from_text(text: str) -> Outputs:
    """Read back what `outputs_to_text` wrote; nothing where there are none."""
    found = loads(text)
    return Outputs(found.get("values", {}), found.get("failed", {}))


def _verdict(value: Mapping[str, Any]) -> Verdict:
    return Verdict(
        rule=value["rule"],
        ruling=Ruling(value["ruling"]),
        reason=value["reason"],
        lifted_by=value["lifted_by"],
        # Verdicts of a version before lack these.
        by=value.get("by", ""),
        figure=value.get("figure", ""),
        limit=value.get("limit", ""),
        override=value.get("override", ""),
    )
