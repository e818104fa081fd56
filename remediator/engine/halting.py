"""Why a run goes no further for now, and the write that says so.

Each step answers with a `Halt` or with nothing. With several lanes there may be several; nothing is
written before no change is in hand any more, and then the gravest decides. Called by `applying`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from remediator.engine import approvals, recovery
from remediator.engine import verify as verifying
from remediator.engine.ending import failing, refused
from remediator.engine.hand import Hand
from remediator.engine.unwritten import Unwritten
from remediator.journal.values import RunUpdate
from remediator.model.plans import Plan
from remediator.model.quantities import format_duration
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, StepState
from remediator.model.verdicts import Ruling, Verdict, worth_showing


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Whether a change was made can't be found out by itself."""

    message: str


@dataclass(frozen=True, slots=True)
class Failing:
    """A step failed for good."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Unmet:
    """This runbook does not apply: harmless as long as nothing was changed."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A guardrail refuses a change."""

    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A person stopped the run."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """The alert no longer fires."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Whether it helped so far is looked at before this step."""

    before: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The daemon stops, or another lane halts; whoever claims the run next goes on here."""


@dataclass(frozen=True, slots=True)
class Asks:
    """People must say yes to a plan; it stands in the rows of the hand."""

    sequence: int
    reason: Reason
    why: str
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Retries:
    """A step is tried again at a time; its next attempt stands in the rows of the hand."""

    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Waits:
    """A change can't be begun now; it is tried again until the worker gives up."""

    reason: Reason
    message: str


Halt = (
    Interrupted
    | Failing
    | Unmet
    | Refused
    | Cancelled
    | Cleared
    | Watched
    | Stopped
    | Asks
    | Retries
    | Waits
)
_GRAVEST_FIRST: Sequence[type] = (
    Interrupted,
    Failing,
    Unmet,
    Refused,
    Cancelled,
    Cleared,
    Watched,
    Stopped,
    Asks,
    Retries,
    Waits,
)


def halts_one_lane(halt: Halt) -> bool:
    """Whether a step halts its own lane alone, so that others may go on and new ones begin."""
    return isinstance(halt, Asks | Retries | Waits)


async def write(held: Hand, halts: Sequence[Halt], unwritten: Unwritten) -> None:
    """Write what follows from what halts the run, now that no change is in hand.

    Raises:
        Fenced, JournalUnavailable, Overloaded: as for `Hand.write`.
    """
    if any(row.state is StepState.STARTED for row in held.rows.values()):
        # A change that was begun has its outcome first, whatever else there is.
        begun = [halt for halt in halts if isinstance(halt, Interrupted | Stopped | Waits)]
        put_off = [halt for halt in halts if isinstance(halt, Failing)] if begun else []
        halts = begun or halts
        for failing_ in put_off[:1]:
            await unwritten.flush(held, failing_.reason, failing_.message)
    gravest = min(halts, key=lambda halt: _GRAVEST_FIRST.index(type(halt)))
    if isinstance(gravest, Stopped):
        await unwritten.flush(held)  # `run` hands the claim back
        return
    update = await _update(held, gravest, halts)
    if unwritten:
        await unwritten.keep(held, update)
    else:
        await held.write(update)


async def _update(held: Hand, gravest: Halt, halts: Sequence[Halt]) -> RunUpdate:
    match gravest:
        case Interrupted(message):
            return recovery.interrupt(held, message)
        case Failing(reason, message):
            return failing(held, reason, message)
        case Unmet(reason, message):
            if held.changed:
                return failing(held, reason, message)
            return held.update(RunState.SUPPRESSED, reason, message)
        case Refused(verdicts):
            shown = worth_showing(verdicts)
            if held.changed:
                message = binding(shown, Ruling.REFUSE)
                return failing(held, Reason.GUARDRAIL_REFUSES, message, verdicts=shown)
            return refused(held, shown)
        case Cancelled():
            return cancelled(held)
        case Cleared():
            return verifying.cleared(held)
        case Watched(before):
            return verifying.watch(held, f"before {before}")
        case Asks():
            return await _ask(held, [halt for halt in halts if isinstance(halt, Asks)])
        case Retries() | Waits():
            return _wait(held, halts)
        case Stopped():
            raise AssertionError("the caller writes it")


def cancelled(held: Hand) -> RunUpdate:
    """Return the transition of a run that a person stopped while a change was in hand."""
    message = f"stopped by {held.run.cancel_requested_by}; what was changed stays"
    return held.update(RunState.CANCELLED, Reason.CANCELLED_BY_PERSON, message)


def binding(verdicts: Sequence[Verdict], ruling: Ruling) -> str:
    """Return the first verdict of a ruling, in words."""
    return next((str(verdict) for verdict in verdicts if verdict.ruling is ruling), "")


async def _ask(held: Hand, asks: Sequence[Asks]) -> RunUpdate:
    """Ask once for everything that is planned and not begun."""
    changed = [one for one in asks if one.reason is Reason.PLAN_CHANGED]
    first, count = (changed or asks)[0], len(asks)
    why = f"{first.why}; and {count - 1} more steps" if count > 1 else first.why
    shown = tuple(dict.fromkeys(verdict for one in asks for verdict in one.verdicts))
    rows = tuple(held.rows[one.sequence] for one in asks)
    return await approvals.asking(
        held, planned(held), first.reason, why, steps=rows, verdicts=shown
    )


def planned(held: Hand) -> Mapping[int, Plan]:
    """Return the plans that are not begun, by sequence."""
    return {
        number: row.plan
        for number, row in sorted(held.rows.items())
        if row.state is StepState.PLANNED and row.plan is not None and not row.plan.empty
    }


def _wait(held: Hand, halts: Sequence[Halt]) -> RunUpdate:
    """Wait in place; for a further attempt until it is due, else until the worker gives up."""
    retries = [halt for halt in halts if isinstance(halt, Retries)]
    if retries:
        text = "; ".join(halt.message for halt in retries)
        # Not before the last is due: what a server asked for holds for every lane.
        at = max(halt.at for halt in retries)
        return held.update(held.run.state, Reason.STEP_RETRY, text, wake_at=at, release=True)
    first = next(halt for halt in halts if isinstance(halt, Waits))
    pace = held.ports.pace
    until = held.run.deadline_at or held.now + pace.give_up
    if held.now >= until:
        text = f"gave up after {format_duration(pace.give_up)}: {first.message}"
        return failing(held, first.reason, text)
    return held.update(
        held.run.state,
        first.reason,
        first.message,
        wake_at=held.now + pace.hold,
        deadline_at=until,
        release=True,
    )
