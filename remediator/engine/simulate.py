"""What would be done about an alert, and why not: matching, planning and guardrails, read-only.

Owns nothing of its own to decide: it asks `matching`, `planning` and `guardrails` as a run would,
without a journal behind it (with one, its history is read). Only `plan` and `probe` are called.
Used by `remediator simulate`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from remediator.engine import guardrails, matching, planning, step, track
from remediator.engine.hand import Hand
from remediator.engine.library import Library
from remediator.engine.ports import AlertSignal, ContextFor, Pace, Ports
from remediator.journal.protocol import Journal
from remediator.journal.values import Candidate, RunStart
from remediator.model.alerts import Alert, Notification
from remediator.model.clock import Clock
from remediator.model.history import History
from remediator.model.incidents import Incident, IncidentStatus
from remediator.model.limits import Mode
from remediator.model.matchers import Matcher
from remediator.model.policy import Policy
from remediator.model.quantities import format_duration
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, Step, Trigger
from remediator.model.verdicts import Ruling, Verdict, heaviest
from remediator.runbook.expressions import ExpressionFailed
from remediator.runbook.index import Index
from remediator.runbook.runbook import Runbook

RUN_ID = "simulation"
"""What plugins see in place of a run's id."""


@dataclass(frozen=True, slots=True)
class World:
    """What a simulation looks at.

    Args:
        journal: its history and facts count when there is one.
        signal: the sender's Alertmanagers; None to take the alert's word.
        context_for: makes plugins' contexts.
    """

    runbooks: Sequence[Runbook]
    policy: Policy
    clock: Clock
    context_for: ContextFor
    journal: Journal | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """A runbook that might be expected to apply, and the sentence why it does not."""

    runbook: str
    why: str


@dataclass(frozen=True, slots=True)
class Simulated:
    """One run that would be started, and how far it would come.

    Args:
        verdicts: every guardrail's answer, by the step's sequence.
        end: in which state the run would wait or end next.
        message: one sentence about it.
    """

    runbook: Runbook
    trigger: Trigger
    rows: Sequence[Step]
    verdicts: Mapping[int, Sequence[Verdict]]
    end: RunState
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything about one alert (or the synthetic one that stands for its group)."""

    alert: Alert
    runs: Sequence[Simulated]
    passed: Sequence[Passed]


async def simulate(notification: Notification, world: World) -> Sequence[Answer]:
    """Say for each alert what would be started, planned, allowed; and what would not, and why."""
    now = world.clock.now()
    found = matching.candidates(notification, Index(tuple(world.runbooks)), now)
    by_name = {runbook.name: runbook for runbook in world.runbooks}
    grouped = {
        start.runbook
        for candidate in found[len(notification.alerts) :]
        for start in (*candidate.on_firing, *candidate.on_resolved)
    }
    answers = []
    for candidate in found:
        starts = candidate.on_firing if candidate.alert.firing else candidate.on_resolved
        runs = [await _run(by_name[s.runbook], s, candidate.alert, world) for s in starts]
        left_out = {start.runbook for start in starts} | grouped
        answers.append(
            Answer(candidate.alert, runs, _passed(candidate, left_out, world.runbooks, now))
        )
    return answers


async def _run(runbook: Runbook, start: RunStart, alert: Alert, world: World) -> Simulated:
    hand = _hand(runbook, start, alert, world)
    outcome = await planning.plan_run(hand)
    match outcome:
        case planning.TryLater(message, _):
            return _end(hand, start, (), RunState.PENDING, Reason.UNREACHABLE, message)
        case planning.Unmet(rows, message):
            reason = Reason.EXPECTATION_UNMET
            return _end(hand, start, rows, RunState.SUPPRESSED, reason, message)
        case planning.Unplannable(rows, Reason.LIST_TOO_LONG as reason, message):
            return _end(hand, start, rows, RunState.SUPPRESSED, reason, message)
        case planning.Unplannable(rows, reason, message):
            return _end(hand, start, rows, RunState.FAILED, reason, message)
    history = await _history(runbook, world)
    if world.journal is not None:
        hand.track = await track.shown(hand.ports, runbook)
    verdicts = step.judge_each(hand, outcome.plans, history)
    mode = step.lowest_mode(hand, outcome.plans, history)
    end, reason, message = _decided(runbook, outcome, verdicts, mode)
    return Simulated(runbook, start.trigger, outcome.rows, verdicts, end, reason, message)


def _decided(
    runbook: Runbook,
    planned: planning.Planned,
    verdicts: Mapping[int, Sequence[Verdict]],
    mode: Mode,
) -> tuple[RunState, Reason, str]:
    """Say what would follow the planning; the order is `run`'s."""
    if not planned.plans and not planned.open_ends:
        return RunState.SUCCEEDED, Reason.NOTHING_TO_DO, "nothing would be changed"
    if mode is Mode.OBSERVE:
        return RunState.OBSERVED, Reason.OBSERVE_ONLY, "the plan would be shown, and no more"
    every = tuple(verdict for of_step in verdicts.values() for verdict in of_step)
    ruling = heaviest(every)
    binding = next((str(v) for v in every if v.ruling is ruling), "")
    if ruling is Ruling.REFUSE:
        return RunState.SUPPRESSED, Reason.GUARDRAIL_REFUSES, binding
    if ruling is Ruling.WAIT:
        return RunState.PENDING, guardrails.waiting_reason(every), binding
    if ruling is Ruling.HOLD:
        return RunState.AWAITING_APPROVAL, Reason.MODE_APPROVE, binding
    wait = f" after {format_duration(runbook.wait_for)}" if runbook.wait_for else ""
    return RunState.APPLYING, Reason.AUTOMATIC, f"would be carried out without a person{wait}"


def _end(
    hand: Hand,
    start: RunStart,
    rows: Sequence[Step],
    state: RunState,
    reason: Reason,
    message: str,
) -> Simulated:
    return Simulated(hand.runbook, start.trigger, rows, {}, state, reason, message)


async def _history(runbook: Runbook, world: World) -> History:
    if world.journal is None:
        return guardrails.NO_HISTORY
    now = world.clock.now()
    # The alert is not in the journal, so that nothing tells how often it was treated.
    look = guardrails.look_back(runbook.limits, world.policy, now, runbook=runbook.name)
    return await world.journal.history(run_id=RUN_ID, look=look, at=now)


def _hand(runbook: Runbook, start: RunStart, alert: Alert, world: World) -> Hand:
    now = world.clock.now()
    incident = Incident(
        id=RUN_ID,
        sender=RUN_ID,
        fingerprint=alert.fingerprint,
        status=IncidentStatus.OPEN if alert.firing else IncidentStatus.RESOLVED,
        labels=alert.labels,
        annotations=alert.annotations,
        generator_url=alert.generator_url,
        starts_at=alert.starts_at,
        ends_at=alert.ends_at,
        opened_at=now,
        updated_at=now,
    )
    run = Run(
        id=RUN_ID,
        incident_id=incident.id,
        runbook=runbook.name,
        version=runbook.version,
        trigger=start.trigger,
        state=RunState.PLANNING,
        reason=Reason.NEW,
        message="",
        target="",
        context=start.context,
        epoch=0,
        owner=RUN_ID,
        wake_at=None,
        created_at=now,
        started_at=now,
        ended_at=None,
        started_by=RUN_ID,
    )
    return Hand(_ports(world), run, runbook, incident, {}, None)


def _ports(world: World) -> Ports:
    """Planning reads the clock, the policy and the contexts, and nothing else."""
    absent: Any = None
    return Ports(
        journal=cast(Journal, world.journal),
        library=cast(Library, absent),
        policy_now=lambda: world.policy,
        signal=cast(AlertSignal, absent),
        context_for=world.context_for,
        clock=world.clock,
        pace=cast(Pace, absent),
        end=absent,
        default_approvers=(),
        escalate_to=(),
    )


# --------------------------------------------------------------------------------- why not


def _passed(
    candidate: Candidate, applied: set[str], runbooks: Sequence[Runbook], now: datetime
) -> Sequence[Passed]:
    """Say why runbooks that name this alert do not apply to it; others are of no interest."""
    alert = candidate.alert
    passed = []
    for runbook in runbooks:
        if runbook.name in applied:
            continue
        lines = [line for line in runbook.matchers if _names_alert(line, alert.labels)]
        if not lines:
            continue
        passed.append(Passed(runbook.name, _why_not(runbook, lines, candidate, now)))
    return passed


def _names_alert(line: Sequence[Matcher], labels: Mapping[str, str]) -> bool:
    named = [m for m in line if m.name == "alertname" and not m.matches({})]
    return bool(named) and all(matcher.matches(labels) for matcher in named)


def _why_not(
    runbook: Runbook,
    lines: Sequence[Sequence[Matcher]],
    candidate: Candidate,
    now: datetime,
) -> str:
    labels = candidate.alert.labels
    if not runbook.matches(labels):
        return " and ".join(
            dict.fromkeys(
                _mismatch(next(m for m in line if not m.matches(labels)), labels) for line in lines
            )
        )
    wanted = "firing" if candidate.alert.firing else "resolved"
    if runbook.when != wanted:
        return f"it starts when an alert is {runbook.when}, and this one is {wanted}"
    if runbook.condition is not None:
        told = matching.context(
            candidate.alert,
            {"labels": {}, "common_labels": {}, "common_annotations": {}, "receiver": ""},
        )
        try:
            runbook.condition.evaluate(runbook.condition_values(told, now))
        except ExpressionFailed as error:
            return f"its condition can't be told: {error}"
        return f"its condition is false: {runbook.condition.text}"
    return "it is for groups, and stands below with its group"


def _mismatch(matcher: Matcher, labels: Mapping[str, str]) -> str:
    given = labels.get(matcher.name)
    has = f'{matcher.name}="{given}"' if given is not None else f"no label {matcher.name}"
    return f"it wants {matcher}, and the alert has {has}"
