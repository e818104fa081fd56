"""The approvals and decisions tables: questions to people, and their answers, as rows.

What an answer does to the run is in `decisions`.
"""

from collections.abc import Sequence

from remediator.journal import coding, runs
from remediator.journal.statements import Execute, Many, Operation, Query, Row
from remediator.journal.times import from_us, to_us
from remediator.model.approvals import Answer, ApprovalRequest, ApprovalStatus, Decision, Terms
from remediator.model.runs import Run

_COLUMNS = (
    "id, run_id, digests, approvers, quorum, status, created_us, expires_us, asked_because,"
    " terms, differs, reminded, closed_why"
)


def ask(request: ApprovalRequest) -> Operation[None]:
    """Write a new question; an older open one of its run becomes void."""
    yield from close([request.run_id], ApprovalStatus.VOID)
    yield Execute(
        f"INSERT INTO approvals ({_COLUMNS}, number) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9,"  # noqa: S608 - constants
        " $10, $11, $12, $13,"
        " COALESCE(MAX(number), 0) + 1 FROM approvals WHERE run_id = $2",
        (
            request.id,
            request.run_id,
            coding.dumps(request.digests),
            coding.dumps(list(request.approvers)),
            request.quorum,
            request.status.value,
            to_us(request.created_at),
            to_us(request.expires_at),
            request.asked_because,
            coding.dumps(request.terms.to_json()),
            coding.dumps(list(request.differs)),
            request.reminded,
            request.closed_why,
        ),
    )


def close(
    run_ids: Sequence[str], status: ApprovalStatus, whys: Sequence[str] = ()
) -> Operation[None]:
    """Close the open questions of these runs, each with its why if there are any."""
    if run_ids:
        yield Many(
            "UPDATE approvals SET status = $2, closed_why = $3"
            " WHERE run_id = $1 AND status = 'open'",
            [
                (run_id, status.value, why)
                for run_id, why in zip(run_ids, whys or [""] * len(run_ids), strict=True)
            ],
        )


def reminded(sent: Sequence[tuple[str, int]]) -> Operation[None]:
    """Keep how many reminders of these runs' open questions were sent."""
    if sent:
        yield Many(
            "UPDATE approvals SET reminded = $2"
            " WHERE run_id = $1 AND status = 'open' AND reminded < $2",
            sent,
        )


def settle(approval_id: str, status: ApprovalStatus, why: str = "") -> Operation[bool]:
    """Close one open question; False if it is open no more."""
    changed = yield Execute(
        "UPDATE approvals SET status = $2, closed_why = $3 WHERE id = $1 AND status = 'open'",
        (approval_id, status.value, why),
    )
    return bool(changed)


def open_ones(*, limit: int) -> Operation[tuple[ApprovalRequest, ...]]:
    """Return the open questions, oldest first."""
    rows = yield Query(
        f"SELECT {_COLUMNS} FROM approvals WHERE status = 'open'"  # noqa: S608 - constants
        " ORDER BY created_us, id LIMIT $1",
        (limit,),
    )
    return tuple(map(_from_row, rows))


def get(approval_id: str, *, lock: bool = False) -> Operation[ApprovalRequest | None]:
    """Return one question; with `lock`, in order to write it."""
    suffix = " FOR NO KEY UPDATE" if lock else ""
    rows = yield Query(
        f"SELECT {_COLUMNS} FROM approvals WHERE id = $1{suffix}",  # noqa: S608 - constants
        (approval_id,),
    )
    return _from_row(rows[0]) if rows else None


def locked(approval_id: str) -> Operation[tuple[ApprovalRequest, Run] | None]:
    """Return one question and its run in order to write both; None where there is no such question.

    The run first, as everywhere: a worker that writes it on locks its question after it.
    """
    asked = yield from get(approval_id)
    if asked is None:
        return None
    run = yield from runs.get(asked.run_id, lock=True)
    request = yield from get(approval_id, lock=True)
    if run is None or request is None:  # a foreign key says that it can't be
        raise LookupError(f"approval {asked.id} belongs to run {asked.run_id}, which is gone")
    return request, run


def newest_of_run(run_id: str) -> Operation[ApprovalRequest | None]:
    """Return the newest question of a run; by its number, since clocks are set back."""
    rows = yield Query(
        f"SELECT {_COLUMNS} FROM approvals WHERE run_id = $1"  # noqa: S608 - constants
        " ORDER BY number DESC LIMIT 1",
        (run_id,),
    )
    return _from_row(rows[0]) if rows else None


def add_decision(decision: Decision) -> Operation[bool]:
    """Write one answer; False if this person gave it before."""
    changed = yield Execute(
        "INSERT INTO decisions (approval_id, actor, answer, reason, via, at_us, person)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        (
            decision.approval_id,
            decision.actor,
            decision.answer.value,
            decision.reason,
            decision.via,
            to_us(decision.at),
            decision.who,
        ),
    )
    return bool(changed)


def decisions_of(approval_id: str) -> Operation[tuple[Decision, ...]]:
    """Return the answers that were counted, in order."""
    rows = yield Query(
        "SELECT approval_id, actor, answer, reason, via, at_us, person FROM decisions"
        " WHERE approval_id = $1 ORDER BY at_us, actor",
        (approval_id,),
    )
    return tuple(
        Decision(row[0], row[1], Answer(row[2]), row[3], row[4], from_us(row[5]), row[6])
        for row in rows
    )


def _from_row(row: Row) -> ApprovalRequest:
    return ApprovalRequest(
        id=row[0],
        run_id=row[1],
        digests=coding.loads(row[2]),
        approvers=tuple(coding.loads(row[3])),
        quorum=row[4],
        status=ApprovalStatus(row[5]),
        created_at=from_us(row[6]),
        expires_at=from_us(row[7]),
        asked_because=row[8],
        terms=Terms.from_json(coding.loads(row[9])),
        differs=tuple(coding.loads(row[10])),
        reminded=row[11],
        closed_why=row[12],
    )
