"""Reminders, silence, four eyes, one person's identities, snoozing, and what has changed since the
last question: through the engine, over a real journal."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from remediator.engine.people import Known
from remediator.model.approvals import Answer, ApprovalStatus, DecisionOutcome
from remediator.model.limits import Mode
from remediator.model.policy import ApprovalTerms, Policy, Rule
from remediator.model.reasons import Reason
from remediator.model.runs import RunState
from remediator.model.views import NoteKind
from remediator.plugin.notifier import NotAuthorised
from remediator.settings import Role
from tests.engine.conftest import FREE, Begin, Scene
from tests.engine.world import Recorder, runbook, setting


def asking(*steps: dict[str, object], **approval: object) -> str:
    return runbook(*(steps or (setting("a", 1),)), mode="approve", approval=approval)


def approval_notes(scene: Scene) -> Sequence[str]:
    return [note.text for note in scene.recorder.told if note.kind is NoteKind.APPROVAL]


# ------------------------------------------------------------------------------ reminders


async def test_people_are_reminded_at_each_time_and_once(begin: Begin) -> None:
    scene = await begin(asking(timeout="30m", remind=["10m", "20m"]))
    await scene.advance(minutes=9)
    assert len(approval_notes(scene)) == 1
    await scene.advance(minutes=2)
    assert approval_notes(scene)[1].startswith("reminder: nobody has decided yet, 20m left")
    await scene.daemon.restart()
    assert len(approval_notes(scene)) == 2
    await scene.advance(minutes=10)
    assert len(approval_notes(scene)) == 3
    kinds = await scene.kinds()
    assert kinds.count("approval.reminded") == 2
    await scene.advance(minutes=10)
    assert await scene.state() is RunState.EXPIRED
    assert len(approval_notes(scene)) == 3


async def test_after_an_outage_one_reminder_stands_for_all(begin: Begin) -> None:
    scene = await begin(asking(timeout="1h", remind=["10m", "20m", "30m"]))
    await scene.daemon.crash()
    scene.daemon.clock.advance(timedelta(minutes=25))
    await scene.daemon.start()
    assert len(approval_notes(scene)) == 2
    await scene.advance(minutes=6)
    assert len(approval_notes(scene)) == 3


async def test_who_has_answered_is_reminded_no_more(begin: Begin) -> None:
    scene = await begin(asking(remind=["10m"]))
    await scene.daemon.decide((await scene.run()).id)
    await scene.advance(minutes=11)
    assert len(approval_notes(scene)) == 1


# ------------------------------------------------------------------------------ silence


async def test_a_runbook_alone_does_not_make_silence_a_yes(begin: Begin) -> None:
    scene = await begin(asking(timeout="10m", on_expiry="approve"))
    await scene.advance(minutes=11)
    assert await scene.state() is RunState.EXPIRED
    assert scene.world.made == []
    assert len(scene.pager.told) == 1


async def test_deny_leaves_it_at_that_and_calls_nobody(begin: Begin) -> None:
    scene = await begin(asking(timeout="10m", on_expiry="deny"))
    await scene.advance(minutes=11)
    assert await scene.state() is RunState.EXPIRED
    assert scene.pager.told == []


# ------------------------------------------------------------------------------ four eyes, persons

PEOPLE = Known(
    groups={"sre": ("alice", "api:bob")},
    people={"alice": ("slack:U1", "api:alice"), "bob": ("slack:U2", "api:bob")},
    roles={Role.OPERATOR: ("sre",)},
    tokens={"api:carol": Role.OPERATOR},
)


async def by_hand(begin: Begin, actor: str, **approval: object) -> tuple[Scene, str]:
    book = asking(approvers=["sre"], **approval)
    scene = await begin(book, fire=False, known=PEOPLE)
    run_id, _ = await scene.daemon.desk.start("repair", {}, actor=actor, via="test")
    await scene.daemon.settle()
    assert await scene.state() is RunState.AWAITING_APPROVAL
    return scene, run_id


@pytest.mark.parametrize("again", ["slack:U1", "api:alice"])
async def test_who_started_a_run_does_not_say_yes_to_it(begin: Begin, again: str) -> None:
    scene, run_id = await by_hand(begin, "slack:U1", four_eyes=True)
    with pytest.raises(NotAuthorised, match="started this run"):
        await scene.daemon.decide(run_id, actor=again)
    assert scene.world.made == []
    (record,) = [
        r for r in await scene.daemon.audit(run_id) if r.entry.kind == "approval.not_authorised"
    ]
    assert (record.entry.actor, record.entry.details["reason"]) == (again, "four_eyes")
    await scene.daemon.decide(run_id, actor="slack:U2")
    assert scene.world.made == [("a", 0, 1)]


async def test_who_started_a_run_may_still_say_no(begin: Begin) -> None:
    scene, run_id = await by_hand(begin, "slack:U1", four_eyes=True)
    answered = await scene.daemon.decide(run_id, Answer.DENY, actor="api:alice")
    assert answered.outcome is DecisionOutcome.DENIED


async def test_without_four_eyes_who_starts_may_say_yes(begin: Begin) -> None:
    scene, run_id = await by_hand(begin, "slack:U1")
    await scene.daemon.decide(run_id, actor="slack:U1")
    assert scene.world.made == [("a", 0, 1)]


async def test_one_person_with_two_identities_is_one(begin: Begin) -> None:
    scene = await begin(asking(quorum=2, approvers=["sre"]), known=PEOPLE)
    run_id = (await scene.run()).id
    first = await scene.daemon.decide(run_id, actor="slack:U1")
    second = await scene.daemon.decide(run_id, actor="api:alice")
    assert (first.outcome, second.outcome) == (DecisionOutcome.COUNTED, DecisionOutcome.REPEATED)
    assert scene.world.made == []
    third = await scene.daemon.decide(run_id, actor="slack:U2")
    assert third.outcome is DecisionOutcome.APPROVED


# ------------------------------------------------------------------------------ snoozing


async def snooze(scene: Scene, minutes: int = 30, actor: str = "local") -> str:
    view = await scene.daemon.view((await scene.run()).id)
    assert view.approval is not None
    told = await scene.daemon.desk.snooze(
        view.approval.id,
        actor=actor,
        for_=timedelta(minutes=minutes),
        reason="lunch",
        via="test",
    )
    await scene.daemon.settle()
    return told


async def test_a_snoozed_question_is_asked_anew_with_the_plan_of_then(begin: Begin) -> None:
    scene = await begin(asking())
    first = (await scene.daemon.view((await scene.run()).id)).approval
    assert first is not None
    assert "2026-" in await snooze(scene)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.PENDING, Reason.SNOOZED)
    assert "lunch" in run.message
    late = await scene.daemon.desk.decide(
        first.id, actor="local", answer=Answer.APPROVE, reason="", via="test"
    )
    assert late.outcome is DecisionOutcome.VOID
    assert "Snoozed by local" in late.message
    scene.world.values["a"] = 7
    await scene.advance(minutes=31)
    view = await scene.daemon.view(run.id)
    assert view.run.state is RunState.AWAITING_APPROVAL
    assert view.approval is not None
    assert view.approval.id != first.id
    assert view.approval.differs == (
        "  a: thing here/a",
        "- value: 0 → 1",
        "+ value: 7 → 1",
    )
    await scene.daemon.decide(run.id)
    assert scene.world.made == [("a", 7, 1)]


async def test_an_alert_that_clears_ends_a_snoozed_run(begin: Begin) -> None:
    scene = await begin(asking())
    await snooze(scene)
    await scene.clear()
    assert await scene.state() is RunState.CANCELLED


@pytest.mark.parametrize("minutes", [0, 481])
async def test_a_snooze_has_bounds(begin: Begin, minutes: int) -> None:
    scene = await begin(asking())
    assert "1m to 8h" in await snooze(scene, minutes)
    assert await scene.state() is RunState.AWAITING_APPROVAL


async def test_a_run_that_has_changed_something_is_not_snoozed(begin: Begin) -> None:
    scene = await begin(asking(setting("a", 1), setting("b", 1)))
    scene.world.values["b"] = 5
    await scene.daemon.decide((await scene.run()).id)
    assert await scene.state() is RunState.AWAITING_APPROVAL
    assert "can't stand half done" in await snooze(scene)
    assert await scene.state() is RunState.AWAITING_APPROVAL


async def test_only_who_is_asked_or_an_operator_snoozes(begin: Begin) -> None:
    scene = await begin(asking(approvers=["slack:U9"]), known=PEOPLE)
    with pytest.raises(NotAuthorised):
        await snooze(scene, actor="slack:U7")
    assert "Snoozed until" in await snooze(scene, actor="api:carol")


# ------------------------------------------------------------------------------ what has changed


async def test_a_plan_that_changed_is_asked_for_with_what_changed(begin: Begin) -> None:
    scene = await begin(asking())
    run = await scene.run()
    first = (await scene.daemon.view(run.id)).approval
    assert first is not None
    assert first.differs == ()
    scene.world.values["a"] = 7
    await scene.daemon.decide(run.id)
    second = (await scene.daemon.view(run.id)).approval
    assert second is not None
    assert second.status is ApprovalStatus.OPEN
    assert second.differs == ("  a: thing here/a", "- value: 0 → 1", "+ value: 7 → 1")
    asked = [
        r.entry.details["differs"]
        for r in await scene.daemon.audit(run.id)
        if r.entry.kind == "approval.asked"
    ]
    assert asked == [[], list(second.differs)]


async def test_mode_auto_asks_nobody(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), mode=Mode.AUTO, approval={"quorum": 2}))
    assert await scene.state() is RunState.SUCCEEDED
    assert approval_notes(scene) == []


# ------------------------------------------------------------------------------ the policy


def policy(**approval: object) -> Policy:
    return FREE.model_copy(update={"approval": ApprovalTerms.model_validate(approval)})


def rule(action: str, **approval: object) -> Policy:
    made = Rule.model_validate(
        {"name": "here", "match": [f'name="{action}"'], "approval": approval}
    )
    return FREE.model_copy(update={"rules": (made,)})


SILENT = asking(timeout="10m", on_expiry="approve", approvers=["local"])


async def test_silence_is_a_yes_where_the_policy_allows_it(begin: Begin) -> None:
    scene = await begin(SILENT, policy=rule("a", on_expiry="approve"))
    await scene.advance(minutes=9)
    assert scene.world.made == []
    await scene.advance(minutes=2)
    run = await scene.run()
    assert (run.state, scene.world.made) == (RunState.SUCCEEDED, [("a", 0, 1)])
    view = await scene.daemon.view(run.id)
    assert view.approval is not None
    assert view.approval.status is ApprovalStatus.APPROVED
    assert "takes for a yes" in view.approval.closed_why
    (record,) = [r for r in await scene.daemon.audit(run.id) if r.entry.kind == "approval.silence"]
    assert record.entry.details["policy"] == ["policy rule here"]


async def test_the_rule_must_be_about_that_very_plan(begin: Begin) -> None:
    scene = await begin(SILENT, policy=rule("b", on_expiry="approve"))
    await scene.advance(minutes=11)
    assert (await scene.state(), scene.world.made) == (RunState.EXPIRED, [])


async def test_silence_of_people_who_were_never_told_is_no_yes(begin: Begin) -> None:
    scene = await begin(SILENT, policy=rule("a", on_expiry="approve"), fire=False)
    scene.recorder.down = 10_000
    await scene.fire()
    await scene.advance(minutes=11)
    run = await scene.run()
    assert (run.state, scene.world.made) == (RunState.EXPIRED, [])
    assert "nobody could be told" in run.message


class Graph(Recorder):
    """Shows what happens, and calls nobody to look."""

    name = "graph"
    reaches_people = False


async def test_silence_is_no_yes_where_only_a_graph_was_told(begin: Begin) -> None:
    graph, allowed = Graph(), rule("a", on_expiry="approve")
    scene = await begin(SILENT, policy=allowed, notifiers=(graph,), escalate_to=())
    assert [note.kind for note in graph.told] == [NoteKind.APPROVAL]
    await scene.advance(minutes=11)
    run = await scene.run()
    assert (run.state, scene.world.made) == (RunState.EXPIRED, [])
    assert "nobody could be told" in run.message


async def test_silence_while_the_daemon_was_down_is_no_yes(begin: Begin) -> None:
    scene = await begin(SILENT, policy=rule("a", on_expiry="approve"))
    await scene.daemon.crash()
    scene.daemon.clock.advance(timedelta(minutes=16))
    await scene.daemon.start()
    run = await scene.run()
    assert (run.state, scene.world.made) == (RunState.EXPIRED, [])
    assert "the daemon was not there" in run.message


async def test_silence_is_no_yes_while_nobody_knows_whether_it_still_fires(begin: Begin) -> None:
    scene = await begin(SILENT, policy=rule("a", on_expiry="approve"))
    scene.daemon.alerts.reachable = False
    await scene.advance(minutes=11)
    assert (await scene.state(), scene.world.made) == (RunState.EXPIRED, [])


async def test_silence_is_no_second_person(begin: Begin) -> None:
    book = asking(timeout="10m", on_expiry="approve", approvers=["sre"], four_eyes=True)
    allowed = rule("a", on_expiry="approve")
    scene = await begin(book, policy=allowed, known=PEOPLE, fire=False)
    await scene.daemon.desk.start("repair", {}, actor="slack:U1", via="test")
    await scene.advance(minutes=11)
    run = await scene.run()
    assert (run.state, scene.world.made) == (RunState.EXPIRED, [])
    assert "no second person" in run.message


async def test_a_policy_that_allows_it_no_more_binds_what_was_asked_before(begin: Begin) -> None:
    scene = await begin(SILENT, policy=rule("a", on_expiry="approve"))
    scene.daemon.policy = FREE
    await scene.daemon.restart()
    await scene.advance(minutes=11)
    run = await scene.run()
    assert (run.state, scene.world.made) == (RunState.EXPIRED, [])
    assert "no longer" in run.message


async def test_a_policy_that_allows_it_now_does_not_loosen_what_was_asked(begin: Begin) -> None:
    scene = await begin(SILENT)
    scene.daemon.policy = rule("a", on_expiry="approve")
    await scene.daemon.restart()
    await scene.advance(minutes=11)
    assert (await scene.state(), scene.world.made) == (RunState.EXPIRED, [])


async def test_the_policy_restricts_who_may_say_yes(begin: Begin) -> None:
    book = asking(approvers=["sre"])
    scene = await begin(book, policy=policy(approvers=["bob", "slack:U9"]), known=PEOPLE)
    run_id = (await scene.run()).id
    for stranger in ("slack:U1", "slack:U9"):
        with pytest.raises(NotAuthorised, match="if also among bob, slack:U9"):
            await scene.daemon.decide(run_id, actor=stranger)
    await scene.daemon.decide(run_id, actor="slack:U2")
    assert scene.world.made == [("a", 0, 1)]


async def test_the_policy_wants_more_people(begin: Begin) -> None:
    scene = await begin(asking(approvers=["sre"]), policy=policy(quorum=2), known=PEOPLE)
    run_id = (await scene.run()).id
    assert (await scene.daemon.decide(run_id, actor="slack:U1")).outcome is DecisionOutcome.COUNTED
    await scene.daemon.decide(run_id, actor="slack:U2")
    assert scene.world.made == [("a", 0, 1)]


async def test_the_terms_of_an_open_question_outlive_a_looser_policy(begin: Begin) -> None:
    scene = await begin(asking(approvers=["sre"]), policy=policy(quorum=2), known=PEOPLE)
    run_id = (await scene.run()).id
    scene.daemon.policy = FREE
    await scene.daemon.restart()
    assert (await scene.daemon.decide(run_id, actor="slack:U1")).outcome is DecisionOutcome.COUNTED
    assert scene.world.made == []


async def test_a_no_says_why_where_the_policy_wants_it(begin: Begin) -> None:
    scene = await begin(asking(), policy=policy(deny_reason=True))
    run_id = (await scene.run()).id
    answered = await scene.daemon.decide(run_id, Answer.DENY)
    assert answered.outcome is DecisionOutcome.NEEDS_REASON
    assert await scene.state() is RunState.AWAITING_APPROVAL
    view = await scene.daemon.view(run_id)
    assert view.approval is not None
    answered = await scene.daemon.desk.decide(
        view.approval.id, actor="local", answer=Answer.DENY, reason="not now", via="test"
    )
    assert answered.outcome is DecisionOutcome.DENIED


async def test_whoever_left_the_group_counts_no_more(begin: Begin) -> None:
    scene = await begin(asking(quorum=2, approvers=["sre", "slack:U3"]), known=PEOPLE)
    run_id = (await scene.run()).id
    await scene.daemon.decide(run_id, actor="slack:U1")
    without = replace(PEOPLE, groups={"sre": ("api:bob",)})
    scene.daemon.setup = replace(scene.daemon.setup, known=without)
    await scene.daemon.restart()
    with pytest.raises(NotAuthorised):
        await scene.daemon.decide(run_id, actor="api:alice")
    second = await scene.daemon.decide(run_id, actor="slack:U2")
    assert second.outcome is DecisionOutcome.COUNTED
    assert scene.world.made == []
    third = await scene.daemon.decide(run_id, actor="slack:U3")
    assert third.outcome is DecisionOutcome.APPROVED


# ------------------------------------------------------------------------------ lists elsewhere


class Duty:
    """An on-call schedule that a test writes."""

    def __init__(self, *who: str) -> None:
        self.who = frozenset(who)
        self.asked = 0
        self.down = False

    async def members(self, name: str, at: object) -> frozenset[str]:
        self.asked += 1
        if self.down:
            raise OSError("no route to host")
        return self.who


async def test_whoever_is_on_call_is_named_and_may_answer(begin: Begin) -> None:
    duty = Duty("alice")
    book = asking(approvers=["schedule:sre"], remind=["10m"])
    scene = await begin(book, known=PEOPLE, rosters={"schedule": duty})
    duty.who = frozenset({"slack:U2"})
    await scene.advance(minutes=11)
    asked, reminder = approval_notes(scene)
    assert asked.endswith("(on call: slack:U1)")  # alice, as Slack knows her
    assert reminder.endswith("(on call: slack:U2)")
    run_id = (await scene.run()).id
    with pytest.raises(NotAuthorised):
        await scene.daemon.decide(run_id, actor="slack:U1")
    await scene.daemon.decide(run_id, actor="api:bob")
    assert scene.world.made == [("a", 0, 1)]


async def test_one_answer_asks_for_each_list_once(begin: Begin) -> None:
    duty = Duty("slack:U1", "slack:U2", "slack:U3")
    within = policy(approvers=["schedule:sre"])
    book = asking(approvers=["schedule:sre", "slack:U9"], quorum=3)
    scene = await begin(book, policy=within, rosters={"schedule": duty})
    run_id = (await scene.run()).id
    for actor in ("slack:U1", "slack:U2"):
        await scene.daemon.decide(run_id, actor=actor)
    before = duty.asked
    await scene.daemon.decide(run_id, actor="slack:U3")
    assert duty.asked == before + 1
    assert scene.world.made == [("a", 0, 1)]


async def test_what_cant_be_asked_is_said_and_on_record(begin: Begin) -> None:
    duty = Duty("slack:U1")
    book = asking(approvers=["schedule:sre", "slack:U9"])
    scene = await begin(book, rosters={"schedule": duty})
    duty.down = True
    run_id = (await scene.run()).id
    with pytest.raises(NotAuthorised, match="schedule:sre can't be found out now: no route"):
        await scene.daemon.decide(run_id, actor="slack:U1")
    assert scene.world.made == []
    await scene.daemon.decide(run_id, actor="slack:U9")  # hangs on nothing elsewhere
    assert scene.world.made == [("a", 0, 1)]


async def test_the_yes_of_a_token_that_was_taken_away_counts_no_more(begin: Begin) -> None:
    tokens = {"api:old": Role.OPERATOR, "api:new": Role.OPERATOR, "api:third": Role.OPERATOR}
    book = asking(approvers=["api:old", "api:new", "api:third"], quorum=2)
    scene = await begin(book, known=Known(tokens=tokens))
    run_id = (await scene.run()).id
    await scene.daemon.decide(run_id, actor="api:old")
    del tokens["api:old"]
    await scene.daemon.decide(run_id, actor="api:new")
    assert scene.world.made == []
    await scene.daemon.decide(run_id, actor="api:third")
    assert scene.world.made == [("a", 0, 1)]
