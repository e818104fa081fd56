"""What of its runbooks a test went through: steps, conditions, verify, undo, verdicts.

Gathers marks while a test is played; `coverage` puts those of many tests together. A step of a
`for_each` is one step, however many items there were.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from remediator.journal.values import AuditRecord
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, StepState
from remediator.rehearsal.seen import SeenRun, SeenStep
from remediator.runbook.expressions import Expression, ExpressionFailed
from remediator.runbook.runbook import Runbook

_ITEM = re.compile(r"\[\d+\]")


def written(step_id: str) -> str:
    """Return the id of a step as its items share it: `restarts[]` for `restarts[0]`."""
    return _ITEM.sub("[]", step_id)


@dataclass(slots=True)
class Marks:
    """What was seen of one runbook; of steps, their ids as written."""

    runs: set[str] = field(default_factory=set)
    """Ends that runs came to, or the states that they were left in."""
    condition: set[bool] = field(default_factory=set)
    """What the runbook's own `if` came to."""
    planned: set[str] = field(default_factory=set)
    applied: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    """Their condition was false, or the alert had cleared before them."""
    reached: set[str] = field(default_factory=set)
    """They were not skipped."""
    met: set[str] = field(default_factory=set)
    """Probes whose expectation held."""
    unmet: set[str] = field(default_factory=set)
    undone: set[str] = field(default_factory=set)
    way_back: set[str] = field(default_factory=set)
    """Their plan had one."""
    verified: set[bool] = field(default_factory=set)
    verdicts: set[str] = field(default_factory=set)
    """`hold: mode`, every verdict that was no plain allow."""

    def add(self, other: "Marks") -> None:
        """Take in what another test saw."""
        for one in fields(self):
            getattr(self, one.name).update(getattr(other, one.name))


@dataclass(frozen=True, slots=True)
class _Watched(Expression):
    """A condition that notes what it came to."""

    noted: set[bool] = field(default_factory=set, compare=False)

    def holds(self, values: Mapping[str, Any]) -> bool:
        """See `Expression.holds`."""
        try:
            found = Expression.holds(self, values)
        except ExpressionFailed:
            self.noted.add(False)
            raise
        self.noted.add(found)
        return found


class Watch:
    """Watches the runbooks of one test.

    Args:
        runbooks: those that are in force.
    """

    def __init__(self, runbooks: Sequence[Runbook]) -> None:
        self.marks: dict[str, Marks] = {one.name: Marks() for one in runbooks}
        self.runbooks = tuple(self._watched(one) for one in runbooks)
        """The same, to be put into force: their conditions note what they come to."""
        self._probes = {
            one.name: {written(s.id) for s in one.steps if not hasattr(s.operation, "plan")}
            for one in runbooks
        }
        self._names: dict[str, str] = {}

    def _watched(self, runbook: Runbook) -> Runbook:
        condition = runbook.condition
        if condition is None:
            return runbook
        values = {one.name: getattr(condition, one.name) for one in fields(condition)}
        noted = self.marks[runbook.name].condition
        return replace(runbook, condition=_Watched(**values, noted=noted))

    def note_runs(self, runs: Iterable[SeenRun]) -> None:
        """Note how runs and their steps stand now."""
        for run in runs:
            marks = self.marks.get(run.runbook)
            if marks is None:
                continue
            if run.state.ended:
                marks.runs.add(run.state.value)
            marks.verdicts.update(_short(one) for one in run.verdicts)
            for step in run.steps:
                self._note_step(marks, self._probes[run.runbook], written(step.id), step)

    def _note_step(self, marks: Marks, probes: set[str], name: str, step: SeenStep) -> None:
        if step.state is StepState.SKIPPED:
            marks.skipped.add(name)
            return
        if step.state is StepState.PLANNED and not step.plan:
            return  # not reached yet, or nothing to do
        marks.reached.add(name)
        if name in probes:
            (marks.met if step.state is StepState.DONE else marks.unmet).add(name)
            return
        if step.plan:
            marks.planned.add(name)
        if step.way_back:
            marks.way_back.add(name)
        if step.state is StepState.DONE:
            marks.applied.add(name)
        if step.state is StepState.FAILED:
            marks.failed.add(name)
        if step.state is StepState.UNDONE:
            marks.undone.add(name)

    def note_records(self, records: Iterable[AuditRecord]) -> None:
        """Note what the audit records say of the runs."""
        for record in records:
            run_id, details = record.entry.run_id, record.entry.details
            if run_id is None:
                continue
            if isinstance(details.get("runbook"), str):
                self._names.setdefault(run_id, str(details["runbook"]))
            marks = self.marks.get(self._names.get(run_id, ""))
            if marks is not None:
                _note_record(marks, record.entry.kind, details)


def _note_record(marks: Marks, kind: str, details: Mapping[str, Any]) -> None:
    name = written(str(details.get("step", "")))
    match kind:
        case "run.planned":
            verdicts: Any = details.get("verdicts") or ()
            marks.verdicts.update(
                f"{one['ruling']}: {one['rule']}" for one in verdicts if one["ruling"] != "allow"
            )
        case "run.state" if details.get("from") == RunState.VERIFYING:
            if details.get("reason") == Reason.VERIFIED:
                marks.verified.add(True)
            elif details.get("reason") in (Reason.NOT_VERIFIED, Reason.NEXT_RUNG):
                marks.verified.add(False)
        case "step.started":
            marks.planned.add(name)
            marks.reached.add(name)
        case "step.done":
            marks.applied.add(name)
            marks.reached.add(name)
        case "step.failed":
            marks.failed.add(name)
        case "step.undone":
            marks.undone.add(name)


def _short(verdict: str) -> str:
    ruling, _, rest = verdict.partition(": ")
    return f"{ruling}: {rest.partition(':')[0]}"
