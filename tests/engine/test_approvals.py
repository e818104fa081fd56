"""Approval binds people's yes to the very plan that they saw, and silence is never a yes."""

import pytest

from remediator.model.approvals import Answer, ApprovalStatus, DecisionOutcome
from remediator.model.plans import Progress
from remediator.model.reasons import Reason
from remediator.model.runs import RunState
from remediator.model.views import NoteKind
from remediator.plugin.notifier import NotAuthorised
from tests.engine.conftest import Begin
from tests.engine.world import runbook, setting


def asking(*steps: dict[str, object], **approval: object) -> str:
    return runbook(*(steps or (setting("a", 1),)), mode="approve", approval=approval)


async def test_nothing_is_changed_before_somebody_says_yes(begin: Begin) -> None:
    scene = await begin(asking())
    run = await scene.run()
    assert run.state is RunState.AWAITING_APPROVAL
    await scene.advance(minutes=29)
    assert scene.world.made == []
    answered = await scene.daemon.decide(run.id)
    assert answered.outcome is DecisionOutcome.APPROVED
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1)]
    assert scene.recorder.told[0].kind is NoteKind.APPROVAL


async def test_a_question_shows_the_digests_of_all_its_plans(begin: Begin) -> None:
    scene = await begin(asking(setting("a", 1), setting("b", 2)))
    view = await scene.daemon.view((await scene.run()).id)
    assert view.approval is not None
    plans = {step.step_id: step.plan for step in view.steps}
    assert view.approval.digests == {
        step_id: plan.digest for step_id, plan in plans.items() if plan is not None
    }
    assert set(view.approval.digests) == {"a", "b"}


async def test_another_plan_than_the_approved_one_asks_again(begin: Begin) -> None:
    scene = await begin(asking())
    run = await scene.run()
    first = (await scene.daemon.view(run.id)).approval
    scene.world.values["a"] = 7  # somebody else, between the question and the answer
    await scene.daemon.decide(run.id)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.AWAITING_APPROVAL, Reason.PLAN_CHANGED)
    assert scene.world.made == []
    second = (await scene.daemon.view(run.id)).approval
    assert first is not None
    assert second is not None
    assert second.id != first.id
    assert second.digests != first.digests
    late = await scene.daemon.desk.decide(
        first.id, actor="local", answer=Answer.DENY, reason="", via="test"
    )
    assert late.outcome in {DecisionOutcome.ALREADY_DECIDED, DecisionOutcome.VOID}
    await scene.daemon.decide(run.id)
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 7, 1)]


async def test_an_open_question_is_void_once_the_plan_was_made_again(begin: Begin) -> None:
    scene = await begin(asking(quorum=2, approvers=["api:alice", "api:bob"]))
    run = await scene.run()
    question = (await scene.daemon.view(run.id)).approval
    assert question is not None
    await scene.daemon.decide(run.id, actor="api:alice")
    await scene.clear()
    late = await scene.daemon.desk.decide(
        question.id, actor="api:bob", answer=Answer.APPROVE, reason="", via="test"
    )
    assert late.outcome is DecisionOutcome.VOID
    assert await scene.state() is RunState.CANCELLED
    assert scene.world.made == []


async def test_a_second_step_that_changed_meanwhile_asks_for_itself(begin: Begin) -> None:
    scene = await begin(asking(setting("a", 1), setting("b", 1)))
    run = await scene.run()
    scene.world.values["b"] = 5
    await scene.daemon.decide(run.id)
    assert await scene.state() is RunState.AWAITING_APPROVAL
    assert scene.world.made == [("a", 0, 1)]
    view = await scene.daemon.view(run.id)
    assert view.approval is not None
    assert set(view.approval.digests) == {"b"}
    await scene.daemon.decide(run.id)
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1), ("b", 5, 1)]


async def test_silence_in_the_middle_of_a_run_takes_back_what_was_done(begin: Begin) -> None:
    scene = await begin(asking(setting("a", 1), setting("b", 1), timeout="10m"))
    run = await scene.run()
    scene.world.values["b"] = 5
    await scene.daemon.decide(run.id)
    assert await scene.state() is RunState.AWAITING_APPROVAL
    await scene.advance(minutes=11)
    run = await scene.run()
    assert run.state is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]
    assert len(scene.pager.told) == 1


async def test_a_quorum_is_of_different_people(begin: Begin) -> None:
    scene = await begin(
        asking(quorum=2, approvers=["sre"]), groups={"sre": ("api:alice", "api:bob")}
    )
    run = await scene.run()
    first = await scene.daemon.decide(run.id, actor="api:alice")
    again = await scene.daemon.decide(run.id, actor="api:alice")
    assert (first.outcome, again.outcome) == (DecisionOutcome.COUNTED, DecisionOutcome.REPEATED)
    assert scene.world.made == []
    last = await scene.daemon.decide(run.id, actor="api:bob")
    assert last.outcome is DecisionOutcome.APPROVED
    assert await scene.state() is RunState.SUCCEEDED


async def test_one_deny_is_enough(begin: Begin) -> None:
    scene = await begin(asking(quorum=2, approvers=["api:alice", "api:bob"]))
    run = await scene.run()
    await scene.daemon.decide(run.id, actor="api:alice")
    denied = await scene.daemon.decide(run.id, Answer.DENY, actor="api:bob")
    assert denied.outcome is DecisionOutcome.DENIED
    assert await scene.state() is RunState.DENIED
    assert scene.world.made == []
    late = await scene.daemon.decide(run.id, actor="api:alice")
    assert late.outcome in {DecisionOutcome.REPEATED, DecisionOutcome.ALREADY_DECIDED}
    assert await scene.state() is RunState.DENIED


async def test_silence_expires_and_calls_a_person(begin: Begin) -> None:
    scene = await begin(asking(timeout="10m"))
    await scene.advance(minutes=11)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.EXPIRED, Reason.APPROVAL_EXPIRED)
    view = await scene.daemon.view(run.id)
    assert view.approval is not None
    assert view.approval.status is ApprovalStatus.EXPIRED
    assert len(scene.pager.told) == 1
    late = await scene.daemon.decide(run.id)
    assert late.outcome is DecisionOutcome.EXPIRED
    assert scene.world.made == []


async def test_who_may_not_decide_is_refused_on_the_record(begin: Begin) -> None:
    scene = await begin(asking(approvers=["api:alice"]))
    run = await scene.run()
    with pytest.raises(NotAuthorised, match="api:alice"):
        await scene.daemon.decide(run.id, actor="api:mallory")
    assert await scene.state() is RunState.AWAITING_APPROVAL
    (record,) = [
        r for r in await scene.daemon.audit(run.id) if r.entry.kind == "approval.not_authorised"
    ]
    assert record.entry.actor == "api:mallory"
    assert scene.world.made == []


async def test_an_approval_outlives_a_crash(begin: Begin) -> None:
    scene = await begin(asking())
    run = await scene.run()
    await scene.daemon.restart()
    assert await scene.state() is RunState.AWAITING_APPROVAL
    await scene.daemon.decide(run.id)
    assert scene.world.made == [("a", 0, 1)]


async def test_a_yes_does_not_outweigh_a_cleared_alert(begin: Begin) -> None:
    scene = await begin(asking())
    run = await scene.run()
    await scene.clear(tell=False)  # the webhook was lost
    await scene.daemon.decide(run.id)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.CANCELLED, Reason.RESOLVED_BY_ITSELF)
    assert scene.world.made == []


async def test_the_alert_clears_while_the_next_step_waits_for_its_approval(begin: Begin) -> None:
    book = runbook(
        setting("a", 1),
        setting("b", 1),
        mode="approve",
        verify={"resolved_within": "10m"},
    )
    scene = await begin(book, fire=False)
    scene.world.health["a"] = [Progress.PROGRESSING]
    await scene.fire()
    run = await scene.run()
    await scene.daemon.decide(run.id)
    scene.world.values["b"] = 5
    await scene.advance(seconds=3)
    assert await scene.state() is RunState.AWAITING_APPROVAL
    await scene.clear()
    await scene.advance(minutes=31)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.SUCCEEDED, Reason.VERIFIED)
    assert scene.world.made == [("a", 0, 1)]


async def test_after_a_yes_nobody_knows_whether_it_still_fires(begin: Begin) -> None:
    scene = await begin(asking())
    run = await scene.run()
    scene.daemon.alerts.reachable = False
    await scene.daemon.decide(run.id)
    await scene.advance(minutes=29)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.APPLYING, Reason.SIGNAL_UNKNOWN)
    await scene.advance(minutes=2)
    assert await scene.state() is RunState.FAILED
    assert scene.world.made == []
    assert len(scene.pager.told) == 1
