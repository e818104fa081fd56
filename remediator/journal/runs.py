"""The runs table: rows, claims and lists. States are written by `transitions` alone."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from remediator.journal import coding
from remediator.journal.ids import ALPHABET
from remediator.journal.ids import LENGTH as ID_LENGTH
from remediator.journal.paging import bounded, page_of
from remediator.journal.statements import Env, Execute, Many, Operation, Query, Record, Row, Wake
from remediator.journal.times import from_us, from_us_or_none, to_us, to_us_or_none
from remediator.journal.values import AuditEntry, Due, Page
from remediator.model.reasons import Reason
from remediator.model.runs import Outputs, Run, RunState, Trigger
from remediator.model.verdicts import Verdict

COLUMNS = (
    "id, incident_id, runbook, version, trigger, state, reason, message, target, context, epoch,"
    " owner, wake_us, created_us, started_us, ended_us, started_by, cancel_requested_by,"
    " deadline_us, moved_us, line, has_turn"
)
# People type a piece of an id; a shorter one hits too many.
MIN_PIECE = 6

_INSERT = f"""
    INSERT INTO runs ({COLUMNS}, verdicts)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
        $20, $21, $22, '[]')
"""  # noqa: S608 - constants
# MATERIALIZED: PostgreSQL may look for the rows of a plain IN afresh for each row that it updates,
# pass over those that it has updated, and so claim more than the limit.
_CLAIM = f"""
    WITH due AS MATERIALIZED (
        SELECT id FROM runs WHERE owner IS NULL AND wake_us IS NOT NULL AND wake_us <= $2
        ORDER BY wake_us LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE runs SET owner = $1, epoch = epoch + 1, started_us = COALESCE(started_us, $2)
    WHERE id IN (SELECT id FROM due)
    RETURNING {COLUMNS}
"""  # noqa: S608 - constants


def insert(runs: Sequence[Run]) -> Operation[None]:
    """Write new runs, with the audit record of their beginning."""
    if runs:
        yield Many(_INSERT, [_to_row(run) for run in runs])
        yield Record([_begun(run) for run in runs])
        yield Wake(Due.RUNS)


def claim(env: Env, *, at: datetime, limit: int) -> Operation[list[Run]]:
    """Take runs whose time has come and that nobody has in hand; raises their epoch."""
    rows = yield Query(_CLAIM, (env.node, to_us(at), limit))
    return sorted(map(from_row, rows), key=lambda run: (run.wake_at or at, run.id))


def free(nodes: Sequence[str], *, at: datetime) -> Operation[int]:
    """Hand back what nodes that are gone had in hand, to be claimed at once.

    What becomes of a step that was in hand, recovery decides.
    """
    rows = yield Query(
        "SELECT id, incident_id, state, owner FROM runs WHERE ended_us IS NULL"
        " AND owner IN (SELECT value FROM each($1) AS n) ORDER BY id FOR NO KEY UPDATE",
        (coding.dumps(sorted(nodes)),),
    )
    if rows:
        yield Many(
            "UPDATE runs SET owner = NULL, wake_us = $2 WHERE id = $1",
            [(row[0], to_us(at)) for row in rows],
        )
        yield Record(
            [
                AuditEntry(
                    kind="run.freed",
                    actor="remediator",
                    at=at,
                    details={
                        "state": row[2],
                        "from_node": row[3],
                        "message": f"node {row[3]} is gone; the run will be taken up again",
                    },
                    run_id=row[0],
                    incident_id=row[1],
                )
                for row in rows
            ]
        )
        yield Wake(Due.RUNS)
    return len(rows)


def unhand(env: Env, in_hand: Sequence[str], *, at: datetime) -> Operation[int]:
    """Hand back what this node claimed, and does not know of: the claim's answer was lost."""
    changed: int = yield Execute(
        "UPDATE runs SET owner = NULL, wake_us = $3"
        " WHERE owner = $1 AND id NOT IN (SELECT value FROM each($2) AS i)",
        (env.node, coding.dumps(sorted(in_hand)), to_us(at)),
    )
    if changed:
        yield Wake(Due.RUNS)
    return changed


def next_wake() -> Operation[datetime | None]:
    """Return when the next run is due."""
    rows = yield Query(
        "SELECT wake_us FROM runs WHERE owner IS NULL AND wake_us IS NOT NULL"
        " ORDER BY wake_us LIMIT 1"
    )
    return from_us(rows[0][0]) if rows else None


def get(run_id: str, *, lock: bool = False) -> Operation[Run | None]:
    """Return the run with exactly this id; with `lock`, in order to write it."""
    suffix = " FOR NO KEY UPDATE" if lock else ""
    rows = yield Query(f"SELECT {COLUMNS} FROM runs WHERE id = $1{suffix}", (run_id,))  # noqa: S608 - constants
    return from_row(rows[0]) if rows else None


def unended(*, besides: RunState) -> Operation[list[Run]]:
    """Return all runs that have not ended and are not in this state, in order to write them."""
    rows = yield Query(
        f"SELECT {COLUMNS} FROM runs WHERE ended_us IS NULL AND state <> $1"  # noqa: S608 - constants
        " ORDER BY id FOR NO KEY UPDATE",
        (besides.value,),
    )
    return [from_row(row) for row in rows]


def locked(run_ids: Sequence[str]) -> Operation[dict[str, Run]]:
    """Return these runs by id, in order to write them."""
    rows = yield Query(
        f"SELECT {COLUMNS} FROM runs"  # noqa: S608 - constants
        " WHERE id IN (SELECT value FROM each($1) AS i) ORDER BY id FOR NO KEY UPDATE",
        (coding.dumps(sorted(run_ids)),),
    )
    return {row[0]: from_row(row) for row in rows}


def find(piece: str) -> Operation[Run | None]:
    """Return the run with this id, or the only one whose id begins or ends so."""
    piece = piece.strip().lower()
    if len(piece) >= ID_LENGTH or len(piece) < MIN_PIECE or not set(piece) <= set(ALPHABET):
        return (yield from get(piece))
    rows = yield Query(
        f"SELECT {COLUMNS} FROM runs WHERE id LIKE $1 OR id LIKE $2 LIMIT 2",  # noqa: S608 - constants
        (f"{piece}%", f"%{piece}"),
    )
    return from_row(rows[0]) if len(rows) == 1 else None


def listed(
    *,
    states: Sequence[RunState],
    runbook: str | None,
    incident_id: str | None,
    cursor: str | None,
    limit: int,
) -> Operation[Page[Run]]:
    """List runs, newest first."""
    limit = bounded(limit)
    args: list[object] = [limit + 1]
    where = ["TRUE"]
    if states:
        # Enum values, written out so that a partial index can be chosen.
        where.append("state IN ({})".format(", ".join(f"'{s.value}'" for s in states)))
        if not any(state.ended for state in states):
            where.append("ended_us IS NULL")
    for column, value in (("runbook =", runbook), ("incident_id =", incident_id), ("id <", cursor)):
        if value is not None:
            args.append(value)
            where.append(f"{column} ${len(args)}")
    rows = yield Query(
        f"SELECT {COLUMNS} FROM runs WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT $1",  # noqa: S608 - constants
        tuple(args),
    )
    return page_of([from_row(row) for row in rows], limit, lambda run: run.id)


def of_incidents(incident_ids: Iterable[str]) -> Operation[list[Run]]:
    """Return all runs of these incidents, in order to write them."""
    rows = yield Query(
        f"SELECT {COLUMNS} FROM runs"  # noqa: S608 - constants
        " WHERE incident_id IN (SELECT value FROM each($1) AS i) ORDER BY id FOR NO KEY UPDATE",
        (coding.dumps(sorted(incident_ids)),),
    )
    return [from_row(row) for row in rows]


def begun_for(incident_ids: Iterable[str]) -> Operation[set[tuple[str, str, str]]]:
    """Return (incident, runbook, trigger) of the runs that these incidents have had."""
    rows = yield Query(
        "SELECT incident_id, runbook, trigger FROM runs"
        " WHERE incident_id IN (SELECT value FROM each($1) AS i)",
        (coding.dumps(sorted(incident_ids)),),
    )
    return {(row[0], row[1], row[2]) for row in rows}


def count_by_state() -> Operation[dict[RunState, int]]:
    """Return how many runs are in each state that is not an end."""
    rows = yield Query("SELECT state, COUNT(*) FROM runs WHERE ended_us IS NULL GROUP BY state")
    return {RunState(row[0]): row[1] for row in rows}


def verdicts(run_id: str) -> Operation[tuple[Verdict, ...]]:
    """Return the verdicts that were kept with a run."""
    rows = yield Query("SELECT verdicts FROM runs WHERE id = $1", (run_id,))
    return coding.verdicts_from_text(rows[0][0]) if rows else ()


def kept(run_id: str) -> Operation[tuple[tuple[Verdict, ...], Outputs]]:
    """Return the verdicts that were kept with a run, and what it left."""
    rows = yield Query("SELECT verdicts, outputs FROM runs WHERE id = $1", (run_id,))
    if not rows:
        return (), Outputs()
    return coding.verdicts_from_text(rows[0][0]), coding.outputs_from_text(rows[0][1])


def from_row(row: Row) -> Run:
    """Build a run from a row of `COLUMNS`."""
    return Run(
        id=row[0],
        incident_id=row[1],
        runbook=row[2],
        version=row[3],
        trigger=Trigger(row[4]),
        state=RunState(row[5]),
        reason=Reason(row[6]),
        message=row[7],
        target=row[8],
        context=coding.loads(row[9]),
        epoch=row[10],
        owner=row[11],
        wake_at=from_us_or_none(row[12]),
        created_at=from_us(row[13]),
        started_at=from_us_or_none(row[14]),
        ended_at=from_us_or_none(row[15]),
        started_by=row[16],
        cancel_requested_by=row[17],
        deadline_at=from_us_or_none(row[18]),
        moved_at=from_us(row[19]),
        line=row[20],
        has_turn=bool(row[21]),
    )


def _to_row(run: Run) -> tuple[object, ...]:
    return (
        run.id,
        run.incident_id,
        run.runbook,
        run.version,
        run.trigger.value,
        run.state.value,
        run.reason.value,
        run.message,
        run.target,
        coding.dumps(run.context),
        run.epoch,
        run.owner,
        to_us_or_none(run.wake_at),
        to_us(run.created_at),
        to_us_or_none(run.started_at),
        to_us_or_none(run.ended_at),
        run.started_by,
        run.cancel_requested_by,
        to_us_or_none(run.deadline_at),
        to_us(run.moved_at or run.created_at),
        run.line,
        int(run.has_turn),
    )


def _begun(run: Run) -> AuditEntry:
    return AuditEntry(
        kind="run.state",
        actor=run.started_by,
        at=run.created_at,
        details={
            "from": None,
            "to": run.state.value,
            "reason": run.reason.value,
            "message": run.message,
            "runbook": run.runbook,
            "version": run.version,
            "trigger": run.trigger.value,
            **({"parameters": given} if (given := run.context.get("parameters")) else {}),
        },
        run_id=run.id,
        incident_id=run.incident_id,
    )
