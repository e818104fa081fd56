"""How much of each runbook its tests go through. Pure.

A *goal* is one thing that a test can show: a step is planned, it is applied, its condition is
false, verify finds that it did not help. Coverage is the share of goals that some test reached.
What can't be asked of every runbook (that a step fails, which guardrail says no) is told and not
counted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from remediator.model.canonical import JSON, JSONObject
from remediator.model.limits import Mode
from remediator.rehearsal.watching import Marks, written
from remediator.runbook.runbook import CompiledStep, Runbook


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing that a test can show.

    Args:
        part: what of the runbook: a step's id, `if`, `verify`.
        what: what of it.
        reached: whether a test has shown it.
    """

    part: str
    what: str
    reached: bool

    def __str__(self) -> str:
        return f"{self.part}: {self.what}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of one runbook is tested.

    Args:
        tests: how many tests had it in force.
        verdicts: guardrails' answers that were seen, besides a plain allow.
        failed: steps that were seen to fail.
        ends: states in which its runs ended.
    """

    runbook: str
    file: str
    tests: int
    goals: tuple[Goal, ...]
    verdicts: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()

    @property
    def reached(self) -> int:
        """How many goals some test has reached."""
        return sum(goal.reached for goal in self.goals)

    @property
    def percent(self) -> float:
        """The share of goals reached, from 0 to 100; 0 without a test."""
        return 100 * self.reached / len(self.goals) if self.goals and self.tests else 0.0

    @property
    def missing(self) -> tuple[Goal, ...]:
        """The goals that no test has reached."""
        return tuple(goal for goal in self.goals if not goal.reached)

    def to_json(self) -> JSONObject:
        """Return it as scripts get it."""
        goals: list[JSON] = [
            {"part": one.part, "what": one.what, "reached": one.reached} for one in self.goals
        ]
        return {
            "runbook": self.runbook,
            "file": self.file,
            "tests": self.tests,
            "reached": self.reached,
            "goals": len(self.goals),
            "percent": round(self.percent, 1),
            "details": goals,
            "verdicts": list(self.verdicts),
            "failed_steps": list(self.failed),
            "ends": list(self.ends),
        }


def covered(
    runbooks: Iterable[Runbook], marks: Mapping[str, Marks], tests: Mapping[str, int]
) -> tuple[Coverage, ...]:
    """Return the coverage of each runbook, in the order of their names.

    Args:
        runbooks: all that are asked about, tested or not.
        marks: by name, what the tests went through.
        tests: by name, how many tests had it in force.
    """
    return tuple(
        _of(one, marks.get(one.name) or Marks(), tests.get(one.name, 0))
        for one in sorted(runbooks, key=lambda one: one.name)
    )


def total(found: Sequence[Coverage]) -> float:
    """Return the share of all goals of all runbooks that were reached, from 0 to 100."""
    goals = sum(len(one.goals) for one in found)
    return 100 * sum(one.reached for one in found) / goals if goals else 0.0


def _of(runbook: Runbook, marks: Marks, tests: int) -> Coverage:
    return Coverage(
        runbook=runbook.name,
        file=runbook.file,
        tests=tests,
        goals=tuple(_goals(runbook, marks)),
        verdicts=tuple(sorted(marks.verdicts)),
        failed=tuple(sorted(marks.failed)),
        ends=tuple(sorted(marks.runs)),
    )


def _goals(runbook: Runbook, marks: Marks) -> Iterator[Goal]:
    if runbook.condition is not None:
        yield Goal("if", "true", True in marks.condition)
        yield Goal("if", "false", False in marks.condition)
    seen: set[str] = set()
    for step in runbook.steps:
        name = written(step.id)
        if name not in seen:  # the items of a for_each are one step
            seen.add(name)
            yield from _of_step(runbook, step, name, marks)
    if runbook.verify is not None and runbook.mode is not Mode.OBSERVE:
        yield Goal("verify", "it helped", True in marks.verified)
        yield Goal("verify", "it did not help", False in marks.verified)


def _of_step(runbook: Runbook, step: CompiledStep, name: str, marks: Marks) -> Iterator[Goal]:
    if step.conditional:
        yield Goal(name, "if is true", name in marks.reached)
        yield Goal(name, "if is false", name in marks.skipped)
    if not hasattr(step.operation, "plan"):
        yield Goal(name, "its expectation is met", name in marks.met)
        if _can_be_unmet(step):
            yield Goal(name, "its expectation is not met", name in marks.unmet)
        return
    yield Goal(name, "planned", name in marks.planned)
    if runbook.mode is Mode.OBSERVE:
        return  # no test could let it change anything
    yield Goal(name, "applied", name in marks.applied)
    if runbook.on_failure.undo and name in marks.way_back:
        yield Goal(name, "taken back", name in marks.undone)


def _can_be_unmet(step: CompiledStep) -> bool:
    """Whether a probe can find that things are not as they should be: one that may be given an
    expectation, and is given none, only looks."""
    given = step.parameters
    optional = [name for name in step.operation.Params.model_fields if name == "expect"]
    return not optional or any(name in given for name in optional)
