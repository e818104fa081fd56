"""How things stand at one moment of a test, as plain values to hold expectations against.

Reads the journal and the world; changes nothing. Made by `play`, compared by `expect`, counted by
`coverage`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, StepState
from remediator.model.verdicts import Verdict
from remediator.model.views import RunView
from remediator.simulated.spec import Object
from remediator.simulated.world import World


@dataclass(frozen=True, slots=True)
class Told:
    """One message to people: when, by which notifier, and what it said.

    `order` is its place in the outbox: notifiers tell side by side, and of one moment's messages
    the one that was queued first comes first.
    """

    at: datetime
    order: int
    notifier: str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class SeenStep:
    """One step of a run, as its newest attempt stands."""

    id: str
    action: str
    state: StepState
    message: str
    output: Mapping[str, Any]
    plan: str
    """As people read it; empty where there is none, or nothing to do."""
    way_back: bool
    """Whether its plan can be taken back."""


@dataclass(frozen=True, slots=True)
class SeenRun:
    """One run."""

    id: str
    runbook: str
    version: str
    state: RunState
    reason: Reason
    message: str
    target: str
    plans: tuple[str, ...]
    verdicts: tuple[str, ...]
    steps: tuple[SeenStep, ...]
    labels: Mapping[str, str]
    outputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that an expectation may ask about."""

    runs: tuple[SeenRun, ...]
    messages: tuple[Told, ...]
    objects: tuple[Object, ...]
    started: tuple[tuple[str, ...], ...]
    requests: tuple[str, ...]
    silences: tuple[str, ...]


def in_order(told: Sequence[Told]) -> tuple[Told, ...]:
    """Return messages in the order in which they were queued."""
    return tuple(sorted(told, key=lambda one: (one.at, one.order)))


def look(
    runs: Sequence[Run], views: Mapping[str, RunView], told: Sequence[Told], world: World
) -> Seen:
    """Put together how things stand now.

    Args:
        runs: all of them, the oldest first.
        views: everything about each, by id.
        told: all messages so far.
        world: as it is now.
    """
    return Seen(
        runs=tuple(seen_run(run, views[run.id]) for run in runs),
        messages=in_order(told),
        objects=tuple(world.objects()),
        started=tuple(world.started),
        requests=tuple(world.requests),
        silences=tuple(str(one) for one in world.alertmanager.silences()),
    )


def seen_run(run: Run, view: RunView) -> SeenRun:
    """Return one run as expectations see it."""
    steps = tuple(
        SeenStep(
            id=step.step_id,
            action=step.action,
            state=step.state,
            message=step.message,
            output=step.output,
            plan=str(step.plan) if step.plan is not None and not step.plan.empty else "",
            way_back=step.plan is not None and step.plan.way_back is not None,
        )
        for step in view.steps
    )
    return SeenRun(
        id=run.id,
        runbook=run.runbook,
        version=run.version,
        state=run.state,
        reason=run.reason,
        message=run.message,
        target=run.target,
        plans=tuple(step.plan for step in steps if step.plan),
        verdicts=tuple(verdict_text(one) for one in view.verdicts),
        steps=steps,
        labels=view.labels,
        outputs=view.outputs.values,
    )


def verdict_text(verdict: Verdict) -> str:
    """Return a verdict as tests and stories write it: `hold: mode: the mode is approve`."""
    return f"{verdict.ruling.value}: {verdict}"
