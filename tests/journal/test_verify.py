"""Proves that whatever is done to an audit chain shows, and that the first bad record is named."""

import json
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from remediator.journal import anchors, chain, verify
from remediator.journal.values import AuditEntry, AuditRecord
from remediator.model import canonical
from remediator.model.clock import to_text
from tests.journal.factories import T0, after

Chain = list[AuditRecord]


def _linked(entries: list[AuditEntry]) -> Chain:
    records: Chain = []
    previous = chain.EMPTY_HEAD[1]
    for seq, entry in enumerate(entries, start=1):
        digest = chain.record_hash(seq, entry, previous)
        records.append(AuditRecord(seq, entry, previous, digest))
        previous = digest
    return records


def _entries(count: int = 10) -> list[AuditEntry]:
    return [
        AuditEntry("run.state", "api:al", after(minutes=n), {"to": "done", "n": n}, run_id="r")
        for n in range(count)
    ]


_WHOLE = _linked(_entries())
_KEY = Ed25519PrivateKey.generate()
_KEYS = {anchors.key_id(_KEY.public_key()): _KEY.public_key()}


def _head(seq: int, records: Chain = _WHOLE) -> anchors.SignedHead:
    return anchors.sign(_KEY, seq=seq, digest=records[seq - 1].hash, at=T0)


def _edited(records: Chain, seq: int, **changes: object) -> Chain:
    entry = replace(records[seq - 1].entry, **changes)  # type: ignore[arg-type]
    return [replace(r, entry=entry) if r.seq == seq else r for r in records]


def _rehashed(records: Chain) -> Chain:
    return _linked([record.entry for record in records])


def _swapped(records: Chain) -> Chain:
    return [*records[:3], records[4], records[3], *records[5:]]


def _removed_and_renumbered(records: Chain) -> Chain:
    """Take record 4 out and make the numbers and hashes of one neighbour fit."""
    kept = [r for r in records if r.seq != 4]
    return [
        replace(r, seq=n, hash=chain.record_hash(n, r.entry, r.previous))
        for n, r in enumerate(kept, start=1)
    ]


def test_a_whole_chain_is_good() -> None:
    found = verify.verify(
        _WHOLE, heads=[_head(3), _head(10)], keys=_KEYS, expected_head=(10, _WHOLE[-1].hash)
    )
    assert (found.ok, found.records, found.heads, found.problem) == (True, 10, 2, "")
    assert found.head == (10, _WHOLE[-1].hash)


def test_an_empty_chain_is_good() -> None:
    assert verify.verify([], expected_head=chain.EMPTY_HEAD).ok


def test_a_later_part_is_checked_from_where_it_begins() -> None:
    assert verify.verify(_WHOLE[4:], after=(4, _WHOLE[3].hash)).ok
    assert verify.verify(_WHOLE[4:]).problem.startswith("records 1 to 4 are missing")


@pytest.mark.parametrize(
    ("tamper", "first_bad", "sentence"),
    [
        (lambda c: _edited(c, 5, actor="api:eve"), 5, "record 5 was changed"),
        (lambda c: _edited(c, 5, at=T0), 5, "record 5 was changed"),
        (lambda c: _edited(c, 5, run_id=None), 5, "record 5 was changed"),
        (lambda c: _edited(c, 5, details={"to": "failed"}), 5, "record 5 was changed"),
        (lambda c: [r for r in c if r.seq != 4], 4, "record 4 is missing: record 5 follows"),
        (lambda c: [r for r in c if not 3 < r.seq < 7], 4, "records 4 to 6 are missing"),
        (lambda c: c[1:], 1, "record 1 is missing"),
        (_swapped, 4, "record 4 is missing: record 5 follows record 3"),
        (lambda c: [*c[:5], c[4], *c[5:]], 5, "record 5 is out of order or inserted"),
        (_removed_and_renumbered, 4, "record 4 does not continue record 3"),
    ],
)
def test_tampering_shows(tamper: Callable[[Chain], Chain], first_bad: int, sentence: str) -> None:
    found = verify.verify(tamper(_WHOLE))
    assert not found.ok
    assert found.problem.startswith(sentence)
    assert found.first_bad == first_bad


def test_a_cut_tail_shows_by_a_signed_head() -> None:
    cut = _WHOLE[:7]
    assert verify.verify(cut).ok  # nothing in the chain itself can tell
    found = verify.verify(cut, heads=[_head(3), _head(9)], keys=_KEYS)
    assert "the tail was cut off: the chain ends at record 7" in found.problem
    assert (found.first_bad, found.heads) == (8, 1)


def test_a_cut_tail_shows_by_the_journals_own_head() -> None:
    found = verify.verify(_WHOLE[:7], expected_head=(10, _WHOLE[-1].hash))
    assert "the tail was cut off" in found.problem
    grown = verify.verify(_WHOLE, expected_head=(7, _WHOLE[6].hash))
    assert "the journal's head says 7" in grown.problem


def test_a_chain_that_was_written_anew_shows_by_a_signed_head() -> None:
    forged = _rehashed(_edited(_WHOLE, 5, actor="api:eve"))
    assert verify.verify(forged).ok
    found = verify.verify(forged, heads=[_head(3), _head(9)], keys=_KEYS)
    assert "record 9 is not the one whose hash was signed" in found.problem


def test_forged_heads_are_refused() -> None:
    eve = anchors.sign(Ed25519PrivateKey.generate(), seq=9, digest="0" * 64, at=T0)
    assert "no key of ours" in verify.verify(_WHOLE, heads=[eve], keys=_KEYS).problem
    good = _head(9)
    for forged in (
        replace(good, hash=_WHOLE[0].hash),
        replace(good, seq=8),
        replace(good, at=after(minutes=1)),
        replace(good, signature="zz"),
        replace(eve, key_id=good.key_id),
    ):
        found = verify.verify(_WHOLE, heads=[forged], keys=_KEYS)
        assert "signature of the head" in found.problem
    other = anchors.sign(_KEY, seq=9, digest="0" * 64, at=T0)
    assert "two different hashes" in verify.verify(_WHOLE, heads=[good, other], keys=_KEYS).problem


def test_an_export_is_read_back_and_verified() -> None:
    lines = [chain.to_line(record) + "\n" for record in _WHOLE]
    assert list(verify.read_export(["\n", *lines])) == _WHOLE
    assert json.loads(lines[0])["hash"] == _WHOLE[0].hash
    changed = [line.replace("api:al", "api:eve") for line in lines]
    assert verify.verify(verify.read_export(changed)).first_bad == 1


@pytest.mark.parametrize(
    "line", ["{", "[]", "{}", '"text"', "[" * 100_000, '{"seq":"1"}', "null", "\udc80"]
)
def test_a_line_that_is_no_record_is_named(line: str) -> None:
    good = chain.to_line(_WHOLE[0])
    with pytest.raises(verify.BadExport, match="line 2"):
        list(verify.read_export([good, line]))


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('aé"\\\n\x00z'), inner),
    max_leaves=8,
)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


_RECEIVED = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
_ENTRIES = st.builds(
    AuditEntry,
    kind=_TEXT,
    actor=_TEXT,
    at=_RECEIVED,
    details=st.dictionaries(_TEXT, _JSON, max_size=4),
    run_id=st.none() | _TEXT,
    incident_id=st.none() | _TEXT,
)


@given(entry=_ENTRIES, previous=_TEXT)
def test_the_hash_covers_the_canonical_json_of_the_record(entry: AuditEntry, previous: str) -> None:
    whole: dict[str, canonical.JSON] = {
        "seq": 7,
        "at": to_text(entry.at),
        "kind": entry.kind,
        "actor": entry.actor,
        "run_id": entry.run_id,
        "incident_id": entry.incident_id,
        "details": entry.details,
        "previous": previous,
    }
    assert chain.record_hash(7, entry, previous) == canonical.digest(whole)
    record = AuditRecord(7, entry, previous, chain.record_hash(7, entry, previous))
    (back,) = verify.read_export([chain.to_line(record)])
    assert chain.record_hash(7, back.entry, back.previous) == record.hash


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = anchors.beside(tmp_path / "new" / "journal.db")
    key = anchors.load_or_make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = anchors.load_or_make_key(path)
    public = anchors.load_public_key(anchors.public_path(path))
    names = {anchors.key_id(k) for k in (key.public_key(), again.public_key(), public)}
    assert len(names) == 1
    assert anchors.key_id(anchors.load_public_key(path)) in names


def test_keys_that_can_not_be_used_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    anchors.load_or_make_key(path)
    path.chmod(0o604)
    with pytest.raises(anchors.BadKey, match="chmod 600"):
        anchors.load_or_make_key(path)
    path.chmod(0o600)
    path.write_text("no key", encoding="ascii")
    with pytest.raises(anchors.BadKey, match="no unencrypted private key"):
        anchors.load_or_make_key(path)
    with pytest.raises(anchors.BadKey, match="can't be read"):
        anchors.load_public_key(tmp_path / "none")
    with pytest.raises(anchors.BadKey, match="can't be used"):
        anchors.load_or_make_key(path / "below-a-file")


def test_heads_are_appended_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "heads.jsonl"
    heads = [_head(seq) for seq in (1, 5, 10)]
    for head in heads:
        anchors.append(path, head)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"seq": 11, "ha')  # a crash in the middle of a line
    assert list(anchors.read(path)) == heads
    with path.open("a", encoding="utf-8") as file:
        file.write("\n")
    with pytest.raises(anchors.BadHead, match=r"heads\.jsonl:4: not a signed head"):
        list(anchors.read(path))


def test_a_head_after_a_torn_line_is_whole(tmp_path: Path) -> None:
    """A crash, or a full disk, in the middle of a line."""
    file = tmp_path / "heads.jsonl"
    first, second = _head(1), _head(2)
    anchors.append(file, first)
    with file.open("a", encoding="utf-8") as torn:
        torn.write(anchors.to_line(second)[:50])
    anchors.append(file, second)
    assert list(anchors.read(file)) == [first, second]


def test_details_that_only_read_the_same_are_a_change() -> None:
    record = _WHOLE[0]
    twice = replace(record, details='{"forged":1,' + canonical.dumps(record.entry.details)[1:])
    assert verify.verify([replace(record, details=canonical.dumps(record.entry.details))]).ok
    assert not verify.verify([twice]).ok
    line = chain.to_line(record)
    forged = line.replace('"kind":', '"kind":"forged","kind":', 1)
    with pytest.raises(verify.BadExport, match="not written as it was exported"):
        list(verify.read_export([forged]))


# --- a chain whose beginning was pruned, and one that was restored ----------------------------


def _pruned(upto: int, **details: Any) -> Chain:
    """Return the end of a chain whose last record says what retention deleted."""
    said = {"seq": upto, "hash": _WHOLE[upto - 1].hash, **details}
    entries = [*_entries(), AuditEntry(verify.PRUNED, "remediator", T0, said)]
    return _linked(entries)[upto:]


def test_a_chain_begins_where_retention_left_it() -> None:
    left = _pruned(4)
    found = verify.verify(left, heads=[_head(2), _head(4), _head(7)], keys=_KEYS)
    assert (found.ok, found.records, found.pruned) == (True, 7, 4)
    assert found.heads == 2  # of 4, by its hash, and of 7; of 2 nothing is left


@pytest.mark.parametrize("details", [{"seq": 3}, {"hash": "0" * 64}, {"seq": "4"}])
def test_a_beginning_that_no_record_explains_is_missing(details: dict[str, object]) -> None:
    found = verify.verify(_pruned(4, **details))
    assert found.problem.startswith("records 1 to 4 are missing: no record says that retention")
    assert found.first_bad == 1
    one = verify.verify(_linked(_entries())[1:])
    assert one.problem.startswith("record 1 is missing: ")


def test_a_pruned_chain_is_held_against_the_head_of_its_beginning() -> None:
    other = _linked([AuditEntry("other", "mallory", T0, {}) for _ in range(4)])
    found = verify.verify(_pruned(4), heads=[_head(4, other)], keys=_KEYS)
    assert "record 4 is not the one whose hash was signed" in found.problem


def _at(minute: int, seq: int, records: Chain, *, restored: bool = False) -> anchors.SignedHead:
    return anchors.sign(
        _KEY, seq=seq, digest=records[seq - 1].hash, at=after(minutes=minute), restored=restored
    )


def test_a_restore_parts_the_heads_and_only_the_last_part_counts() -> None:
    lost = _WHOLE
    restored = AuditEntry(verify.RESTORED, "cli:al", after(minutes=20), {"copy": {"seq": 6}})
    now = _linked([*_entries(6), restored, AuditEntry("later", "x", T0, {})])
    heads = [
        _at(1, 3, lost),
        _at(9, 10, lost),
        _at(20, 6, now, restored=True),
        _at(21, 8, now),
    ]
    before, since = verify.by_restore(heads, _KEYS)
    assert [one.seq for one in before] == [3, 10]
    found = verify.verify(now, heads=since, keys=_KEYS)
    assert (found.ok, found.heads) == (True, 2)
    # Without the signed line, what the journal itself says is told, and is no excuse.
    without = verify.verify(now, heads=[heads[1]], keys=_KEYS)
    assert "the tail was cut off" in without.problem
    assert "record 7 says that the journal was restored at" in without.problem
    cut = verify.verify(now[:7], heads=since, keys=_KEYS)
    assert "the tail was cut off: the chain ends at record 7" in cut.problem


def test_a_restore_that_nobody_signed_parts_nothing() -> None:
    good = _at(20, 6, _WHOLE, restored=True)
    for forged in (replace(good, seq=5), replace(_at(20, 6, _WHOLE), restored=True)):
        (all_of_them,) = verify.by_restore([_head(10), forged], _KEYS)
        found = verify.verify(_WHOLE[:6], heads=all_of_them, keys=_KEYS)
        assert "signature" in found.problem


def test_a_copy_must_agree_with_the_heads_of_one_part() -> None:
    lost, now = _WHOLE, _linked([*_entries(6), AuditEntry("other", "x", T0, {})])
    heads = [_at(1, 3, lost), _at(9, 8, lost)]
    heads += [_at(20, 6, now, restored=True), _at(21, 7, now)]
    parts = verify.by_restore(heads, _KEYS)
    for records in (lost, now, lost[:7], lost[:5]):
        copied = verify.Copied((len(records), records[-1].hash), parts, _KEYS)
        copied.feed(records)
        assert copied.end().ok, records[-1]
    forged = _rehashed(_edited(lost, 2, actor="mallory"))
    copied = verify.Copied((len(forged), forged[-1].hash), parts, _KEYS)
    assert not copied.feed(forged)
    assert "not the one whose hash was signed" in copied.end().problem


def test_a_restored_head_is_read_as_it_was_written(tmp_path: Path) -> None:
    file, head = tmp_path / "heads", _at(20, 6, _WHOLE, restored=True)
    anchors.append(file, head)
    anchors.append(file, _head(10))
    assert list(anchors.read(file)) == [head, _head(10)]
    anchors.check(head, _KEYS)


def test_replicas_that_start_together_make_one_key(tmp_path: Path) -> None:
    path = tmp_path / "var" / "key.pem"
    with ThreadPoolExecutor(8) as replicas:
        made = list(replicas.map(lambda _: anchors.load_or_make_key(path), range(8)))
    names = {anchors.key_id(key.public_key()) for key in made}
    public = anchors.load_public_key(anchors.public_path(path))
    assert names == {anchors.key_id(public)}
    assert len(list(path.parent.iterdir())) == 2
