"""Several changes at once: the lanes of `for_each` and of groups, planned and approved together,
carried out up to `parallel` at a time, taken back in reverse."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from remediator.journal.values import ResumeHow
from remediator.model.plans import Progress
from remediator.model.policy import Budget
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, Step, StepState
from remediator.plugin.action import Permanent, Temporary
from tests.engine.conftest import Begin, Scene, policy
from tests.engine.world import (
    being,
    fragment,
    group,
    runbook,
    setting,
    together,
    using,
)

_EACH = "${{ each.value }}"
NAMES = ["a", "b", "c", "d", "e"]


def many(names: Any = NAMES, **more: Any) -> dict[str, Any]:
    """Set each of these, three at once unless told otherwise."""
    return setting(_EACH, 1, **{"id": "many", "for_each": names, "parallel": 3, **more})


async def rows(scene: Scene) -> dict[str, Step]:
    """The newest attempt of each step, by id."""
    view = await scene.daemon.view((await scene.run()).id)
    return {step.step_id: step for step in view.steps}


async def states(scene: Scene) -> dict[str, str]:
    return {step_id: row.state.value for step_id, row in (await rows(scene)).items()}


def closed(scene: Scene) -> None:
    scene.world.gate = asyncio.Event()


async def opened(scene: Scene) -> None:
    assert scene.world.gate is not None
    scene.world.gate.set()
    await scene.daemon.settle()


def made(scene: Scene) -> list[str]:
    return [name for name, _, _ in scene.world.made]


def slow(*names: str, looks: int = 3) -> Any:
    """Let these take some time to become healthy."""

    def prepare(scene: Scene) -> None:
        for name in names:
            scene.world.health[name] = [Progress.PROGRESSING] * looks

    return prepare


# --- at once, and no more


async def test_so_many_lanes_are_under_way_as_the_block_allows(begin: Begin) -> None:
    scene = await begin(runbook(many(), setting("z", 1)), prepare=closed)
    assert scene.world.at_gate == 3
    assert await scene.state() is RunState.APPLYING
    await opened(scene)
    assert await scene.state() is RunState.SUCCEEDED
    assert sorted(made(scene)[:-1]) == NAMES
    assert made(scene)[-1] == "z"
    assert scene.world.most_in_hand == 3


async def test_one_at_a_time_unless_the_block_says_more(begin: Begin) -> None:
    block = {**many(), "parallel": 1}
    scene = await begin(runbook(block), prepare=slow("b"))
    assert made(scene) == ["a", "b"]
    await scene.advance(minutes=1)
    assert made(scene) == NAMES
    assert scene.world.most_in_hand == 1


async def test_members_of_a_group_run_at_once(begin: Begin) -> None:
    both = group(setting("a", 1), setting("b", 1))
    scene = await begin(runbook(both, setting("c", 1)), prepare=closed)
    assert scene.world.at_gate == 2
    await opened(scene)
    assert made(scene)[2:] == ["c"]
    assert await states(scene) == {"a": "done", "b": "done", "c": "done"}


async def test_steps_of_a_lane_keep_their_order(begin: Begin) -> None:
    pair = fragment(
        setting("${{ params.name }}", 1, id="first"),
        setting("${{ params.name }}-then", 1, id="then"),
        name="pair",
        parameters={"name": {"type": "string"}},
    )
    each = using("pair", id="many", for_each=["a", "b", "c"], parallel=3, name=_EACH)
    scene = await begin(together(runbook(each), pair), prepare=slow("b"))
    assert made(scene) == ["a", "b", "c", "a-then", "c-then"]
    await scene.advance(minutes=1)
    assert made(scene)[-1] == "b-then"
    assert list(await rows(scene))[:2] == ["many[0].first", "many[0].then"]


async def test_every_intent_costs_one_commit_and_takes_outcomes_along(begin: Begin) -> None:
    scene = await begin(runbook(many(parallel=1)))
    kinds = [kind for kind in await scene.kinds() if kind.startswith("step.")]
    assert kinds == ["step.started", "step.done"] * 5
    assert (await scene.run()).state is RunState.SUCCEEDED


async def test_probes_look_at_once(begin: Begin) -> None:
    look = being(_EACH, 0, id="look", for_each=NAMES, parallel=2)
    scene = await begin(runbook(look))
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.most_reading == 2
    assert set((await states(scene)).values()) == {"done"}


async def test_probes_after_a_change_look_at_once(begin: Begin) -> None:
    look = being(_EACH, 0, id="look", for_each=["p", "q", "r"], parallel=3)
    scene = await begin(runbook(setting("a", 1), look))
    assert await scene.state() is RunState.SUCCEEDED
    assert scene.world.most_reading == 3


# --- lists


async def test_vacant_lanes_have_no_row(begin: Begin) -> None:
    scene = await begin(runbook(many(["a", "b"]), setting("z", 1)))
    assert await states(scene) == {"many[0]": "done", "many[1]": "done", "z": "done"}


async def test_an_empty_list_is_nothing_to_do(begin: Begin) -> None:
    none = "${{ [] }}"
    scene = await begin(runbook(many(none), setting("z", 1)))
    assert made(scene) == ["z"]
    assert await scene.state() is RunState.SUCCEEDED


async def test_a_list_that_is_too_long_ends_the_run_before_anything_is_changed(
    begin: Begin,
) -> None:
    names = '${{ labels.names.split(",") }}'
    scene = await begin(runbook(setting("z", 1), many(names, most=2)), fire=False)
    await scene.fire(names="a,b,c")
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.SUPPRESSED, Reason.LIST_TOO_LONG)
    assert "the list has 3 items, and most is 2" in run.message
    assert made(scene) == []


_LOOK = being("n", 1, id="look")
_LATE = "${{ [string(steps.look.result.value), 'b'] }}"


async def test_a_list_that_comes_late_is_planned_and_asked_for_as_a_whole(begin: Begin) -> None:
    steps = (setting("n", 1), _LOOK, many(_LATE))
    scene = await begin(runbook(*steps, mode="approve"))
    run = await scene.run()
    first = (await scene.daemon.view(run.id)).approval
    assert first is not None
    assert "many is planned when its list is known" in first.asked_because
    assert set(await states(scene)) == {"n", "look"}
    await scene.daemon.decide(run.id)
    assert await scene.state() is RunState.AWAITING_APPROVAL
    question = (await scene.daemon.view(run.id)).approval
    assert question is not None
    assert set(question.digests) == {"many[0]", "many[1]"}
    assert made(scene) == ["n"]
    await scene.daemon.decide(run.id)
    assert made(scene) == ["n", "1", "b"]
    assert await scene.state() is RunState.SUCCEEDED


async def test_a_late_list_that_is_too_long_takes_back_what_was_changed(begin: Begin) -> None:
    scene = await begin(runbook(setting("n", 1), _LOOK, many(_LATE, most=1)))
    run = await scene.run()
    assert run.state is RunState.ROLLED_BACK
    assert "the list has 2 items, and most is 1" in run.message
    assert scene.world.made == [("n", 0, 1), ("n", 1, 0)]


async def test_a_late_block_is_judged_as_a_sum_before_any_of_it_is_begun(begin: Begin) -> None:
    limited = policy(budget=Budget.model_validate({"pods": ["2/1h"]}))
    scene = await begin(runbook(setting("n", 1), _LOOK, many(_LATE)), policy=limited)
    run = await scene.run()
    assert run.state is RunState.ROLLED_BACK
    assert "budget" in run.message
    assert [name for name, _, _ in scene.world.made] == ["n", "n"]


# --- judged and approved together


async def test_guardrails_judge_the_sum_of_all_lanes(begin: Begin) -> None:
    limited = policy(budget=Budget.model_validate({"pods": ["4/1h"]}))
    scene = await begin(runbook(many()), policy=limited)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.SUPPRESSED, Reason.GUARDRAIL_REFUSES)
    assert made(scene) == []


async def test_one_approval_covers_all_lanes(begin: Begin) -> None:
    scene = await begin(runbook(many(), mode="approve"))
    run = await scene.run()
    question = (await scene.daemon.view(run.id)).approval
    assert question is not None
    assert sorted(question.digests) == [f"many[{n}]" for n in range(5)]
    await scene.daemon.decide(run.id)
    assert sorted(made(scene)) == NAMES


async def test_lanes_whose_plans_changed_are_asked_for_together(begin: Begin) -> None:
    scene = await begin(runbook(many(["a", "b", "c"]), mode="approve"))
    run = await scene.run()
    scene.world.values.update(b=7, c=8)
    await scene.daemon.decide(run.id)
    asks = await scene.run()
    assert (asks.state, asks.reason) == (RunState.AWAITING_APPROVAL, Reason.PLAN_CHANGED)
    question = (await scene.daemon.view(run.id)).approval
    assert question is not None
    assert sorted(question.digests) == ["many[1]", "many[2]"]
    assert made(scene) == ["a"]
    await scene.daemon.decide(run.id)
    assert sorted(made(scene)) == ["a", "b", "c"]


# --- when one goes wrong


async def test_where_one_fails_none_is_begun_and_the_others_are_watched_to_their_end(
    begin: Begin,
) -> None:
    def prepare(scene: Scene) -> None:
        slow("a", "c")(scene)
        scene.world.trouble["apply"] = [Permanent("no")]

    scene = await begin(runbook(many()), prepare=prepare)
    # The first to apply fails; the two beside it settle still.
    assert await scene.state() is RunState.APPLYING
    assert sorted(scene.world.made) == [("b", 0, 1), ("c", 0, 1)]
    assert (await scene.run()).reason is Reason.APPLY_FAILED
    await scene.advance(minutes=1)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.ROLLED_BACK, Reason.UNDONE)
    assert run.message.startswith("many[0]: no")
    assert scene.world.made[2:] == [("c", 1, 0), ("b", 1, 0)]
    assert await states(scene) == {
        "many[0]": "failed",
        "many[1]": "undone",
        "many[2]": "undone",
        "many[3]": "planned",
        "many[4]": "planned",
    }


async def test_changes_are_taken_back_in_reverse_over_all_lanes(begin: Begin) -> None:
    scene = await begin(runbook(many(), verify={"resolved_within": "1m"}))
    await scene.advance(minutes=2)
    assert await scene.state() is RunState.ROLLED_BACK
    assert [name for name, before, _ in scene.world.made if before] == [*reversed(NAMES)]


async def test_what_stays_of_many_lanes_is_said_once(begin: Begin) -> None:
    block = many(way_back=False)
    scene = await begin(runbook(block, verify={"resolved_within": "1m"}))
    await scene.advance(minutes=2)
    message = (await scene.run()).message
    assert message.endswith("; many[0–4] stay: it can't be unset")


async def test_a_lane_that_tries_again_keeps_no_other(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.trouble["apply"] = [Temporary("busy")]
        slow("b", "c", looks=20)(scene)

    block = many(retry={"attempts": 2, "backoff": "5s"})
    scene = await begin(runbook(block), prepare=prepare)
    assert sorted(made(scene)) == ["b", "c", "d", "e"]
    await scene.advance(seconds=6)
    # Its turn came while the others were still under way.
    assert sorted(made(scene)) == NAMES
    await scene.advance(minutes=1)
    assert await scene.state() is RunState.SUCCEEDED
    assert (await rows(scene))["many[0]"].attempt == 2


async def test_a_lane_whose_target_is_busy_keeps_no_other(begin: Begin) -> None:
    other = runbook(setting("b", 9), name="other", match=['alertname="Other"'])
    scene = await begin(other, runbook(many()), fire=False, prepare=slow("b", looks=5))
    await scene.daemon.fire(alertname="Other")
    await scene.fire()
    mine = (await scene.daemon.runs())[1]
    assert mine.reason is Reason.TARGET_BUSY
    await scene.advance(minutes=1)
    ended = (await scene.daemon.runs())[1]
    assert ended.state is RunState.SUCCEEDED


async def test_two_lanes_never_meet_at_one_target(begin: Begin) -> None:
    both = group(
        setting("same", 1, id="one"),
        setting("same", 2, id="two"),
        setting("else", 1),
    )
    scene = await begin(runbook(both), prepare=slow("same", "else"))
    assert scene.world.made == [("same", 0, 1), ("else", 0, 1)]
    await scene.advance(minutes=1)
    # The second was planned on what the first had made.
    assert scene.world.made[2:] == [("same", 1, 2)]
    assert scene.world.met == []


# --- people, stops, crashes


async def test_a_person_stops_it_before_the_next_lane(begin: Begin) -> None:
    scene = await begin(runbook(many()), prepare=closed)
    run = await scene.run()
    await scene.daemon.control.cancel(run.id, by="api:bob", reason="")
    await opened(scene)
    assert await scene.state() is RunState.CANCELLED
    assert sorted(made(scene)) == ["a", "b", "c"]


async def test_no_lane_is_begun_once_the_alert_cleared(begin: Begin) -> None:
    scene = await begin(runbook(many()), prepare=slow("a", "b", "c"))
    await scene.clear()
    await scene.advance(minutes=1)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.SUCCEEDED, Reason.DONE)
    assert sorted(made(scene)) == ["a", "b", "c"]


async def test_a_daemon_that_stops_goes_on_with_what_settles(begin: Begin) -> None:
    scene = await begin(runbook(many()), prepare=slow("a", "b", "c"))
    await scene.daemon.stop()
    await scene.daemon.start()
    await scene.advance(minutes=2)
    assert await scene.state() is RunState.SUCCEEDED
    assert sorted(made(scene)) == NAMES


async def test_what_failed_is_taken_back_though_the_daemon_stopped_meanwhile(
    begin: Begin,
) -> None:
    def prepare(scene: Scene) -> None:
        slow("b", "c", looks=20)(scene)
        scene.world.trouble["apply"] = [Permanent("no")]

    scene = await begin(runbook(many()), prepare=prepare)
    await scene.daemon.stop()
    await scene.daemon.start()
    assert await scene.state() is RunState.APPLYING
    await scene.advance(minutes=4)
    run = await scene.run()
    assert run.state is RunState.ROLLED_BACK
    assert run.message.startswith("many[0]: no")
    assert scene.world.made[2:] == [("c", 1, 0), ("b", 1, 0)]


@pytest.mark.parametrize("landed", [0, 1, 2, 3])
async def test_what_was_in_hand_at_a_crash_is_made_once(begin: Begin, landed: int) -> None:
    scene = await begin(runbook(many()), prepare=closed)
    run = await scene.run()
    in_hand = [s for s in (await rows(scene)).values() if s.state is StepState.STARTED]
    assert len(in_hand) == 3
    await scene.daemon.crash()
    # Of three calls that were under way, some arrived.
    for name in NAMES[:landed]:
        scene.world.set(name, 1, run.id)
    scene.world.gate = None
    await scene.daemon.start()
    assert await scene.state() is RunState.SUCCEEDED
    assert sorted(made(scene)) == NAMES


async def test_what_nobody_can_check_is_begun_one_at_a_time(begin: Begin) -> None:
    scene = await begin(runbook(many(checkable=False)), prepare=closed)
    assert scene.world.at_gate == 1
    await scene.daemon.crash()
    scene.world.gate = None
    await scene.daemon.start()
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.INTERRUPTED, Reason.CRASHED_UNCHECKABLE)
    assert "many[0]" in run.message
    await scene.daemon.control.resume(run.id, by="local", how=ResumeHow.REPEAT)
    await scene.daemon.settle()
    assert await scene.state() is RunState.SUCCEEDED
    assert made(scene) == NAMES


async def test_a_person_is_asked_only_about_what_nobody_can_check(begin: Begin) -> None:
    both = group(setting("a", 1), setting("b", 1, checkable=False), setting("c", 1))
    scene = await begin(runbook(both), prepare=closed)
    assert scene.world.at_gate == 3
    await scene.daemon.crash()
    scene.world.gate = None
    await scene.daemon.start()
    run = await scene.run()
    assert run.state is RunState.INTERRUPTED
    assert await states(scene) == {"a": "done", "b": "started", "c": "done"}
    assert made(scene) == ["a", "c"]
    await scene.daemon.control.resume(run.id, by="local", how=ResumeHow.REPEAT)
    await scene.daemon.settle()
    assert await scene.state() is RunState.SUCCEEDED
    assert made(scene) == ["a", "c", "b"]


async def test_a_bug_inside_one_lane_waits_for_a_person_once_the_others_are_done(
    begin: Begin,
) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.trouble["apply"] = [KeyError("a bug of ours")]
        slow("b", "c")(scene)

    scene = await begin(runbook(many()), prepare=prepare)
    await scene.advance(minutes=1)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.INTERRUPTED, Reason.INTERNAL)
    assert await states(scene) == {
        "many[0]": "started",
        "many[1]": "done",
        "many[2]": "done",
        "many[3]": "planned",
        "many[4]": "planned",
    }


async def test_a_raised_limit_of_a_lane_comes_back(begin: Begin) -> None:
    scene = await begin(runbook(many(["a", "b"], lasts="10m")))
    assert scene.world.values == {"a": 1, "b": 1}
    await scene.daemon.advance(timedelta(minutes=11))
    assert scene.world.values == {"a": 0, "b": 0}


async def test_items_that_left_the_list_before_it_was_approved(begin: Begin) -> None:
    """A question that is snoozed is planned anew, and the probe finds fewer."""
    names = "${{ steps.look.result.value == 0 ? ['a', 'b', 'c'] : ['a', 'b'] }}"
    scene = await begin(runbook(being("n", 0, id="look", must=False), many(names), mode="approve"))
    run = await scene.run()
    question = (await scene.daemon.view(run.id)).approval
    assert question is not None
    until = scene.daemon.clock.now() + timedelta(minutes=5)
    await scene.daemon.journal.snooze(
        question.id, by="local", reason="", via="t", at=scene.daemon.clock.now(), until=until
    )
    assert len(question.digests) == 3
    scene.world.values["n"] = 1
    await scene.advance(minutes=6)
    question = (await scene.daemon.view(run.id)).approval
    assert question is not None
    assert len(question.digests) == 2
    await scene.daemon.decide(run.id)
    assert await scene.state() is RunState.SUCCEEDED
    assert made(scene) == ["a", "b"]
    gone = (await rows(scene))["many[2]"]
    assert (gone.state, gone.plan) == (StepState.SKIPPED, None)
