"""Retention: delete what is older than a time, a bounded number of rows in each transaction.

The audit chain is never touched: it stays whole and provable. What still runs, waits or is open
stays, whatever its age; so do the ended runs of an open incident, which say that it had its run.
Facts stay too: an old release that was bad is no better with time, and there is one row for each.
How far back limits count, and so what must not be deleted yet, the caller knows (`housekeeping`).
"""

from datetime import datetime

from remediator.journal.statements import Execute, Operation
from remediator.journal.times import to_us

# In this order: an incident goes after its runs, a runbook version after all runs that used it.
_DELETIONS = (
    """
    DELETE FROM notifications WHERE id IN (
        SELECT id FROM notifications WHERE received_us < $1 ORDER BY received_us LIMIT $2
    )
    """,
    # Steps, approvals, decisions, notes and refs go with their run.
    """
    DELETE FROM runs WHERE id IN (
        SELECT id FROM runs AS r WHERE r.ended_us IS NOT NULL AND r.ended_us < $1
            AND NOT EXISTS (
                SELECT 1 FROM incidents AS i WHERE i.id = r.incident_id AND i.status = 'open'
            )
        ORDER BY r.ended_us LIMIT $2
    )
    """,
    """
    DELETE FROM incidents WHERE id IN (
        SELECT id FROM incidents AS i WHERE i.status = 'resolved' AND i.updated_us < $1
            AND NOT EXISTS (SELECT 1 FROM runs AS r WHERE r.incident_id = i.id)
        ORDER BY i.updated_us LIMIT $2
    )
    """,
    """
    DELETE FROM controls WHERE scope IN (
        SELECT scope FROM controls WHERE until_us IS NOT NULL AND until_us < $1 LIMIT $2
    )
    """,
    # Every start of a daemon leaves a row.
    """
    DELETE FROM nodes WHERE id IN (
        SELECT id FROM nodes WHERE dead_us IS NOT NULL AND seen_us < $1 LIMIT $2
    )
    """,
    # A version that was registered before any living node's start, and not since, is loaded
    # nowhere.
    """
    DELETE FROM runbooks WHERE version IN (
        SELECT version FROM runbooks AS b
        WHERE b.registered_us < $1
            AND b.registered_us < (SELECT MIN(started_us) FROM nodes WHERE dead_us IS NULL)
            AND NOT EXISTS (SELECT 1 FROM runs AS r WHERE r.version = b.version)
        LIMIT $2
    )
    """,
)


def prune(*, before: datetime, limit: int) -> Operation[int]:
    """Delete at most `limit` rows that are older than `before`; returns how many went."""
    gone = 0
    for sql in _DELETIONS:
        if gone < limit:
            gone += yield Execute(sql, (to_us(before), limit - gone))
    return gone
