"""The audit table: append a transaction's entries to the chain, and read it in order.

Called by engines at the end of each transaction (`append`) and by the handle for reads. The head
row is read and written last, so that concurrent replicas form one chain.
"""

from collections.abc import Sequence
from hashlib import sha256

from remediator.journal import chain, coding
from remediator.journal.statements import Execute, Many, Operation, Query, Record, Row
from remediator.journal.times import from_us, to_us
from remediator.journal.values import AuditEntry, AuditRecord
from remediator.model.clock import to_text

# A page of the chain is read into memory whole.
MAX_PAGE = 10_000

_COLUMNS = "seq, at_us, kind, actor, run_id, incident_id, details, previous, hash"


def record(entries: Sequence[AuditEntry]) -> Operation[None]:
    """Append entries that belong to no other operation."""
    yield Record(entries)


def append(entries: Sequence[AuditEntry]) -> Operation[None]:
    """Give the entries of a transaction their places in the chain; the engine calls this last."""
    seq, previous = yield from head(lock=True)
    rows = []
    at, at_us, at_text = None, 0, ""
    for entry in entries:
        seq += 1
        if entry.at is not at:  # thousands of entries of one notification share their time
            at, at_us, at_text = entry.at, to_us(entry.at), to_text(entry.at)
        details = coding.dumps(entry.details)
        text = chain.content(seq, entry, previous, at=at_text, details=details)
        digest = sha256(text.encode()).hexdigest()
        rows.append(
            (
                seq,
                at_us,
                entry.kind,
                entry.actor,
                entry.run_id,
                entry.incident_id,
                details,
                previous,
                digest,
            )
        )
        previous = digest
    yield Many(
        f"INSERT INTO audit ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",  # noqa: S608 - constants
        rows,
    )
    yield Execute("UPDATE audit_head SET seq = $1, hash = $2 WHERE id = 1", (seq, previous))


def head(*, lock: bool = False) -> Operation[tuple[int, str]]:
    """Return the newest record's number and hash."""
    suffix = " FOR NO KEY UPDATE" if lock else ""
    rows = yield Query(f"SELECT seq, hash FROM audit_head WHERE id = 1{suffix}")  # noqa: S608 - constants
    seq, digest = rows[0]
    return seq, digest


def page(*, after: int, run_id: str | None, limit: int) -> Operation[list[AuditRecord]]:
    """Return records after `after`, in order."""
    where, args = "seq > $1", [after, min(limit, MAX_PAGE)]
    if run_id is not None:
        rows = yield Query(
            f"SELECT {_COLUMNS} FROM audit WHERE {where} AND run_id = $3 ORDER BY seq LIMIT $2",  # noqa: S608 - constants
            (*args, run_id),
        )
    else:
        rows = yield Query(
            f"SELECT {_COLUMNS} FROM audit WHERE {where} ORDER BY seq LIMIT $2",  # noqa: S608 - constants
            tuple(args),
        )
    return [_record(row) for row in rows]


def _record(row: Row) -> AuditRecord:
    seq, at_us, kind, actor, run_id, incident_id, details, previous, digest = row
    entry = AuditEntry(
        kind=kind,
        actor=actor,
        at=from_us(at_us),
        details=coding.loads(details),
        run_id=run_id,
        incident_id=incident_id,
    )
    return AuditRecord(seq=seq, entry=entry, previous=previous, hash=digest, details=details)
