"""Proves, over every engine, how runs are claimed and written: the fence, legal transitions only,
guards judged in the same transaction, locks, steps, what guardrails may know of the past.
"""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from remediator.journal.protocol import Journal
from remediator.journal.values import (
    AuditEntry,
    CancelOutcome,
    Candidate,
    Expiry,
    Guard,
    Written,
)
from remediator.model.approvals import ApprovalStatus
from remediator.model.history import LookBack
from remediator.model.plans import Fact
from remediator.model.reasons import Reason
from remediator.model.runs import IllegalTransition, RunState, StepState, Trigger
from remediator.model.views import Note, NoteKind
from tests.journal import factories as make
from tests.journal.conftest import Place
from tests.journal.factories import HOLDS, RUNBOOK, T0, after

_ENDS = [state for state in RunState if state.ended]


async def test_claim_takes_what_is_due_in_order_and_raises_the_epoch(journal: Journal) -> None:
    await journal.register([RUNBOOK])
    ids = {
        minutes: await journal.start_run(
            make.start(trigger=Trigger.MANUAL, wake_at=after(minutes=minutes)), by="api:a", at=T0
        )
        for minutes in (3, 1, 2, 9)
    }
    assert await journal.next_wake() == after(minutes=1)
    assert not await journal.claim(at=T0, limit=10)
    first = await journal.claim(at=after(minutes=5), limit=2)
    assert [run.id for run in first] == [ids[1], ids[2]]
    assert {(run.owner, run.epoch, run.started_at) for run in first} == {
        ("node-1", 1, after(minutes=5))
    }
    second = await journal.claim(at=after(minutes=5), limit=10)
    assert [run.id for run in second] == [ids[3]]
    assert await journal.next_wake() == after(minutes=9)


async def test_a_transition_is_written_whole_and_recorded(journal: Journal) -> None:
    run = await make.claimed(journal)
    note = Note(NoteKind.STEP, run.id, "api scales", T0)
    written = await make.move(
        journal,
        run,
        RunState.PLANNING,
        RunState.APPLYING,
        steps=(make.step(run),),
        target="deployment shop/api",
        verdicts=(HOLDS,),
        facts=(Fact("bad_template", "shop/api", "abc"),),
        notes=(note,),
        wake_at=after(seconds=2),
    )
    view = await journal.view(run.id)
    assert view is not None
    assert view.run == written
    assert (written.state, written.owner, written.epoch) == (RunState.APPLYING, "node-1", 1)
    assert (written.target, written.wake_at) == ("deployment shop/api", after(seconds=2))
    assert view.steps == (make.step(run),)
    assert view.verdicts == (HOLDS,)
    assert (view.description, view.owner) == (RUNBOOK.description, "team-shop")
    assert view.links == RUNBOOK.links
    assert view.incident is not None
    assert view.incident.id == run.incident_id
    assert await journal.facts("bad_template", "shop/api") == ("abc",)
    (item,) = await journal.outbox_due(at=T0, limit=10)
    assert (item.notifier, item.note) == ("slack", note)
    entries = [record.entry for record in await journal.audit(run_id=run.id)]
    states = [(e.details["from"], e.details["to"]) for e in entries if e.kind == "run.state"]
    assert states == [(None, "pending"), ("pending", "planning"), ("planning", "applying")]
    assert entries[-1].details["message"] == "now applying"


async def test_a_released_run_is_claimed_when_its_time_comes(journal: Journal) -> None:
    run = await make.claimed(journal)
    await make.move(journal, run, RunState.PENDING, wake_at=after(minutes=5), release=True)
    assert await journal.next_wake() == after(minutes=5)
    (again,) = await journal.claim(at=after(minutes=5), limit=1)
    assert (again.id, again.epoch, again.started_at) == (run.id, 2, T0)


async def test_writes_of_anyone_but_the_owner_are_fenced(journal: Journal) -> None:
    run = await make.claimed(journal)
    unknown = make.update(make.with_epoch(run, 1), RunState.PLANNING)
    stale = make.update(make.with_epoch(run, 0), RunState.PLANNING)
    assert (await journal.write(stale)).written is Written.FENCED
    await make.move(journal, run, RunState.PENDING, wake_at=after(minutes=5), release=True)
    assert (await journal.write(unknown)).written is Written.FENCED
    (again,) = await journal.claim(at=after(minutes=5), limit=1)
    assert (await journal.write(unknown)).written is Written.FENCED
    assert (await journal.write(make.update(again, RunState.PLANNING))).written is Written.DONE


async def test_an_illegal_transition_is_refused_whole(journal: Journal) -> None:
    run = await make.claimed(journal)
    head = await journal.audit_head()
    with pytest.raises(IllegalTransition, match="pending to succeeded"):
        await journal.write(make.update(run, RunState.SUCCEEDED, steps=(make.step(run),)))
    assert not await journal.steps(run.id)
    assert await journal.audit_head() == head
    now = await journal.run(run.id)
    assert now is not None
    assert now.state is RunState.PENDING


async def test_a_run_that_nothing_would_take_up_is_refused(journal: Journal) -> None:
    run = await make.claimed(journal)
    with pytest.raises(ValueError, match="without wake_at"):
        await journal.write(make.update(run, RunState.PENDING, release=True))


async def test_an_update_can_not_write_to_another_run(journal: Journal) -> None:
    one, two = await make.claimed(journal, "one"), await make.claimed(journal, "two")
    with pytest.raises(ValueError, match=two.id):
        await journal.write(make.update(one, RunState.PLANNING, steps=(make.step(two),)))
    assert not await journal.steps(two.id)


@pytest.mark.queue
async def test_only_the_guilty_operation_of_a_batch_fails(place: Place, journal: Journal) -> None:
    first, guilty, good = [await make.claimed(journal, name) for name in ("a", "b", "c")]
    gate = place.gate()
    shut = await gate.shut(journal, first)
    together = [
        journal.write(make.update(good, RunState.PLANNING)),
        journal.write(make.update(guilty, RunState.SUCCEEDED)),
        journal.take(make.notification(make.alert("d"))),
    ]
    tasks = [asyncio.create_task(one) for one in together]
    await asyncio.sleep(0)
    gate.open()
    done, failed, taken = await asyncio.gather(*tasks, return_exceptions=True)
    assert (await shut).written is Written.DONE
    assert isinstance(failed, IllegalTransition)
    assert not isinstance(done, BaseException)
    assert not isinstance(taken, BaseException)
    states = Counter(run.state for run in (await journal.runs()).items)
    assert states == {RunState.PLANNING: 2, RunState.PENDING: 1}
    assert len((await journal.incidents()).items) == 4


@pytest.mark.queue
async def test_entries_that_are_not_json_fail_their_operation_alone(
    place: Place, journal: Journal
) -> None:
    run = await make.claimed(journal)
    gate = place.gate()
    shut = await gate.shut(journal, run)
    bad = AuditEntry("x", "y", T0, {"not": {1, 2}})  # type: ignore[dict-item]
    tasks = [
        asyncio.create_task(one)
        for one in (
            journal.record([AuditEntry("before", "y", T0, {})]),
            journal.record([bad]),
            journal.record([AuditEntry("after", "y", T0, {})]),
        )
    ]
    await asyncio.sleep(0)
    gate.open()
    before, failed, later = await asyncio.gather(*tasks, return_exceptions=True)
    assert (before, later) == (None, None)
    assert isinstance(failed, TypeError)
    assert (await shut).written is Written.DONE
    kinds = [record.entry.kind for record in await journal.audit()]
    assert [kind for kind in kinds if kind in {"before", "after", "x"}] == ["before", "after"]


async def test_a_guard_that_does_not_allow_writes_nothing(journal: Journal) -> None:
    run = await make.claimed(journal)
    await make.move(journal, run, RunState.PLANNING)
    head = await journal.audit_head()
    outcome = await journal.write(
        make.update(
            run,
            RunState.APPLYING,
            guard=Guard(lambda _: (HOLDS,)),
            steps=(make.step(run),),
            lock=("target",),
            notes=(Note(NoteKind.STEP, run.id, "scaling", T0),),
        )
    )
    assert (outcome.written, outcome.verdicts) == (Written.GUARDED, (HOLDS,))
    assert not await journal.steps(run.id)
    assert not await journal.outbox_due(at=T0, limit=10)
    assert await journal.audit_head() == head
    assert not (await journal.history(run_id="", look=LookBack(), at=T0)).locks


async def test_guards_of_concurrent_runs_see_each_other(journal: Journal) -> None:
    runs = [await make.claimed(journal, f"svc-{i}") for i in range(20)]
    for run in runs:
        await make.move(journal, run, RunState.PLANNING)
    guard = Guard(make.nobody_else_changed, LookBack(after(hours=-1)))
    outcomes = await asyncio.gather(
        *(
            journal.write(make.update(run, RunState.APPLYING, guard=guard, steps=(make.step(run),)))
            for run in runs
        )
    )
    assert Counter(o.written for o in outcomes) == {Written.DONE: 1, Written.GUARDED: 19}
    history = await journal.history(run_id="", look=LookBack(after(hours=-1)), at=T0)
    assert len(history.changes) == 1


async def test_an_exception_of_a_guard_reaches_its_caller_alone(journal: Journal) -> None:
    run = await make.claimed(journal)

    def broken(_: object) -> tuple[()]:
        raise ZeroDivisionError("a bug in a guardrail")

    with pytest.raises(ZeroDivisionError):
        await journal.write(make.update(run, RunState.PLANNING, guard=Guard(broken)))
    assert (await journal.write(make.update(run, RunState.PLANNING))).written is Written.DONE


async def test_a_target_is_locked_by_one_run_until_it_ends(journal: Journal) -> None:
    one, two = await make.claimed(journal, "one"), await make.claimed(journal, "two")
    for run in (one, two):
        await make.move(journal, run, RunState.PLANNING)
    await make.move(journal, one, RunState.APPLYING, lock=("x", "y"))
    await make.move(journal, one, RunState.APPLYING, lock=("x",))  # its own: again is no harm
    wanted = make.update(two, RunState.APPLYING, lock=("w", "y"), steps=(make.step(two),))
    refused = await journal.write(wanted)
    assert (refused.written, refused.holder) == (Written.LOCKED, one.id)
    assert not await journal.steps(two.id)
    history = await journal.history(run_id=two.id, look=LookBack(), at=T0)
    assert history.locks == {"x": one.id, "y": one.id}
    assert not (await journal.history(run_id=one.id, look=LookBack(), at=T0)).locks
    await make.move(journal, one, RunState.SUCCEEDED)
    assert (await journal.write(wanted)).written is Written.DONE


async def test_an_interrupted_run_rests_and_keeps_its_locks(journal: Journal) -> None:
    run = await make.claimed(journal)
    await make.move(journal, run, RunState.PLANNING)
    rests = await make.move(journal, run, RunState.APPLYING, RunState.INTERRUPTED, lock=("x",))
    assert (rests.owner, rests.wake_at, rests.ended_at) == (None, None, None)
    assert not await journal.claim(at=after(days=1), limit=1)
    assert (await journal.history(run_id="", look=LookBack(), at=T0)).locks == {"x": run.id}


@pytest.mark.parametrize("end", _ENDS)
async def test_an_ended_run_is_let_go(journal: Journal, end: RunState) -> None:
    ways = {
        RunState.ROLLED_BACK: (RunState.APPLYING, RunState.UNDOING),
        RunState.DENIED: (RunState.AWAITING_APPROVAL,),
        RunState.EXPIRED: (RunState.AWAITING_APPROVAL,),
    }
    run = await make.claimed(journal)
    await make.move(journal, run, RunState.PLANNING, lock=("x",))
    for state in ways.get(end, ()):
        await make.move(journal, run, state)
    ended = await make.move(journal, run, end, at=after(minutes=1), wake_at=after(hours=1))
    assert (ended.state, ended.ended_at) == (end, after(minutes=1))
    assert (ended.owner, ended.wake_at, ended.deadline_at) == (None, None, None)
    assert not (await journal.history(run_id="", look=LookBack(), at=T0)).locks
    assert (await journal.write(make.update(run, end))).written is Written.FENCED
    assert not (await journal.backlog()).runs


async def test_attempts_are_kept_and_the_newest_is_shown(journal: Journal) -> None:
    run = await make.claimed(journal)
    await make.move(journal, run, RunState.PLANNING)
    failed = make.step(run, StepState.FAILED, attempt=1)
    second = make.step(run, StepState.STARTED, attempt=2)
    other = make.step(run, StepState.PLANNED, sequence=1, started_at=None)
    await make.move(journal, run, RunState.APPLYING, steps=(failed, second, other))
    done = make.step(run, StepState.DONE, attempt=2)
    await make.move(journal, run, RunState.APPLYING, steps=(done,))
    assert await journal.steps(run.id) == [failed, done, other]
    view = await journal.view(run.id)
    assert view is not None
    assert view.steps == (done, other)


async def test_history_counts_each_change_once(journal: Journal) -> None:
    one, two = await make.claimed(journal, "one"), await make.claimed(journal, "two")
    for run in (one, two):
        await make.move(journal, run, RunState.PLANNING)
    steps = (
        make.step(one, StepState.FAILED, attempt=1, plan_=make.plan("one", pods=3)),
        make.step(
            one, StepState.DONE, attempt=2, plan_=make.plan("one"), started_at=after(hours=1)
        ),
        make.step(one, StepState.PLANNED, sequence=1),  # not begun
        make.step(one, StepState.DONE, sequence=2, plan_=make.plan(empty=True)),  # a probe
    )
    await make.move(journal, one, RunState.APPLYING, steps=steps)
    old = make.step(two, StepState.UNDONE, plan_=make.plan("two"), started_at=after(days=-2))
    await make.move(journal, two, RunState.APPLYING, steps=(old,))
    history = await journal.history(run_id=two.id, look=LookBack(after(days=-1)), at=T0)
    (change,) = history.changes
    assert (change.run_id, change.sequence, change.runbook) == (one.id, 0, "scale-out")
    assert (change.target_key, change.pods) == ("kubernetes:shop/Deployment/one", 3)
    assert change.at == T0
    longer = await journal.history(run_id=two.id, look=LookBack(after(days=-3)), at=T0)
    assert [c.run_id for c in longer.changes] == [one.id, two.id]
    assert not (await journal.history(run_id=two.id, look=LookBack(), at=T0)).changes


async def test_raised_limits_come_back_as_runs_of_their_own(journal: Journal) -> None:
    run = await make.claimed(journal)
    done = make.step(run, StepState.DONE, sequence=3)
    later = make.step(run, StepState.DONE, sequence=4, plan_=make.plan("web"))
    await make.move(journal, run, RunState.PLANNING, RunState.APPLYING, steps=(done, later))
    spawn = (Expiry(done, after(hours=2)), Expiry(later, after(hours=1)))
    await make.move(journal, run, RunState.SUCCEEDED, spawn=spawn)
    first, second = await journal.claim(at=after(hours=2), limit=10)
    assert [r.target for r in (first, second)] == ["deployment shop/web", "deployment shop/api"]
    assert {(r.trigger, r.state, r.reason) for r in (first, second)} == {
        (Trigger.EXPIRY, RunState.PENDING, Reason.LIMIT_EXPIRED)
    }
    assert {(r.runbook, r.version, r.incident_id) for r in (first, second)} == {
        (run.runbook, run.version, run.incident_id)
    }
    (copy,) = await journal.steps(second.id)
    assert (copy.sequence, copy.attempt, copy.state, copy.plan) == (
        0,
        1,
        StepState.DONE,
        done.plan,
    )
    # The copy is no change of its own.
    assert len((await journal.history(run_id="", look=LookBack(T0), at=T0)).changes) == 2
    assert (await journal.write(make.update(first, RunState.UNDOING))).written is Written.DONE


async def test_a_new_question_voids_the_older_one(journal: Journal) -> None:
    await make.asked(journal)
    (run,) = await journal.claim(at=after(minutes=30), limit=1)
    await make.move(
        journal, run, RunState.AWAITING_APPROVAL, ask=make.question(run, id_="q-2"), wake_at=T0
    )
    older, newer = await journal.approval("q-1"), await journal.approval("q-2")
    assert older is not None
    assert newer is not None
    assert (older.status, newer.status) == (ApprovalStatus.VOID, ApprovalStatus.OPEN)
    view = await journal.view(run.id)
    assert view is not None
    assert view.approval == newer


async def test_a_run_that_leaves_its_question_closes_it(journal: Journal) -> None:
    await make.asked(journal, "one", id_="q-1")
    await make.asked(journal, "two", id_="q-2")
    one, two = await journal.claim(at=after(minutes=30), limit=2)
    await make.move(journal, one, RunState.PLANNING)
    await make.move(journal, two, RunState.EXPIRED, close_approval=ApprovalStatus.EXPIRED)
    statuses = [
        a.status for a in (await journal.approval("q-1"), await journal.approval("q-2")) if a
    ]
    assert statuses == [ApprovalStatus.VOID, ApprovalStatus.EXPIRED]


async def test_a_new_daemon_takes_up_what_the_former_had_in_hand(place: Place) -> None:
    former = await place.open(node="node-1")
    run = await make.claimed(former)
    await make.move(former, run, RunState.PLANNING, wake_at=after(hours=1))
    waiting = await make.asked(former, "waits")
    await former.close()
    place.clock.time += timedelta(minutes=1)
    now = await place.open(node="node-2")
    (again,) = await now.claim(at=after(minutes=1), limit=10)
    assert (again.id, again.state, again.owner) == (run.id, RunState.PLANNING, "node-2")
    assert again.epoch == run.epoch + 1
    freed = [r.entry for r in await now.audit() if r.entry.kind == "run.freed"]
    assert [(e.run_id, e.details["from_node"]) for e in freed] == [(run.id, "node-1")]
    still = await now.run(waiting.id)
    assert still is not None
    assert still.wake_at == after(minutes=30)


async def test_what_waits_for_a_clock_that_was_ahead_is_brought_back(journal: Journal) -> None:
    await journal.register([RUNBOOK])
    await make.asked(journal, "asks", id_="q-1")
    ahead = after(days=1)
    waits = make.start(wake_at=ahead + timedelta(minutes=2))
    candidate = Candidate(make.alert("waits"), on_firing=(waits,))
    receipt = await journal.take(make.notification(candidate, at=ahead))
    assert await journal.straighten(at=ahead) == 0  # by the same clock it is in order
    assert await journal.straighten(at=T0) == 1
    run = await journal.run(receipt.started[0])
    assert run is not None
    assert run.wake_at == after(minutes=2)
    kept = await journal.approval("q-1")
    assert kept is not None
    assert kept.expires_at == after(minutes=30)  # asked under the right clock
    assert await journal.straighten(at=T0) == 0
    (told,) = [r.entry for r in await journal.audit() if r.entry.kind == "clock.set_back"]
    assert told.details == {"runs": 1, "approvals": 0, "notes": 0, "overrides": 0}


async def test_a_zero_character_in_a_text_keeps_no_run_from_being_written(journal: Journal) -> None:
    run = await make.asked(journal)
    assert await journal.cancel(run.id, by="local", reason="a\0b", at=T0) is CancelOutcome.CANCELLED
    ended = await journal.run(run.id)
    assert ended is not None
    assert ended.state is RunState.CANCELLED
    assert ended.message in ("Cancelled by local: a\0b", "Cancelled by local: a\ufffdb")
