"""Whether a run's audit records tell a story that can have happened: a checker, no test."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from remediator.model.reasons import Reason
from remediator.model.runs import TRANSITIONS, RunState

_AFTER = {
    # what a step's attempt may be on record as, after what; None is the beginning
    None: {"step.started", "step.skipped", "step.done", "step.failed"},
    "step.started": {"step.taken_up", "step.done", "step.failed", "step.undoing"},
    "step.taken_up": {"step.taken_up", "step.done", "step.failed", "step.undoing"},
    "step.done": {"step.undoing"},
    "step.failed": {"step.undoing", "step.started"},
    "step.undoing": {"step.undoing", "step.undone", "step.undo_failed"},
    "step.undone": set(),
    "step.undo_failed": set(),
    "step.skipped": set(),
    # a person said what became of a step that was in hand
    "resumed": {"step.started", "step.undoing"},
}

_IN_HAND = {"step.started", "step.taken_up", "step.undoing"}


def check(records: Sequence[dict[str, Any]]) -> None:
    """Fail unless every transition is in the table and every outcome has its intent before it."""
    assert [r["seq"] for r in records] == sorted(r["seq"] for r in records)
    states = [r["details"] for r in records if r["kind"] == "run.state"]
    assert states[0]["from"] is None
    for earlier, later in pairwise(states):
        assert later["from"] == earlier["to"], (earlier, later)
        assert RunState(later["to"]) in TRANSITIONS[RunState(later["from"])], later
    # A limit that was raised comes back in a run of its own; another one made the change.
    comes_back = any(state["reason"] == Reason.LIMIT_EXPIRED for state in states)
    before = "step.done" if comes_back else None
    last: dict[str, str | None] = {}
    for record in records:
        if record["kind"] == "run.state" and record["details"]["from"] == RunState.INTERRUPTED:
            in_hand = [s for s, kind in last.items() if kind in _IN_HAND]
            last.update(dict.fromkeys(in_hand, "resumed"))
        if record["kind"].startswith("step."):
            step = record["details"]["step"]
            assert record["kind"] in _AFTER[last.get(step, before)], (last.get(step), record)
            last[step] = record["kind"]
    ended = RunState(states[-1]["to"])
    assert ended.ended, states[-1]
    assert ended not in {RunState.SUCCEEDED, RunState.ROLLED_BACK} or all(
        kind not in {"step.started", "step.undoing"} for kind in last.values()
    ), last
