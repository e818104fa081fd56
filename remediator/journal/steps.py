"""The steps table: attempts of steps, and the changes that guardrails count."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from remediator.journal import coding
from remediator.journal.protocol import PastChange
from remediator.journal.statements import Many, Operation, Query, Row
from remediator.journal.times import from_us, from_us_or_none, to_us, to_us_or_none
from remediator.model.plans import Plan
from remediator.model.runs import Run, Step, StepState, Trigger

_COLUMNS = (
    "run_id, sequence, attempt, step_id, action, state, plan, params, message, output, changed,"
    " started_us, ended_us"
)
_UPSERT = f"""
    INSERT INTO steps ({_COLUMNS}, digest, target_key, pods)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
    ON CONFLICT (run_id, sequence, attempt) DO UPDATE SET
        step_id = excluded.step_id, action = excluded.action, state = excluded.state,
        plan = excluded.plan, params = excluded.params, message = excluded.message,
        output = excluded.output, changed = excluded.changed, started_us = excluded.started_us,
        ended_us = excluded.ended_us, digest = excluded.digest,
        target_key = excluded.target_key, pods = excluded.pods
"""  # noqa: S608 - constants
# A change was begun once its intent was stored, whatever became of it.
_BEGUN_SET = ("started", "done", "failed", "undoing", "undone")
_BEGUN = str(_BEGUN_SET)


def write(steps: Sequence[Step]) -> Operation[None]:
    """Insert or replace attempts; of one that comes twice the last counts."""
    newest = {(step.run_id, step.sequence, step.attempt): step for step in steps}
    if newest:
        yield Many(_UPSERT, [_to_row(step) for step in newest.values()])


def of_run(run_id: str) -> Operation[list[Step]]:
    """Return all attempts of a run, by sequence and attempt."""
    rows = yield Query(
        f"SELECT {_COLUMNS} FROM steps WHERE run_id = $1 ORDER BY sequence, attempt",  # noqa: S608 - constants
        (run_id,),
    )
    return [_from_row(row) for row in rows]


def newest_of_run(run_id: str) -> Operation[tuple[Step, ...]]:
    """Return the newest attempt of each step, in order."""
    steps = yield from of_run(run_id)
    return tuple({step.sequence: step for step in steps}.values())


def in_hand(run_id: str) -> Operation[list[Step]]:
    """Return the steps whose intent (to do or to take back) has no outcome yet."""
    rows = yield Query(
        f"SELECT {_COLUMNS} FROM steps"  # noqa: S608 - constants
        " WHERE run_id = $1 AND state IN ('started', 'undoing') ORDER BY sequence, attempt",
        (run_id,),
    )
    return [_from_row(row) for row in rows]


def runs_that_changed(run_ids: Iterable[str]) -> Operation[set[str]]:
    """Return those runs that have begun to change something."""
    rows = yield Query(
        "SELECT DISTINCT run_id FROM steps"  # noqa: S608 - constants
        " WHERE run_id IN (SELECT value FROM each($1) AS r) AND target_key IS NOT NULL"
        f" AND state IN {_BEGUN}",
        (coding.dumps(sorted(run_ids)),),
    )
    return {row[0] for row in rows}


def changes(*, since: datetime) -> Operation[tuple[PastChange, ...]]:
    """Return the changes begun since then, newest first; a step's attempts are one change.

    A run that takes a raised limit back holds a copy of the step that raised it, which is no
    change of its own and is left out.
    """
    rows = yield Query(
        "SELECT s.run_id, s.sequence, r.runbook, s.target_key, MAX(s.pods), MIN(s.started_us)"  # noqa: S608 - constants
        " FROM steps AS s JOIN runs AS r ON r.id = s.run_id"
        " WHERE s.started_us IS NOT NULL AND s.target_key IS NOT NULL AND s.started_us >= $1"
        f" AND s.state IN {_BEGUN} AND r.trigger <> 'expiry'"
        " GROUP BY s.run_id, s.sequence, r.runbook, s.target_key"
        " ORDER BY MIN(s.started_us) DESC",
        (to_us(since),),
    )
    return tuple(
        PastChange(
            run_id=row[0],
            sequence=row[1],
            runbook=row[2],
            target_key=row[3],
            pods=row[4],
            at=from_us(row[5]),
        )
        for row in rows
    )


def as_changes(run: Run, steps: Sequence[Step]) -> list[PastChange]:
    """Return what `changes` will find once these steps of a run are written."""
    if run.trigger is Trigger.EXPIRY:
        return []
    return [
        PastChange(
            run_id=run.id,
            sequence=step.sequence,
            runbook=run.runbook,
            target_key=step.plan.target.key,
            pods=step.plan.impact.pods,
            at=step.started_at,
        )
        for step in steps
        if step.plan and not step.plan.empty and step.started_at and step.state.value in _BEGUN_SET
    ]


def _to_row(step: Step) -> tuple[object, ...]:
    plan = step.plan
    changing = plan is not None and not plan.empty
    document = plan.to_json() if plan else None
    return (
        step.run_id,
        step.sequence,
        step.attempt,
        step.step_id,
        step.action,
        step.state.value,
        coding.dumps(document) if document is not None else None,
        coding.dumps(step.params),
        step.message,
        coding.dumps(step.output),
        int(step.changed),
        to_us_or_none(step.started_at),
        to_us_or_none(step.ended_at),
        document["digest"] if document is not None else None,
        plan.target.key if plan and changing else None,
        plan.impact.pods if plan and changing else 0,
    )


def _from_row(row: Row) -> Step:
    return Step(
        run_id=row[0],
        sequence=row[1],
        attempt=row[2],
        step_id=row[3],
        action=row[4],
        state=StepState(row[5]),
        plan=Plan.from_json(coding.loads(row[6])) if row[6] is not None else None,
        params=coding.loads(row[7]),
        message=row[8],
        output=coding.loads(row[9]),
        changed=bool(row[10]),
        started_at=from_us_or_none(row[11]),
        ended_at=from_us_or_none(row[12]),
    )
