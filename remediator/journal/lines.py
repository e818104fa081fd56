"""Lines: the runs of one runbook, with one key, that must not begin side by side (`repeat`).

Rows of the runs table; a run stands in its line until it ends. Who may begin, `turns` decides.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from remediator.journal.statements import Execute, Operation, Query, Wake
from remediator.journal.times import to_us
from remediator.journal.values import Due


class Place(NamedTuple):
    """A run's place in its line."""

    run_id: str
    has_turn: bool


def standing(line: str) -> Operation[list[Place]]:
    """Return who stands in a line, in the order in which the runs were started."""
    rows = yield Query(
        "SELECT id, has_turn FROM runs WHERE line = $1 AND ended_us IS NULL AND line <> ''"
        " ORDER BY id",
        (line,),
    )
    return [Place(row[0], bool(row[1])) for row in rows]


def stand(run_id: str, line: str, *, has_turn: bool) -> Operation[None]:
    """Let a run stand in a line, waiting or with its turn."""
    yield Execute(
        "UPDATE runs SET line = $2, has_turn = $3 WHERE id = $1", (run_id, line, int(has_turn))
    )


def wake(lines: Iterable[str], *, at: datetime) -> Operation[None]:
    """Let the first that waits in each of these lines look now whether it is its turn.

    A hint: one that another transaction has in hand is left alone, and looks again by itself.
    """
    woken = 0
    for line in sorted(lines):
        # `=`, not IN: PostgreSQL may look for the rows of an IN afresh for each row it updates.
        woken += yield Execute(
            "UPDATE runs SET wake_us = $2 WHERE id = ("
            " SELECT id FROM runs WHERE line = $1 AND line <> '' AND ended_us IS NULL"
            " AND has_turn = 0 ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)"
            " AND owner IS NULL AND wake_us > $2",
            (line, to_us(at)),
        )
    if woken:
        yield Wake(Due.RUNS)
