"""How a run ends well: with what its runbook says that it leaves, its outputs.

They are worked out once, when the run succeeds, and kept with it. One that can't be worked out is
named, and fails nothing: what was to be repaired is repaired. Called wherever a run succeeds.
"""

from collections.abc import Sequence
from dataclasses import replace

from remediator.engine.hand import Hand
from remediator.journal.values import RunUpdate
from remediator.model import canonical
from remediator.model.canonical import JSON
from remediator.model.reasons import Reason
from remediator.model.runs import Outputs, RunState, Step
from remediator.observe import masking

MOST_CHARACTERS = 64 * 1024
"""Of all outputs of a run as JSON: what a page shows and a database row holds with ease; a log or a
dump belongs to a step's own output."""
_IN_MESSAGE = 300


def succeeded(
    held: Hand, reason: Reason, message: str, *, rows: tuple[Step, ...] = ()
) -> RunUpdate:
    """Return the transition to `succeeded`, with the run's outputs.

    Args:
        held: the run.
        reason: why it has succeeded.
        message: one sentence for people; what the outputs are is added.
        rows: step rows to be written with it.
    """
    if not held.runbook.outputs:
        return held.update(RunState.SUCCEEDED, reason, message, steps=rows)
    outputs = _of(replace(held, rows={**held.rows, **{row.sequence: row for row in rows}}))
    told = _told(outputs)
    text = "; ".join((message, *told))
    details: dict[str, JSON] = {
        "names": sorted(outputs.values),
        "failed": dict(outputs.failed),
        "message": "; ".join(told),
    }
    return held.update(
        RunState.SUCCEEDED,
        reason,
        text,
        steps=rows,
        outputs=outputs,
        audit=(held.audit("run.outputs", details),),
    )


def _of(held: Hand) -> Outputs:
    found, failed = held.runbook.results(held.scope())
    kept: dict[str, JSON] = {}
    left = MOST_CHARACTERS
    why = dict(failed)
    for name, value in found.items():
        size = len(canonical.dumps(value))
        if size > left:
            why[name] = f"it has {size} characters, and {left} of {MOST_CHARACTERS} were left"
        else:
            kept[name] = value
            left -= size
    return Outputs(kept, why)


def _told(outputs: Outputs) -> Sequence[str]:
    found = []
    if outputs.values:
        pairs = (f"{name} = {_short(name, value)}" for name, value in outputs.values.items())
        found.append(f"outputs: {_cut(', '.join(pairs))}")
    if outputs.failed:
        reasons = (f"{name} ({masking.text(why)})" for name, why in outputs.failed.items())
        found.append(f"not worked out: {_cut(', '.join(reasons))}")
    return found


def _short(name: str, value: JSON) -> str:
    shown = masking.document(value, name)
    return shown if isinstance(shown, str) else canonical.dumps(shown)


def _cut(text: str) -> str:
    return text if len(text) <= _IN_MESSAGE else f"{text[: _IN_MESSAGE - 1]}…"
