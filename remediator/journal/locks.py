"""The locks table: one run at a time per target, held until the run ends.

Targets are taken in transactions that passed the gate (`history.gather`), and given back by any.
"""

from collections.abc import Sequence
from datetime import datetime

from remediator.journal.statements import Many, Operation, Query
from remediator.journal.times import to_us
from remediator.model.runs import Run


def insert(taken: Sequence[tuple[Run, Sequence[str]]], *, at: datetime) -> Operation[None]:
    """Lock targets that are free or the run's own already."""
    rows = sorted(
        (key, run.id, run.epoch, to_us(at)) for run, keys in taken for key in dict.fromkeys(keys)
    )
    if rows:
        yield Many(
            "INSERT INTO locks (target_key, run_id, epoch, since_us) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (target_key) DO UPDATE SET epoch = excluded.epoch",
            rows,
        )


def release(run_ids: Sequence[str]) -> Operation[None]:
    """Give back all locks of these runs."""
    yield Many("DELETE FROM locks WHERE run_id = $1", [(run_id,) for run_id in run_ids])


def all_held() -> Operation[dict[str, str]]:
    """Return target key → holding run."""
    rows = yield Query("SELECT target_key, run_id FROM locks")
    return {row[0]: row[1] for row in rows}
