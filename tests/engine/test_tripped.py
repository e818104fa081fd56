"""Guardrails in a running daemon: breakers hold and let go, maintenance is quiet, flapping pages;
and whatever is tripped, the way back, a cancel and a call for help go through."""

from datetime import timedelta

import pytest

from remediator.engine.housekeeping import kept_from
from remediator.engine.tripped import Watch
from remediator.journal.values import CancelOutcome
from remediator.model.history import Reset
from remediator.model.plans import Progress
from remediator.model.policy import Policy
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState
from remediator.model.views import NoteKind
from remediator.observe import metrics
from remediator.plugin.action import Temporary
from tests.engine.asking import NOW
from tests.engine.asking import policy as only
from tests.engine.conftest import Begin, Scene
from tests.engine.world import runbook, setting

SET_A = setting("a", "${{ int(labels.to) }}", id="a")  # type: ignore[arg-type] # an expression
NOW_AND_FOR_LONG = {"start": "0 0 * * *", "lasts": "3d", "name": "closed"}


def everything_trips() -> Policy:
    """A policy under which nothing may be changed, for every reason there is."""
    return Policy.model_validate(
        {
            "mode": "observe",
            "refuse": "nothing goes",
            "scope": {"systems": []},
            "protected": {"scopes": ["*"]},
            "freeze": [NOW_AND_FOR_LONG],
            "maintenance": [NOW_AND_FOR_LONG],
            "cooldown": "30d",
            "rate": {"per_runbook": ["0/1d"], "per_target": ["0/1d"], "total": ["0/1d"]},
            "max_impact": {"pods": 0},
            "budget": {"pods": ["0/1d"], "share": ["0%/1d"]},
            "concurrency": {"total": 1},
            "storm": {"opened": "0/1d"},
            "breaker": {"failures": "1/7d", "cool_off": "7d"},
            "flapping": {"treated": "1/7d"},
            "cost": {"per_change": "0", "unknown": "refuse"},
        }
    )


def trip(scene: Scene) -> None:
    """From now on this policy is in force."""
    scene.daemon.policy = everything_trips()


async def why(scene: Scene, run: Run) -> str:
    """Why a person was asked."""
    view = await scene.daemon.journal.view(run.id)
    assert view is not None
    assert view.approval is not None
    return view.approval.asked_because


async def test_nothing_new_is_begun_and_what_was_done_is_taken_back(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.PROGRESSING] * 3

    scene = await begin(
        runbook(setting("a", 1), setting("b", 1)), fire=False, policy=only(), prepare=prepare
    )
    await scene.fire()
    assert scene.world.made == [("a", 0, 1)]
    trip(scene)
    await scene.daemon.pauses.pause("*", by="api:alice", reason="stop all", for_=None)
    await scene.advance(minutes=1)
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]
    # The person is called, and told what was in the way.
    (page,) = [note for note in scene.pager.told if note.kind is NoteKind.ESCALATION]
    assert "repair" in page.text
    await scene.fire(again="1")
    assert [run.state for run in await scene.daemon.runs()][1:] == [RunState.OBSERVED]
    assert len(scene.world.made) == 2


async def test_an_undo_that_began_goes_on_over_a_restart_whatever_is_tripped(begin: Begin) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["b"] = [Progress.FAILED]
        scene.world.trouble["undo"] = [Temporary("the other side is away")]

    scene = await begin(
        runbook(setting("a", 1), setting("b", 1)), fire=False, policy=only(), prepare=prepare
    )
    await scene.fire()
    assert await scene.state() is RunState.UNDOING
    trip(scene)
    await scene.daemon.pauses.pause("*", by="local", reason="x", for_=None)
    await scene.daemon.restart()
    await scene.advance(minutes=5)
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.made == [("a", 0, 1), ("b", 0, 1), ("b", 1, 0), ("a", 1, 0)]


async def test_a_raised_limit_comes_back_in_time_whatever_is_tripped(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1, lasts="1h")), policy=only())
    assert scene.world.made == [("a", 0, 1)]
    trip(scene)
    await scene.daemon.pauses.pause("*", by="local", reason="stop", for_=None)
    await scene.advance(minutes=61)
    assert scene.world.made == [("a", 0, 1), ("a", 1, 0)]


async def test_a_cancel_goes_through_whatever_is_tripped(begin: Begin) -> None:
    scene = await begin(runbook(setting("a", 1), mode="approve"), policy=only())
    run = await scene.run()
    assert run.state is RunState.AWAITING_APPROVAL
    trip(scene)
    outcome = await scene.daemon.control.cancel(run.id, by="api:bob", reason="no")
    assert outcome is CancelOutcome.CANCELLED
    assert await scene.state() is RunState.CANCELLED


async def test_a_runbook_that_keeps_failing_asks_until_a_trial_or_a_person_closes_it(
    begin: Begin,
) -> None:
    limits = only(breaker={"failures": "2/1d", "cool_off": "1h"})

    scene = await begin(runbook(SET_A), fire=False, policy=limits)

    async def outcome(to: str) -> RunState:
        await scene.advance(seconds=1)
        await scene.fire(to=to)
        return (await scene.daemon.runs())[-1].state

    scene.world.health["a"] = [Progress.FAILED, Progress.HEALTHY] * 2
    assert [await outcome("1"), await outcome("2")] == [RunState.ROLLED_BACK] * 2
    assert await outcome("3") is RunState.AWAITING_APPROVAL
    asking = (await scene.daemon.runs())[-1]
    assert asking.reason is Reason.GUARDRAIL_HOLDS
    assert "repair failed 2 times in 1d" in await why(scene, asking)
    # It counts after a restart as well, and a person's yes to this very plan lifts it.
    await scene.daemon.restart()
    await scene.daemon.decide(asking.id)
    assert scene.world.made[-1] == ("a", 0, 3)
    assert await outcome("4") is RunState.AWAITING_APPROVAL  # a success while open is no trial
    await scene.advance(minutes=61)
    assert await outcome("5") is RunState.SUCCEEDED  # the trial
    assert await outcome("6") is RunState.SUCCEEDED  # closed
    scene.world.health["a"] = [Progress.FAILED, Progress.HEALTHY] * 2
    assert [await outcome("7"), await outcome("8")] == [RunState.ROLLED_BACK] * 2
    assert await outcome("9") is RunState.AWAITING_APPROVAL
    now = scene.daemon.clock.now()
    await scene.daemon.journal.reset_breaker(Reset("repair", "api:alice", "mended", now))
    assert await outcome("10") is RunState.SUCCEEDED


async def test_a_storm_holds_every_automatic_run_and_shows_in_the_metrics(begin: Begin) -> None:
    limits = only(storm={"opened": "3/10m"})
    scene = await begin(runbook(SET_A), fire=False, policy=limits)
    for number in range(5):
        await scene.fire(to=str(number + 1))
    states = [run.state for run in await scene.daemon.runs()]
    assert states == [RunState.SUCCEEDED] * 3 + [RunState.AWAITING_APPROVAL] * 2
    fourth = (await scene.daemon.runs())[3]
    assert "4 incidents were opened in 10m" in await why(scene, fourth)
    watch, journal = Watch(), scene.daemon.journal
    trips = metrics.BREAKER_TRIPS.labels("storm")._value.get()
    await watch.look(journal, limits, scene.daemon.clock.now())
    await watch.look(journal, limits, scene.daemon.clock.now())
    assert metrics.BREAKER_OPEN.labels("storm", "")._value.get() == 1
    assert metrics.BREAKER_TRIPS.labels("storm")._value.get() == trips + 1
    await scene.advance(minutes=11)
    await watch.look(journal, limits, scene.daemon.clock.now())
    assert "remediator_breaker_open{" not in metrics.render("")[0].decode()


async def test_an_open_failure_breaker_shows_in_the_metrics(begin: Begin) -> None:
    limits = only(breaker={"failures": "1/1d", "cool_off": "1h"})
    scene = await begin(
        runbook(SET_A),
        fire=False,
        policy=limits,
        prepare=lambda scene: scene.world.health.update({"a": [Progress.FAILED]}),
    )
    await scene.fire(to="1")
    watch = Watch()
    await watch.look(scene.daemon.journal, limits, scene.daemon.clock.now())
    shown = 'remediator_breaker_open{breaker="failure",runbook="repair"}'
    assert f"{shown} 1.0" in metrics.render("")[0].decode()
    await scene.advance(minutes=61)
    await watch.look(scene.daemon.journal, limits, scene.daemon.clock.now())
    assert f"{shown} 0.5" in metrics.render("")[0].decode()
    await scene.fire(to="2")
    await watch.look(scene.daemon.journal, limits, scene.daemon.clock.now())
    assert shown not in metrics.render("")[0].decode()


async def test_an_alert_that_comes_back_after_treatment_again_and_again_pages(
    begin: Begin,
) -> None:
    scene = await begin(runbook(SET_A), fire=False, policy=only(flapping={"treated": "2/1h"}))
    for _ in range(2):
        await scene.fire(to="1")
        await scene.clear(to="1")
        await scene.advance(minutes=5)
        scene.world.values["a"] = 0
    assert scene.pager.told == []
    await scene.fire(to="1")
    run = (await scene.daemon.runs())[-1]
    assert (run.state, run.reason) == (RunState.SUPPRESSED, Reason.GUARDRAIL_REFUSES)
    assert len(scene.world.made) == 2
    (page,) = scene.pager.told
    assert "the alert was treated 2 times in 1h and came back" in page.text
    await scene.fire(to="2")  # another alert is none of its business
    assert (await scene.daemon.runs())[-1].state is RunState.SUCCEEDED


async def test_under_maintenance_a_run_is_put_on_record_and_nobody_is_called(
    begin: Begin,
) -> None:
    rule = {
        "name": "rebuild",
        "match": 'name="a"',
        "maintenance": [{**NOW_AND_FOR_LONG, "reason": "new disks"}],
    }
    scene = await begin(
        runbook(setting("${{ labels.thing }}", 1, id="x")), fire=False, policy=only(rule)
    )
    await scene.fire(thing="a")
    await scene.fire(thing="b")
    under, other = await scene.daemon.runs()
    assert (under.state, under.reason) == (RunState.OBSERVED, Reason.MAINTENANCE)
    assert "under maintenance by the policy rule rebuild (closed)" in under.message
    assert "new disks; observed: " in under.message
    assert other.state is RunState.SUCCEEDED
    assert scene.world.made == [("b", 0, 1)]
    assert scene.pager.told == []


async def test_a_freeze_that_holds_asks_a_person_who_may_say_yes(begin: Begin) -> None:
    limits = only(freeze=[{**NOW_AND_FOR_LONG, "then": "hold"}])
    scene = await begin(runbook(setting("a", 1)), policy=limits)
    run = await scene.run()
    assert (run.state, run.reason) == (RunState.AWAITING_APPROVAL, Reason.GUARDRAIL_HOLDS)
    assert "frozen by the policy (closed) until" in await why(scene, run)
    await scene.daemon.decide(run.id)
    assert scene.world.made == [("a", 0, 1)]


@pytest.mark.parametrize("seconds", [0, 61])
async def test_only_so_many_runs_change_something_at_once(begin: Begin, seconds: int) -> None:
    def prepare(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.PROGRESSING] * 20

    scene = await begin(
        runbook(setting("${{ labels.thing }}", 1, id="x")),
        fire=False,
        policy=only(concurrency={"total": 1}),
        prepare=prepare,
    )
    await scene.fire(thing="a")
    await scene.fire(thing="b")
    first, second = await scene.daemon.runs()
    assert (first.state, second.state) == (RunState.APPLYING, RunState.PENDING)
    assert second.reason is Reason.CONCURRENCY
    assert f"the end of run {first.id}" in second.message
    await scene.advance(seconds=seconds)
    made = [("a", 0, 1)] + ([("b", 0, 1)] if seconds else [])
    assert scene.world.made == made


async def test_rules_are_counted_by_name_over_runs_and_restarts(begin: Begin) -> None:
    match = 'target="x", runbook="repair"'
    rule = {"name": "careful", "match": match, "budget": {"pods": ["5/1h"]}}
    scene = await begin(
        runbook(setting("${{ labels.thing }}", 1, id="x", pods=3)),
        fire=False,
        policy=only(rule),
    )
    for thing, target in (("a", "x"), ("b", "y"), ("c", "x")):
        await scene.fire(thing=thing, target=target)
        await scene.daemon.restart()
        await scene.advance(seconds=1)
    assert [run.state for run in await scene.daemon.runs()] == [
        RunState.SUCCEEDED,
        RunState.SUCCEEDED,
        RunState.SUPPRESSED,
    ]
    third = (await scene.daemon.runs())[2]
    assert "3 pods on top of 3 in 1h; the policy rule careful allows 5/1h" in third.message
    await scene.advance(minutes=61)
    await scene.fire(thing="d", target="x")
    assert (await scene.daemon.runs())[-1].state is RunState.SUCCEEDED


async def test_later_changes_of_a_plan_come_on_top_of_earlier_ones(begin: Begin) -> None:
    scene = await begin(
        runbook(setting("a", 1, pods=3), setting("b", 1, pods=3)),
        policy=only(budget={"pods": ["5/1h"]}),
    )
    run = await scene.run()
    assert run.state is RunState.SUPPRESSED
    assert "3 pods on top of 3 in 1h" in run.message
    assert scene.world.made == []


def test_what_limits_count_is_kept_in_the_journal() -> None:
    limits = only(breaker={"failures": "3/60d", "cool_off": "40d"})
    assert kept_from(NOW, timedelta(days=7), (), limits) == NOW - timedelta(days=100)
    storm = only(storm={"opened": "9/30d"})
    assert kept_from(NOW, timedelta(days=7), (), storm) == NOW - timedelta(days=30)
    rule = {"name": "a", "match": "x=y", "cost": {"budget": ["1/20d"]}}
    assert kept_from(NOW, timedelta(days=7), (), only(rule)) == NOW - timedelta(days=20)
