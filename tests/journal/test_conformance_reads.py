"""Proves, over every engine, the outbox's order, the lists, and housekeeping: prune, backlog, the
chain's pages, the hint after commits, the bounded queue.
"""

import asyncio
from datetime import timedelta

import pytest

from remediator.journal import verify
from remediator.journal.protocol import Journal
from remediator.journal.values import AuditEntry, Due, JournalUnavailable, Overloaded
from remediator.model.incidents import Fate
from remediator.model.plans import Fact
from remediator.model.runs import Run, RunState, Trigger
from remediator.model.views import Note, NoteKind
from tests.journal import factories as make
from tests.journal.conftest import Place
from tests.journal.factories import RUNBOOK, T0, after


async def _tell(
    journal: Journal,
    run: Run,
    *texts: str,
    to: tuple[str, ...] = (),
    kind: NoteKind = NoteKind.STEP,
) -> None:
    notes = tuple(Note(kind, run.id, text, T0, to) for text in texts)
    state = (await journal.run(run.id)) or run
    await make.move(journal, run, state.state, notes=notes)


async def test_notes_of_a_run_are_delivered_in_order(journal: Journal) -> None:
    one, two = await make.claimed(journal, "one"), await make.claimed(journal, "two")
    await _tell(journal, one, "1a", "1b")
    await _tell(journal, two, "2a")
    due = await journal.outbox_due(at=T0, limit=10)
    assert [(item.note.text, item.ref) for item in due] == [("1a", None), ("2a", None)]
    await journal.outbox_delivered(due[0], {"ts": "1.5"})
    await journal.outbox_delivered(due[0], {"ts": "9.9"})  # told twice: the first one counts
    due = await journal.outbox_due(at=T0, limit=10)
    assert [(item.note.text, item.ref) for item in due] == [("1b", {"ts": "1.5"}), ("2a", None)]
    await journal.outbox_delivered(due[1], None)
    await journal.outbox_delivered(due[0], None)
    assert not await journal.outbox_due(at=T0, limit=10)
    assert not (await journal.backlog()).outbox


async def test_a_note_that_can_not_be_delivered_holds_back_its_own_thread_only(
    journal: Journal,
) -> None:
    one, two = await make.claimed(journal, "one"), await make.claimed(journal, "two")
    await _tell(journal, one, "1a", "1b")
    await _tell(journal, two, "2a")
    first, second = await journal.outbox_due(at=T0, limit=10)
    await journal.outbox_delivered(second, None)
    await journal.outbox_retry(first, at=after(minutes=1), error="503")
    await _tell(journal, one, "1c")
    assert not await journal.outbox_due(at=T0, limit=10)
    assert await journal.outbox_wake() == after(minutes=1)
    (again,) = await journal.outbox_due(at=after(minutes=1), limit=10)
    assert (again.note.text, again.attempts) == ("1a", 1)
    assert (await journal.backlog()).outbox == {"slack": 3}


async def test_a_refused_note_is_given_up_on_the_record(journal: Journal) -> None:
    run = await make.claimed(journal)
    await _tell(journal, run, "a", "b")
    (item,) = await journal.outbox_due(at=T0, limit=10)
    await journal.outbox_refused(item, at=T0, error="channel_not_found" + "x" * 10_000)
    (following,) = await journal.outbox_due(at=T0, limit=10)
    assert following.note.text == "b"
    refused = (await journal.audit(run_id=run.id))[-1].entry
    assert refused.kind == "note.refused"
    assert refused.details["text"] == "a"
    assert len(str(refused.details["error"])) == 500


async def test_a_refused_note_is_replaced_in_the_same_transaction(journal: Journal) -> None:
    run = await make.claimed(journal)
    await _tell(journal, run, "a", kind=NoteKind.ESCALATION, to=("gone",))
    (item,) = await journal.outbox_due(at=T0, limit=10)
    instead = Note(NoteKind.ESCALATION, run.id, "a, for gone", T0, ("slack",))
    for _ in range(2):  # told twice: it is replaced once
        await journal.outbox_refused(item, at=T0, error="nobody", instead=instead)
    (other,) = await journal.outbox_due(at=T0, limit=10)
    assert (other.notifier, other.note) == ("slack", instead)
    refused = (await journal.audit(run_id=run.id))[-1].entry
    assert refused.details["instead"] == ["slack"]


async def test_each_notifier_finds_its_own_and_the_rest_are_found_too(place: Place) -> None:
    journal = await place.open(subscribers=("slack", "log"))
    run = await make.claimed(journal)
    await _tell(journal, run, "a")
    await _tell(journal, run, "b", to=("gone",))
    slack = await journal.outbox_due(at=T0, limit=10, notifier="slack")
    assert [(item.notifier, item.note.text) for item in slack] == [("slack", "a")]
    rest = await journal.outbox_due(at=T0, limit=10, besides=("slack", "log"))
    assert [(item.notifier, item.note.text) for item in rest] == [("gone", "b")]
    await journal.outbox_retry(rest[0], at=after(minutes=1), error="503")
    assert await journal.outbox_wake(besides=("slack", "log")) == after(minutes=1)
    assert await journal.outbox_wake(notifier="slack") == T0
    assert await journal.outbox_wake(notifier="nobody") is None


async def test_runs_that_wait_for_a_person_come_first(journal: Journal) -> None:
    for name in ("one", "asks", "lost"):
        run = await make.claimed(journal, name)
        await _tell(journal, run, f"{name} began")
        if name == "asks":
            await _tell(journal, run, "asks", kind=NoteKind.APPROVAL)
        if name == "lost":
            await _tell(journal, run, "lost", kind=NoteKind.ESCALATION)
    due = await journal.outbox_due(at=T0, limit=10)
    assert [item.note.text for item in due] == ["lost began", "asks began", "one began"]


async def test_a_note_goes_to_whom_it_names(place: Place) -> None:
    journal = await place.open(subscribers=("slack", "log"))
    run = await make.claimed(journal)
    await _tell(journal, run, "all")
    await _tell(journal, run, "page", to=("pagerduty",))
    due = await journal.outbox_due(at=T0, limit=10)
    assert {(item.notifier, item.note.text, item.note.to) for item in due} == {
        ("slack", "all", ()),
        ("log", "all", ()),
        ("pagerduty", "page", ("pagerduty",)),
    }


async def test_runs_are_listed_newest_first_page_by_page(journal: Journal) -> None:
    await journal.register([RUNBOOK])
    made = [
        await journal.start_run(
            make.start(f"book-{i % 2}", trigger=Trigger.MANUAL), by="api:al", at=T0
        )
        for i in range(7)
    ]
    seen: list[str] = []
    cursor = None
    while True:
        page = await journal.runs(cursor=cursor, limit=3)
        seen += [run.id for run in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == made[::-1]
    await journal.cancel(made[0], by="api:al", reason="", at=T0)
    ended = await journal.runs(states=(RunState.CANCELLED, RunState.FAILED))
    assert [run.id for run in ended.items] == made[:1]
    live = await journal.runs(states=(RunState.PENDING,), runbook="book-1")
    assert [run.id for run in live.items] == made[5::-2]
    assert live.next is None


async def test_incidents_are_listed_newest_first_page_by_page(journal: Journal) -> None:
    await make.take(journal, *(make.alert(f"svc-{i}") for i in range(5)))
    first = await journal.incidents(limit=3)
    second = await journal.incidents(limit=3, cursor=first.next)
    names = [i.labels["deployment"] for i in (*first.items, *second.items)]
    assert names == [f"svc-{i}" for i in (4, 3, 2, 1, 0)]
    assert second.next is None


async def test_a_run_is_found_by_a_piece_of_its_id(journal: Journal) -> None:
    one, two = await make.claimed(journal, "one"), await make.claimed(journal, "two")
    for piece in (one.id, one.id[:-1], one.id[-6:], one.id[-10:].upper()):
        found = await journal.run(piece)
        assert found is not None
        assert found.id == one.id
    assert one.id[:6] == two.id[:6]
    for piece in (one.id[:6], one.id[-5:], "", "%%%%%%", "no-such-run", "x" * 500):
        assert await journal.run(piece) is None
    listed = await journal.runs(incident_id=two.incident_id)
    assert [run.id for run in listed.items] == [two.id]


async def test_unknown_things_are_none(journal: Journal) -> None:
    assert await journal.view("0" * 26) is None
    assert await journal.incident("nope") is None
    assert await journal.approval("nope") is None
    assert await journal.runbook("nope") is None
    assert await journal.next_wake() is None
    assert await journal.outbox_wake() is None
    assert not await journal.facts("kind", "subject")
    assert await journal.audit_head() == (0, "0" * 64)


async def test_registered_versions_are_kept(journal: Journal) -> None:
    await journal.register([RUNBOOK])
    await journal.register([RUNBOOK])
    assert await journal.runbook("v1") == RUNBOOK


async def test_facts_are_read_newest_first(journal: Journal) -> None:
    run = await make.claimed(journal)
    for minute, value in enumerate(("a", "b", "a")):
        facts = (Fact("bad_template", "shop/api", value), Fact("other", "shop/api", "z"))
        await make.move(journal, run, RunState.PENDING, facts=facts, at=after(minutes=minute))
    assert await journal.facts("bad_template", "shop/api") == ("a", "b")


async def test_prune_takes_what_is_old_and_over_and_keeps_the_chain(place: Place) -> None:
    journal = await place.open()
    over = await make.asked(journal, "over")
    await journal.decide(make.answer())
    await journal.cancel(over.id, by="api:al", reason="", at=T0)
    await make.take(journal, make.alert("over", firing=False, ends_at=after(minutes=1)), at=T0)
    still = await make.claimed(journal, "still")
    before = await journal.audit()
    assert await journal.prune(before=T0, limit=2) == 0
    # Three notifications, one run, one incident; by two at a time.
    assert await journal.prune(before=after(days=90), limit=2) == 5
    assert [run.id for run in (await journal.runs()).items] == [still.id]
    assert [i.id for i in (await journal.incidents()).items] == [still.incident_id]
    assert await journal.approval("q-1") is None
    assert await journal.runbook("v1") == RUNBOOK
    assert await journal.audit() == before
    assert await journal.prune(before=after(days=90)) == 0


async def test_what_would_go_is_counted_and_nothing_else(journal: Journal) -> None:
    over = await make.claimed(journal, "over")
    await make.move(journal, over, RunState.PLANNING, RunState.SUPPRESSED)
    await make.resolve(journal, "over")
    await make.claimed(journal, "still")
    for before, expected in ((T0, (0, 0, 0)), (after(days=90), (3, 1, 1))):
        found = await journal.prunable(before=before, audit_before=None)
        assert (found.notifications, found.runs, found.incidents) == expected
        assert found.audit_records == 0
        assert await journal.prune(before=before) == sum(expected)


async def test_the_chain_is_pruned_from_its_beginning_and_says_so(place: Place) -> None:
    journal = await place.open()
    for day in range(8):
        at = after(days=day)
        await journal.record([AuditEntry("note", "al", at, {"n": n}) for n in range(3)])
    # A clock that was set back: what is older stays behind what is not.
    await journal.record([AuditEntry("note", "al", T0, {})])
    place.clock.time = after(days=9)
    whole, head = await journal.audit(), await journal.audit_head()
    old = [record for record in whole if record.entry.at < after(days=5)][:-1]
    found = await journal.prunable(before=T0, audit_before=after(days=5))
    assert found.audit_records == len(old) == 15
    assert await journal.prune_audit(before=T0) == 0
    assert await journal.audit_head() == head
    assert await journal.prune_audit(before=after(days=5), limit=4) == 15
    left = await journal.audit()
    said = [record for record in left if record.entry.kind == verify.PRUNED]
    assert [record.entry.details["seq"] for record in said] == [4, 8, 12, 15]
    assert left == [*whole[15:], *said]
    checked = verify.verify(left, expected_head=await journal.audit_head())
    assert (checked.ok, checked.pruned) == (True, 15)
    # All of it, when all is old: the record that says so is the chain.
    gone = await journal.prune_audit(before=after(days=99))
    assert gone == len(left)
    checked = verify.verify(await journal.audit(), expected_head=await journal.audit_head())
    assert (checked.ok, checked.records) == (True, 1)


async def test_the_runs_of_an_open_incident_stay_so_that_none_begins_twice(
    journal: Journal,
) -> None:
    run = await make.claimed(journal)
    await make.move(journal, run, RunState.PLANNING, RunState.SUPPRESSED)
    await journal.prune(before=after(days=90))
    receipt = await make.take(journal, make.starting(), at=after(days=91))
    assert (receipt.fates, receipt.started) == ((Fate.REFRESHED,), ())
    assert [one.id for one in (await journal.runs()).items] == [run.id]


async def test_the_rows_of_former_nodes_go_and_ours_stays(place: Place) -> None:
    await (await place.open(node="first")).close()
    place.clock.time += timedelta(days=100)
    journal = await place.open(node="second")
    assert await journal.prune(before=after(days=90)) == 1
    assert await journal.prune(before=after(days=999)) == 0


async def test_a_version_that_nothing_uses_goes_after_a_restart(place: Place) -> None:
    journal = await place.open()
    await journal.register([RUNBOOK])
    await journal.prune(before=after(days=90))
    assert await journal.runbook("v1") is not None  # loaded in this daemon
    await journal.close()
    place.clock.time += timedelta(days=100)
    journal = await place.open()
    await journal.prune(before=after(days=90))
    assert await journal.runbook("v1") is None


async def test_the_chain_is_read_in_pages(journal: Journal) -> None:
    entries = [AuditEntry("daemon.start", "remediator", T0, {"n": i}) for i in range(10)]
    await journal.record(entries)
    first = await journal.audit(limit=4)
    rest = await journal.audit(after=first[-1].seq)
    assert [r.entry for r in (*first, *rest)] == entries
    found = verify.verify([*first, *rest], expected_head=await journal.audit_head())
    assert (found.ok, found.records) == (True, 10)


async def test_commits_that_make_something_due_are_hinted(place: Place) -> None:
    hints: list[frozenset[Due]] = []
    journal = await place.open(on_due=hints.append)
    await make.take(journal, make.alert("nobody's"))
    await journal.claim(at=T0, limit=1)
    assert not hints
    await make.take(journal, make.starting())
    (run,) = await journal.claim(at=T0, limit=1)
    assert hints == [{Due.RUNS}]
    note = Note(NoteKind.STATE, run.id, "planning", T0)
    await journal.write(make.update(run, RunState.PLANNING, notes=(note,)))
    await journal.write(make.update(run, RunState.PLANNING, wake_at=T0, release=True))
    assert hints[1:] == [{Due.NOTES}, {Due.RUNS}]


@pytest.mark.queue
async def test_a_full_queue_refuses_notifications_at_once_and_others_later(place: Place) -> None:
    journal = await place.open(write_queue=2)
    run = await make.claimed(journal)
    gate = place.gate()
    shut = await gate.shut(journal, run)
    waiting = [
        asyncio.create_task(journal.take(make.notification(make.alert(f"svc-{i}"))))
        for i in range(2)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="2 operations"):
        await journal.take(make.notification(make.alert("one too many")))
    # The outcome of a change finds room when senders have filled the queue.
    cancel = asyncio.create_task(journal.cancel("unknown", by="api:al", reason="", at=T0))
    entry = AuditEntry("x", "y", T0, {})
    record = asyncio.create_task(journal.record([entry]))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await journal.record([entry])
    gate.open()
    await asyncio.gather(shut, *waiting, cancel, record)
    assert (await journal.backlog()).open_incidents == 3


@pytest.mark.queue
async def test_close_commits_what_is_queued(place: Place) -> None:
    journal = await place.open()
    run = await make.claimed(journal)
    gate = place.gate()
    shut = await gate.shut(journal, run)
    taken = asyncio.create_task(journal.take(make.notification(make.alert("late"))))
    closing = asyncio.create_task(journal.close())
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(shut, taken, closing)
    await journal.close()
    with pytest.raises(JournalUnavailable, match="closed"):
        await journal.take(make.notification(make.alert("too late")))
    again = await place.open()
    assert len((await again.incidents()).items) == 2


async def test_a_pager_that_was_called_hears_what_becomes_of_the_run(place: Place) -> None:
    journal = await place.open(pagers=("pagerduty",))
    run = await make.claimed(journal)
    await _tell(journal, run, "before", kind=NoteKind.STATE)
    await _tell(journal, run, "page", to=("pagerduty",))
    await _tell(journal, run, "after", kind=NoteKind.STATE)
    told = []
    while due := await journal.outbox_due(at=T0, limit=10):
        for item in due:
            told.append((item.notifier, item.note.text))
            await journal.outbox_delivered(item, None)
    assert sorted(told) == [
        ("pagerduty", "after"),
        ("pagerduty", "page"),
        ("slack", "after"),
        ("slack", "before"),
    ]
