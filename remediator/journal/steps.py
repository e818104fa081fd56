"""The steps table: attempts of steps, and the changes that guardrails count."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from remediator.journal import coding
from remediator.journal.statements import Many, Operation, Query, Row
from remediator.journal.times import from_us, from_us_or_none, to_us, to_us_or_none
from remediator.model.history import GoingOn, PastChange, begun
from remediator.model.plans import Impact, Plan
from remediator.model.runs import Run, Step, StepState, Trigger

_COLUMNS = (
    "run_id, sequence, attempt, step_id, action, state, plan, params, message, output, changed,"
    " started_us, ended_us, owner, rules"
)
_UPSERT = f"""
    INSERT INTO steps ({_COLUMNS}, digest, target_key, pods, nodes, down, part_of, cost)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
        $20, $21, $22)
    ON CONFLICT (run_id, sequence, attempt) DO UPDATE SET
        step_id = excluded.step_id, action = excluded.action, state = excluded.state,
        plan = excluded.plan, params = excluded.params, message = excluded.message,
        output = excluded.output, changed = excluded.changed, started_us = excluded.started_us,
        ended_us = excluded.ended_us, digest = excluded.digest,
        target_key = excluded.target_key, pods = excluded.pods, nodes = excluded.nodes,
        down = excluded.down, part_of = excluded.part_of, cost = excluded.cost,
        owner = excluded.owner, rules = excluded.rules
"""  # noqa: S608 - constants
# A change was begun once its intent was stored, whatever became of it.
_BEGUN_SET = ("started", "done", "failed", "undoing", "undone")
BEGUN = str(_BEGUN_SET)


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
        f" AND state IN {BEGUN}",
        (coding.dumps(sorted(run_ids)),),
    )
    return {row[0] for row in rows}


def changes(*, since: datetime) -> Operation[tuple[PastChange, ...]]:
    """Return the changes begun since then, newest first; a step's attempts are one change.

    A run that takes a raised limit back holds a copy of the step that raised it, which is no
    change of its own and is left out.
    """
    rows = yield Query(
        "SELECT s.run_id, s.sequence, r.runbook, s.target_key, s.started_us, s.pods, s.nodes,"  # noqa: S608 - constants
        " s.down, s.part_of, s.owner, s.rules, s.cost"
        " FROM steps AS s JOIN runs AS r ON r.id = s.run_id"
        " WHERE s.started_us IS NOT NULL AND s.target_key IS NOT NULL AND s.started_us >= $1"
        f" AND s.state IN {BEGUN} AND r.trigger <> 'expiry'"
        " ORDER BY s.started_us",
        (to_us(since),),
    )
    found: dict[tuple[str, int], PastChange] = {}
    for row in rows:
        change = _to_change(row)
        key = (change.run_id, change.sequence)
        before = found.get(key)
        found[key] = change if before is None else _same_change(before, change)
    return tuple(sorted(found.values(), key=lambda change: change.at, reverse=True))


def _to_change(row: Row) -> PastChange:
    return PastChange(
        run_id=row[0],
        sequence=row[1],
        runbook=row[2],
        target_key=row[3],
        at=from_us(row[4]),
        pods=row[5],
        nodes=row[6],
        down=row[5] if row[7] is None else row[7],
        part_of=row[8],
        owner=row[9],
        rules=frozenset(coding.loads(row[10])),
        cost=Decimal(row[11]) if row[11] else None,
    )


def _same_change(first: PastChange, later: PastChange) -> PastChange:
    """Return what two attempts at a change count as: one, from the first on, with the greater
    figures, since an attempt that was planned anew may touch more."""
    return replace(
        first,
        pods=max(first.pods, later.pods),
        nodes=max(first.nodes, later.nodes),
        down=max(first.down, later.down),
        rules=first.rules | later.rules,
        cost=max(
            (cost for cost in (first.cost, later.cost) if cost is not None),
            default=None,
        ),
    )


def going_on() -> Operation[dict[str, GoingOn]]:
    """Return the runs that have begun to change something and have not ended: they hold locks."""
    rows = yield Query(
        "SELECT DISTINCT l.run_id, r.runbook, s.rules FROM locks AS l"  # noqa: S608 - constants
        " JOIN runs AS r ON r.id = l.run_id JOIN steps AS s ON s.run_id = l.run_id"
        f" WHERE r.trigger <> 'expiry' AND s.target_key IS NOT NULL AND s.state IN {BEGUN}"
    )
    found: dict[str, GoingOn] = {}
    for run_id, runbook, rules in rows:
        before = found.get(run_id)
        names = frozenset(coding.loads(rules)) | (before.rules if before else frozenset())
        found[run_id] = GoingOn(run_id, runbook, names)
    return found


def as_changes(run: Run, steps: Sequence[Step]) -> list[PastChange]:
    """Return what `changes` will find once these steps of a run are written."""
    if run.trigger is Trigger.EXPIRY:
        return []
    return [
        begun(
            step.plan,
            run_id=run.id,
            sequence=step.sequence,
            runbook=run.runbook,
            owner=step.owner,
            rules=frozenset(step.rules),
            at=step.started_at,
        )
        for step in steps
        if step.plan and not step.plan.empty and step.started_at and step.state.value in _BEGUN_SET
    ]


def _to_row(step: Step) -> tuple[object, ...]:
    plan = step.plan
    changing = plan is not None and not plan.empty
    document = plan.to_json() if plan else None
    impact = plan.impact if plan and changing else Impact()
    cost = impact.cost_per_hour
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
        step.owner,
        coding.dumps(list(step.rules)),
        document["digest"] if document is not None else None,
        plan.target.key if plan and changing else None,
        impact.pods,
        impact.nodes,
        impact.down,
        impact.part_of,
        f"{cost:f}" if cost is not None else "",
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
        owner=row[13],
        rules=tuple(coding.loads(row[14])),
    )
