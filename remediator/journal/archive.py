"""What is kept for replay: raw notifications in the order of their times, and the runs they began.

Reads only. Bodies are large: heads first, then the bodies of a few at a time.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from remediator.journal import coding, ids, notifications, steps
from remediator.journal.statements import Operation, Query
from remediator.journal.times import from_us, from_us_or_none, to_us
from remediator.journal.values import Happened, Kept, Recorded
from remediator.model.plans import Plan
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, Trigger

# A run's id is made when its notification is committed, at most this long after it was received;
# a clock that was set may lie between.
_COMMITTED_WITHIN = timedelta(minutes=10)

_HAPPENED = f"""
    SELECT r.id, r.runbook, r.trigger, i.sender, i.fingerprint, r.created_us, r.state, r.reason,
        r.message, r.verdicts,
        EXISTS (SELECT 1 FROM approvals AS a WHERE a.run_id = r.id),
        EXISTS (
            SELECT 1 FROM steps AS s
            WHERE s.run_id = r.id AND s.target_key IS NOT NULL AND s.state IN {steps.BEGUN}
        )
    FROM runs AS r JOIN incidents AS i ON i.id = r.incident_id
    WHERE r.id >= $1 AND r.id < $2 AND r.created_us >= $3 AND r.created_us <= $4
        AND r.trigger IN ('{Trigger.FIRING}', '{Trigger.RESOLVED}')
    ORDER BY r.id
"""  # noqa: S608 - constants


def kept(*, since: datetime, until: datetime) -> Operation[Kept]:
    """Return how many notifications of a span have a body, and how many the audit log knows."""
    span = (to_us(since), to_us(until))
    rows = yield Query(
        "SELECT COUNT(*), MIN(received_us) FROM notifications"
        " WHERE received_us >= $1 AND received_us < $2",
        span,
    )
    known = yield Query(
        "SELECT COUNT(*) FROM audit WHERE kind = 'notification' AND at_us >= $1 AND at_us < $2",
        span,
    )
    return Kept(rows[0][0], known[0][0], from_us_or_none(rows[0][1]))


def recorded(
    *, since: datetime, until: datetime, after: Recorded | None, limit: int
) -> Operation[list[Recorded]]:
    """Return the heads of the notifications of a span, oldest first."""
    begin = to_us(after.received_at) if after else to_us(since)
    rows = yield Query(
        "SELECT id, sender, source, received_us, size FROM notifications"
        " WHERE received_us >= $1 AND received_us < $2"
        " AND (received_us > $1 OR id > $3)"
        " ORDER BY received_us, id LIMIT $4",
        (begin, to_us(until), after.id if after else "", limit),
    )
    return [Recorded(row[0], row[1], row[2], from_us(row[3]), row[4]) for row in rows]


def bodies(wanted: Collection[str]) -> Operation[dict[str, bytes]]:
    """Return raw bodies by id."""
    rows = yield Query(
        "SELECT id, body FROM notifications WHERE id IN (SELECT value FROM each($1) AS i)",
        (coding.dumps(sorted(wanted)),),
    )
    return {row[0]: notifications.unpack(bytes(row[1])) for row in rows}


def happened(*, since: datetime, until: datetime) -> Operation[list[Happened]]:
    """Return the runs of a span, both ends included, with what came of them."""
    rows = yield Query(
        _HAPPENED,
        (
            ids.least(since - timedelta(minutes=1)),
            ids.least(until + _COMMITTED_WITHIN),
            to_us(since),
            to_us(until),
        ),
    )
    plans = yield from _plans(row[0] for row in rows)
    return [
        Happened(
            run_id=row[0],
            runbook=row[1],
            trigger=Trigger(row[2]),
            sender=row[3],
            fingerprint=row[4],
            created_at=from_us(row[5]),
            state=RunState(row[6]),
            reason=Reason(row[7]),
            message=row[8],
            verdicts=coding.verdicts_from_text(row[9]),
            asked=bool(row[10]),
            changed=bool(row[11]),
            plans=plans.get(row[0], ()),
        )
        for row in rows
    ]


def _plans(run_ids: Iterable[str]) -> Operation[dict[str, tuple[str, ...]]]:
    """Return the newest plan of each step of these runs, as one line each."""
    rows = yield Query(
        "SELECT run_id, sequence, plan FROM steps"
        " WHERE run_id IN (SELECT value FROM each($1) AS r) AND plan IS NOT NULL"
        " ORDER BY run_id, sequence, attempt",
        (coding.dumps(sorted(run_ids)),),
    )
    newest = {(row[0], row[1]): row[2] for row in rows}
    found: dict[str, tuple[str, ...]] = {}
    for (run_id, _), text in newest.items():
        plan = Plan.from_json(coding.loads(text))
        if not plan.empty:
            found[run_id] = (*found.get(run_id, ()), str(plan))
    return found
