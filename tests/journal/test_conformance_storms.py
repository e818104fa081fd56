"""Proves, over every engine, what the journal keeps of a storm: who joined, what one message tells,
what goes out by itself when it is over, and that nothing of it is left after its runs are pruned.
"""

from remediator.journal.protocol import Journal
from remediator.journal.values import OutboxItem
from remediator.model.runs import Run, RunState
from remediator.model.storms import StormMark
from remediator.model.views import Note, NoteKind
from tests.journal import factories as make
from tests.journal.factories import T0, after

MARK = StormMark("s-1", "slack", "C01", T0, T0)


async def told(journal: Journal, run: Run, *notes: tuple[NoteKind, str]) -> Run:
    """Queue notes about a run."""
    made = tuple(Note(kind, run.id, words, T0) for kind, words in notes)
    return await make.move(journal, run, run.state, notes=made)


async def asking(journal: Journal, name: str) -> Run:
    """Lead a run to where it waits for a person, who is told twice."""
    run = await told(journal, await make.claimed(journal, name), (NoteKind.APPROVAL, "first"))
    return await make.move(
        journal,
        run,
        RunState.PLANNING,
        RunState.AWAITING_APPROVAL,
        ask=make.question(run, id_=f"asks-{name}"),
        wake_at=after(minutes=30),
        release=True,
        notes=(Note(NoteKind.APPROVAL, run.id, "asks", T0),),
    )


async def due(journal: Journal, **more: list[str]) -> list[OutboxItem]:
    return list(await journal.outbox_due(at=after(hours=1), limit=50, notifier="slack", **more))


async def shared(journal: Journal, storm_id: str = "s-1") -> None:
    """Let the storm tell all that is due."""
    while items := await due(journal):
        for item in items:
            await journal.storm_shares(item, storm_id, at=after(seconds=5))


async def test_a_storm_counts_its_runs_and_names_those_that_wait_first(journal: Journal) -> None:
    await journal.storm_begins(MARK)
    for number in range(3):
        await told(journal, await make.claimed(journal, f"api-{number}"), (NoteKind.STATE, "began"))
    asked = await asking(journal, "asks")
    await shared(journal)

    storm = await journal.storm("s-1", most=2)
    assert storm is not None
    assert (storm.runs, storm.needed, storm.ended) == (4, 1, False)
    assert storm.by_state == {RunState.PENDING: 3, RunState.AWAITING_APPROVAL: 1}
    assert storm.by_runbook == {"scale-out": 4}
    assert next(run.id for run in storm.first) == asked.id
    assert len(storm.first) == 2
    assert await journal.storm("other", most=2) is None
    (mark,) = await journal.storms("slack")
    assert (mark.joined_at, mark.closed_at, mark.ref) == (after(seconds=5), None, None)
    assert await journal.storms("pagerduty") == ()


async def test_what_a_storm_tells_is_not_delivered_and_not_lost(journal: Journal) -> None:
    await journal.storm_begins(MARK)
    run = await told(journal, await make.claimed(journal), (NoteKind.STATE, "began"))
    await shared(journal)
    assert (await journal.backlog()).outbox == {}
    (item,) = [
        one for one in await due_after(journal, run, (NoteKind.STEP, "applied")) if one.storm
    ]

    assert item.storm == "s-1"
    await journal.storm_shares(item, "s-1", at=T0)
    await journal.storm_shares(item, "s-1", at=T0)  # told already: nothing changes
    assert await due(journal) == []


async def due_after(journal: Journal, run: Run, *notes: tuple[NoteKind, str]) -> list[OutboxItem]:
    """Queue notes, and return what is due then."""
    await told(journal, run, *notes)
    return await due(journal)


async def test_when_it_is_over_what_calls_a_person_goes_out_in_order(journal: Journal) -> None:
    await journal.storm_begins(MARK)
    quiet = await make.claimed(journal, "quiet")
    await told(journal, quiet, (NoteKind.STATE, "began"))
    failed = await make.claimed(journal, "failed")
    await told(journal, failed, (NoteKind.STEP, "broke"), (NoteKind.ESCALATION, "look at it"))
    answered = await make.claimed(journal, "answered")
    await told(journal, answered, (NoteKind.APPROVAL, "asked, and answered since"))
    asks = await asking(journal, "asks")
    await shared(journal)
    await told(journal, failed, (NoteKind.STATE, "ended"))
    storm = await journal.storm("s-1", most=9)
    assert storm is not None
    assert (storm.escalated, storm.needed) == (1, 2)

    alone = await journal.storm_over("s-1", at=after(minutes=9))
    again = await journal.storm_over("s-1", at=after(minutes=9))

    items = await due(journal)
    assert {(item.note.run_id, item.note.text) for item in items} == {
        (failed.id, "look at it"),
        (asks.id, "asks"),
    }
    assert (alone, again) == (2, 0)
    await journal.outbox_delivered(
        next(item for item in items if item.note.run_id == failed.id), {"ts": "1"}
    )
    later = [item.note.text for item in await due(journal) if item.note.run_id == failed.id]
    assert later == ["ended"], "what came later comes after it"
    (mark,) = await journal.storms("slack")
    assert mark.closed_at == after(minutes=9)
    kinds = [record.entry.kind for record in await journal.audit()]
    assert kinds.count("storm.began") == 1
    assert kinds.count("storm.over") == 1


async def test_an_escalation_that_somebody_answered_in_the_storm_rings_no_more(
    journal: Journal,
) -> None:
    await journal.storm_begins(MARK)
    answered = await told(
        journal, await make.claimed(journal, "api-1"), (NoteKind.ESCALATION, "look")
    )
    open_one = await told(
        journal, await make.claimed(journal, "api-2"), (NoteKind.ESCALATION, "look")
    )
    await shared(journal)
    await journal.acknowledge(answered.id, by="slack:U1", reason="", at=after(minutes=1))
    await shared(journal)
    await journal.storm_over("s-1", at=after(minutes=3))
    rung = [one for one in await due(journal) if one.note.kind is NoteKind.ESCALATION]
    assert [one.note.run_id for one in rung] == [open_one.id]


async def test_a_storms_ref_is_remembered_until_its_message_is_final(journal: Journal) -> None:
    await journal.storm_begins(MARK)
    await journal.storm_told("s-1", {"ts": "1.1"}, at=T0, ended=False)
    (mark,) = await journal.storms("slack")
    assert mark.ref == {"ts": "1.1"}

    await journal.storm_told("s-1", {"ts": "1.1"}, at=T0, ended=True)
    assert await journal.storms("slack") == ()


async def test_runs_that_need_not_be_looked_at_are_left_out(journal: Journal) -> None:
    run = await told(journal, await make.claimed(journal, "a"), (NoteKind.STATE, "a"))
    await told(journal, await make.claimed(journal, "b"), (NoteKind.STATE, "b"))

    assert [item.note.text for item in await due(journal, but=[run.id])] == ["b"]


async def test_a_storm_goes_with_its_runs(journal: Journal) -> None:
    await journal.storm_begins(MARK)
    run = await told(journal, await make.claimed(journal), (NoteKind.STATE, "began"))
    await shared(journal)
    await journal.storm_told("s-1", None, at=T0, ended=True)
    await make.move(journal, run, RunState.PLANNING, RunState.SUPPRESSED)
    await make.resolve(journal)

    await journal.prune(before=after(days=90))
    assert await journal.storm("s-1", most=1) is None
    assert await journal.view(run.id) is None
