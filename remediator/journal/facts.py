"""The facts table: what actions learned that later plans must know."""

from collections.abc import Sequence
from datetime import datetime

from remediator.journal.statements import Many, Operation, Query
from remediator.journal.times import to_us
from remediator.model.plans import Fact

# A plan reads them all; more than the newest hundred of one subject have never mattered.
MAX_READ = 100


def write(learned: Sequence[tuple[Fact, datetime]]) -> Operation[None]:
    """Remember facts, each with its time; one that is known already becomes the newest."""
    newest = {(fact.kind, fact.subject, fact.value): at for fact, at in learned}
    if newest:
        yield Many(
            "INSERT INTO facts (kind, subject, value, at_us) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (kind, subject, value) DO UPDATE SET at_us = excluded.at_us",
            [(*key, to_us(newest[key])) for key in sorted(newest)],
        )


def read(kind: str, subject: str) -> Operation[tuple[str, ...]]:
    """Return the values of this kind about this subject, newest first."""
    rows = yield Query(
        "SELECT value FROM facts WHERE kind = $1 AND subject = $2"
        " ORDER BY at_us DESC, value LIMIT $3",
        (kind, subject, MAX_READ),
    )
    return tuple(row[0] for row in rows)
