"""A change whose intent outlived the daemon: made only if it is still wanted, never forgotten."""

import asyncio
from datetime import timedelta

from remediator.model.plans import Progress
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, StepState
from remediator.plugin.action import Permanent
from tests.engine.conftest import Begin, Scene
from tests.engine.world import being, runbook, setting

FAILS = being("never", 1)


def at_the_gate(scene: Scene) -> None:
    """The intent is stored, and the change is not made."""
    scene.world.gate = asyncio.Event()


def still_settling(scene: Scene) -> None:
    """The change is made, and the target takes its time."""
    scene.world.health["a"] = [Progress.PROGRESSING] * 5


async def crash(scene: Scene, **away: float) -> None:
    """The daemon dies and comes back after a while."""
    await scene.daemon.crash()
    scene.world.gate = None
    scene.daemon.clock.advance(timedelta(**away))
    await scene.daemon.start()


async def test_it_is_made_when_the_alert_still_fires(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1, timeout="1m")), prepare=at_the_gate)
    await crash(scene, hours=8)
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1)]
    assert "step.taken_up" in await scene.kinds()


async def test_it_is_not_made_once_somebody_paused(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1)), prepare=at_the_gate)
    await scene.daemon.pauses.pause("*", by="api:alice", reason="stop", for_=None)
    await crash(scene)
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == []
    assert await scene.locks() == {}


async def test_it_is_not_made_once_the_alert_cleared(begin: Begin) -> None:
    scene = await begin(
        runbook(setting("a", 1), verify={"resolved_within": "10m"}), prepare=at_the_gate
    )
    await scene.clear()
    await crash(scene)
    assert (await scene.run()).state.ended
    assert scene.world.made == []


async def test_what_was_made_before_is_kept_though_the_alert_cleared(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.mute = {"apply"}

    scene = await begin(runbook(setting("a", 1)), prepare=prepare)
    await scene.clear()
    await scene.daemon.restart()
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1)]


async def test_nobody_knows_whether_it_fires_so_it_waits(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1)), prepare=at_the_gate)
    scene.daemon.alerts.reachable = False
    await crash(scene)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.APPLYING, Reason.SIGNAL_UNKNOWN)
    assert scene.world.made == []
    scene.daemon.alerts.reachable = True
    await scene.advance(seconds=16)
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1)]


async def test_cancelled_and_then_the_daemon_died_inside_an_unchecked_change(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1, checkable=False)), prepare=at_the_gate)
    await scene.daemon.control.cancel((await scene.run()).id, by="api:bob", reason="no")
    await crash(scene)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.INTERRUPTED, Reason.CRASHED_UNCHECKABLE)
    assert list(await scene.locks()) == ["world:here/Thing/a"]
    assert len(scene.pager.told) == 1


async def test_cancelled_and_then_the_daemon_died_before_the_change(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1)), prepare=at_the_gate)
    await scene.daemon.control.cancel((await scene.run()).id, by="api:bob", reason="no")
    await crash(scene)
    assert (await scene.run()).state.ended
    assert scene.world.made == []


async def test_cancelled_and_then_stopped_while_it_settles(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1)), prepare=still_settling)
    run = await scene.run()
    await scene.daemon.control.cancel(run.id, by="api:bob", reason="no")
    await scene.daemon.stop()
    await scene.daemon.start()
    await scene.advance(seconds=20)
    assert await scene.state() is RunState.CANCELLED
    (row,) = await scene.daemon.steps(run.id)
    assert (row.state, row.changed) == (StepState.DONE, True)


async def test_stopped_while_it_settles_it_is_known_as_made(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1)), prepare=still_settling)
    await scene.daemon.stop()
    scene.world.trouble["apply"] = [Permanent("the token expired")]  # nobody asks again
    await scene.daemon.start()
    await scene.advance(seconds=20)
    assert await scene.state() is RunState.SUCCEEDED


async def test_a_permanent_error_after_a_crash_takes_back_what_may_have_been_made(
    begin: Begin,
) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.mute = {"apply"}

    scene = await begin(runbook(setting("a", 1)), prepare=prepare)
    await scene.daemon.crash()
    scene.world.mute = set()
    scene.world.trouble["apply"] = [Permanent("the token expired")]
    await scene.daemon.start()
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]


async def test_what_somebody_else_was_faster_to_do_is_theirs(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), FAILS), prepare=at_the_gate)
    scene.world.values["a"] = 1
    assert scene.world.gate is not None
    scene.world.gate.set()
    await scene.daemon.settle()
    assert (await scene.run()).state.ended
    assert scene.world.made == [], "it is not taken back"
