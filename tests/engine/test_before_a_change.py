"""Before anything is changed: a run waits, asks whether the alert still fires, looks whether its
runbook applies; and ends without a change wherever one of these says no."""

from datetime import timedelta

from remediator.model.plans import Progress
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, StepState
from remediator.plugin.action import Permanent, Temporary
from tests.engine.conftest import Begin, Scene, policy
from tests.engine.world import being, runbook, setting


async def test_a_change_is_made_once_and_recorded_before_and_after(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1)))
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.SUCCEEDED, Reason.DONE)
    assert scene.world.made == [("a", 0, 1)]
    assert await scene.kinds() == [
        "run.state",  # pending
        "run.state",  # planning
        "run.planned",
        "run.state",  # applying
        "step.started",
        "step.done",
        "run.state",  # succeeded
    ]
    assert await scene.locks() == {}


async def test_it_may_clear_by_itself_first(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), wait_for="2m"))
    await scene.advance(seconds=119)
    assert await scene.state() is RunState.PENDING
    await scene.clear()
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.CANCELLED, Reason.RESOLVED_BY_ITSELF)
    await scene.advance(minutes=5)
    assert scene.world.made == []


async def test_after_the_wait_it_acts(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), wait_for="2m"))
    await scene.advance(seconds=119)
    assert scene.world.made == []
    await scene.advance(seconds=2)
    assert scene.world.made == [("a", 0, 1)]


async def test_a_lost_resolved_is_found_out_by_asking(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), wait_for="2m"))
    await scene.clear(tell=False)
    await scene.advance(minutes=3)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.CANCELLED, Reason.RESOLVED_BY_ITSELF)
    assert scene.world.made == []


async def test_nobody_knows_whether_it_fires_so_it_waits_then_calls_a_person(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1)), fire=False)
    scene.daemon.alerts.reachable = False
    await scene.fire()
    await scene.advance(minutes=29)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.PENDING, Reason.SIGNAL_UNKNOWN)
    await scene.advance(minutes=2)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.FAILED, Reason.SIGNAL_UNKNOWN)
    assert scene.world.made == []
    assert [note.run_id for note in scene.pager.told] == [run.id]


async def test_it_goes_on_when_an_alertmanager_answers_again(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1)), fire=False)
    scene.daemon.alerts.reachable = False
    await scene.fire()
    await scene.advance(minutes=5)
    scene.daemon.alerts.reachable = True
    await scene.advance(seconds=16)
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.made == [("a", 0, 1)]


async def test_a_sender_without_an_address_is_believed(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1)), fire=False)
    scene.daemon.alerts.has_address = False
    await scene.fire()
    assert await scene.state() is RunState.SUCCEEDED


async def test_between_two_changes_it_is_asked_again(begin: Begin) -> None:
    scene = await begin(
        runbook(setting("a", 1), setting("b", 1), verify={"resolved_within": "10m"}), fire=False
    )
    scene.world.health["a"] = [Progress.PROGRESSING] * 2
    await scene.fire()
    assert scene.world.made == [("a", 0, 1)]
    await scene.clear(tell=False)  # while the first step settles
    await scene.advance(seconds=10)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.SUCCEEDED, Reason.VERIFIED)
    assert scene.world.made == [("a", 0, 1)], "the second change was no longer needed"


async def test_between_two_changes_nobody_knows_so_it_holds_and_then_takes_back(
    begin: Begin,
) -> None:
    scene = await begin(runbook(setting("a", 1), setting("b", 1)), fire=False)
    scene.world.health["a"] = [Progress.PROGRESSING] * 2
    await scene.fire()
    scene.daemon.alerts.reachable = False
    await scene.advance(minutes=20)
    run = await scene.run()
    assert run.state is RunState.APPLYING
    assert scene.world.made == [("a", 0, 1)]
    await scene.advance(minutes=15)
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]
    assert len(scene.pager.told) == 1


async def test_a_false_condition_skips_the_step(begin: Begin) -> None:
    scene = await begin(
        runbook(
            setting("a", 1, if_='labels.tier == "web"'),
            setting("b", 1),
        ),
        fire=False,
    )
    await scene.fire(tier="db")
    first, second = await scene.daemon.steps((await scene.run()).id)
    assert (first.state, second.state) == (StepState.SKIPPED, StepState.DONE)
    assert scene.world.made == [("b", 0, 1)]


async def test_a_missing_label_makes_a_condition_false(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1, if_='labels.tier == "web"'), setting("b", 1)))
    assert scene.world.made == [("b", 0, 1)]


async def test_a_missing_label_in_a_parameter_is_an_error_that_names_it(begin: Begin) -> None:
    scene = await begin(runbook(setting("${{ labels.nowhere }}", 1, id="a")))
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.FAILED, Reason.EXPRESSION_FAILED)
    assert "nowhere" in run.message
    assert len(scene.pager.told) == 1


async def test_an_unmet_probe_suppresses_the_run(begin: Begin) -> None:
    scene = await begin(runbook(being("load", 9), setting("a", 1)), values={"load": 3})
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.SUPPRESSED, Reason.EXPECTATION_UNMET)
    assert "load is 3" in run.message
    assert scene.world.made == []
    assert scene.pager.told == []


async def test_a_probe_after_a_change_is_unmet_so_the_change_is_taken_back(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), being("load", 9)), values={"load": 3})
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]


async def test_observe_plans_and_stops(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), mode="observe"))
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.OBSERVED, Reason.OBSERVE_ONLY)
    assert "0 → 1" in run.message
    assert scene.world.made == []


async def test_the_policy_lowers_the_mode(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1)), policy=policy(mode="observe"))
    assert await scene.state() is RunState.OBSERVED


async def test_nothing_to_do_succeeds_where_nothing_is_verified(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1)), values={"a": 1})
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.SUCCEEDED, Reason.NOTHING_TO_DO)


async def test_nothing_to_do_while_the_alert_fires_calls_a_person(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), verify={"resolved_within": "1m"}), values={"a": 1})
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.FAILED, Reason.NOTHING_TO_DO)
    assert len(scene.pager.told) == 1


async def test_a_plan_that_can_not_be_made_now_is_tried_again(begin: Begin) -> None:
    def trouble(scene: Scene) -> None:
        scene.world.trouble["plan"] = [Temporary("throttled", after=timedelta(minutes=1))]

    scene = await begin(runbook(setting("a", 1)), prepare=trouble)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.PENDING, Reason.UNREACHABLE)
    await scene.advance(seconds=59)
    assert scene.world.made == []
    await scene.advance(seconds=2)
    assert await scene.state() is RunState.SUCCEEDED


async def test_a_plan_that_can_never_be_made_fails_and_calls_a_person(begin: Begin) -> None:
    def trouble(scene: Scene) -> None:
        scene.world.trouble["plan"] = [Permanent("there is no a")]

    scene = await begin(runbook(setting("a", 1)), prepare=trouble)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.FAILED, Reason.PLAN_FAILED)
    assert "there is no a" in run.message
    assert len(scene.pager.told) == 1
