"""A raised limit comes down again, however its run ends; and only that one."""

from remediator.journal.values import ResumeHow
from remediator.model.plans import Progress
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, Trigger
from remediator.plugin.action import Temporary
from tests.engine.conftest import Begin, Scene
from tests.engine.world import runbook, setting

RAISE = setting("a", 5, lasts="1h")


async def expiry(scene: Scene) -> Run:
    """The only run that waits for the end of a limit, or did."""
    (found,) = [run for run in await scene.daemon.runs() if run.trigger is Trigger.EXPIRY]
    return found


async def test_one_that_did_not_help_is_not_taken_back_twice(begin: Begin) -> None:
    scene = await begin(runbook(RAISE, verify={"resolved_within": "5m"}))
    assert (await expiry(scene)).state is RunState.PENDING
    await scene.advance(minutes=6)
    ended = await expiry(scene)
    assert (ended.state, ended.reason) == (RunState.CANCELLED, Reason.NOTHING_TO_DO)
    await scene.clear()
    await scene.advance(minutes=44)
    await scene.fire()
    await scene.advance(seconds=1)
    await scene.clear()
    await scene.advance(minutes=15)  # past the hour of the first, not of the second
    assert scene.world.made == [("a", 0, 5), ("a", 5, 0), ("a", 0, 5)]
    await scene.advance(minutes=50)
    assert scene.world.get("a") == 0


async def test_a_step_that_failed_and_stays_still_ends(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.FAILED]

    scene = await begin(runbook(RAISE, on_failure={"undo": False}), prepare=prepare)
    assert scene.world.made == [("a", 0, 5)]
    await scene.advance(hours=2)
    assert scene.world.made == [("a", 0, 5), ("a", 5, 0)]
    assert (await expiry(scene)).state is RunState.ROLLED_BACK


async def test_a_lost_answer_and_then_the_alert_cleared(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.after["apply"] = [Temporary("no answer")]

    retry = {"attempts": 2, "backoff": "1m"}
    scene = await begin(runbook(setting("a", 5, lasts="1h", retry=retry)), prepare=prepare)
    await scene.clear()
    await scene.advance(hours=3)
    assert scene.world.made == [("a", 0, 5), ("a", 5, 0)]


async def test_a_second_attempt_is_no_second_end(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.trouble["apply"] = [Temporary("busy")]

    retry = {"attempts": 2, "backoff": "1m"}
    scene = await begin(runbook(setting("a", 5, lasts="1h", retry=retry)), prepare=prepare)
    await scene.advance(hours=3)
    assert (await expiry(scene)).state is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 5), ("a", 5, 0)]


async def test_a_bug_in_the_action_and_a_person_who_says_that_it_was_done(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.after["apply"] = [KeyError("bug")]

    scene = await begin(runbook(RAISE), prepare=prepare)
    first, _ = await scene.daemon.runs()
    assert (first.state, first.reason) == (RunState.INTERRUPTED, Reason.INTERNAL)
    await scene.daemon.control.resume(first.id, by="local", how=ResumeHow.DONE)
    await scene.daemon.settle()
    await scene.advance(hours=3)
    assert scene.world.made == [("a", 0, 5), ("a", 5, 0)]


async def test_one_that_nobody_raised_has_no_end(begin: Begin) -> None:
    scene = await begin(runbook(setting("b", 1), RAISE), values={"a": 5})
    assert [run.trigger for run in await scene.daemon.runs()] == [Trigger.FIRING]


async def test_behind_a_lock_it_waits_and_a_person_hears_of_it(begin: Begin) -> None:
    scene = await begin(
        runbook(RAISE), runbook(setting("a", 9, checkable=False), name="other"), fire=False
    )
    labels = {"alertname": "Broken"}
    await scene.daemon.control.start("repair", labels, by="local")
    await scene.daemon.settle()
    scene.world.mute = {"apply"}
    held_by = await scene.daemon.control.start("other", labels, by="local")
    await scene.daemon.settle()
    await scene.daemon.crash()
    scene.world.mute = set()
    scene.world.values["a"] = 5
    await scene.daemon.start()  # interrupted: it keeps its lock
    told = len(scene.pager.told)
    await scene.advance(hours=2)
    assert (await expiry(scene)).state is RunState.UNDOING
    assert len(scene.pager.told) > told
    assert held_by in scene.pager.told[-1].text
    await scene.daemon.control.cancel(held_by, by="local", reason="looked at")
    await scene.advance(minutes=1)
    assert (await expiry(scene)).state is RunState.ROLLED_BACK
    assert scene.world.get("a") == 0
