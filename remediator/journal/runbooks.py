"""The runbooks table: the versions that runs refer to."""

from collections.abc import Sequence
from datetime import datetime

from remediator.journal import coding
from remediator.journal.statements import Many, Operation, Query
from remediator.journal.times import to_us
from remediator.journal.values import RunbookRecord

_COLUMNS = "version, name, file, source, description, owner, links, substance"

_REGISTER = f"""
    INSERT INTO runbooks ({_COLUMNS}, registered_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (version) DO UPDATE SET registered_us = excluded.registered_us,
        substance = excluded.substance
"""  # noqa: S608 - constants


def register(records: Sequence[RunbookRecord], at: datetime) -> Operation[None]:
    """Store versions; one that is known already is only marked as in use since `at`."""
    if records:
        yield Many(
            _REGISTER,
            [
                (
                    r.version,
                    r.name,
                    r.file,
                    r.source,
                    r.description,
                    r.owner,
                    coding.dumps(r.links),
                    r.substance,
                    to_us(at),
                )
                for r in records
            ],
        )


def get(version: str) -> Operation[RunbookRecord | None]:
    """Return one version."""
    rows = yield Query(f"SELECT {_COLUMNS} FROM runbooks WHERE version = $1", (version,))  # noqa: S608 - constants
    if not rows:
        return None
    row = rows[0]
    return RunbookRecord(
        version=row[0],
        name=row[1],
        file=row[2],
        source=row[3],
        description=row[4],
        owner=row[5],
        links=coding.loads(row[6]),
        substance=row[7],
    )
