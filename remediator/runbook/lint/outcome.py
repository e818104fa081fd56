"""Rules on how a run ends: does it look whether it helped, and what becomes of what did not."""

import math
from collections.abc import Iterator
from datetime import timedelta

from remediator.model.quantities import format_duration
from remediator.runbook.findings import Finding
from remediator.runbook.lint.subject import Subject


def no_verify(subject: Subject) -> Iterator[Finding]:
    """It changes something and never looks whether that helped."""
    if subject.changes and subject.runbook.verify is None:
        yield subject.finding(
            ("steps",),
            "no-verify",
            "it changes something and never looks whether that helped",
            "add verify: {resolved_within: 10m}",
            key=True,
        )


def no_undo(subject: Subject) -> Iterator[Finding]:
    """What did not help stays as it is."""
    # A roll back is itself a way back: what it left is seldom what anybody wants again.
    changes = [step.action for step in subject.changes]
    if not subject.runbook.on_failure.undo and not all(action.goes_back for action in changes):
        yield subject.finding(
            ("on_failure", "undo"),
            "no-undo",
            "what did not help is not taken back",
            "leave out undo: false",
            key=True,
        )


def no_way_back(subject: Subject) -> Iterator[Finding]:
    """The action can take its change back only when it is told how, and it is not."""
    if not subject.runbook.on_failure.undo:
        return
    for step in subject.changes:
        if "undo" in step.operation.Params.model_fields and "undo" not in step.parameters:
            yield subject.of_step(
                step,
                ("with",),
                "no-way-back",
                f"{step.operation.name} does not know how to take its change back",
                "add undo: the command that does",
                key=True,
            )


def rung_without_verify(subject: Subject) -> Iterator[Finding]:
    """It asks whether the alert still fires, and gives what was done before it no time."""
    for step in subject.runbook.steps:
        if step.is_rung and subject.runbook.verify is None:
            yield subject.of_step(
                step,
                ("if",),
                "rung-without-verify",
                "it asks whether the alert still fires, and gives what was done before no time",
                "add verify: {resolved_within: 10m}",
            )


def short_cooldown(subject: Subject) -> Iterator[Finding]:
    """The cool-down can be over before the run is, and then keeps nothing apart."""
    runbook = subject.runbook
    cooldown = runbook.limits.cooldown
    if cooldown is None or not subject.changes:
        return
    longest = _longest(subject)
    if cooldown < longest:
        yield subject.finding(
            ("guardrails", "cooldown"),
            "short-cooldown",
            f"a run may take {format_duration(longest)} (the timeouts of what it changes, and "
            f"verify), and the cool-down is over after {format_duration(cooldown)}",
            f"write {format_duration(longest)} or more, or shorten timeout: and verify:",
        )


def _longest(subject: Subject) -> timedelta:
    """Return how long a run may take from its first change on: what it changes, and verify."""
    total = subject.runbook.verify.within if subject.runbook.verify is not None else timedelta()
    lanes: dict[str, dict[int, timedelta]] = {}
    parallel: dict[str, int] = {}
    for step in subject.changes:
        if step.block is None:
            total += step.timeout
            continue
        of = lanes.setdefault(step.block.id, {})
        of[step.lane] = of.get(step.lane, timedelta()) + step.timeout
        parallel[step.block.id] = step.block.parallel
    for block, each in lanes.items():
        total += max(each.values()) * math.ceil(len(each) / parallel[block])
    return total
