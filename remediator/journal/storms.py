"""Storms: which runs one message tells of, and what waits for its end.

A run in a storm has no message of its own. Its notes are `shared`: not delivered, and not lost
either, since those that call a person go out anew when the storm is over.
"""

from datetime import datetime

from remediator.journal import coding
from remediator.journal.statements import Execute, Operation, Query, Record, Wake
from remediator.journal.times import from_us, from_us_or_none, to_us, to_us_or_none
from remediator.journal.values import AuditEntry, Due, OutboxItem
from remediator.model.canonical import JSONObject
from remediator.model.runs import RunState
from remediator.model.storms import Storm, StormMark, StormRun

ACTOR = "remediator"


def going_on(notifier: str) -> Operation[tuple[StormMark, ...]]:
    """Return the storms whose message is still edited, the oldest first."""
    rows = yield Query(
        "SELECT id, notifier, place, began_us, joined_us, closed_us, ref FROM storms"
        " WHERE notifier = $1 AND ended_us IS NULL ORDER BY began_us, id",
        (notifier,),
    )
    return tuple(
        StormMark(
            id=row[0],
            notifier=row[1],
            place=row[2],
            began_at=from_us(row[3]),
            joined_at=from_us(row[4]),
            closed_at=from_us_or_none(row[5]),
            ref=coding.loads(row[6]),
        )
        for row in rows
    )


def find(storm_id: str, *, most: int) -> Operation[Storm | None]:
    """Return how a storm stands, with `most` of its runs by name."""
    found = yield Query("SELECT place, began_us, closed_us FROM storms WHERE id = $1", (storm_id,))
    if not found:
        return None
    counts = yield Query(
        "SELECT r.state, r.runbook, COUNT(*) FROM storm_runs AS s JOIN runs AS r ON r.id = s.run_id"
        " WHERE s.storm_id = $1 GROUP BY r.state, r.runbook",
        (storm_id,),
    )
    by_state: dict[RunState, int] = {}
    by_runbook: dict[str, int] = {}
    for state, runbook, count in counts:
        by_state[RunState(state)] = by_state.get(RunState(state), 0) + count
        by_runbook[runbook] = by_runbook.get(runbook, 0) + count
    runs = yield Query(
        "SELECT r.id, r.runbook, r.target, r.state FROM storm_runs AS s"
        " JOIN runs AS r ON r.id = s.run_id WHERE s.storm_id = $1"
        " ORDER BY CASE r.state WHEN 'interrupted' THEN 0 WHEN 'awaiting_approval' THEN 1"
        " WHEN 'failed' THEN 2 ELSE 3 END, r.id LIMIT $2",
        (storm_id, most),
    )
    called = yield Query(
        "SELECT COUNT(DISTINCT o.run_id) FROM storm_runs AS s"
        " JOIN outbox AS o ON o.run_id = s.run_id AND o.notifier = s.notifier"
        " JOIN runs AS r ON r.id = s.run_id"
        " WHERE s.storm_id = $1 AND o.state = 'shared' AND o.kind = 'escalation'"
        " AND r.state NOT IN ('awaiting_approval', 'interrupted')"
        " AND NOT EXISTS (SELECT 1 FROM acknowledgements AS a WHERE a.run_id = s.run_id)",
        (storm_id,),
    )
    return Storm(
        id=storm_id,
        place=found[0][0],
        began_at=from_us(found[0][1]),
        closed_at=from_us_or_none(found[0][2]),
        by_state=by_state,
        by_runbook=dict(sorted(by_runbook.items(), key=lambda one: (-one[1], one[0]))),
        first=tuple(StormRun(row[0], row[1], row[2], RunState(row[3])) for row in runs),
        escalated=called[0][0],
    )


def begins(storm: StormMark) -> Operation[None]:
    """Put a storm on record."""
    yield Execute(
        "INSERT INTO storms (id, notifier, place, began_us, joined_us, closed_us, ref)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        (
            storm.id,
            storm.notifier,
            storm.place,
            to_us(storm.began_at),
            to_us(storm.joined_at),
            to_us_or_none(storm.closed_at),
            coding.dumps(storm.ref),
        ),
    )
    details: JSONObject = {"storm": storm.id, "notifier": storm.notifier, "place": storm.place}
    yield Record([AuditEntry("storm.began", ACTOR, storm.began_at, details)])


def shares(item: OutboxItem, storm_id: str, *, at: datetime) -> Operation[None]:
    """Mark a note as told by the storm's message, and its run as one of the storm's."""
    changed = yield Execute(
        "UPDATE outbox SET state = 'shared', error = ''"
        " WHERE id = $1 AND run_id = $2 AND notifier = $3 AND state = 'waiting'",
        (item.id, item.note.run_id, item.notifier),
    )
    if not changed:
        return
    joined = yield Execute(
        "INSERT INTO storm_runs (notifier, run_id, storm_id) VALUES ($1, $2, $3)"
        " ON CONFLICT (notifier, run_id) DO NOTHING",
        (item.notifier, item.note.run_id, storm_id),
    )
    if joined:
        yield Execute(
            "UPDATE storms SET joined_us = $2 WHERE id = $1 AND joined_us < $2",
            (storm_id, to_us(at)),
        )


def told(storm_id: str, ref: JSONObject | None, *, at: datetime, ended: bool) -> Operation[None]:
    """Remember what the notifier knows of its message, and whether that was the last edit."""
    yield Execute(
        "UPDATE storms SET ref = $2, ended_us = $3 WHERE id = $1",
        (storm_id, coding.dumps(ref), to_us(at) if ended else None),
    )


def over(storm_id: str, *, at: datetime) -> Operation[int]:
    """Close a storm: nobody joins, and what calls a person goes out by itself.

    Of a run that waits for an answer its newest question, and every escalation that nobody has
    answered; in their order.
    """
    changed = yield Execute(
        "UPDATE storms SET closed_us = $2 WHERE id = $1 AND closed_us IS NULL",
        (storm_id, to_us(at)),
    )
    if not changed:
        return 0
    notes: int = yield Execute(
        "UPDATE outbox SET state = 'waiting', next_us = $2"
        " WHERE state = 'shared' AND EXISTS ("
        "     SELECT 1 FROM storm_runs AS s WHERE s.run_id = outbox.run_id"
        "     AND s.notifier = outbox.notifier AND s.storm_id = $1"
        " ) AND (kind = 'escalation' AND NOT EXISTS ("
        "     SELECT 1 FROM acknowledgements AS a WHERE a.run_id = outbox.run_id"
        "     AND a.at_us >= outbox.at_us"
        " ) OR (kind = 'approval' AND EXISTS ("
        "     SELECT 1 FROM runs AS r WHERE r.id = outbox.run_id AND r.state = 'awaiting_approval'"
        " ) AND NOT EXISTS ("
        "     SELECT 1 FROM outbox AS n WHERE n.run_id = outbox.run_id"
        "     AND n.notifier = outbox.notifier AND n.kind = 'approval' AND n.id > outbox.id"
        " )))",
        (storm_id, to_us(at)),
    )
    counted = yield Query("SELECT COUNT(*) FROM storm_runs WHERE storm_id = $1", (storm_id,))
    details: JSONObject = {"storm": storm_id, "runs": counted[0][0], "told_alone": notes}
    yield Record([AuditEntry("storm.over", ACTOR, at, details)])
    if notes:
        yield Wake(Due.NOTES)
    return notes


def forget(*, at: datetime) -> Operation[None]:
    """End every storm, and tell nothing of it again: the journal was restored from a copy."""
    yield Execute("UPDATE outbox SET state = 'refused' WHERE state = 'shared'")
    yield Execute(
        "UPDATE storms SET ended_us = $1, closed_us = COALESCE(closed_us, $1)"
        " WHERE ended_us IS NULL",
        (to_us(at),),
    )
