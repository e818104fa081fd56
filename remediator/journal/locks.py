"""The locks table: one run at a time per target, held until the run ends."""

from collections.abc import Sequence
from datetime import datetime

from remediator.journal import coding
from remediator.journal.statements import Many, Operation, Query
from remediator.journal.times import to_us


def take(target_keys: Sequence[str], *, run_id: str, epoch: int, at: datetime) -> Operation[str]:
    """Lock the targets for a run, all or none.

    Returns:
        Empty, or the run that holds one of them, and then nothing was locked.
    """
    # Sorted, so that two runs that lock the same targets can't wait for each other.
    keys = sorted(set(target_keys))
    holder = yield from holder_of_any(keys, besides=run_id)
    if holder:
        return holder
    yield Many(
        "INSERT INTO locks (target_key, run_id, epoch, since_us) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (target_key) DO UPDATE SET epoch = excluded.epoch",
        [(key, run_id, epoch, to_us(at)) for key in keys],
    )
    return ""


def holder_of_any(target_keys: Sequence[str], *, besides: str) -> Operation[str]:
    """Return another run that holds one of the targets, or empty."""
    rows = yield Query(
        "SELECT run_id FROM locks WHERE target_key IN (SELECT value FROM each($1) AS k)"
        " AND run_id <> $2 ORDER BY target_key LIMIT 1",
        (coding.dumps(list(target_keys)), besides),
    )
    return rows[0][0] if rows else ""


def release(run_ids: Sequence[str]) -> Operation[None]:
    """Give back all locks of these runs."""
    yield Many("DELETE FROM locks WHERE run_id = $1", [(run_id,) for run_id in run_ids])


def of_others(run_id: str) -> Operation[dict[str, str]]:
    """Return target key → holding run, of all runs but this."""
    rows = yield Query("SELECT target_key, run_id FROM locks WHERE run_id <> $1", (run_id,))
    return {row[0]: row[1] for row in rows}
