"""Proves, over every engine, what is new about questions: terms that stay with them, answers that
are judged again, one person's two identities, reminders, snoozing, and what was told to whom.
"""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from remediator.journal.protocol import Journal
from remediator.model.approvals import (
    Answer,
    ApprovalStatus,
    Decision,
    DecisionOutcome,
    OnExpiry,
    SnoozeOutcome,
    Terms,
)
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, StepState
from remediator.model.views import Note, NoteKind
from tests.journal import factories as make
from tests.journal.factories import T0, after

TERMS = Terms(
    within=(("leads", "api:al"),),
    four_eyes=True,
    on_expiry=OnExpiry.APPROVE,
    remind=(timedelta(minutes=10), timedelta(minutes=20)),
    deny_reason=True,
    policy=("prod",),
)


def by(actor: str, person: str, what: Answer = Answer.APPROVE) -> Decision:
    return replace(make.answer(actor, what), person=person)


async def test_terms_and_what_differs_stay_with_the_question(journal: Journal) -> None:
    run = await make.claimed(journal)
    question = replace(make.question(run), terms=TERMS, differs=("- a: 1", "+ a: 2"))
    await make.move(
        journal,
        run,
        RunState.PLANNING,
        RunState.AWAITING_APPROVAL,
        ask=question,
        wake_at=after(minutes=10),
        release=True,
    )
    assert await journal.approval("q-1") == question
    assert list(await journal.open_approvals(limit=5)) == [question]


async def test_open_questions_come_oldest_first_and_bounded(journal: Journal) -> None:
    for number in range(3):
        await make.asked(journal, f"api-{number}", id_=f"q-{number}")
    found = [one.id for one in await journal.open_approvals(limit=2)]
    assert found == ["q-0", "q-1"]
    await journal.decide(make.answer(approval_id="q-0"))
    found = [one.id for one in await journal.open_approvals(limit=5)]
    assert found == ["q-1", "q-2"]


# ------------------------------------------------------------------------------ earlier answers


async def test_an_answer_that_does_not_know_of_another_writes_nothing(journal: Journal) -> None:
    await make.asked(journal, quorum=2)
    await journal.decide(by("slack:U1", "ann"), earlier={})
    head = await journal.audit_head()
    outcome, request = await journal.decide(by("slack:U2", "bob"), earlier={})
    assert outcome is DecisionOutcome.LOOK_AGAIN
    assert request is not None
    assert await journal.audit_head() == head
    assert [one.actor for one in await journal.answers("q-1")] == ["slack:U1"]
    outcome, _ = await journal.decide(by("slack:U2", "bob"), earlier={"slack:U1": "ann"})
    assert outcome is DecisionOutcome.APPROVED


async def test_a_yes_that_lapsed_counts_no_more(journal: Journal) -> None:
    run = await make.asked(journal, quorum=2)
    await journal.decide(by("slack:U1", "ann"), earlier={})
    outcome, _ = await journal.decide(by("slack:U2", "bob"), earlier={"slack:U1": ""})
    assert outcome is DecisionOutcome.COUNTED
    last = [r.entry for r in await journal.audit(run_id=run.id)][-1]
    assert (last.kind, last.details["lapsed"]) == ("approval.decision", ["slack:U1"])
    # She is back, and says so again.
    outcome, _ = await journal.decide(by("slack:U1", "ann"), earlier={"slack:U2": "bob"})
    assert outcome is DecisionOutcome.APPROVED


async def test_two_identities_of_a_person_are_one_yes(journal: Journal) -> None:
    await make.asked(journal, quorum=2)
    first, _ = await journal.decide(by("slack:U1", "ann"), earlier={})
    second, _ = await journal.decide(by("api:ann", "ann"), earlier={"slack:U1": "ann"})
    third, _ = await journal.decide(by("api:ann", "ann"), earlier={"slack:U1": "ann"})
    assert [first, second, third] == [
        DecisionOutcome.COUNTED,
        DecisionOutcome.REPEATED,
        DecisionOutcome.REPEATED,
    ]
    outcome, _ = await journal.decide(by("slack:U2", "bob"), earlier={"slack:U1": "ann"})
    assert outcome is DecisionOutcome.APPROVED
    people = [one.person for one in await journal.answers("q-1")]
    assert sorted(people) == ["ann", "bob"]


async def test_two_who_turn_out_to_be_one_are_one(journal: Journal) -> None:
    await make.asked(journal, quorum=2)
    await journal.decide(by("slack:U1", "slack:U1"), earlier={})
    # Meanwhile the settings say that both are Ann's.
    outcome, _ = await journal.decide(by("api:ann", "ann"), earlier={"slack:U1": "ann"})
    assert outcome is DecisionOutcome.REPEATED


async def test_a_no_needs_no_look_at_who_said_yes(journal: Journal) -> None:
    await make.asked(journal, quorum=3)
    await journal.decide(by("slack:U1", "ann"), earlier={})
    outcome, _ = await journal.decide(by("slack:U2", "bob", Answer.DENY), earlier={})
    assert outcome is DecisionOutcome.DENIED


async def test_many_at_once_who_look_again_reach_the_quorum_once(journal: Journal) -> None:
    run = await make.asked(journal, quorum=3)

    async def click(number: int) -> DecisionOutcome:
        actor = f"slack:U{number}"
        while True:
            earlier = {one.actor: one.actor for one in await journal.answers("q-1")}
            outcome, _ = await journal.decide(by(actor, actor), earlier=earlier)
            if outcome is not DecisionOutcome.LOOK_AGAIN:
                return outcome

    outcomes = Counter(await asyncio.gather(*(click(number) for number in range(8))))
    assert outcomes[DecisionOutcome.APPROVED] == 1
    assert outcomes[DecisionOutcome.COUNTED] == 2
    assert outcomes[DecisionOutcome.ALREADY_DECIDED] == 5
    now = await journal.run(run.id)
    assert now is not None
    assert now.state is RunState.APPLYING


# ------------------------------------------------------------------------------ reminders, notes


async def _woken(journal: Journal, at_min: int) -> Run:
    (run,) = await journal.claim(at=after(minutes=at_min), limit=1)
    return run


async def test_reminders_that_were_sent_are_kept(journal: Journal) -> None:
    await make.asked(journal)
    for sent in (2, 1):  # never back
        run = await _woken(journal, 30)
        await make.move(
            journal,
            run,
            RunState.AWAITING_APPROVAL,
            reminded=sent,
            wake_at=after(minutes=30),
            release=True,
        )
        request = await journal.approval("q-1")
        assert request is not None
        assert request.reminded == 2


async def test_why_a_question_was_closed_is_kept(journal: Journal) -> None:
    await make.asked(journal)
    run = await _woken(journal, 30)
    await make.move(
        journal,
        run,
        RunState.APPLYING,
        close_approval=ApprovalStatus.APPROVED,
        close_why="silence",
    )
    request = await journal.approval("q-1")
    assert request is not None
    assert (request.status, request.closed_why) == (ApprovalStatus.APPROVED, "silence")


async def test_told_is_who_got_a_note_that_asks(journal: Journal) -> None:
    run = await make.asked(journal)
    assert not await journal.told(run.id, since=T0)
    run = await _woken(journal, 30)
    note = Note(NoteKind.APPROVAL, run.id, "asks", after(minutes=1))
    await make.move(
        journal,
        run,
        RunState.AWAITING_APPROVAL,
        notes=(note,),
        wake_at=after(minutes=30),
        release=True,
    )
    assert not await journal.told(run.id, since=T0)
    (item,) = [
        one
        for one in await journal.outbox_due(at=after(hours=1), limit=9)
        if one.note.kind is NoteKind.APPROVAL
    ]
    await journal.outbox_delivered(item, None)
    assert await journal.told(run.id, since=T0)
    assert not await journal.told(run.id, since=after(minutes=2))
    assert not await journal.told(run.id, since=T0, besides={item.notifier})


# ------------------------------------------------------------------------------ snoozing


async def snooze(journal: Journal, *, at_min: int = 1, id_: str = "q-1") -> SnoozeOutcome:
    outcome, _ = await journal.snooze(
        id_,
        by="slack:U1",
        reason="lunch",
        via="slack",
        at=after(minutes=at_min),
        until=after(minutes=at_min + 60),
    )
    return outcome


async def test_a_snoozed_run_waits_and_its_question_is_void(journal: Journal) -> None:
    run = await make.asked(journal, quorum=2)
    await journal.decide(make.answer("slack:U2"))
    assert await snooze(journal) is SnoozeOutcome.SNOOZED
    now = await journal.run(run.id)
    assert now is not None
    assert (now.state, now.reason) == (RunState.PENDING, Reason.SNOOZED)
    assert now.wake_at == after(minutes=61)
    assert now.deadline_at is None
    request = await journal.approval("q-1")
    assert request is not None
    assert request.status is ApprovalStatus.VOID
    assert request.closed_why.startswith("Snoozed by slack:U1 until")
    late, _ = await journal.decide(make.answer("slack:U3"))
    assert late is DecisionOutcome.VOID
    assert list(await journal.claim(at=after(minutes=60), limit=1)) == []
    (woken,) = await journal.claim(at=after(minutes=61), limit=1)
    assert woken.id == run.id
    kinds = [(r.entry.kind, r.entry.actor) for r in await journal.audit(run_id=run.id)]
    assert ("approval.snoozed", "slack:U1") in kinds


async def test_snoozing_too_late_is_told(journal: Journal) -> None:
    assert await snooze(journal) is SnoozeOutcome.UNKNOWN
    await make.asked(journal)
    assert await snooze(journal, at_min=30) is SnoozeOutcome.EXPIRED
    await journal.decide(make.answer(what=Answer.DENY))
    assert await snooze(journal) is SnoozeOutcome.DECIDED
    await make.asked(journal, "b", id_="q-2")
    await make.resolve(journal, "b")
    assert await snooze(journal, id_="q-2") is SnoozeOutcome.VOID


async def test_a_run_that_changed_something_is_not_snoozed(journal: Journal) -> None:
    run = await make.claimed(journal)
    await make.move(
        journal,
        run,
        RunState.PLANNING,
        RunState.APPLYING,
        steps=(make.step(run, StepState.DONE),),
    )
    await make.move(
        journal,
        run,
        RunState.AWAITING_APPROVAL,
        ask=make.question(run),
        wake_at=after(minutes=30),
        release=True,
    )
    assert await snooze(journal) is SnoozeOutcome.HALF_DONE
    now = await journal.run(run.id)
    assert now is not None
    assert now.state is RunState.AWAITING_APPROVAL


@pytest.mark.parametrize("answer", Answer)
async def test_of_a_snooze_and_an_answer_at_once_one_decides(
    journal: Journal, answer: Answer
) -> None:
    run = await make.asked(journal)
    snoozed, (decided, _) = await asyncio.gather(
        snooze(journal, at_min=0), journal.decide(make.answer("slack:U2", answer))
    )
    now = await journal.run(run.id)
    assert now is not None
    if snoozed is SnoozeOutcome.SNOOZED:
        assert decided is DecisionOutcome.VOID
        assert now.state is RunState.PENDING
    else:
        assert snoozed is SnoozeOutcome.DECIDED
        assert now.state in {RunState.APPLYING, RunState.DENIED}


async def test_a_worker_that_has_the_run_loses_against_a_snooze(journal: Journal) -> None:
    await make.asked(journal)
    run = await _woken(journal, 30)
    assert await snooze(journal, at_min=29) is SnoozeOutcome.SNOOZED
    outcome = await journal.write(make.update(run, RunState.EXPIRED))
    assert outcome.written.value == "fenced"
