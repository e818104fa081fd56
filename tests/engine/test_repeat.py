"""A further run of a runbook while one is under way: suppressed, queued, or in its place."""

from typing import Any

from remediator.model.approvals import ApprovalStatus
from remediator.model.plans import Progress
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState
from tests.engine.conftest import Begin, Scene
from tests.engine.world import runbook, setting

_N = "${{ int(labels.n) }}"


def repeating(mode: str, /, **more: Any) -> str:
    """A runbook that asks, and then sets `a` to the alert's `n`."""
    repeat: dict[str, Any] = {"mode": mode}
    repeat.update({name: more.pop(name) for name in ("key", "most") if name in more})
    step = setting("a", _N)  # type: ignore[arg-type] # an expression
    return runbook(step, **{"mode": "approve", "repeat": repeat, **more})


async def fired(scene: Scene, *numbers: str, **labels: str) -> list[Run]:
    for n in numbers:
        await scene.fire(n=n, **labels)
        await scene.advance(seconds=1)
    return list(await scene.daemon.runs())


async def test_single_suppresses_a_further_run_and_names_the_one_under_way(begin: Begin) -> None:
    scene = await begin(repeating("single"), fire=False)
    one, two = await fired(scene, "1", "2")
    assert one.state is RunState.AWAITING_APPROVAL
    assert (two.state, two.reason) == (RunState.SUPPRESSED, Reason.ALREADY_RUNNING)
    assert one.id in two.message
    await scene.daemon.decide(one.id)
    *_, three = await fired(scene, "3")
    assert three.state is RunState.AWAITING_APPROVAL


async def test_a_key_tells_runs_apart(begin: Begin) -> None:
    scene = await begin(repeating("single", key="${{ labels.team }}"), fire=False)
    await fired(scene, "1", team="a")
    await fired(scene, "2", team="b")
    runs = await fired(scene, "3", team="a")
    states = [run.state for run in runs]
    asking = RunState.AWAITING_APPROVAL
    assert states == [asking, asking, RunState.SUPPRESSED]


async def test_a_key_that_can_t_be_told_fails_the_run(begin: Begin) -> None:
    scene = await begin(repeating("single", key="${{ labels.team }}"), fire=False)
    (run,) = await fired(scene, "1")
    assert (run.state, run.reason) == (RunState.FAILED, Reason.EXPRESSION_FAILED)
    assert "repeat.key can't be told" in run.message


async def test_queued_runs_wait_for_their_turn_in_order(begin: Begin) -> None:
    scene = await begin(repeating("queued", most=2, approval={"timeout": "3h"}), fire=False)
    one, two, three, four = await fired(scene, "1", "2", "3", "4")
    assert (two.state, two.reason) == (RunState.PENDING, Reason.QUEUED)
    assert two.message == f"waits for the end of run {one.id} of repair"
    assert three.message == f"waits for the end of run {one.id} and 1 more of repair"
    assert (four.state, four.reason) == (RunState.SUPPRESSED, Reason.QUEUE_FULL)
    assert four.message == "2 runs of repair wait already, and repeat.most is 2"
    # Beyond what the worker has patience for: to wait in a queue is not to give up.
    await scene.advance(hours=1)
    await scene.daemon.decide(one.id)
    second = (await scene.daemon.runs())[1]
    assert second.state is RunState.AWAITING_APPROVAL
    await scene.daemon.decide(two.id)
    await scene.daemon.decide(three.id)
    assert [after for _, _, after in scene.world.made] == [1, 2, 3]
    told = [note.text for note in scene.recorder.told if note.run_id == two.id]
    assert told[0] == two.message
    assert sum("waits for" in text for text in told) == 1


async def test_a_queued_run_whose_alert_clears_leaves_the_queue(begin: Begin) -> None:
    scene = await begin(repeating("queued"), fire=False)
    one, two, three = await fired(scene, "1", "2", "3")
    await scene.clear(n="2")
    await scene.daemon.decide(one.id)
    states = [run.state for run in await scene.daemon.runs()]
    assert states == [RunState.SUCCEEDED, RunState.CANCELLED, RunState.AWAITING_APPROVAL]
    assert (two.id, three.id) == tuple(run.id for run in (await scene.daemon.runs())[1:])


async def test_a_queue_outlives_the_daemon(begin: Begin) -> None:
    scene = await begin(repeating("queued"), fire=False)
    one, two = await fired(scene, "1", "2")
    await scene.daemon.restart()
    await scene.advance(minutes=1)
    assert (await scene.daemon.runs())[1].reason is Reason.QUEUED
    await scene.daemon.decide(one.id)
    assert (await scene.daemon.view(two.id)).run.state is RunState.AWAITING_APPROVAL


async def test_restart_takes_the_place_of_a_run_that_has_changed_nothing(begin: Begin) -> None:
    scene = await begin(repeating("restart"), fire=False)
    one, two = await fired(scene, "1", "2")
    assert (one.state, one.reason) == (RunState.CANCELLED, Reason.RESTARTED)
    assert two.state is RunState.AWAITING_APPROVAL
    question = (await scene.daemon.view(one.id)).approval
    assert question is not None
    assert question.status is ApprovalStatus.VOID
    told = [note.text for note in scene.recorder.told if note.run_id == one.id]
    assert told[-1] == one.message
    assert f"Replaced by run {two.id}" in one.message
    await scene.daemon.decide(two.id)
    assert scene.world.made == [("a", 0, 2)]


async def test_restart_does_not_break_off_a_change(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.PROGRESSING] * 5

    scene = await begin(repeating("restart", mode="auto"), fire=False, prepare=prepare)
    one, two, three = await fired(scene, "1", "2", "3")
    assert one.state is RunState.APPLYING
    assert (two.state, two.reason) == (RunState.CANCELLED, Reason.RESTARTED)
    assert (three.state, three.reason) == (RunState.PENDING, Reason.QUEUED)
    await scene.advance(minutes=1)
    assert [after for _, _, after in scene.world.made] == [1, 3]


async def test_runs_by_hand_count_too(begin: Begin) -> None:
    scene = await begin(repeating("single"), fire=False)
    labels = {"alertname": "Broken", "n": "1"}
    await scene.daemon.control.start("repair", labels, by="api:alice")
    await scene.daemon.settle()
    *_, two = await fired(scene, "2")
    assert two.reason is Reason.ALREADY_RUNNING
    await scene.daemon.control.start("repair", labels, by="api:alice")
    await scene.daemon.settle()
    assert (await scene.daemon.runs())[-1].reason is Reason.ALREADY_RUNNING


async def test_parallel_is_what_it_was_and_may_have_a_limit(begin: Begin) -> None:
    scene = await begin(repeating("parallel", most=2), fire=False)
    one, two, three = await fired(scene, "1", "2", "3")
    assert one.state is two.state is RunState.AWAITING_APPROVAL
    assert (three.state, three.reason) == (RunState.SUPPRESSED, Reason.QUEUE_FULL)


async def test_a_run_without_repeat_asks_for_no_turn(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), mode="approve"))
    assert (await scene.run()).line == ""
