"""Did it help? Watch the alert's own signal, or the runbook's probe, until it does or time is up.

A stage of `run`; between two looks the run is a row in the journal, not a task. *Resolved* is a
hint: when Alertmanager can be asked, it has the last word.
"""

from datetime import timedelta

from remediator.engine import confining, outputs, recheck, within
from remediator.engine.ending import failed, failing
from remediator.engine.hand import Hand, row_for, unused
from remediator.journal.values import RunUpdate
from remediator.model.quantities import format_duration
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, StepState
from remediator.model.signals import Signal
from remediator.plugin.action import ActionError
from remediator.runbook.expressions import ExpressionFailed
from remediator.runbook.runbook import CompiledStep

# Looks are spread over the time there is: a ten-minute watch need not ask every two seconds.
_LOOKS = 60


def watchable(held: Hand) -> bool:
    """Whether anything can tell if the run helped; a run by hand has no alert that could clear."""
    verify = held.runbook.verify
    return verify is not None and (verify.step is not None or held.incident is not None)


def watch(held: Hand, when: str) -> RunUpdate:
    """Return the transition that begins to look whether what was done helped."""
    verify = held.runbook.verify
    assert verify is not None, "only runbooks with a verify are watched"  # noqa: S101 - callers check
    message = f"{when}: watching for up to {format_duration(verify.within)} whether it helped"
    return held.update(
        RunState.VERIFYING, Reason.WATCHING, message, deadline_at=held.now + verify.within
    )


def cleared(held: Hand) -> RunUpdate:
    """Return the transition of a run whose alert no longer fires: no further change. What was done
    may well have been the cure."""
    if held.changed and watchable(held):
        return watch(held, "the alert cleared")
    if held.changed:
        message = "the alert cleared; the remaining steps were not needed"
        return outputs.succeeded(held, Reason.DONE, message, rows=unused(held))
    message = "the alert cleared before anything was changed"
    return held.update(RunState.CANCELLED, Reason.RESOLVED_BY_ITSELF, message)


async def look(held: Hand) -> None:
    """Look once; then succeed, wait for the next look, try the next rung, or go wrong."""
    verify = held.runbook.verify
    deadline = held.run.deadline_at
    assert verify is not None and deadline is not None, "set when the run began to verify"  # noqa: S101,PT018 - by construction
    if held.run.cancel_requested_by:
        # Asked for while the last change was in hand.
        text = f"stopped by {held.run.cancel_requested_by}; what was changed stays"
        await held.write(held.update(RunState.CANCELLED, Reason.CANCELLED_BY_PERSON, text))
        return
    helped, message = await _probe(held) if verify.step else await _alert(held)
    if helped:
        rows = unused(held)
        await held.write(outputs.succeeded(held, Reason.VERIFIED, message, rows=rows))
        return
    if held.now < deadline:
        every = verify.every or max(held.ports.pace.poll, verify.within / _LOOKS)
        wake_at = min(deadline, held.now + every)
        await held.wait(Reason.WATCHING, message, wake_at, deadline_at=deadline)
        return
    if helped is None:
        await _nobody_knows(held, message)
        return
    text = f"it did not help within {format_duration(verify.within)}: {message}"
    rung = next((one for one in held.runbook.steps if _untried(held, one)), None)
    if rung is None or await recheck.signal(held) is Signal.RESOLVED:
        # No further change once a *resolved* came, even where the probe or a peer disagrees.
        await held.write(failing(held, Reason.NOT_VERIFIED, text))
        return
    # `started_at` on a planned row says that this rung's turn has come.
    row = row_for(held, rung, state=StepState.PLANNED, started_at=held.now)
    await held.write(
        held.update(RunState.APPLYING, Reason.NEXT_RUNG, f"{text}; next: {rung.id}", steps=(row,))
    )


async def _alert(held: Hand) -> tuple[bool | None, str]:
    """Return whether the alert cleared, None when nobody knows."""
    if held.incident is None:
        return None, "this run has no alert whose end could be seen; give verify a probe"
    incident = await held.ports.journal.incident(held.incident.id)
    held.incident = incident or held.incident
    signal = await recheck.ask(held)
    if signal is Signal.RESOLVED:
        return True, "the alert cleared"
    if signal is Signal.NOT_CONFIGURED:
        cleared = not held.incident.open
        return cleared, "the alert cleared" if cleared else "the alert still fires"
    if signal is Signal.UNKNOWN:
        return None, "no Alertmanager of this sender answers"
    return False, "the alert still fires"


async def _probe(held: Hand) -> tuple[bool | None, str]:
    verify = held.runbook.verify
    assert verify is not None and verify.step is not None  # noqa: S101,PT018 - caller checks
    try:
        params = confining.resolved(held, verify.step)
        result = await within.look(verify.step.probe.probe(params, held.ctx), held.ports.clock)
    except (ActionError, ExpressionFailed) as error:
        return None, str(error)
    return result.ok, result.message


async def _nobody_knows(held: Hand, message: str) -> None:
    """Time is up and nobody can tell whether it helped: to undo would be to act on a guess."""
    pace = held.ports.pace
    assert held.run.deadline_at is not None  # noqa: S101 - see look
    if held.now < held.run.deadline_at + pace.give_up:
        wake_at = held.now + max(pace.hold, timedelta(seconds=1))
        await held.wait(Reason.SIGNAL_UNKNOWN, message, wake_at, deadline_at=held.run.deadline_at)
        return
    text = f"nobody can tell whether it helped: {message}; what was changed stays"
    await held.write(failed(held, Reason.SIGNAL_UNKNOWN, text))


def _untried(held: Hand, one: CompiledStep) -> bool:
    row = held.rows.get(one.sequence)
    if row is not None:
        return row.state is StepState.PLANNED
    try:
        return not held.vacant(one)
    except ExpressionFailed:
        return True  # whoever comes to it says why
