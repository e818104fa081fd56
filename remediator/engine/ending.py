"""How a run goes wrong: undo if there is something to take back, else fail; a person is called.

Called by every stage; the only place that chooses between `undoing` and `failed`.
"""

from typing import Any

from remediator.engine.hand import Hand, may_have_changed
from remediator.engine.ports import Ports
from remediator.journal.values import RunUpdate
from remediator.model import escalation
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, Step
from remediator.model.verdicts import Ruling, Verdict
from remediator.model.views import Note, NoteKind, how_to_resume
from remediator.observe import metrics


def failing(
    hand: Hand, reason: Reason, message: str, *, rows: tuple[Step, ...] = (), **more: Any
) -> RunUpdate:
    """Return the transition that follows a failure.

    Args:
        reason: what went wrong.
        message: one sentence for people.
        rows: step rows to be written with it.
    """
    by_sequence = {**hand.rows, **{row.sequence: row for row in rows}}
    to_take_back = any(may_have_changed(row) for row in by_sequence.values())
    if to_take_back and hand.runbook.on_failure.undo:
        return hand.update(RunState.UNDOING, reason, message, steps=rows, **more)
    kept = "; what was changed stays, the runbook says undo: false" if to_take_back else ""
    return failed(hand, reason, message + kept, rows=rows, **more)


def failed(
    hand: Hand, reason: Reason, message: str, *, rows: tuple[Step, ...] = (), **more: Any
) -> RunUpdate:
    """Return the transition to `failed`, which calls a person."""
    text = f"{hand.run.runbook} failed: {message}"
    return hand.update(
        RunState.FAILED, reason, message, steps=rows, notes=hand.escalation(text), **more
    )


def refused(hand: Hand, verdicts: tuple[Verdict, ...], **more: Any) -> RunUpdate:
    """Return the transition of a run that guardrails refuse before it has changed anything.

    An alert that comes back again and again is handed to a person: another treatment is no cure.
    """
    refusing = [one for one in verdicts if one.ruling is Ruling.REFUSE]
    message = str(refusing[0])
    if any(one.rule == "flapping" for one in refusing):
        more["notes"] = (*more.pop("notes", ()), *hand.escalation(f"{hand.run.runbook}: {message}"))
    shown = tuple(one for one in verdicts if one.ruling is not Ruling.ALLOW)
    return hand.update(
        RunState.SUPPRESSED, Reason.GUARDRAIL_REFUSES, message, verdicts=shown, **more
    )


async def break_off(ports: Ports, run: Run, reason: Reason, message: str) -> None:
    """End a run that can't be carried on for want of its runbook, or by a bug of ours.

    A run that may have changed something is `interrupted`: it keeps its locks until a person has
    looked. Whoever the settings name is called.
    """
    view = await ports.journal.view(run.id)
    changed = view is not None and any(may_have_changed(row) for row in view.steps)
    to = RunState.INTERRUPTED if changed else RunState.FAILED
    now = ports.clock.now()
    text = f"{run.runbook}: {message}"
    if changed:
        text = f"{text}. {how_to_resume(run.id)}"
    update = RunUpdate(
        run_id=run.id,
        epoch=run.epoch,
        to=to,
        reason=reason,
        at=now,
        message=message,
        notes=(
            Note(NoteKind.STATE, run.id, message, now),
            *escalation.notes(ports.escalate_to, run.id, text, now),
        ),
    )
    outcome = await ports.journal.write(update)
    if outcome.run is not None and outcome.run.state.ended:
        metrics.run_ended(run.runbook, outcome.run.state, reason)
