"""The incidents table: the newest episode of each alert, what a notification changes, lists.

The rule that folds an alert into an incident is `model.incidents.fold`; here are only rows.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from remediator.journal import coding, steps
from remediator.journal.paging import bounded, page_of
from remediator.journal.statements import Many, Operation, Query, Row
from remediator.journal.times import from_us, from_us_or_none, to_us, to_us_or_none
from remediator.journal.values import Page
from remediator.model.incidents import Incident, IncidentStatus

COLUMNS = (
    "id, sender, fingerprint, status, labels, annotations, generator_url,"
    " starts_us, ends_us, opened_us, updated_us, end_assumed"
)
_OF_I = ", ".join("i." + name for name in COLUMNS.split(", "))

_LATEST = f"""
    SELECT i.episode, {_OF_I}
    FROM each($1) AS f CROSS JOIN incidents AS i
    WHERE i.id = (
        SELECT id FROM incidents WHERE sender = $2 AND fingerprint = f.value
        ORDER BY episode DESC LIMIT 1
    )
    ORDER BY i.id FOR NO KEY UPDATE OF i
"""  # noqa: S608 - constants
_INSERT = f"""
    INSERT INTO incidents (episode, {COLUMNS})
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""  # noqa: S608 - constants
_REFRESH = """
    UPDATE incidents SET annotations = $2, generator_url = $3, starts_us = $4, updated_us = $5
    WHERE id = $1
"""
_CLOSE = """
    UPDATE incidents SET status = 'resolved', annotations = $2, generator_url = $3,
        starts_us = $4, updated_us = $5, ends_us = $6, end_assumed = $7
    WHERE id = $1
"""


def latest_of(
    sender: str, fingerprints: Iterable[str]
) -> Operation[dict[str, tuple[Incident, int]]]:
    """Return the newest incident of each fingerprint that has one, with its episode's number."""
    rows = yield Query(_LATEST, (coding.dumps(sorted(set(fingerprints))), sender))
    return {row[3]: (from_row(row[1:]), row[0]) for row in rows}


def insert(opened: Sequence[tuple[Incident, int]]) -> Operation[None]:
    """Write new incidents with their episode numbers, in order."""
    if opened:
        yield Many(_INSERT, [(episode, *_to_row(incident)) for incident, episode in opened])


def update(touched: Sequence[Incident]) -> Operation[None]:
    """Write what a notification changed in known incidents."""
    refreshed = [_changes(i) for i in touched if i.open]
    closed = [
        (*_changes(i), to_us_or_none(i.ends_at), int(i.end_assumed)) for i in touched if not i.open
    ]
    if refreshed:
        yield Many(_REFRESH, refreshed)
    if closed:
        yield Many(_CLOSE, closed)


def get(incident_id: str) -> Operation[Incident | None]:
    """Return one incident."""
    rows = yield Query(f"SELECT {COLUMNS} FROM incidents WHERE id = $1", (incident_id,))  # noqa: S608 - constants
    return from_row(rows[0]) if rows else None


def open_of_run(run_id: str) -> Operation[bool | None]:
    """Return whether the incident of a run goes on; None for a run without one."""
    rows = yield Query(
        "SELECT i.status FROM incidents AS i JOIN runs AS r ON r.incident_id = i.id"
        " WHERE r.id = $1",
        (run_id,),
    )
    still: bool | None = rows[0][0] == IncidentStatus.OPEN.value if rows else None
    return still


def which_are_open(incident_ids: Iterable[str]) -> Operation[dict[str, bool]]:
    """Return whether each of these incidents goes on."""
    rows = yield Query(
        "SELECT id, status FROM incidents WHERE id IN (SELECT value FROM each($1) AS i)",
        (coding.dumps(sorted(incident_ids)),),
    )
    return {row[0]: row[1] == IncidentStatus.OPEN.value for row in rows}


MOST_COUNTED = 10_000
"""Incidents opened in a window are counted up to here; a storm by then, whatever the limit."""


def opened_since(since: datetime) -> Operation[int]:
    """Return how many incidents were opened since then."""
    rows = yield Query(
        "SELECT COUNT(*) FROM (SELECT 1 AS one FROM incidents WHERE opened_us >= $1"  # noqa: S608 - constants
        f" LIMIT {MOST_COUNTED}) AS opened",
        (to_us(since),),
    )
    return int(rows[0][0])


def treated_before(
    incident_ids: Iterable[str], *, since: datetime
) -> Operation[dict[str, list[datetime]]]:
    """Return for each incident when earlier ones of the same alert, that a run had begun to change
    something for, were opened."""
    rows = yield Query(
        "SELECT now.id, was.opened_us FROM incidents AS now JOIN incidents AS was"  # noqa: S608 - constants
        " ON was.sender = now.sender AND was.fingerprint = now.fingerprint"
        " AND was.episode < now.episode AND was.opened_us >= $2"
        " WHERE now.id IN (SELECT value FROM each($1) AS i)"
        " AND EXISTS (SELECT 1 FROM runs AS r JOIN steps AS s ON s.run_id = r.id"
        " WHERE r.incident_id = was.id AND s.target_key IS NOT NULL"
        f" AND s.state IN {steps.BEGUN})",
        (coding.dumps(sorted(incident_ids)), to_us(since)),
    )
    found: dict[str, list[datetime]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(from_us(row[1]))
    return found


def listed(
    *, status: IncidentStatus | None, cursor: str | None, limit: int
) -> Operation[Page[Incident]]:
    """List incidents, newest first."""
    limit = bounded(limit)
    # Written out, not bound: a partial index is used only where its condition can be read.
    where = "TRUE" if status is None else f"status = '{status.value}'"
    if cursor is not None:
        where += " AND id < $2"
    rows = yield Query(
        f"SELECT {COLUMNS} FROM incidents WHERE {where} ORDER BY id DESC LIMIT $1",  # noqa: S608 - constants
        (limit + 1,) if cursor is None else (limit + 1, cursor),
    )
    return page_of([from_row(row) for row in rows], limit, lambda incident: incident.id)


def count_open() -> Operation[int]:
    """Return how many incidents are open."""
    rows = yield Query("SELECT COUNT(*) FROM incidents WHERE status = 'open'")
    count: int = rows[0][0]
    return count


def from_row(row: Row) -> Incident:
    """Build an incident from a row of `COLUMNS`."""
    return Incident(
        id=row[0],
        sender=row[1],
        fingerprint=row[2],
        status=IncidentStatus(row[3]),
        labels=coding.loads(row[4]),
        annotations=coding.loads(row[5]),
        generator_url=row[6],
        starts_at=from_us(row[7]),
        ends_at=from_us_or_none(row[8]),
        opened_at=from_us(row[9]),
        updated_at=from_us(row[10]),
        end_assumed=bool(row[11]),
    )


def _to_row(incident: Incident) -> tuple[object, ...]:
    return (
        incident.id,
        incident.sender,
        incident.fingerprint,
        incident.status.value,
        coding.dumps(incident.labels),
        coding.dumps(incident.annotations),
        incident.generator_url,
        to_us(incident.starts_at),
        to_us_or_none(incident.ends_at),
        to_us(incident.opened_at),
        to_us(incident.updated_at),
        int(incident.end_assumed),
    )


def _changes(incident: Incident) -> tuple[object, ...]:
    return (
        incident.id,
        coding.dumps(incident.annotations),
        incident.generator_url,
        to_us(incident.starts_at),
        to_us(incident.updated_at),
    )
