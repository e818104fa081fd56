"""The audit chain's arithmetic: what a record's hash covers. Pure; used to append and to verify.

Each record holds the hash of the one before it, so a change, a removal, an insertion or another
order anywhere shows. `verify` checks a chain, `anchors` signs its heads so that a cut tail shows.
"""

from collections.abc import Mapping
from hashlib import sha256
from json.encoder import encode_basestring as _quoted
from typing import Any

from remediator.journal import coding
from remediator.journal.values import AuditEntry, AuditRecord
from remediator.model.clock import from_text, to_text

EMPTY_HEAD = (0, "0" * 64)


def record_hash(seq: int, entry: AuditEntry, previous: str, *, details: str | None = None) -> str:
    """Return the SHA-256 over the canonical JSON of a record without its hash.

    Args:
        details: the text that stands for the entry's details, where one is stored.
    """
    details = coding.dumps(entry.details) if details is None else details
    text = content(seq, entry, previous, at=to_text(entry.at), details=details)
    return sha256(text.encode()).hexdigest()


def content(seq: int, entry: AuditEntry, previous: str, *, at: str, details: str) -> str:
    """Return the canonical JSON that a record's hash covers: sorted keys, no white space.

    Put together from parts, because `details` was encoded already for its column; a test holds it
    against `canonical.dumps`.
    """
    return (
        f'{{"actor":{_quoted(entry.actor)},"at":"{at}","details":{details},'
        f'"incident_id":{_or_null(entry.incident_id)},"kind":{_quoted(entry.kind)},'
        f'"previous":{_quoted(previous)},"run_id":{_or_null(entry.run_id)},"seq":{seq}}}'
    )


def to_line(record: AuditRecord) -> str:
    """Return a record as one line of `audit export`: what the hash covers, and the hash."""
    entry = record.entry
    return coding.dumps(
        {
            "seq": record.seq,
            "at": to_text(entry.at),
            "kind": entry.kind,
            "actor": entry.actor,
            "run_id": entry.run_id,
            "incident_id": entry.incident_id,
            "details": entry.details,
            "previous": record.previous,
            "hash": record.hash,
        }
    )


def from_json(value: Mapping[str, Any]) -> AuditRecord:
    """Read one record of an export.

    Raises:
        KeyError, ValueError, TypeError: it is no record.
    """
    seq, previous, digest = value["seq"], value["previous"], value["hash"]
    if not isinstance(seq, int) or not isinstance(previous, str) or not isinstance(digest, str):
        raise TypeError("seq must be a number, previous and hash must be texts")
    entry = AuditEntry(
        kind=value["kind"],
        actor=value["actor"],
        at=from_text(value["at"]),
        details=value["details"],
        run_id=value["run_id"],
        incident_id=value["incident_id"],
    )
    return AuditRecord(seq=seq, entry=entry, previous=previous, hash=digest)


def _or_null(text: str | None) -> str:
    return "null" if text is None else _quoted(text)
