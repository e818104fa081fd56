"""Proves, over every engine, what is read for replay: bodies in the order of their times, how many
are gone, and the runs that they began.
"""

from datetime import timedelta
from typing import cast

from remediator.journal.protocol import Archive, Journal
from remediator.model.runs import RunState, StepState, Trigger
from tests.journal import factories as make
from tests.journal.factories import T0, after


async def test_what_is_kept_for_replay(journal: Journal) -> None:
    archive = cast(Archive, journal)
    first = await journal.take(make.notification(make.alert("one"), body=b'{"n": 1}'))
    await journal.take(make.notification(make.alert("two"), at=after(minutes=5), sender="other"))
    await journal.take(make.notification(make.alert("three"), at=after(hours=2)))
    since, until = T0, after(hours=1)
    kept = await archive.kept(since=since, until=until)
    assert (kept.notifications, kept.on_record, kept.oldest) == (2, 2, T0)
    (head,) = await archive.recorded(since=since, until=until, after=None, limit=1)
    assert (head.id, head.received_at, head.size) == (first.notification_id, T0, 8)
    (following,) = await archive.recorded(since=since, until=until, after=head, limit=10)
    assert (following.received_at, following.sender) == (after(minutes=5), "other")
    assert not await archive.recorded(since=since, until=until, after=following, limit=10)
    assert await archive.bodies([head.id, "gone"]) == {head.id: b'{"n": 1}'}
    await journal.prune(before=after(minutes=1))
    kept = await archive.kept(since=since, until=until)
    assert (kept.notifications, kept.on_record, kept.oldest) == (1, 2, after(minutes=5))


async def test_those_of_one_moment_come_once_each(journal: Journal) -> None:
    archive = cast(Archive, journal)
    ids = {
        (await journal.take(make.notification(make.alert(f"a-{n}")))).notification_id
        for n in range(5)
    }
    found, last = [], None
    while page := await archive.recorded(since=T0, until=after(hours=1), after=last, limit=2):
        found += [head.id for head in page]
        last = page[-1]
    assert len(found) == 5
    assert set(found) == ids


async def test_what_happened_to_notifications(journal: Journal) -> None:
    archive = cast(Archive, journal)
    run = await make.claimed(journal)
    (one,) = await archive.happened(since=T0, until=T0)
    assert (one.run_id, one.runbook, one.trigger) == (run.id, "scale-out", Trigger.FIRING)
    assert (one.sender, one.created_at, one.asked, one.changed) == ("main", T0, False, False)
    planned = make.step(run, StepState.PLANNED, started_at=None)
    await make.move(
        journal, run, RunState.PLANNING, RunState.APPLYING, steps=(planned,), verdicts=()
    )
    (one,) = await archive.happened(since=T0 - timedelta(hours=1), until=after(hours=1))
    assert (one.plans, one.changed) == ((str(make.plan()),), False)
    await make.move(journal, run, RunState.APPLYING, steps=(make.step(run),))
    (one,) = await archive.happened(since=T0, until=T0)
    assert (one.state, one.changed) == (RunState.APPLYING, True)
    assert not await archive.happened(since=after(seconds=1), until=after(hours=1))
    assert not await archive.happened(
        since=T0 - timedelta(hours=1), until=T0 - timedelta(hours=0.5)
    )


async def test_whether_people_were_asked(journal: Journal) -> None:
    await make.asked(journal)
    (one,) = await cast(Archive, journal).happened(since=T0, until=T0)
    assert (one.asked, one.state) == (True, RunState.AWAITING_APPROVAL)
