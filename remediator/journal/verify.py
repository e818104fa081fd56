"""Verify the audit chain, offline: from the journal, or from an export that was carried away.

Pure: reads records in order and answers with sentences. What it proves: no record was changed,
removed, inserted or put in another place; and with signed heads (`anchors`), that the tail was not
cut off and the whole chain was not written anew up to the last head. `remediator audit verify`
calls it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from remediator.journal import anchors, chain
from remediator.journal.anchors import SignedHead
from remediator.journal.values import AuditRecord

PRUNED = "audit.pruned"
"""The kind of the record that names the last of those that retention deleted."""
RESTORED = "journal.restored"
"""The kind of the record with which a restored journal goes on."""


class BadExport(Exception):
    """A line of an export is no audit record; the text names the line."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of a verification.

    Args:
        records: how many were read and found good.
        head: number and hash of the last good one.
        heads: how many signed heads were found to agree.
        pruned: how many records at the beginning were deleted by age; a record says so.
        problem: empty, or one sentence that says what is wrong.
        first_bad: the number of the first record that can't be trusted.
    """

    records: int
    head: tuple[int, str]
    heads: int = 0
    pruned: int = 0
    problem: str = ""
    first_bad: int | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.problem


@dataclass(frozen=True, slots=True)
class _Restore:
    """What a record `journal.restored` says: up to where the copy went."""

    seq: int
    at: datetime
    copy_seq: int


class Chain:
    """A chain that is checked part by part; stops at the first fault.

    A chain whose first records retention has deleted begins where it begins, if one of the records
    that are left (`audit.pruned`) names the number and hash of the last one that went.

    Args:
        heads: signed heads that were kept elsewhere.
        keys: public keys by key id; a head that none of them signed is a fault.
        after: number and hash of the record before the first, for an export of a later part.
    """

    def __init__(
        self,
        *,
        heads: Iterable[SignedHead] = (),
        keys: Mapping[str, Ed25519PublicKey] | None = None,
        after: tuple[int, str] = chain.EMPTY_HEAD,
    ) -> None:
        self._signed, bad_head = _sort_heads(heads, keys or {})
        self._head = after
        self._count = self._agreed = 0
        self._begins = after
        self._explained = True
        self._restores: list[_Restore] = []
        self._problem = bad_head or ""
        self._first_bad: int | None = None

    def feed(self, records: Iterable[AuditRecord]) -> bool:
        """Check the next records, in the order in which they were written; False at a fault."""
        for record in records:
            if self._problem:
                break
            self._check(record)
        return not self._problem

    def end(self, expected_head: tuple[int, str] | None = None) -> Verification:
        """Return what was found.

        Args:
            expected_head: the head that the journal itself holds.
        """
        seq, digest = self._head
        if not self._problem and not self._explained:
            self._problem = (
                f"{_missing(1, self._begins[0])} missing: no record says that retention deleted"
                " them"
            )
            self._first_bad = 1
        if not self._problem:
            self._problem = self._check_end(seq, digest, expected_head)
            self._first_bad = seq + 1 if self._problem else None
        return Verification(
            records=self._count,
            head=self._head,
            heads=self._agreed,
            pruned=self._begins[0] if self._explained else 0,
            problem=self._problem,
            first_bad=self._first_bad,
        )

    def _check(self, record: AuditRecord) -> None:
        if not self._count and self._head == chain.EMPTY_HEAD and record.seq > 1:
            self._begins = self._head = (record.seq - 1, record.previous)
            self._explained = False
        seq, previous = self._head
        problem = self._check_begin() or _check_link(record, seq, previous)
        if not problem:
            self._hear(record)
            problem = self._check_head(record.seq, record.hash)
        if problem:
            # A number that is too great means that the one before it is missing.
            self._first_bad = seq + 1 if record.seq > seq else record.seq
            self._problem = problem
            return
        self._head = (record.seq, record.hash)
        self._count += 1

    def _hear(self, record: AuditRecord) -> None:
        """Note what a record says of the chain itself."""
        details = record.entry.details
        if record.entry.kind == PRUNED:
            self._explained |= (details.get("seq"), details.get("hash")) == self._begins
        elif record.entry.kind == RESTORED:
            copy = details.get("copy")
            if isinstance(copy, dict) and isinstance(copy.get("seq"), int):
                self._restores.append(_Restore(record.seq, record.entry.at, copy["seq"]))

    def _check_begin(self) -> str:
        """Hold the last record that retention deleted against the head that was signed of it."""
        if self._count or self._explained:
            return ""
        return self._check_head(*self._begins)

    def _check_head(self, seq: int, digest: str) -> str:
        head = self._signed.get(seq)
        if head is None:
            return ""
        if head.hash == digest:
            self._agreed += 1
            return ""
        return (
            f"record {seq} is not the one whose hash was signed at"
            f" {head.at.isoformat()}: the chain was written anew{self._given_up(head)}"
        )

    def _check_end(self, seq: int, digest: str, expected: tuple[int, str] | None) -> str:
        beyond = max(self._signed, default=0)
        if beyond > seq:
            head = self._signed[beyond]
            return (
                f"the tail was cut off: the chain ends at record {seq}, and record {beyond} was"
                f" signed at {head.at.isoformat()}{self._given_up(head)}"
            )
        if expected is not None and expected[0] > seq:
            return (
                f"the tail was cut off: the chain ends at record {seq}, its head says {expected[0]}"
            )
        if expected is not None and expected != (seq, digest):
            return f"the chain ends at record {seq}, and the journal's head says {expected[0]}"
        return ""

    def _given_up(self, head: SignedHead) -> str:
        """Return what the chain itself says of a restore that would explain a head's absence."""
        for one in self._restores:
            if one.copy_seq < head.seq and head.at <= one.at:
                return (
                    f"; record {one.seq} says that the journal was restored at"
                    f" {one.at.isoformat()} from a copy that ended at record {one.copy_seq}, but no"
                    " signed line among these heads confirms it"
                )
        return ""


def verify(
    records: Iterable[AuditRecord],
    *,
    heads: Iterable[SignedHead] = (),
    keys: Mapping[str, Ed25519PublicKey] | None = None,
    expected_head: tuple[int, str] | None = None,
    after: tuple[int, str] = chain.EMPTY_HEAD,
) -> Verification:
    """Check a chain from its beginning; see `Chain`."""
    checked = Chain(heads=heads, keys=keys, after=after)
    checked.feed(records)
    return checked.end(expected_head)


def by_restore(
    heads: Sequence[SignedHead], keys: Mapping[str, Ed25519PublicKey]
) -> Sequence[Sequence[SignedHead]]:
    """Part heads by the restores between them, the oldest part first; each begins with its restore.

    The line that a restore signed covers all that led to it. So a journal is held against the last
    part, and what came before it needs no look; a copy may belong to any of them. A restore's line
    counts only with a good signature; a bad one is left in the last part for `Chain` to refuse.
    """
    restores = sorted(
        (head for head in heads if head.restored and _is_good(head, keys)),
        key=lambda head: head.at,
    )
    parts: list[list[SignedHead]] = [[], *([one] for one in restores)]
    for head in heads:
        if head in restores:
            continue
        bad = head.restored
        place = len(restores) if bad else sum(one.at < head.at for one in restores)
        parts[place].append(head)
    return parts


class Copied:
    """The chain of a copy, which must agree with the heads of one part; see `by_restore`."""

    def __init__(
        self,
        head: tuple[int, str],
        parts: Sequence[Sequence[SignedHead]],
        keys: Mapping[str, Ed25519PublicKey] | None,
    ) -> None:
        self._head = head
        below = [[one for one in part if one.seq <= head[0]] for part in parts]
        # A part that says nothing of the copy speaks for it only where no other does.
        said = [part for part in below if part] or [[]]
        self._chains = [Chain(heads=part, keys=keys) for part in said]

    def feed(self, records: Sequence[AuditRecord]) -> bool:
        """Check the next records; False once no part is left that they agree with."""
        agree = [one.feed(records) for one in self._chains]
        return any(agree)

    def end(self) -> Verification:
        """Return what was found; by the newest part, where they agree with none."""
        ended = [one.end(self._head) for one in self._chains]
        return next((one for one in reversed(ended) if one.ok), ended[-1])


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
        missing = _missing(seq + 1, record.seq - 1)
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


def _is_good(head: SignedHead, keys: Mapping[str, Ed25519PublicKey]) -> bool:
    try:
        anchors.check(head, keys)
    except anchors.BadHead:
        return False
    return True


def _missing(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"
