"""Proves, over every engine, what people do: answers to questions (one compare-and-set decides),
cancel, resume, kill switches.
"""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from remediator.journal.protocol import Journal
from remediator.journal.values import CancelOutcome, Expiry, Guard, ResumeHow, Written
from remediator.model.approvals import Answer, ApprovalStatus, DecisionOutcome
from remediator.model.history import Control, LookBack
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, StepState
from tests.journal import factories as make
from tests.journal.factories import T0, after


async def test_approval_lets_the_run_go_on_at_once(journal: Journal) -> None:
    run = await make.asked(journal)
    outcome, request = await journal.decide(make.answer())
    assert outcome is DecisionOutcome.APPROVED
    assert request is not None
    assert request.status is ApprovalStatus.APPROVED
    (now,) = await journal.claim(at=T0, limit=1)
    assert (now.id, now.state, now.reason) == (run.id, RunState.APPLYING, Reason.APPROVED)
    assert now.epoch == run.epoch + 2
    assert now.deadline_at is None
    view = await journal.view(run.id)
    assert view is not None
    assert [d.actor for d in view.decisions] == ["slack:U1"]
    notes = [item.note.text for item in await journal.outbox_due(at=T0, limit=9)]
    assert notes == ["Approved by slack:U1: looks right"]
    entries = [r.entry for r in await journal.audit(run_id=run.id)][-2:]
    assert [(e.kind, e.actor) for e in entries] == [
        ("run.state", "slack:U1"),
        ("approval.decision", "slack:U1"),
    ]
    assert entries[1].details["outcome"] == "approved"
    assert entries[1].details["digests"] == {"scale": make.plan().digest}


async def test_the_quorum_counts_different_people(journal: Journal) -> None:
    await make.asked(journal, quorum=2)
    answers = [await journal.decide(make.answer(who)) for who in ("slack:U1", "slack:U1")]
    assert [o for o, _ in answers] == [DecisionOutcome.COUNTED, DecisionOutcome.REPEATED]
    outcome, _ = await journal.decide(make.answer("api:bob"))
    assert outcome is DecisionOutcome.APPROVED
    # Clicks that come again or too late change nothing.
    again, _ = await journal.decide(make.answer("api:bob"))
    late, _ = await journal.decide(make.answer("api:carol", Answer.DENY))
    assert (again, late) == (DecisionOutcome.REPEATED, DecisionOutcome.ALREADY_DECIDED)
    outcomes = [
        r.entry.details["outcome"]
        for r in await journal.audit()
        if r.entry.kind == "approval.decision"
    ]
    assert outcomes == ["counted", "repeated", "approved", "repeated", "already_decided"]


async def test_the_first_deny_decides(journal: Journal) -> None:
    run = await make.asked(journal, quorum=2)
    await journal.decide(make.answer("slack:U1"))
    outcome, _ = await journal.decide(make.answer("slack:U1", Answer.DENY))
    assert outcome is DecisionOutcome.DENIED
    now = await journal.run(run.id)
    assert now is not None
    assert (now.state, now.reason, now.wake_at) == (RunState.DENIED, Reason.DENIED, None)


async def test_silence_is_never_a_yes(journal: Journal) -> None:
    run = await make.asked(journal)
    outcome, request = await journal.decide(make.answer(at=after(minutes=30)))
    assert outcome is DecisionOutcome.EXPIRED
    assert request is not None
    now = await journal.run(run.id)
    assert now is not None
    assert now.state is RunState.AWAITING_APPROVAL


async def test_answers_to_void_and_unknown_questions(journal: Journal) -> None:
    await make.asked(journal)
    await make.resolve(journal)
    head = await journal.audit_head()
    outcome, request = await journal.decide(make.answer())
    assert outcome is DecisionOutcome.VOID
    assert request is not None
    assert (await journal.audit_head())[0] == head[0] + 1
    unknown = await journal.decide(make.answer(approval_id="no-such"))
    assert unknown == (DecisionOutcome.UNKNOWN, None)


async def test_a_worker_that_expires_a_question_loses_against_a_click(journal: Journal) -> None:
    await make.asked(journal)
    (run,) = await journal.claim(at=after(minutes=30), limit=1)
    outcome, _ = await journal.decide(make.answer(at=after(minutes=29)))
    assert outcome is DecisionOutcome.APPROVED
    expire = make.update(run, RunState.EXPIRED, close_approval=ApprovalStatus.EXPIRED)
    assert (await journal.write(expire)).written is Written.FENCED


async def test_of_many_clicks_at_once_one_decides(journal: Journal) -> None:
    run = await make.asked(journal)
    clicks = [
        make.answer(f"slack:U{i % 40}", Answer.DENY if i % 2 else Answer.APPROVE)
        for i in range(200)
    ]
    outcomes = Counter(o for o, _ in await asyncio.gather(*map(journal.decide, clicks)))
    assert outcomes[DecisionOutcome.APPROVED] + outcomes[DecisionOutcome.DENIED] == 1
    assert outcomes[DecisionOutcome.COUNTED] == 0
    states = [
        r.entry.details["to"]
        for r in await journal.audit(run_id=run.id)
        if r.entry.kind == "run.state"
    ]
    assert len(states) == 4


@pytest.mark.parametrize(
    "way",
    [
        (),
        (RunState.PLANNING,),
        (RunState.PLANNING, RunState.APPLYING),
        (RunState.PLANNING, RunState.APPLYING, RunState.VERIFYING),
        (RunState.PLANNING, RunState.APPLYING, RunState.INTERRUPTED),
    ],
)
async def test_cancel_ends_a_run_between_changes(
    journal: Journal, way: tuple[RunState, ...]
) -> None:
    run = await make.claimed(journal)
    if way:
        done = make.step(run, StepState.DONE)
        await make.move(journal, run, *way, lock=("x",), steps=(done,))
    outcome = await journal.cancel(run.id, by="api:al", reason="not now", at=after(minutes=1))
    assert outcome is CancelOutcome.CANCELLED
    now = await journal.run(run.id)
    assert now is not None
    assert (now.state, now.reason) == (RunState.CANCELLED, Reason.CANCELLED_BY_PERSON)
    assert now.message == "Cancelled by api:al: not now"
    assert not (await journal.history(run_id="", look=LookBack(), at=T0)).locks
    assert (await journal.write(make.update(run, RunState.PLANNING))).written is Written.FENCED
    assert len(await journal.outbox_due(at=after(hours=1), limit=9)) == 1
    again = await journal.cancel(run.id, by="api:al", reason="", at=after(minutes=2))
    assert again is CancelOutcome.ALREADY_ENDED


async def test_cancel_voids_the_question(journal: Journal) -> None:
    run = await make.asked(journal)
    await journal.cancel(run.id, by="api:al", reason="", at=T0)
    request = await journal.approval("q-1")
    assert request is not None
    assert request.status is ApprovalStatus.VOID


async def test_cancel_waits_for_a_change_in_hand(journal: Journal) -> None:
    run = await make.claimed(journal)
    await make.move(journal, run, RunState.PLANNING, RunState.APPLYING, steps=(make.step(run),))
    outcome = await journal.cancel(run.id, by="api:al", reason="", at=T0)
    assert outcome is CancelOutcome.REQUESTED
    done = make.step(run, StepState.DONE)
    written = await make.move(journal, run, RunState.APPLYING, steps=(done,))
    assert written.cancel_requested_by == "api:al"


async def test_after_a_cancel_was_asked_for_no_further_intent_is_stored(journal: Journal) -> None:
    run = await make.claimed(journal)
    run = await make.move(
        journal, run, RunState.PLANNING, RunState.APPLYING, steps=(make.step(run),)
    )
    await journal.cancel(run.id, by="api:al", reason="", at=T0)
    outcome = await journal.write(
        make.update(
            run,
            RunState.APPLYING,
            steps=(make.step(run, StepState.DONE), make.step(run, sequence=1)),
            guard=Guard(lambda _: ()),
        )
    )
    assert outcome.written is Written.STOPPED
    assert outcome.run is not None
    assert outcome.run.cancel_requested_by == "api:al"
    assert [step.state for step in await journal.steps(run.id)] == [StepState.STARTED]


async def test_cancel_never_blocks_the_way_back(journal: Journal) -> None:
    run = await make.claimed(journal)
    await make.move(journal, run, RunState.PLANNING, RunState.APPLYING, RunState.UNDOING)
    outcome = await journal.cancel(run.id, by="api:al", reason="", at=T0)
    assert outcome is CancelOutcome.UNDOING
    unknown = await journal.cancel("no-such-run", by="api:al", reason="", at=T0)
    assert unknown is CancelOutcome.UNKNOWN


async def _interrupted(journal: Journal, state: StepState, *way: RunState) -> Run:
    run = await make.claimed(journal)
    earlier = make.step(run, StepState.DONE, sequence=0)
    last = make.step(run, state, sequence=1)
    await make.move(journal, run, RunState.PLANNING, RunState.APPLYING, *way)
    return await make.move(journal, run, RunState.INTERRUPTED, steps=(earlier, last))


@pytest.mark.parametrize(
    ("was", "how", "becomes", "to"),
    [
        (StepState.STARTED, ResumeHow.DONE, StepState.DONE, RunState.APPLYING),
        (StepState.STARTED, ResumeHow.REPEAT, StepState.PLANNED, RunState.APPLYING),
        (StepState.STARTED, ResumeHow.UNDO, StepState.DONE, RunState.UNDOING),
        (StepState.UNDOING, ResumeHow.DONE, StepState.UNDONE, RunState.UNDOING),
        (StepState.UNDOING, ResumeHow.REPEAT, StepState.DONE, RunState.UNDOING),
        (StepState.UNDOING, ResumeHow.UNDO, StepState.DONE, RunState.UNDOING),
    ],
)
async def test_resume_goes_on_as_a_person_found_it(
    journal: Journal, was: StepState, how: ResumeHow, becomes: StepState, to: RunState
) -> None:
    way = (RunState.UNDOING,) if was is StepState.UNDOING else ()
    run = await _interrupted(journal, was, *way)
    assert await journal.resume(run.id, by="api:al", how=how, at=after(minutes=5))
    (now,) = await journal.claim(at=after(minutes=5), limit=1)
    assert (now.state, now.reason) == (to, Reason.RESUMED)
    assert [s.state for s in await journal.steps(run.id)] == [StepState.DONE, becomes]
    last = (await journal.steps(run.id))[1]
    assert "api:al" in last.message
    # What is still to be taken back is what is done and changed something.
    assert last.changed == (becomes is StepState.DONE)
    assert not await journal.resume(run.id, by="api:al", how=how, at=after(minutes=5))


@pytest.mark.parametrize("how", ResumeHow)
async def test_a_raised_limits_end_has_nothing_to_go_on_with_but_undo(
    journal: Journal, how: ResumeHow
) -> None:
    run = await make.claimed(journal)
    done = make.step(run, StepState.DONE)
    await make.move(journal, run, RunState.PLANNING, RunState.APPLYING, steps=(done,))
    await make.move(journal, run, RunState.SUCCEEDED, spawn=(Expiry(done, after(hours=1)),))
    (end,) = await journal.claim(at=after(hours=1), limit=1)
    await make.move(journal, end, RunState.UNDOING, RunState.INTERRUPTED)
    assert await journal.resume(end.id, by="api:al", how=how, at=after(hours=2))
    (now,) = await journal.claim(at=after(hours=2), limit=1)
    assert now.state is RunState.UNDOING


@pytest.mark.parametrize("how", ResumeHow)
async def test_resume_of_several_lanes_is_about_what_nobody_can_check(
    journal: Journal, how: ResumeHow
) -> None:
    run = await make.claimed(journal)
    unknown = replace(make.plan("web"), checkable=False)
    in_hand = (
        make.step(run, StepState.STARTED),
        make.step(run, StepState.STARTED, sequence=1, plan_=unknown),
        replace(make.step(run, StepState.STARTED, sequence=2, plan_=unknown), changed=True),
    )
    await make.move(journal, run, RunState.PLANNING, RunState.APPLYING, steps=in_hand)
    await make.move(journal, run, RunState.INTERRUPTED)
    assert await journal.resume(run.id, by="api:al", how=how, at=after(minutes=5))
    told = {
        ResumeHow.DONE: StepState.DONE,
        ResumeHow.REPEAT: StepState.PLANNED,
        ResumeHow.UNDO: StepState.DONE,
    }
    states = [step.state for step in await journal.steps(run.id)]
    assert states == [StepState.STARTED, told[how], StepState.STARTED]


async def test_resume_of_what_is_not_interrupted_does_nothing(journal: Journal) -> None:
    run = await make.claimed(journal)
    head = await journal.audit_head()
    assert not await journal.resume(run.id, by="api:al", how=ResumeHow.DONE, at=T0)
    assert not await journal.resume("no-such", by="api:al", how=ResumeHow.DONE, at=T0)
    assert await journal.audit_head() == head


async def test_kill_switches_go_on_and_off_on_the_record(journal: Journal) -> None:
    forever = Control("*", "api:al", "bad night", T0, None)
    an_hour = Control("scope:shop", "api:al", "release", T0, after(hours=1))
    for control in (forever, an_hour):
        await journal.pause(control)
    assert await journal.controls(T0) == (forever, an_hour)
    assert await journal.controls(after(hours=1)) == (forever,)
    assert (await journal.history(run_id="", look=LookBack(), at=T0)).controls == (forever, an_hour)
    replaced = Control("*", "api:bo", "worse night", after(minutes=1), after(hours=9))
    await journal.pause(replaced)
    assert await journal.controls(after(hours=2)) == (replaced,)
    assert await journal.unpause("*", by="api:bo", at=after(hours=2))
    assert not await journal.unpause("*", by="api:bo", at=after(hours=2))
    assert not await journal.unpause("scope:shop", by="api:bo", at=after(hours=2))  # had run out
    done = [(r.entry.actor, r.entry.details["do"]) for r in await journal.audit()]
    assert done == [
        ("api:al", "pause"),
        ("api:al", "pause"),
        ("api:bo", "pause"),
        ("api:bo", "resume"),
    ]
