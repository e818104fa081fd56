"""The way back: in reverse, past what can't be taken back, patient with passing errors, never
blocked by a guardrail, and never made twice."""

from datetime import timedelta

import pytest

from remediator.model.plans import Progress
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, StepState, Trigger
from remediator.plugin.action import Permanent, Temporary
from tests.engine.conftest import Begin, Scene
from tests.engine.world import being, runbook, setting

# Everything before it is taken back, since its expectation is never met.
FAILS = being("never", 1)


async def test_the_newest_change_is_taken_back_first(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), setting("b", 1), setting("c", 1), FAILS))
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.ROLLED_BACK, Reason.UNDONE)
    assert scene.world.made[3:] == [("c", 1, 0), ("b", 1, 0), ("a", 1, 0)]
    assert await scene.locks() == {}
    assert len(scene.pager.told) == 1


async def test_what_has_no_way_back_stays_and_is_named(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), setting("b", 1, way_back=False), FAILS))
    run = await scene.run()
    assert run.state is RunState.ROLLED_BACK
    assert scene.world.made[2:] == [("a", 1, 0)]
    assert "b stays: it can't be unset" in run.message


async def test_nothing_has_a_way_back_so_it_failed(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1, way_back=False), FAILS))
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.FAILED, Reason.EXPECTATION_UNMET)
    assert len(scene.pager.told) == 1


async def test_a_runbook_may_say_that_nothing_is_taken_back(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), FAILS, on_failure={"undo": False}))
    run = await scene.run()
    assert run.state is RunState.FAILED
    assert "what was changed stays" in run.message
    assert scene.world.made == [("a", 0, 1)]


async def test_what_was_not_changed_is_not_taken_back(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), setting("b", 1), FAILS), values={"a": 1})
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("b", 0, 1), ("b", 1, 0)]


async def test_a_passing_error_is_waited_out(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.trouble["undo"] = [Temporary("busy", after=timedelta(minutes=1))]

    scene = await begin(runbook(setting("a", 1), FAILS), prepare=prepare)
    assert await scene.state() is RunState.UNDOING
    await scene.advance(seconds=59)
    assert scene.world.made == [("a", 0, 1)]
    await scene.advance(seconds=2)
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]


async def test_a_passing_error_of_an_undo_that_nobody_can_check_is_waited_out_too(
    begin: Begin,
) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.trouble["undo"] = [Temporary("it says: try again")]

    scene = await begin(runbook(setting("a", 1, checkable=False), FAILS), prepare=prepare)
    await scene.advance(minutes=1)
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]


async def test_patience_has_an_end(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.trouble["undo"] = [Temporary("down") for _ in range(1000)]

    scene = await begin(runbook(setting("a", 1), FAILS), prepare=prepare)
    await scene.advance(minutes=29)
    assert await scene.state() is RunState.UNDOING
    await scene.advance(minutes=2)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.FAILED, Reason.UNDO_FAILED)
    assert len(scene.pager.told) == 1


async def test_patience_is_not_renewed_by_a_crash(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.trouble["undo"] = [Temporary("down") for _ in range(1000)]

    scene = await begin(runbook(setting("a", 1), FAILS), prepare=prepare)
    await scene.advance(minutes=20)
    await scene.daemon.restart()
    await scene.advance(minutes=11)
    assert await scene.state() is RunState.FAILED


async def test_somebody_else_moved_the_target_so_it_stops_and_calls(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["b"] = [Progress.PROGRESSING, Progress.FAILED]

    scene = await begin(runbook(setting("a", 1), setting("b", 1)), prepare=prepare)
    scene.world.values["b"] = 7
    await scene.advance(seconds=3)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.FAILED, Reason.UNDO_FAILED)
    # What lies below may depend on it, so that stays as well, for a person.
    assert scene.world.made == [("a", 0, 1), ("b", 0, 1)]
    assert len(scene.pager.told) == 1
    assert await scene.locks() == {}


async def test_an_undo_that_can_never_work_stops_and_calls(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.trouble["undo"] = [Permanent("forbidden")]

    scene = await begin(runbook(setting("a", 1), FAILS), prepare=prepare)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.FAILED, Reason.UNDO_FAILED)
    assert "forbidden" in run.message


async def test_the_kill_switch_does_not_block_the_way_back(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.PROGRESSING, Progress.FAILED]

    scene = await begin(runbook(setting("a", 1)), prepare=prepare)
    await scene.daemon.pauses.pause("*", by="local", reason="stop", for_=None)
    await scene.advance(seconds=3)
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]


@pytest.mark.parametrize("checkable", [True, False])
async def test_a_crash_while_an_undo_settles_does_not_undo_twice(
    begin: Begin, checkable: bool
) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.HEALTHY, *([Progress.PROGRESSING] * 3)]

    scene = await begin(runbook(setting("a", 1, checkable=checkable), FAILS), prepare=prepare)
    assert await scene.state() is RunState.UNDOING
    await scene.daemon.restart()
    await scene.advance(seconds=10)
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]


async def test_a_crash_inside_an_undo_that_nobody_can_check(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.mute = {"undo"}  # and the daemon dies while it waits

    scene = await begin(runbook(setting("a", 1, checkable=False), FAILS), prepare=prepare)
    await scene.daemon.restart()
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.INTERRUPTED, Reason.CRASHED_UNCHECKABLE)
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]
    assert list((await scene.locks()).values()) == [run.id]


async def test_a_raised_limit_is_taken_back_by_a_run_of_its_own(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 5, lasts="1h")))
    first, second = await scene.daemon.runs()
    assert (first.state, second.state) == (RunState.SUCCEEDED, RunState.PENDING)
    assert second.trigger is Trigger.EXPIRY
    await scene.clear()
    await scene.advance(minutes=59)
    assert scene.world.made == [("a", 0, 5)]
    await scene.daemon.restart()
    await scene.advance(minutes=2)
    _, second = await scene.daemon.runs()
    assert (second.state, second.reason) == (RunState.ROLLED_BACK, Reason.LIMIT_EXPIRED)
    assert scene.world.made == [("a", 0, 5), ("a", 5, 0)]
    assert await scene.locks() == {}
    (step,) = await scene.daemon.steps(second.id)
    assert step.state is StepState.UNDONE


async def test_a_limit_that_somebody_else_moved_is_left_alone_and_a_person_called(
    begin: Begin,
) -> None:
    scene = await begin(runbook(setting("a", 5, lasts="1h")))
    scene.world.values["a"] = 8
    await scene.advance(minutes=61)
    _, second = await scene.daemon.runs()
    assert (second.state, second.reason) == (RunState.FAILED, Reason.UNDO_FAILED)
    assert scene.world.made == [("a", 0, 5)]
    assert len(scene.pager.told) == 1
