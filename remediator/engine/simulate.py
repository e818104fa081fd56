"""What would be done about an alert, and why not: matching, planning and guardrails, read-only.

Owns nothing of its own to decide: it asks `matching`, `planning` and `guardrails` as a run would,
without a journal behind it (with one, its history is read). Only `plan` and `probe` are called.
Used by `remediator simulate`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from remediator.engine import guardrails, matching, planning, step, terms, track, would
from remediator.engine.would import Decision, World
from remediator.journal.values import Candidate, RunStart
from remediator.model.alerts import Alert, Notification
from remediator.model.history import History
from remediator.model.incidents import Incident, IncidentStatus
from remediator.model.matchers import Matcher
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, Step, Trigger
from remediator.model.verdicts import Verdict
from remediator.runbook.expressions import ExpressionFailed
from remediator.runbook.index import Index
from remediator.runbook.runbook import Runbook

__all__ = ["Answer", "Passed", "Simulated", "World", "simulate"]


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
        asked: who would be asked and on what terms, where people would be.
        silences: what it would silence before its first change.
        withheld: what its plan asked for and was not done, since it might change something.
        assumed: what was taken for an answer of commands that were not started.
    """

    runbook: Runbook
    trigger: Trigger
    rows: Sequence[Step]
    verdicts: Mapping[int, Sequence[Verdict]]
    end: RunState
    reason: Reason
    message: str
    asked: terms.Asked | None = None
    silences: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()

    @property
    def told(self) -> bool:
        """Whether it could be told what would be done, and that is no failure."""
        unknown = self.end is RunState.PENDING and self.reason is Reason.UNREACHABLE
        return self.end is not RunState.FAILED and not unknown


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything about one alert (or the synthetic one that stands for its group)."""

    alert: Alert
    runs: Sequence[Simulated]
    passed: Sequence[Passed]


async def simulate(
    notification: Notification, world: World, *, sender: str = "default"
) -> Sequence[Answer]:
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
        runs = [await _run(by_name[s.runbook], s, candidate.alert, world, sender) for s in starts]
        left_out = {start.runbook for start in starts} | grouped
        answers.append(
            Answer(candidate.alert, runs, _passed(candidate, left_out, world.runbooks, now))
        )
    return answers


async def _run(
    runbook: Runbook, start: RunStart, alert: Alert, world: World, sender: str
) -> Simulated:
    hand = would.hand_of(runbook, start, _incident(alert, world, sender), world)
    ledger = world.ledger
    withheld, assumed = len(ledger.withheld), len(ledger.assumed)
    outcome = await would.plan(hand)
    held_back = tuple(ledger.withheld[withheld:])
    verdicts: Mapping[int, Sequence[Verdict]] = {}
    decision: Decision
    rows: Sequence[Step] = tuple(hand.rows.values())
    if isinstance(outcome, planning.Planned):
        history = await _history(runbook, world)
        if world.journal is not None:
            hand.track = await track.shown(hand.ports, runbook)
        verdicts = step.judge_each(hand, outcome.plans, history)
        mode = step.lowest_mode(hand, outcome.plans, history)
        decision = would.decided(hand, outcome, verdicts, mode)
        rows = outcome.rows
    else:
        decision = would.unplanned(outcome, bool(held_back))
    asks = decision.state is RunState.AWAITING_APPROVAL
    plans = outcome.plans if isinstance(outcome, planning.Planned) else {}
    changes = asks or decision.state is RunState.APPLYING
    return Simulated(
        runbook,
        start.trigger,
        rows,
        verdicts,
        decision.state,
        decision.reason,
        decision.message,
        asked=would.asked(hand, plans) if asks else None,
        silences=would.silenced(hand, world) if changes else (),
        withheld=held_back,
        assumed=tuple(ledger.assumed[assumed:]),
    )


async def _history(runbook: Runbook, world: World) -> History:
    if world.journal is None:
        return guardrails.NO_HISTORY
    now = world.clock.now()
    # The alert is not in the journal, so that nothing tells how often it was treated.
    look = guardrails.look_back(runbook.limits, world.policy, now, runbook=runbook.name)
    return await world.journal.history(run_id=would.NOBODY, look=look, at=now)


def _incident(alert: Alert, world: World, sender: str) -> Incident:
    now = world.clock.now()
    return Incident(
        id=would.NOBODY,
        sender=sender,
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
