"""A run that would be: its hand without a journal behind it, and what would follow from its plans.

Shared by `simulate` (one alert, now) and `replay` (recorded notifications, at their times). Decides
as `run` does and writes nothing; only `plan` and `probe` of plugins are called, elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Protocol, cast

from remediator.engine import guardrails, planning, step, terms
from remediator.engine.hand import Hand
from remediator.engine.library import Library
from remediator.engine.ports import AlertSignal, ContextFor, Pace, Ports
from remediator.journal.protocol import Journal
from remediator.journal.values import RunStart
from remediator.model import silences
from remediator.model.clock import Clock
from remediator.model.incidents import Incident
from remediator.model.limits import Mode
from remediator.model.plans import Plan
from remediator.model.policy import Policy
from remediator.model.quantities import format_duration
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState
from remediator.model.verdicts import Ruling, Verdict, heaviest
from remediator.runbook.runbook import Runbook

NOBODY = "simulation"
"""What stands in place of the ids that only a journal gives."""


class Ledger(Protocol):
    """What was asked of stand-ins that only read; `remediator.clients.readonly` keeps one."""

    withheld: list[str]
    assumed: list[str]
    of_today: int


@dataclass(slots=True)
class NoLedger:
    """For worlds in which nothing is withheld."""

    withheld: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    of_today: int = 0


@dataclass(frozen=True, slots=True)
class World:
    """What a run that would be looks at.

    Args:
        runbooks: the set that alerts are matched with.
        policy: the operator's limits.
        clock: the time by which is judged.
        context_for: makes plugins' contexts.
        journal: its history and facts count when there is one.
        default_approvers: who is asked where nobody names anybody.
        silencing: whether silences may be set at a sender's Alertmanagers.
        ledger: what was withheld from plugins.
    """

    runbooks: Sequence[Runbook]
    policy: Policy
    clock: Clock
    context_for: ContextFor
    journal: Journal | None = None
    default_approvers: tuple[str, ...] = ()
    silencing: Callable[[str], bool] = lambda _: True
    ledger: Ledger = field(default_factory=NoLedger)


def hand_of(
    runbook: Runbook, start: RunStart, incident: Incident, world: World, *, run_id: str = NOBODY
) -> Hand:
    """Return the hand of a run that nobody has written down."""
    now = world.clock.now()
    run = Run(
        id=run_id,
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
        owner=NOBODY,
        wake_at=None,
        created_at=now,
        started_at=now,
        ended_at=None,
        started_by=NOBODY,
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
        default_approvers=world.default_approvers,
        escalate_to=(),
    )


async def plan(hand: Hand) -> planning.Outcome:
    """Plan all steps as a run does; what a plugin breaks by is an outcome, too."""
    try:
        return await planning.plan_run(hand)
    except Exception as error:
        text = f"the action broke: {type(error).__name__}: {error}"
        return planning.Unplannable(tuple(hand.rows.values()), Reason.PLAN_FAILED, text)


@dataclass(frozen=True, slots=True)
class Decision:
    """In which state a run would wait or end next, and one sentence about it."""

    state: RunState
    reason: Reason
    message: str


def unplanned(
    outcome: planning.Unmet | planning.Unplannable | planning.TryLater | planning.Strayed,
    withheld: bool,
) -> Decision:
    """Say what follows where there are no plans.

    Args:
        withheld: something that the plan asked for was not done here, so that its failure says
            nothing of what would be.
    """
    match outcome:
        case planning.Unmet(_, message):
            return Decision(RunState.SUPPRESSED, Reason.EXPECTATION_UNMET, message)
        case planning.Unplannable(_, Reason.PLAN_FAILED, message) if withheld:
            return Decision(RunState.PENDING, Reason.UNREACHABLE, message)
        case planning.Unplannable(_, Reason.LIST_TOO_LONG as reason, message):
            return Decision(RunState.SUPPRESSED, reason, message)
        case planning.Unplannable(_, reason, message):
            return Decision(RunState.FAILED, reason, message)
        case planning.Strayed(_, verdict):
            return Decision(RunState.SUPPRESSED, Reason.GUARDRAIL_REFUSES, str(verdict))
        case planning.TryLater(message, _):
            return Decision(RunState.PENDING, Reason.UNREACHABLE, message)


def decided(
    hand: Hand, planned: planning.Planned, verdicts: Mapping[int, Sequence[Verdict]], mode: Mode
) -> Decision:
    """Say what follows the planning; the order is `run`'s."""
    if not planned.plans and not planned.open_ends:
        return _without_a_change(hand, planned)
    every = tuple(verdict for of_step in verdicts.values() for verdict in of_step)
    if mode is Mode.OBSERVE:
        return Decision(
            RunState.OBSERVED, Reason.OBSERVE_ONLY, "the plan would be shown, and no more"
        )
    found = by_verdicts(every, hand.runbook.wait_for)
    later = planning.later(planned)
    return replace(found, message="; ".join((found.message, *later))) if later else found


def by_verdicts(every: tuple[Verdict, ...], wait_for: timedelta) -> Decision:
    """Say what the guardrails' verdicts come to."""
    ruling = heaviest(every)
    binding = next((str(v) for v in every if v.ruling is ruling), "")
    if ruling is Ruling.REFUSE:
        return Decision(RunState.SUPPRESSED, Reason.GUARDRAIL_REFUSES, binding)
    if ruling is Ruling.WAIT:
        return Decision(RunState.PENDING, guardrails.waiting_reason(every), binding)
    if ruling is Ruling.HOLD:
        return Decision(RunState.AWAITING_APPROVAL, guardrails.holding_reason(every), binding)
    after = f" after {format_duration(wait_for)}" if wait_for else ""
    return Decision(
        RunState.APPLYING, Reason.AUTOMATIC, f"would be carried out without a person{after}"
    )


def _without_a_change(hand: Hand, planned: planning.Planned) -> Decision:
    wanted_change = any(row.plan is not None and row.plan.empty for row in planned.rows)
    if wanted_change and hand.run.about_alert and hand.runbook.verify:
        message = "nothing to do, and yet the alert fires"
        return Decision(RunState.FAILED, Reason.NOTHING_TO_DO, message)
    if wanted_change:
        return Decision(RunState.SUCCEEDED, Reason.NOTHING_TO_DO, "nothing would be changed")
    return Decision(RunState.SUCCEEDED, Reason.DONE, "every check would be made")


def asked(hand: Hand, plans: Mapping[int, Plan]) -> terms.Asked:
    """Return on what terms people would be asked about these plans."""
    return terms.merge(
        hand.runbook.approval,
        [
            guardrails.approval_blocks(
                step.question(
                    hand, number, plan, history=guardrails.NO_HISTORY, signal=None, approved=False
                )
            )
            for number, plan in plans.items()
        ],
        hand.ports.default_approvers,
    )


def silenced(hand: Hand, world: World) -> tuple[str, ...]:
    """Return what the run would silence before its first change, or why it would not."""
    spec = hand.runbook.silence
    if spec is None:
        return ()
    sender = hand.incident.sender if hand.incident else "default"
    if not world.silencing(sender):
        return (f"none: senders.{sender}.silences is off",)
    labels = hand.run.context["alert"]["labels"]
    made = [silences.narrowed(line, spec.equal, labels) for line in spec.lines]
    return tuple(
        f"none: {one}"
        if isinstance(one, str)
        else f"{silences.written(one)} for {format_duration(spec.for_)} at most"
        for one in made
    )
