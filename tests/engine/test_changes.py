"""A change: retried, bounded in time, watched until healthy, verified, helped by the next rung; and
never made again when nobody can tell whether it was made."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from remediator.journal.values import ResumeHow
from remediator.model.alerts import AlertStatus
from remediator.model.plans import Progress
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, StepState
from remediator.plugin.action import Permanent, Temporary
from remediator.testing import START
from tests.engine.conftest import Begin, Scene
from tests.engine.world import being, runbook, setting

# Its expectation is never met.
FAILS = being("never", 1)
RETRY = {"attempts": 3, "backoff": "10s"}


async def test_a_temporary_error_is_tried_again_with_growing_pauses(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.trouble["apply"] = [Temporary("busy"), Temporary("busy")]

    scene = await begin(runbook(setting("a", 1, retry=RETRY)), prepare=prepare)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.APPLYING, Reason.STEP_RETRY)
    await scene.advance(seconds=9)
    assert len(await scene.daemon.steps(run.id)) == 2
    await scene.advance(seconds=20)
    assert scene.world.made == []
    await scene.advance(seconds=2)
    assert await scene.state() is RunState.SUCCEEDED
    attempts = await scene.daemon.steps(run.id)
    assert [s.state for s in attempts] == [StepState.FAILED, StepState.FAILED, StepState.DONE]
    assert [s.attempt for s in attempts] == [1, 2, 3]
    assert scene.world.made == [("a", 0, 1)]


async def test_a_server_that_says_when_is_not_asked_earlier(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.trouble["apply"] = [Temporary("throttled", after=timedelta(minutes=2))]

    scene = await begin(runbook(setting("a", 1, retry=RETRY)), prepare=prepare)
    await scene.advance(seconds=119)
    assert scene.world.made == []
    await scene.advance(seconds=2)
    assert scene.world.made == [("a", 0, 1)]


async def test_after_the_last_try_what_may_have_been_done_is_taken_back(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        # The last answer is lost after the change was made.
        scene.world.trouble["apply"] = [Temporary("busy"), Temporary("busy")]
        scene.world.after["apply"] = [Temporary("no answer")]

    scene = await begin(runbook(setting("a", 1, retry=RETRY)), prepare=prepare)
    await scene.advance(minutes=2)
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]
    assert len(scene.pager.told) == 1


async def test_a_lost_answer_is_not_a_second_change(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.after["apply"] = [Temporary("no answer")]

    scene = await begin(runbook(setting("a", 1, retry=RETRY)), prepare=prepare)
    await scene.advance(seconds=11)
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1)]


async def test_an_unchecked_change_is_really_tried_again(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.trouble["apply"] = [Temporary("it says: try again")]

    scene = await begin(runbook(setting("a", 1, checkable=False, retry=RETRY)), prepare=prepare)
    assert scene.world.made == []
    await scene.advance(seconds=11)
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1)]


async def test_a_permanent_error_at_the_second_try_takes_back_what_the_first_may_have_done(
    begin: Begin,
) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.after["apply"] = [Temporary("no answer")]
        scene.world.trouble["apply"] = []

    scene = await begin(runbook(setting("a", 1, retry=RETRY)), prepare=prepare)
    scene.world.trouble["apply"] = [Permanent("forbidden")]
    await scene.advance(seconds=11)
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]


async def test_a_permanent_error_fails_and_calls_a_person(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.trouble["apply"] = [Permanent("forbidden")]

    scene = await begin(runbook(setting("a", 1, retry=RETRY)), prepare=prepare)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.FAILED, Reason.APPLY_FAILED)
    assert scene.world.made == []
    assert len(scene.pager.told) == 1


async def test_an_apply_that_hangs_is_ended_and_taken_back(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.gate = asyncio.Event()

    scene = await begin(runbook(setting("a", 1, timeout="1m")), prepare=prepare)
    assert scene.world.at_gate == 1
    await scene.advance(seconds=59)
    assert await scene.state() is RunState.APPLYING
    await scene.advance(seconds=2)
    run = await scene.run()
    # It was cancelled before it changed anything; undo looked and found that.
    assert run.state is RunState.ROLLED_BACK
    assert "not healthy within 60s" in run.message
    assert scene.world.made == []


async def test_a_target_that_does_not_get_well_in_time_is_taken_back(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.PROGRESSING] * 31

    scene = await begin(runbook(setting("a", 1, timeout="1m")), prepare=prepare)
    await scene.advance(seconds=59)
    assert await scene.state() is RunState.APPLYING
    await scene.advance(seconds=10)
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]


async def test_a_target_that_gets_ill_is_taken_back(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.PROGRESSING, Progress.FAILED]

    scene = await begin(runbook(setting("a", 1)), prepare=prepare)
    await scene.advance(seconds=5)
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]


async def test_the_world_moved_between_the_plan_and_the_change(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.gate = asyncio.Event()

    scene = await begin(runbook(setting("a", 1)), prepare=prepare)
    scene.world.values["a"] = 9
    assert scene.world.gate is not None
    scene.world.gate.set()
    await scene.daemon.settle()
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.FAILED, Reason.STALE)
    assert scene.world.made == []


async def test_verify_by_the_alert_succeeds_when_it_clears(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), verify={"resolved_within": "10m"}))
    assert await scene.state() is RunState.VERIFYING
    await scene.advance(minutes=3)
    await scene.clear()
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.SUCCEEDED, Reason.VERIFIED)


async def test_resolved_is_a_hint_and_alertmanager_has_the_last_word(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), verify={"resolved_within": "10m"}))
    (fired,) = await scene.daemon.alerts.alerts("default") or ()
    await scene.clear(tell=False)
    scene.daemon.alerts.fire(fired)
    await scene.daemon.notify(replace(fired, status=AlertStatus.RESOLVED, ends_at=START))
    run = await scene.run()
    assert (run.state, run.message) == (RunState.VERIFYING, "the alert still fires")


async def test_verify_by_a_probe(begin: Begin) -> None:
    verify = {
        "action": "world.is",
        "with": {"name": "load", "value": 0},
        "within": "5m",
        "every": "30s",
    }
    scene = await begin(runbook(setting("a", 1), verify=verify), values={"load": 9})
    await scene.advance(minutes=2)
    assert await scene.state() is RunState.VERIFYING
    scene.world.values["load"] = 0
    await scene.advance(seconds=31)
    run = await scene.run()
    assert (run.state, run.message) == (RunState.SUCCEEDED, "load is 0")


async def test_verify_fails_so_everything_is_taken_back(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), verify={"resolved_within": "10m"}))
    await scene.advance(minutes=11)
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]
    assert len(scene.pager.told) == 1


async def test_nobody_can_tell_whether_it_helped_so_nothing_is_undone(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), verify={"resolved_within": "10m"}))
    scene.daemon.alerts.reachable = False
    await scene.advance(minutes=39)
    assert await scene.state() is RunState.VERIFYING
    await scene.advance(minutes=3)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.FAILED, Reason.SIGNAL_UNKNOWN)
    assert scene.world.made == [("a", 0, 1)]
    assert len(scene.pager.told) == 1


LADDER = runbook(
    setting("a", 1),
    setting("b", 1, if_="alert.firing"),
    verify={"resolved_within": "10m"},
)


async def test_the_first_rung_helps_so_the_second_is_never_used(begin: Begin) -> None:
    scene = await begin(LADDER)
    assert await scene.state() is RunState.VERIFYING
    await scene.advance(minutes=4)
    await scene.clear()
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1)]
    steps = await scene.daemon.steps((await scene.run()).id)
    assert [s.state for s in steps] == [StepState.DONE, StepState.SKIPPED]


async def test_the_first_rung_does_not_help_so_the_second_is_used(begin: Begin) -> None:
    scene = await begin(LADDER)
    await scene.advance(minutes=10, seconds=1)
    assert scene.world.made == [("a", 0, 1), ("b", 0, 1)]
    assert await scene.state() is RunState.VERIFYING
    await scene.clear()
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1), ("b", 0, 1)]


async def test_no_rung_helps_so_all_is_taken_back_in_reverse(begin: Begin) -> None:
    scene = await begin(LADDER)
    await scene.advance(minutes=21)
    assert await scene.state() is RunState.ROLLED_BACK
    assert [(name, after) for name, _, after in scene.world.made] == [
        ("a", 1),
        ("b", 1),
        ("b", 0),
        ("a", 0),
    ]


async def test_later_steps_read_what_earlier_ones_found(begin: Begin) -> None:
    scene = await begin(
        runbook(
            being("load", 4, id="load"),
            setting("a", 1),
            {
                "id": "b",
                "action": "world.set",
                "with": {"name": "b", "to": "${{ steps.load.result.value * 2 }}"},
            },
        ),
        values={"load": 4},
    )
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1), ("b", 0, 8)]


async def test_a_crash_inside_a_change_that_can_be_checked(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.gate = asyncio.Event()

    scene = await begin(runbook(setting("a", 1)), prepare=prepare)
    await scene.daemon.crash()
    scene.world.gate = None
    await scene.daemon.start()
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1)]


async def test_a_crash_inside_a_change_that_nobody_can_check(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.gate = asyncio.Event()

    scene = await begin(runbook(setting("a", 1, checkable=False)), prepare=prepare)
    await scene.daemon.crash()
    scene.world.gate = None
    await scene.daemon.start()
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.INTERRUPTED, Reason.CRASHED_UNCHECKABLE)
    assert list((await scene.locks()).values()) == [run.id]
    assert len(scene.pager.told) == 1
    await scene.advance(hours=5)
    assert scene.world.made == []
    assert await scene.daemon.control.resume(run.id, by="local", how=ResumeHow.REPEAT)
    await scene.daemon.settle()
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1)]
    assert await scene.locks() == {}


async def test_an_unchecked_change_is_on_record_before_it_settles(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.PROGRESSING] * 3

    scene = await begin(runbook(setting("a", 1, checkable=False)), prepare=prepare)
    await scene.daemon.restart()
    await scene.advance(seconds=10)
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1)]


async def test_a_graceful_stop_waits_for_the_change_and_leaves_the_settling(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.gate = asyncio.Event()
        scene.world.health["a"] = [Progress.PROGRESSING] * 3

    scene = await begin(runbook(setting("a", 1), setting("b", 1)), prepare=prepare)
    stopping = asyncio.create_task(scene.daemon.stop())
    await scene.daemon.settle()
    assert not stopping.done(), "a change in hand is waited for"
    assert scene.world.gate is not None
    scene.world.gate.set()
    await stopping
    assert scene.world.made == [("a", 0, 1)]
    await scene.daemon.start()
    await scene.advance(seconds=10)
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1), ("b", 0, 1)]


async def test_a_graceful_stop_begins_no_further_change(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.gate = asyncio.Event()

    scene = await begin(runbook(setting("a", 1), setting("b", 1), FAILS), prepare=prepare)
    stopping = asyncio.create_task(scene.daemon.stop())
    await scene.daemon.settle()
    assert scene.world.gate is not None
    scene.world.gate.set()
    await stopping
    assert scene.world.made == [("a", 0, 1)], "the second is for whoever starts next"
    await scene.daemon.start()
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("b", 0, 1), ("b", 1, 0), ("a", 1, 0)]
