"""What people do at the desk beside answering, and who may: by role, or because they were asked."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from remediator.engine.people import Known
from remediator.model.runs import RunState
from remediator.plugin.notifier import NotAuthorised
from remediator.settings import Role
from tests.engine.conftest import Begin, Scene
from tests.engine.test_asking import Duty, asking

KNOWN = Known(
    groups={"ops": ("slack:U1", "schedule:ops")},
    roles={Role.VIEWER: ("slack:U2",), Role.OPERATOR: ("ops",)},
    tokens={"api:ci": Role.OPERATOR, "api:eye": Role.VIEWER},
)
OPERATORS = ("slack:U1", "api:ci", "local")
OTHERS = ("slack:U2", "slack:U3", "api:eye", "api:gone", "slack:UASKED")

Act = Callable[[Scene, str, str], Awaitable[object]]


async def _start(scene: Scene, _: str, actor: str) -> object:
    return await scene.daemon.desk.start("repair", {}, actor=actor, via="test")


async def _pause(scene: Scene, _: str, actor: str) -> object:
    return await scene.daemon.desk.pause("*", actor=actor, reason="", for_=None, via="test")


async def _unpause(scene: Scene, _: str, actor: str) -> object:
    return await scene.daemon.desk.unpause("*", actor=actor, via="test")


async def _cancel(scene: Scene, run_id: str, actor: str) -> object:
    return await scene.daemon.desk.cancel(run_id, actor=actor, reason="", via="test")


async def _standing(scene: Scene, _: str, actor: str) -> object:
    return await scene.daemon.desk.standing(actor=actor)


async def _run(scene: Scene, run_id: str, actor: str) -> object:
    return await scene.daemon.desk.run(run_id, actor=actor)


async def _question(scene: Scene, run_id: str, actor: str) -> object:
    view = await scene.daemon.view(run_id)
    assert view.approval is not None
    return await scene.daemon.desk.question(view.approval.id, actor=actor)


ACTS: list[tuple[Act, tuple[str, ...]]] = [
    (_start, OPERATORS),
    (_pause, OPERATORS),
    (_unpause, OPERATORS),
    (_cancel, (*OPERATORS, "slack:UASKED")),
    (_standing, (*OPERATORS, "slack:U2", "api:eye")),
    (_run, (*OPERATORS, "slack:U2", "api:eye", "slack:UASKED")),
    (_question, (*OPERATORS, "slack:U2", "api:eye", "slack:UASKED")),
]


@pytest.mark.parametrize(("act", "let_in"), ACTS, ids=[act.__name__ for act, _ in ACTS])
@pytest.mark.parametrize("actor", [*OPERATORS, *OTHERS])
async def test_who_may_do_what(begin: Begin, act: Act, let_in: tuple[str, ...], actor: str) -> None:
    book = asking(approvers=["slack:UASKED"])
    scene = await begin(book, known=KNOWN, rosters={"schedule": Duty()})
    run_id = (await scene.run()).id
    if actor in let_in:
        assert await act(scene, run_id, actor) is not None
        return
    with pytest.raises(NotAuthorised, match=actor):
        await act(scene, run_id, actor)
    records = [r.entry for r in await scene.daemon.audit() if r.entry.kind == "not_authorised"]
    assert [one.actor for one in records] == [actor]


async def test_a_role_that_hangs_on_a_schedule_fails_closed_and_says_why(begin: Begin) -> None:
    duty = Duty("slack:U7")
    scene = await begin(asking(), known=KNOWN, rosters={"schedule": duty})
    run_id = (await scene.run()).id
    duty.down = True
    with pytest.raises(NotAuthorised, match="schedule:ops can't be found out now"):
        await _cancel(scene, run_id, "slack:U7")
    duty.down = False
    assert "Cancelled" in str(await _cancel(scene, run_id, "slack:U7"))


async def test_whoever_was_asked_cancels_only_while_the_question_is_open(begin: Begin) -> None:
    book = asking(approvers=["slack:UASKED"], quorum=1)
    scene = await begin(book, known=KNOWN, rosters={"schedule": Duty()})
    run_id = (await scene.run()).id
    await scene.daemon.decide(run_id, actor="slack:UASKED")
    with pytest.raises(NotAuthorised):
        await _cancel(scene, run_id, "slack:UASKED")


async def test_what_waits_for_whom(begin: Begin) -> None:
    scene = await begin(asking(approvers=["slack:UASKED"]), known=KNOWN)
    desk = scene.daemon.desk
    run_id = (await scene.run()).id
    assert [view.run.id for view in await desk.waiting_for("slack:UASKED")] == [run_id]
    assert list(await desk.waiting_for("slack:U1")) == []
    (one,) = await desk.questions("slack:U1", mine=False, limit=9)
    assert (one.view.run.id, one.mine) == (run_id, False)
    await scene.daemon.decide(run_id, actor="slack:UASKED")
    assert list(await desk.waiting_for("slack:UASKED")) == []
    assert await scene.state() is RunState.SUCCEEDED


async def test_how_things_stand_in_words(begin: Begin) -> None:
    scene = await begin(asking(approvers=["slack:UASKED"]), known=KNOWN)
    told = await scene.daemon.desk.pause(
        "runbook:repair", actor="api:ci", reason="release", for_=timedelta(hours=1), via="test"
    )
    assert told.startswith("Runbook repair is paused by api:ci until 2026-")
    assert told.endswith(" UTC: release.")
    standing = await scene.daemon.desk.standing(actor="api:eye")
    assert (standing.waiting, standing.open_incidents) == (1, 1)
    assert [run.state for run in standing.running] == [RunState.AWAITING_APPROVAL]
    assert list(standing.paused) == [told.removesuffix(".")]
    assert "goes on" in await scene.daemon.desk.unpause(
        "runbook:repair", actor="api:ci", via="test"
    )
    none, sentence = await scene.daemon.desk.start("repare", {}, actor="api:ci", via="test")
    assert (none, "repare" in sentence) == ("", True)


async def test_who_left_a_moment_ago_acknowledges_no_more(begin: Begin) -> None:
    duty = Duty("slack:U1")
    scene = await begin(asking(approvers=["schedule:sre"]), rosters={"schedule": duty})
    run_id = (await scene.run()).id
    desk = scene.daemon.desk
    assert len(await desk.waiting_for("slack:U1")) == 1  # remembered, for what is shown
    duty.who = frozenset()
    with pytest.raises(NotAuthorised):
        await desk.acknowledge(run_id, actor="slack:U1", reason="", via="test")
