"""Retention: delete what is older than a time, a bounded number of rows in each transaction.

What still runs, waits or is open stays, whatever its age; so do the ended runs of an open incident,
which say that it had its run. Facts stay too: an old release that was bad is no better with time,
and there is one row for each. How far back limits count, and so what must not be deleted yet, the
caller knows (`housekeeping`).

The audit chain is deleted only from its beginning, by a setting of its own, and stays provable: the
record `audit.pruned`, in the same transaction, names the number and the hash of the last one that
went, and what is left goes on from there (`verify`).
"""

from datetime import datetime

from remediator.journal.statements import Execute, Operation, Query, Record
from remediator.journal.times import to_us
from remediator.journal.values import AuditEntry, Prunable
from remediator.journal.verify import PRUNED
from remediator.model.canonical import JSONObject
from remediator.model.clock import to_text

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
    DELETE FROM storms WHERE id IN (
        SELECT id FROM storms AS s WHERE s.joined_us < $1
            AND NOT EXISTS (SELECT 1 FROM storm_runs AS r WHERE r.storm_id = s.id)
        LIMIT $2
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


def prune_audit(*, before: datetime, by: str, at: datetime, limit: int) -> Operation[int]:
    """Delete at most `limit` records from the chain's beginning that are older than `before`.

    One that is older stays behind one that is not: clocks are set back, and a chain has no gaps.
    """
    rows = yield Query("SELECT seq, at_us, hash FROM audit ORDER BY seq LIMIT $1", (limit,))
    last: tuple[int, str] | None = None
    for seq, at_us, digest in rows:
        if at_us >= to_us(before):
            break
        last = seq, digest
    if last is None:
        return 0
    gone: int = yield Execute("DELETE FROM audit WHERE seq <= $1", (last[0],))
    if not gone:
        return 0  # another node was quicker, and has said so
    details: JSONObject = {
        "seq": last[0],
        "hash": last[1],
        "records": gone,
        "before": to_text(before),
    }
    yield Record([AuditEntry(PRUNED, by, at, details)])
    return gone


def prunable(*, before: datetime, audit_before: datetime | None) -> Operation[Prunable]:
    """Count what would be deleted; steps and notes go with their runs and are not counted."""
    cut = to_us(before)
    notifications = yield Query("SELECT COUNT(*) FROM notifications WHERE received_us < $1", (cut,))
    runs = yield Query(
        "SELECT COUNT(*) FROM runs AS r WHERE r.ended_us IS NOT NULL AND r.ended_us < $1"
        " AND NOT EXISTS"
        " (SELECT 1 FROM incidents AS i WHERE i.id = r.incident_id AND i.status = 'open')",
        (cut,),
    )
    incidents = yield Query(
        "SELECT COUNT(*) FROM incidents AS i WHERE i.status = 'resolved' AND i.updated_us < $1"
        " AND NOT EXISTS (SELECT 1 FROM runs AS r WHERE r.incident_id = i.id"
        " AND (r.ended_us IS NULL OR r.ended_us >= $1))",
        (cut,),
    )
    records = 0
    if audit_before is not None:
        rows = yield Query(
            "SELECT COUNT(*) FROM audit WHERE seq < (SELECT MIN(seq) FROM audit WHERE at_us >= $1)",
            (to_us(audit_before),),
        )
        records = rows[0][0]
    return Prunable(notifications[0][0], runs[0][0], incidents[0][0], records)
