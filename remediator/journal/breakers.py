"""How runs that changed something ended, and when a person closed a failure breaker.

What a breaker makes of it is `engine.guardrails.breaker`'s to say; here are only rows.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from remediator.journal import coding, steps
from remediator.journal.statements import Execute, Operation, Query, Record
from remediator.journal.times import from_us, to_us
from remediator.journal.values import AuditEntry
from remediator.model.history import Outcome, Reset
from remediator.model.runs import RunState, Trigger

NEWEST = 100
"""So many outcomes of one runbook are read; a breaker that needs more of them would be none."""

_OUTCOMES = f"""
    SELECT r.id, r.ended_us, r.state FROM runs AS r
    WHERE r.runbook = $1 AND r.ended_us IS NOT NULL
        AND r.state IN ('succeeded', 'rolled_back', 'failed')
        AND (r.trigger <> '{Trigger.EXPIRY}' OR r.state = 'failed')
        AND EXISTS (
            SELECT 1 FROM steps AS s
            WHERE s.run_id = r.id AND s.target_key IS NOT NULL AND s.state IN {steps.BEGUN}
        )
    ORDER BY r.ended_us DESC, r.id DESC LIMIT {NEWEST}
"""  # noqa: S608 - constants


def outcomes(runbooks: Iterable[str]) -> Operation[dict[str, tuple[Outcome, ...]]]:
    """Return the last outcomes of each runbook, newest first: of runs that changed something.

    A raised limit that was taken back in time says nothing of its runbook; one that could not be
    taken back does.
    """
    found: dict[str, tuple[Outcome, ...]] = {}
    for runbook in sorted(runbooks):
        rows = yield Query(_OUTCOMES, (runbook,))
        found[runbook] = tuple(
            Outcome(row[0], from_us(row[1]), row[2] == RunState.SUCCEEDED.value) for row in rows
        )
    return found


def failing(since: datetime) -> Operation[list[str]]:
    """Return the runbooks of which a run failed or was rolled back since then."""
    rows = yield Query(
        "SELECT DISTINCT runbook FROM runs WHERE ended_us IS NOT NULL AND ended_us >= $1"
        " AND state IN ('failed', 'rolled_back') ORDER BY runbook",
        (to_us(since),),
    )
    return [row[0] for row in rows]


def resets(runbooks: Iterable[str]) -> Operation[dict[str, Reset]]:
    """Return the last reset of each runbook that had one."""
    rows = yield Query(
        "SELECT runbook, reset_by, reason, at_us FROM breaker_resets"
        " WHERE runbook IN (SELECT value FROM each($1) AS b)",
        (coding.dumps(sorted(runbooks)),),
    )
    return {row[0]: Reset(row[0], row[1], row[2], from_us(row[3])) for row in rows}


def pasts(
    runbooks: Iterable[str],
) -> Operation[Mapping[str, tuple[tuple[Outcome, ...], Reset | None]]]:
    """Return the last outcomes and the last reset of each runbook."""
    names = tuple(runbooks)
    came_out = yield from outcomes(names)
    closed = yield from resets(names)
    return {name: (came_out[name], closed.get(name)) for name in names}


def reset(one: Reset) -> Operation[None]:
    """Close a runbook's breaker: earlier outcomes count no longer."""
    yield Execute(
        "INSERT INTO breaker_resets (runbook, reset_by, reason, at_us) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (runbook) DO UPDATE SET reset_by = excluded.reset_by,"
        " reason = excluded.reason, at_us = excluded.at_us",
        (one.runbook, one.by, one.reason, to_us(one.at)),
    )
    details = {"do": "reset_breaker", "runbook": one.runbook, "reason": one.reason}
    yield Record([AuditEntry("control", one.by, one.at, details)])
