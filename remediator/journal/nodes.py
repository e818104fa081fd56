"""The nodes table: one row for each start of a daemon."""

from datetime import datetime

from remediator.journal.statements import Env, Execute, Operation
from remediator.journal.times import to_us


def beat(env: Env, at: datetime) -> Operation[None]:
    """Say that this daemon lives."""
    yield Execute("UPDATE nodes SET seen_us = $2 WHERE id = $1", (env.node, to_us(at)))


def join(env: Env, at: datetime) -> Operation[None]:
    """Write this daemon's row."""
    yield Execute(
        "INSERT INTO nodes (id, started_us, seen_us) VALUES ($1, $2, $2)"
        " ON CONFLICT (id) DO UPDATE SET started_us = excluded.started_us,"
        " seen_us = excluded.seen_us",
        (env.node, to_us(at)),
    )
