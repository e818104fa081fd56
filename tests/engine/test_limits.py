"""Limits over runs, restarts and targets: one run at a time per target, the kill switch, cooldown
and rate; and what a person stops."""

import asyncio
from datetime import timedelta

import pytest

from remediator.journal.values import CancelOutcome
from remediator.model.plans import Progress
from remediator.model.policy import Rates
from remediator.model.quantities import Rate
from remediator.model.reasons import Reason
from remediator.model.runs import RunState
from remediator.plugin.action import Temporary
from tests.engine.conftest import Begin, Scene, policy
from tests.engine.world import runbook, setting

SET_A = setting("a", "${{ int(labels.to) }}", id="a")  # type: ignore[arg-type] # an expression


def slow(scene: Scene) -> None:
    """The first change takes ten seconds to settle."""
    scene.world.health["a"] = [Progress.PROGRESSING] * 5


async def test_two_runs_on_one_target_the_second_waits_then_goes_on(begin: Begin) -> None:
    scene = await begin(runbook(SET_A), fire=False, prepare=slow)
    await scene.fire(to="1")
    await scene.fire(to="2")
    first, second = await scene.daemon.runs()
    assert (first.state, second.state) == (RunState.APPLYING, RunState.PENDING)
    assert second.reason is Reason.TARGET_BUSY
    assert await scene.locks() == {"world:here/Thing/a": first.id}
    await scene.advance(seconds=11)
    assert scene.world.made == [("a", 0, 1)]
    await scene.advance(seconds=10)
    first, second = await scene.daemon.runs()
    assert (first.state, second.state) == (RunState.SUCCEEDED, RunState.SUCCEEDED)
    assert scene.world.made == [("a", 0, 1), ("a", 1, 2)]
    assert await scene.locks() == {}


async def test_a_target_that_stays_busy_is_given_up(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.PROGRESSING] * 2000

    scene = await begin(runbook({**SET_A, "timeout": "1h"}), fire=False, prepare=prepare)
    await scene.fire(to="1")
    await scene.fire(to="2")
    await scene.advance(minutes=31)
    first, second = await scene.daemon.runs()
    assert (first.state, second.state) == (RunState.APPLYING, RunState.FAILED)
    assert second.reason is Reason.TARGET_BUSY
    assert scene.world.made == [("a", 0, 1)]


async def test_a_kill_switch_between_the_plan_and_the_change(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), mode="approve"))
    run = await scene.run()
    await scene.daemon.pauses.pause("*", by="api:alice", reason="incident 7", for_=None)
    await scene.daemon.decide(run.id)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.SUPPRESSED, Reason.GUARDRAIL_REFUSES)
    assert "api:alice" in run.message
    assert scene.world.made == []
    assert await scene.locks() == {}


async def test_a_kill_switch_between_two_changes_takes_back_the_first(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), setting("b", 1)), fire=False, prepare=slow)
    await scene.fire()
    await scene.daemon.pauses.pause("runbook:repair", by="local", reason="stop", for_=None)
    await scene.advance(seconds=15)
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]


async def test_a_kill_switch_ends_by_itself(begin: Begin) -> None:
    scene = await begin(runbook(SET_A), fire=False)
    await scene.daemon.pauses.pause("*", by="local", reason="x", for_=timedelta(minutes=5))
    await scene.fire(to="1")
    assert await scene.state() is RunState.SUPPRESSED
    await scene.advance(minutes=6)
    await scene.fire(to="2")
    assert scene.world.made == [("a", 0, 2)]


async def test_cooldown_counts_over_runs_and_restarts(begin: Begin) -> None:
    scene = await begin(runbook(SET_A, guardrails={"cooldown": "15m"}), fire=False)
    await scene.fire(to="1")
    await scene.advance(minutes=14)
    await scene.daemon.restart()
    await scene.fire(to="2")
    runs = await scene.daemon.runs()
    assert [run.state for run in runs] == [RunState.SUCCEEDED, RunState.SUPPRESSED]
    assert "cooldown" in runs[1].message
    await scene.advance(minutes=2)
    await scene.fire(to="3")
    assert scene.world.made == [("a", 0, 1), ("a", 1, 3)]


@pytest.mark.parametrize("whose", ["runbook", "policy"])
async def test_rates_count_over_runs_and_restarts(begin: Begin, whose: str) -> None:
    limits = {"rate": ["2/1h"]} if whose == "runbook" else {}
    rates = Rates(
        per_runbook=(), total=() if whose == "runbook" else (Rate(2, timedelta(hours=1)),)
    )
    scene = await begin(runbook(SET_A, guardrails=limits), fire=False, policy=policy(rate=rates))
    for to in ("1", "2", "3"):
        await scene.fire(to=to)
        await scene.advance(minutes=10)
        await scene.daemon.restart()
    runs = await scene.daemon.runs()
    assert [run.state for run in runs] == [
        RunState.SUCCEEDED,
        RunState.SUCCEEDED,
        RunState.SUPPRESSED,
    ]
    assert "rate" in runs[2].message
    await scene.advance(minutes=31)
    await scene.fire(to="4")
    assert scene.world.made == [("a", 0, 1), ("a", 1, 2), ("a", 2, 4)]


# -- a person cancels


async def test_cancel_while_it_waits(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), wait_for="5m"))
    run = await scene.run()
    outcome = await scene.daemon.control.cancel(run.id, by="api:bob", reason="no")
    assert outcome is CancelOutcome.CANCELLED
    await scene.advance(minutes=6)
    assert await scene.state() is RunState.CANCELLED
    assert scene.world.made == []


async def test_cancel_while_it_asks(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), mode="approve"))
    run = await scene.run()
    await scene.daemon.control.cancel(run.id, by="api:bob", reason="no")
    await scene.daemon.decide(run.id)
    assert await scene.state() is RunState.CANCELLED
    assert scene.world.made == []


async def test_cancel_inside_a_change_ends_the_run_before_the_next(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.gate = asyncio.Event()

    scene = await begin(runbook(setting("a", 1), setting("b", 1)), prepare=prepare)
    run = await scene.run()
    outcome = await scene.daemon.control.cancel(run.id, by="api:bob", reason="no")
    assert outcome is CancelOutcome.REQUESTED
    assert scene.world.gate is not None
    scene.world.gate.set()
    await scene.daemon.settle()
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.CANCELLED, Reason.CANCELLED_BY_PERSON)
    assert scene.world.made == [("a", 0, 1)]
    assert "step.done" in await scene.kinds(), "what was done is on record"
    assert await scene.locks() == {}


async def test_cancel_inside_the_last_change_ends_the_run_after_it(begin: Begin) -> None:
    book = runbook(setting("a", 1), verify={"resolved_within": "10m"})
    scene = await begin(book, prepare=slow)
    run = await scene.run()
    outcome = await scene.daemon.control.cancel(run.id, by="api:bob", reason="no")
    assert outcome is CancelOutcome.REQUESTED
    await scene.advance(seconds=15)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.CANCELLED, Reason.CANCELLED_BY_PERSON)
    assert scene.world.made == [("a", 0, 1)]


async def test_cancel_between_two_tries(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.trouble["apply"] = [Temporary("busy")]

    retry = {"attempts": 2, "backoff": "1m"}
    scene = await begin(runbook(setting("a", 1, retry=retry)), prepare=prepare)
    run = await scene.run()
    await scene.daemon.control.cancel(run.id, by="api:bob", reason="no")
    await scene.advance(minutes=5)
    assert await scene.state() is RunState.CANCELLED
    assert scene.world.made == []


async def test_cancel_while_it_verifies(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), verify={"resolved_within": "10m"}))
    run = await scene.run()
    outcome = await scene.daemon.control.cancel(run.id, by="api:bob", reason="I do it")
    assert outcome is CancelOutcome.CANCELLED
    await scene.advance(minutes=20)
    assert scene.world.made == [("a", 0, 1)]


async def test_the_way_back_is_not_cancelled(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.FAILED, Progress.PROGRESSING]

    scene = await begin(runbook(setting("a", 1)), prepare=prepare)
    run = await scene.run()
    outcome = await scene.daemon.control.cancel(run.id, by="api:bob", reason="no")
    assert outcome is CancelOutcome.UNDOING
    await scene.advance(seconds=5)
    assert await scene.state() is RunState.ROLLED_BACK


async def test_cancel_after_the_end(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1)))
    run = await scene.run()
    outcome = await scene.daemon.control.cancel(run.id, by="api:bob", reason="no")
    assert outcome is CancelOutcome.ALREADY_ENDED
    assert await scene.state() is RunState.SUCCEEDED


# -- the alert clears


async def test_it_clears_while_a_change_settles_so_the_rest_is_not_needed(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), setting("b", 1)), prepare=slow)
    await scene.clear()
    assert await scene.state() is RunState.APPLYING, "a change in hand is seen to its end"
    await scene.advance(seconds=15)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.SUCCEEDED, Reason.DONE)
    assert scene.world.made == [("a", 0, 1)]


async def test_it_clears_between_two_tries(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.trouble["apply"] = [Temporary("busy")]

    retry = {"attempts": 2, "backoff": "1m"}
    scene = await begin(runbook(setting("a", 1, retry=retry)), prepare=prepare)
    await scene.clear()
    await scene.advance(minutes=2)
    run = await scene.run()
    assert run.state is RunState.SUCCEEDED, "the first try may have been the cure"
    assert scene.world.made == []


async def test_it_clears_while_it_is_taken_back_which_goes_on(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.FAILED, *([Progress.PROGRESSING] * 3)]

    scene = await begin(runbook(setting("a", 1)), prepare=prepare)
    assert await scene.state() is RunState.UNDOING
    await scene.clear()
    await scene.advance(seconds=10)
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]


async def test_it_clears_while_a_person_must_look_which_stays_so(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.gate = asyncio.Event()

    scene = await begin(runbook(setting("a", 1, checkable=False)), prepare=prepare)
    await scene.daemon.restart()
    await scene.clear()
    await scene.advance(hours=1)
    assert await scene.state() is RunState.INTERRUPTED
