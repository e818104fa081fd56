"""The controls table: kill switches."""

from datetime import datetime

from remediator.journal.statements import Execute, Operation, Query, Record
from remediator.journal.times import from_us, from_us_or_none, to_us, to_us_or_none
from remediator.journal.values import AuditEntry
from remediator.model.clock import to_text
from remediator.model.history import Control


def pause(control: Control) -> Operation[None]:
    """Set a kill switch; the same scope again replaces it."""
    yield Execute(
        "INSERT INTO controls (scope, set_by, reason, since_us, until_us)"
        " VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (scope) DO UPDATE SET set_by = excluded.set_by, reason = excluded.reason,"
        " since_us = excluded.since_us, until_us = excluded.until_us",
        (
            control.scope,
            control.by,
            control.reason,
            to_us(control.since),
            to_us_or_none(control.until),
        ),
    )
    details = {
        "do": "pause",
        "scope": control.scope,
        "reason": control.reason,
        "until": to_text(control.until) if control.until else None,
    }
    yield Record([AuditEntry("control", control.by, control.since, details)])


def unpause(scope: str, *, by: str, at: datetime) -> Operation[bool]:
    """Lift a kill switch; False if there was none that is still on."""
    rows = yield Query("DELETE FROM controls WHERE scope = $1 RETURNING until_us", (scope,))
    if not rows or (rows[0][0] is not None and rows[0][0] <= to_us(at)):
        return False
    yield Record([AuditEntry("control", by, at, {"do": "resume", "scope": scope})])
    return True


def active(at: datetime) -> Operation[tuple[Control, ...]]:
    """Return the kill switches that are on."""
    rows = yield Query(
        "SELECT scope, set_by, reason, since_us, until_us FROM controls"
        " WHERE until_us IS NULL OR until_us > $1 ORDER BY scope",
        (to_us(at),),
    )
    return tuple(
        Control(row[0], row[1], row[2], from_us(row[3]), from_us_or_none(row[4])) for row in rows
    )
