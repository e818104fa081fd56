"""What comes up in the middle of a run: a denial, silence, a cleared alert, a limit, a hang."""

import asyncio
from datetime import timedelta

from remediator.model.approvals import Answer
from remediator.model.history import LookBack
from remediator.model.policy import Rates
from remediator.model.quantities import Rate
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, StepState
from remediator.plugin.action import Permanent, Temporary
from tests.engine.conftest import Begin, Scene, policy
from tests.engine.world import World, being, runbook, setting

FAILS = being("never", 1)
VERIFY = {"resolved_within": "10m"}
TWO = runbook(setting("a", 1), setting("b", 1), mode="approve")


async def half_done(begin: Begin) -> Scene:
    """The first of two changes is made; the second is not what was approved, and asks again."""
    scene = await begin(TWO)
    run = await scene.run()
    scene.world.values["b"] = 5
    await scene.daemon.decide(run.id)
    assert await scene.state() is RunState.AWAITING_APPROVAL
    assert scene.world.made == [("a", 0, 1)]
    return scene


async def test_a_denial_takes_back_what_was_done(begin: Begin) -> None:
    scene = await half_done(begin)
    answered = await scene.daemon.decide((await scene.run()).id, Answer.DENY)
    assert answered.message == "Denied. Nothing more will be changed."
    run = await scene.run()
    assert run.state is RunState.ROLLED_BACK
    assert "Denied by local" in run.message
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]
    assert len(scene.pager.told) == 1


async def test_the_alert_clears_while_the_next_change_is_asked_for(begin: Begin) -> None:
    scene = await half_done(begin)
    await scene.clear()
    await scene.advance(minutes=31)
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1)], "the cure is not taken back"


async def test_silence_about_an_alert_that_cleared_is_no_page(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), mode="approve"))
    await scene.clear(tell=False)
    await scene.advance(minutes=31)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.CANCELLED, Reason.RESOLVED_BY_ITSELF)
    assert scene.pager.told == []


async def test_silence_about_an_alert_that_fires_says_so(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), mode="approve"))
    await scene.advance(minutes=31)
    assert "nobody decided within 30m, and the alert still fires" in scene.pager.told[0].text


async def test_a_run_by_hand_ends_with_its_changes(begin: Begin) -> None:
    rung = setting("b", 1, if_="alert.firing")
    scene = await begin(runbook(setting("a", 1), rung, verify=VERIFY), fire=False)
    await scene.daemon.control.start("repair", {"alertname": "Broken"}, by="api:alice")
    await scene.daemon.settle()
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.SUCCEEDED, Reason.DONE)
    assert scene.world.made == [("a", 0, 1)]
    assert [s.state for s in await scene.daemon.steps(run.id)] == [
        StepState.DONE,
        StepState.SKIPPED,
    ]


async def test_nothing_left_to_change_is_watched_all_the_same(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), mode="approve", verify=VERIFY))
    scene.world.values["a"] = 1
    await scene.daemon.decide((await scene.run()).id)
    assert await scene.state() is RunState.VERIFYING
    await scene.advance(minutes=11)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.FAILED, Reason.NOT_VERIFIED)
    assert len(scene.pager.told) == 1


RETRY = {"attempts": 3, "backoff": "10s"}


async def test_a_rung_is_tried_again_without_another_watch(begin: Begin) -> None:
    rung = setting("b", 1, if_="alert.firing", retry=RETRY)
    scene = await begin(runbook(setting("a", 1), rung, verify=VERIFY))
    scene.world.trouble["apply"] = [Temporary("busy")]
    await scene.advance(minutes=10, seconds=12)
    assert scene.world.made == [("a", 0, 1), ("b", 0, 1)]


async def test_a_rung_that_may_have_been_made_is_not_forgotten(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.after["apply"] = [Temporary("no answer")]

    scene = await begin(
        runbook(setting("a", 1, if_="alert.firing", retry=RETRY), FAILS), prepare=prepare
    )
    await scene.clear()
    await scene.advance(minutes=5)
    run = await scene.run()
    assert run.state is RunState.SUCCEEDED
    last = (await scene.daemon.steps(run.id))[-2]
    assert (last.state, last.changed) == (StepState.FAILED, True)


async def test_a_rung_that_can_t_be_planned_is_no_change(begin: Begin) -> None:
    scene = await begin(
        runbook(setting("a", 1), setting("b", 1, if_="alert.firing"), verify=VERIFY)
    )
    await scene.advance(minutes=9)
    scene.world.trouble["plan"] = [Permanent("no")]
    await scene.advance(minutes=2)
    now = scene.daemon.clock.now()
    history = await scene.daemon.journal.history(
        run_id="", look=LookBack(now - timedelta(hours=1)), at=now
    )
    assert [change.target_key for change in history.changes] == ["world:here/Thing/a"]


async def test_a_run_with_more_changes_than_its_rate_makes_none(begin: Begin) -> None:
    three = [setting(name, 1) for name in "abc"]
    scene = await begin(
        runbook(*three), policy=policy(rate=Rates(per_runbook=(Rate.parse("2/1h"),), total=()))
    )
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.SUPPRESSED, Reason.GUARDRAIL_REFUSES)
    assert scene.world.made == []


async def test_a_plan_that_hangs_gives_up_and_calls_a_person(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.mute = {"plan"}

    scene = await begin(runbook(setting("a", 1)), prepare=prepare)
    await scene.advance(hours=1)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.FAILED, Reason.UNREACHABLE)
    assert "no answer within 2m" in run.message


async def test_an_undo_that_hangs_calls_a_person(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.mute = {"undo"}

    scene = await begin(
        runbook(setting("a", 1, timeout="1m", checkable=False), FAILS), prepare=prepare
    )
    await scene.advance(hours=1)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.FAILED, Reason.UNDO_FAILED)
    assert "did not end within 1m" in scene.pager.told[0].text


async def test_a_server_that_asks_for_days_is_asked_sooner(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.trouble["apply"] = [Temporary("429", after=timedelta(days=30))]

    scene = await begin(runbook(setting("a", 1, retry=RETRY)), prepare=prepare)
    await scene.advance(minutes=16)
    assert await scene.state() is RunState.SUCCEEDED


async def test_an_action_that_cancels_itself_is_a_bug_and_no_stop(begin: Begin) -> None:
    class Cancels(World):
        def set(self, name: str, value: int, run_id: str) -> None:
            raise asyncio.CancelledError

    scene = await begin(runbook(setting("a", 1)), fire=False)
    for operation in scene.daemon.setup.operations:
        operation.world = Cancels()  # type: ignore[union-attr] # the world's own
    await scene.fire()
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.INTERRUPTED, Reason.INTERNAL)
    assert f"remediator runs resume {run.id}" in scene.pager.told[0].text


async def test_a_bug_while_verifying_keeps_the_lock_for_a_person(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.trouble["probe"] = [KeyError("bug")]

    probe = {"action": "world.is", "with": {"name": "x", "value": 1}, "within": "5m"}
    scene = await begin(runbook(setting("a", 1), verify=probe), prepare=prepare)
    assert await scene.state() is RunState.INTERRUPTED
    assert list(await scene.locks()) == ["world:here/Thing/a"]


async def test_a_busy_target_is_told_once(begin: Begin) -> None:
    step = setting("a", 1, timeout="1h")
    step["with"]["to"] = "${{ int(labels.to) }}"
    scene = await begin(runbook(step), fire=False)
    scene.world.gate = asyncio.Event()
    await scene.fire(to="1")
    await scene.fire(to="2")
    await scene.advance(minutes=10)
    _, second = await scene.daemon.runs()
    assert second.reason is Reason.TARGET_BUSY
    assert len([note for note in scene.recorder.told if note.run_id == second.id]) == 1
