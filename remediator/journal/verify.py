"""Verify the audit chain, offline: from the journal, or from an export that was carried away.

Pure: reads records in order and answers with sentences. What it proves: no record was changed,
removed, inserted or put in another place; and with signed heads (`anchors`), that the tail was not
cut off and the whole chain was not written anew up to the last head. `remediator audit verify`
calls it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from remediator.journal import anchors, chain
from remediator.journal.anchors import SignedHead
from remediator.journal.protocol import AuditRecord


class BadExport(Exception):
    """A line of an export is no audit record; the text names the line."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of a verification.

    Args:
        records: how many were read and found good.
        head: number and hash of the last good one.
        heads: how many signed heads were found to agree.
        problem: empty, or one sentence that says what is wrong.
        first_bad: the number of the first record that can't be trusted.
    """

    records: int
    head: tuple[int, str]
    heads: int = 0
    problem: str = ""
    first_bad: int | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.problem


def verify(
    records: Iterable[AuditRecord],
    *,
    heads: Iterable[SignedHead] = (),
    keys: Mapping[str, Ed25519PublicKey] | None = None,
    expected_head: tuple[int, str] | None = None,
    after: tuple[int, str] = chain.EMPTY_HEAD,
) -> Verification:
    """Check a chain from its beginning; stops at the first fault.

    Args:
        records: in the order in which they were written.
        heads: signed heads that were kept elsewhere.
        keys: public keys by key id; a head that none of them signed is a fault.
        expected_head: the head that the journal itself holds.
        after: number and hash of the record before the first, for an export of a later part.
    """
    signed, bad_head = _sort_heads(heads, keys or {})
    if bad_head is not None:
        return Verification(0, after, problem=bad_head)
    seq, previous = after
    count = agreed = 0
    for record in records:
        problem = _check_link(record, seq, previous)
        head = signed.get(record.seq)
        if not problem and head is not None:
            if head.hash != record.hash:
                problem = (
                    f"record {record.seq} is not the one whose hash was signed at"
                    f" {head.at.isoformat()}: the chain was written anew"
                )
            else:
                agreed += 1
        if problem:
            # A number that is too great means that the one before it is missing.
            first_bad = seq + 1 if record.seq > seq else record.seq
            return Verification(count, (seq, previous), agreed, problem, first_bad)
        seq, previous = record.seq, record.hash
        count += 1
    problem = _check_end(seq, previous, signed, expected_head)
    return Verification(count, (seq, previous), agreed, problem, seq + 1 if problem else None)


def read_export(lines: Iterable[str]) -> Iterator[AuditRecord]:
    """Read the lines of `remediator audit export`.

    Raises:
        BadExport: a line is no audit record.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = chain.from_json(json.loads(line))
            if chain.to_line(record) != line.strip():
                raise ValueError("it is not written as it was exported")
            yield record
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BadExport(f"line {number} is no audit record: {error!r}") from None


def _check_link(record: AuditRecord, seq: int, previous: str) -> str:
    if record.seq > seq + 1:
        missing = (
            f"record {seq + 1} is"
            if record.seq == seq + 2
            else (f"records {seq + 1} to {record.seq - 1} are")
        )
        return f"{missing} missing: record {record.seq} follows record {seq}"
    if record.seq <= seq:
        return f"record {record.seq} is out of order or inserted: it follows record {seq}"
    try:
        digest = chain.record_hash(
            record.seq, record.entry, record.previous, details=record.details
        )
    except (TypeError, ValueError) as error:
        return f"record {record.seq} was changed: it is no longer JSON ({error})"
    if digest != record.hash:
        return f"record {record.seq} was changed: its hash does not fit its content"
    if record.previous != previous:
        return (
            f"record {record.seq} does not continue record {seq}: a record was removed, inserted"
            " or replaced there, and the numbers were made to fit"
        )
    return ""


def _check_end(
    seq: int,
    digest: str,
    signed: Mapping[int, SignedHead],
    expected: tuple[int, str] | None,
) -> str:
    beyond = max(signed, default=0)
    if beyond > seq:
        at = signed[beyond].at.isoformat()
        return (
            f"the tail was cut off: the chain ends at record {seq}, and record {beyond} was signed"
            f" at {at}"
        )
    if expected is not None and expected[0] > seq:
        return f"the tail was cut off: the chain ends at record {seq}, its head says {expected[0]}"
    if expected is not None and expected != (seq, digest):
        return f"the chain ends at record {seq}, and the journal's head says {expected[0]}"
    return ""


def _sort_heads(
    heads: Iterable[SignedHead], keys: Mapping[str, Ed25519PublicKey]
) -> tuple[dict[int, SignedHead], str | None]:
    by_seq: dict[int, SignedHead] = {}
    for head in heads:
        try:
            anchors.check(head, keys)
        except anchors.BadHead as error:
            return {}, str(error)
        other = by_seq.setdefault(head.seq, head)
        if other.hash != head.hash:
            return {}, f"two different hashes were signed for record {head.seq}"
    return by_seq, None
