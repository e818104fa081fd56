"""How runbooks did, counted out of the runs that the journal still keeps.

Read by `report`, `promote` and, where the policy demands it, before a plan is judged.
"""

from collections import Counter
from datetime import datetime, timedelta

from remediator.journal import coding
from remediator.journal.statements import Operation, Query
from remediator.journal.times import from_us, to_us
from remediator.model.evidence import LastRun, Record, Refusals, RunCount
from remediator.model.runs import RunState
from remediator.model.verdicts import Ruling

# Their verdicts are read whole; a report that covers more says so.
MOST_REFUSALS = 20_000

_FLAG = "CASE WHEN EXISTS ({}) THEN 1 ELSE 0 END"
_ASKED = _FLAG.format("SELECT 1 FROM approvals AS a WHERE a.run_id = r.id")
_APPROVED = _FLAG.format(
    "SELECT 1 FROM approvals AS a WHERE a.run_id = r.id AND a.status = 'approved'"
)
_DENIED = _FLAG.format("SELECT 1 FROM approvals AS a WHERE a.run_id = r.id AND a.status = 'denied'")
_ACTED = _FLAG.format(
    "SELECT 1 FROM steps AS s WHERE s.run_id = r.id AND s.target_key IS NOT NULL"
    " AND s.state IN ('started', 'done', 'failed', 'undoing', 'undone')"
    " AND s.started_us IS NOT NULL"
)
_CALLED = _FLAG.format(
    "SELECT 1 FROM outbox AS o WHERE o.run_id = r.id AND o.kind = 'escalation'"
    " AND o.state NOT IN ('later', 'dropped')"
)
_DECISIONS = (
    "(SELECT COUNT(*) FROM decisions AS d JOIN approvals AS a ON a.id = d.approval_id"
    " WHERE a.run_id = r.id)"
)
_COUNTS = f"""
    SELECT runbook, substance, state, by_alert, asked, approved, denied, acted, called,
        COUNT(*), CAST(SUM(took_us) AS BIGINT), CAST(SUM(decided) AS BIGINT)
    FROM (
        SELECT r.runbook AS runbook, b.substance AS substance, r.state AS state,
            CASE WHEN r.trigger IN ('firing', 'resolved') THEN 1 ELSE 0 END AS by_alert,
            {_ASKED} AS asked, {_APPROVED} AS approved, {_DENIED} AS denied, {_ACTED} AS acted,
            {_CALLED} AS called, r.ended_us - r.created_us AS took_us, {_DECISIONS} AS decided
        FROM runs AS r JOIN runbooks AS b ON b.version = r.version
        WHERE r.ended_us IS NOT NULL AND r.ended_us >= $1 AND r.trigger <> 'expiry' {{only}}
    ) AS one
    GROUP BY runbook, substance, state, by_alert, asked, approved, denied, acted, called
    ORDER BY runbook, substance, state, by_alert, asked, approved, denied, acted, called
"""  # noqa: S608 - constants

# What no file's runbook is called: `NAMESPACE/NAME`.
_NAMESPACED = " AND r.runbook LIKE '%/%'"
_LAST = f"""
    SELECT r.runbook, MAX(r.id), MAX(r.state), r.ended_us
    FROM runs AS r JOIN (
        SELECT r.runbook AS name, MAX(r.ended_us) AS newest FROM runs AS r
        WHERE r.ended_us IS NOT NULL AND r.ended_us >= $1 AND r.trigger <> 'expiry' {_NAMESPACED}
        GROUP BY r.runbook
    ) AS n ON n.name = r.runbook AND n.newest = r.ended_us
    WHERE r.ended_us IS NOT NULL AND r.trigger <> 'expiry'
    GROUP BY r.runbook, r.ended_us ORDER BY r.runbook
"""  # noqa: S608 - constants


def counts(
    *,
    since: datetime,
    runbook: str | None = None,
    substance: str | None = None,
    namespaced: bool = False,
) -> Operation[tuple[RunCount, ...]]:
    """Count the runs that have ended since then; of one runbook, as it stands, where told so.

    Args:
        namespaced: only those of runbooks that are kept in the cluster.
    """
    args: list[object] = [to_us(since)]
    only = _NAMESPACED if namespaced else ""
    for column, value in (("r.runbook", runbook), ("b.substance", substance)):
        if value is not None:
            args.append(value)
            only += f" AND {column} = ${len(args)}"
    rows = yield Query(_COUNTS.format(only=only), tuple(args))
    return tuple(
        RunCount(
            runbook=row[0],
            substance=row[1],
            state=RunState(row[2]),
            by_alert=bool(row[3]),
            asked=bool(row[4]),
            approved=bool(row[5]),
            denied=bool(row[6]),
            acted=bool(row[7]),
            called=bool(row[8]),
            count=row[9],
            took=timedelta(microseconds=row[10]),
            decisions=row[11],
        )
        for row in rows
    )


def last_runs(*, since: datetime) -> Operation[tuple[LastRun, ...]]:
    """Return the newest run that has ended since then of each runbook in the cluster."""
    rows = yield Query(_LAST, (to_us(since),))
    return tuple(LastRun(row[0], row[1], RunState(row[2]), from_us(row[3])) for row in rows)


def record(*, since: datetime, until: datetime, runbook: str | None = None) -> Operation[Record]:
    """Return all that a report of this span needs."""
    counted = yield from counts(since=since, runbook=runbook)
    args: tuple[object, ...] = (to_us(since), MOST_REFUSALS + 1)
    only = ""
    if runbook is not None:
        args, only = (*args, runbook), " AND runbook = $3"
    rows = yield Query(
        "SELECT runbook, verdicts FROM runs WHERE state = 'suppressed'"  # noqa: S608 - constants
        f" AND reason = 'guardrail_refuses' AND ended_us >= $1{only} ORDER BY id DESC LIMIT $2",
        args,
    )
    refused: Counter[tuple[str, str]] = Counter()
    for name, verdicts in rows[:MOST_REFUSALS]:
        rules = {v.rule for v in coding.verdicts_from_text(verdicts) if v.ruling is Ruling.REFUSE}
        refused.update((name, rule) for rule in rules)
    return Record(
        since=since,
        until=until,
        counts=counted,
        refusals=tuple(
            Refusals(name, rule, count) for (name, rule), count in sorted(refused.items())
        ),
        partial=len(rows) > MOST_REFUSALS,
    )
