"""The nodes table: one row for each start of a daemon, and what one node at a time may do.

A node lives until it leaves, or until it was not seen for a lease and another declares it dead
(`postgres.lease`; on SQLite a new daemon declares every former one dead). From then on it writes
nothing, and what it had in hand is free.
"""

from collections.abc import Sequence
from datetime import datetime

from remediator.journal import coding, runs
from remediator.journal.statements import Env, Execute, Operation, Query, Record
from remediator.journal.times import to_us
from remediator.journal.values import AuditEntry


def beat(env: Env, at: datetime) -> Operation[None]:
    """Say that this daemon lives."""
    yield Execute("UPDATE nodes SET seen_us = $2 WHERE id = $1", (env.node, to_us(at)))


def touch(env: Env) -> Operation[None]:
    """Write something of this node's, where its heartbeat is another's business."""
    yield Execute("UPDATE commits SET batch = batch WHERE node = $1", (env.node,))


def join(env: Env, at: datetime) -> Operation[None]:
    """Write this daemon's row."""
    yield Execute(
        "INSERT INTO nodes (id, started_us, seen_us) VALUES ($1, $2, $2)"
        " ON CONFLICT (id) DO UPDATE SET started_us = excluded.started_us,"
        " seen_us = excluded.seen_us, dead_us = NULL",
        (env.node, to_us(at)),
    )


def bury(dead: Sequence[str], *, by: str, at: datetime) -> Operation[None]:
    """Declare nodes dead whose rows are locked: they write no more, what they had is free."""
    if not dead:
        return
    yield Execute(
        "UPDATE nodes SET dead_us = $2 WHERE id IN (SELECT value FROM each($1) AS n)",
        (coding.dumps(sorted(dead)), to_us(at)),
    )
    yield Execute(
        "DELETE FROM duties WHERE node IN (SELECT value FROM each($1) AS n)",
        (coding.dumps(sorted(dead)),),
    )
    yield Record([AuditEntry("node.gone", by, at, {"node": node}) for node in sorted(dead)])
    yield from runs.free(dead, at=at)


def bury_others(env: Env, at: datetime) -> Operation[None]:
    """Declare every other node dead, where only one can live."""
    rows = yield Query("SELECT id FROM nodes WHERE dead_us IS NULL AND id <> $1", (env.node,))
    yield from bury([row[0] for row in rows], by=env.node, at=at)
    # From versions that left no word about their nodes, or whatever else.
    rows = yield Query(
        "SELECT DISTINCT owner FROM runs WHERE owner IS NOT NULL AND owner <> $1", (env.node,)
    )
    yield from runs.free([row[0] for row in rows], at=at)


def take_duties(env: Env, duties: Sequence[str], at: datetime) -> Operation[frozenset[str]]:
    """Take what no living node does; returns all duties that are this node's."""
    for duty in sorted(duties):
        yield Execute(
            "INSERT INTO duties (name, node, since_us) VALUES ($1, $2, $3)"
            " ON CONFLICT (name) DO NOTHING",
            (duty, env.node, to_us(at)),
        )
    rows = yield Query("SELECT name FROM duties WHERE node = $1", (env.node,))
    return frozenset(row[0] for row in rows)
