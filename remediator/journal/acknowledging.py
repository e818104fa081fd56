"""Somebody answers an escalation: who is called later is called no more, and everybody is told.

Also what follows for those who were called when the alert clears after its run had ended. Called by
a person's `acknowledge`, and by whatever else a person does to a run that called somebody: to
answer its question, to cancel or to resume it shows as well that somebody looks.
"""

from collections.abc import Mapping
from datetime import datetime

from remediator.journal import coding, outbox, runs
from remediator.journal.statements import Env, Execute, Operation, Query, Record
from remediator.journal.times import from_us, to_us
from remediator.journal.values import AuditEntry
from remediator.model.escalation import AcknowledgeOutcome
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState
from remediator.model.views import Acknowledgement, Note, NoteKind


def acknowledge(
    env: Env, run_id: str, *, by: str, reason: str, at: datetime
) -> Operation[AcknowledgeOutcome]:
    """Answer a run's newest escalation."""
    run = yield from runs.get(run_id, lock=True)
    if run is None:
        return AcknowledgeOutcome.UNKNOWN
    return (yield from by_person(env, run, by=by, reason=reason, at=at))


def by_person(
    env: Env, run: Run, *, by: str, at: datetime, reason: str = ""
) -> Operation[AcknowledgeOutcome]:
    """Take what a person did to a locked run as the answer to its newest escalation."""
    called_at = yield from called(run.id)
    if called_at is None:
        return AcknowledgeOutcome.NOBODY_CALLED
    called_us = to_us(called_at)
    answered = yield from of_run(run.id)
    if answered is not None and to_us(answered.at) >= called_us:
        return AcknowledgeOutcome.REPEATED
    yield Execute(
        "INSERT INTO acknowledgements (run_id, actor, reason, at_us) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (run_id) DO UPDATE SET actor = excluded.actor, reason = excluded.reason,"
        " at_us = excluded.at_us",
        (run.id, by, reason, max(to_us(at), called_us)),
    )
    yield Record([AuditEntry("run.acknowledged", by, at, {"reason": reason}, run.id)])
    yield from outbox.drop_later([run.id], why=f"acknowledged by {by}", actor=by, at=at)
    text = f"Acknowledged by {by}" + (f": {reason}" if reason else "")
    yield from outbox.put(env, [Note(NoteKind.ACKNOWLEDGED, run.id, text, at)])
    return AcknowledgeOutcome.ACKNOWLEDGED


def called(run_id: str) -> Operation[datetime | None]:
    """Return when a run's newest escalation began."""
    rows = yield Query(
        "SELECT MAX(at_us) FROM outbox WHERE run_id = $1 AND kind = 'escalation'", (run_id,)
    )
    return from_us(rows[0][0]) if rows and rows[0][0] is not None else None


def of_run(run_id: str) -> Operation[Acknowledgement | None]:
    """Return who answered a run's newest escalation."""
    rows = yield Query(
        "SELECT actor, reason, at_us FROM acknowledgements WHERE run_id = $1", (run_id,)
    )
    if not rows:
        return None
    by, reason, at_us = rows[0]
    return Acknowledgement(by=by, reason=reason, at=from_us(at_us))


def cleared(env: Env, closed: Mapping[str, datetime]) -> Operation[None]:
    """The alerts of these incidents cleared: call nobody any more, tell those who were called.

    A run that a person must look at whatever the alert does keeps calling: one that was interrupted
    inside a change, and one whose change could not be taken back.
    """
    rows = yield Query(
        "SELECT o.run_id, o.notifier, o.state, r.state, r.reason, r.incident_id FROM runs AS r"
        " JOIN outbox AS o ON o.run_id = r.id"
        " WHERE o.kind = 'escalation' AND r.incident_id IN (SELECT value FROM each($1) AS i)"
        " ORDER BY o.id",
        (coding.dumps(sorted(closed)),),
    )
    told: dict[str, tuple[datetime, list[str]]] = {}
    for run_id, notifier, row_state, state, reason, incident_id in rows:
        if RunState(state) is RunState.INTERRUPTED or reason == Reason.UNDO_FAILED.value:
            continue
        _, to = told.setdefault(run_id, (closed[incident_id], []))
        if row_state in ("waiting", "delivered") and RunState(state).ended and notifier not in to:
            to.append(notifier)
    why = "the alert cleared"
    notes: list[Note] = []
    for run_id, (at, to) in sorted(told.items()):
        yield from outbox.drop_later([run_id], why=why, actor="remediator", at=at)
        if to:
            text = "The alert cleared after the run had ended"
            notes.append(Note(NoteKind.CLEARED, run_id, text, at, tuple(to)))
    yield from outbox.put(env, notes)
