"""A guardrail is lifted by named people, for one run, once; the rest of them hold."""

from datetime import timedelta

import pytest

from remediator.engine.overrides import OverrideControl
from remediator.engine.people import Directory, Known
from remediator.model.overrides import GrantOutcome, OverrideState
from remediator.model.plans import Progress
from remediator.model.policy import NEVER_OVERRIDDEN, Policy
from remediator.model.runs import Run, RunState, Trigger
from remediator.plugin.notifier import NotAuthorised
from remediator.plugin.source import Rejected
from tests.engine.conftest import Begin, Scene, policy
from tests.engine.world import runbook, setting

SET_A = setting("a", 1)
BINDING = policy(
    cooldown="1h",
    override={"people": ["leads"], "guardrails": ["cooldown", "rate"], "expires": "15m"},
)
KNOWN = Known(groups={"leads": ("slack:U1", "api:alice")})


def control(scene: Scene, binding: Policy = BINDING) -> OverrideControl:
    daemon = scene.daemon
    return OverrideControl(
        daemon.journal,
        daemon.library,
        Directory(KNOWN, daemon.clock),
        lambda: binding,
        daemon.clock,
    )


async def refused(begin: Begin, *, steps: int = 1) -> tuple[Scene, Run]:
    """Treat an alert, and let it fire again within the cooldown."""
    all_steps = [setting("a", n + 1, id=f"s{n}") for n in range(steps)]
    scene = await begin(runbook(*all_steps), policy=BINDING)
    await scene.advance(minutes=1)
    assert scene.world.get("a") == steps
    await scene.clear()
    scene.world.values["a"] = 0
    await scene.advance(minutes=1)
    await scene.fire()
    await scene.advance(minutes=1)
    return scene, (await scene.daemon.runs())[-1]


async def grant(scene: Scene, run: Run, **more: str) -> GrantOutcome:
    given = {"actor": "slack:U1", "reason": "customers wait", "via": "slack", **more}
    done = await control(scene).grant(run.id, "cooldown", **given)
    await scene.daemon.settle()
    return done.outcome


async def test_a_refused_run_is_started_again_and_says_who_and_why(begin: Begin) -> None:
    scene, run = await refused(begin)
    assert run.state is RunState.SUPPRESSED
    assert await grant(scene, run) is GrantOutcome.STARTED
    fresh = (await scene.daemon.runs())[-1]
    assert (fresh.trigger, fresh.incident_id) == (Trigger.MANUAL, run.incident_id)
    assert fresh.state is RunState.SUCCEEDED
    assert scene.world.get("a") == 1
    (lifted,) = (await scene.daemon.view(fresh.id)).verdicts
    assert lifted.rule == "cooldown"
    assert lifted.reason.startswith("overridden by slack:U1: customers wait; it said: ")
    texts = [note.text for note in scene.recorder.told if note.run_id == fresh.id]
    assert "cooldown overridden by slack:U1: customers wait" in texts
    (used,) = await scene.daemon.journal.overrides(fresh.id)
    assert used.state is OverrideState.USED


async def test_every_step_of_its_run_passes_and_no_other_run(begin: Begin) -> None:
    scene, run = await refused(begin, steps=2)
    await grant(scene, run)
    assert (await scene.daemon.runs())[-1].state is RunState.SUCCEEDED
    assert scene.world.get("a") == 2
    await scene.clear()
    await scene.advance(minutes=1)
    await scene.fire()
    assert (await scene.daemon.runs())[-1].state is RunState.SUPPRESSED


async def test_the_alert_must_still_fire(begin: Begin) -> None:
    scene, run = await refused(begin)
    await scene.clear(tell=False)
    assert await grant(scene, run) is GrantOutcome.STARTED  # as far as anybody has heard
    fresh = (await scene.daemon.runs())[-1]
    assert fresh.state is RunState.CANCELLED
    assert scene.world.get("a") == 0


async def test_a_resolved_cancels_what_an_override_started(begin: Begin) -> None:
    scene, run = await refused(begin)
    scene.daemon.policy = policy(mode="approve", cooldown="1h", override=BINDING.override)
    await grant(scene, run)
    fresh = (await scene.daemon.runs())[-1]
    assert fresh.state is RunState.AWAITING_APPROVAL
    await scene.clear()
    assert (await scene.daemon.runs())[-1].state is RunState.CANCELLED


async def test_other_guardrails_hold(begin: Begin) -> None:
    scene, run = await refused(begin)
    scene.daemon.policy = policy(cooldown="1h", max_impact={"pods": 0}, override=BINDING.override)
    await grant(scene, run)
    fresh = (await scene.daemon.runs())[-1]
    assert fresh.state is RunState.SUPPRESSED
    assert fresh.message.startswith("impact: ")
    (unused,) = await scene.daemon.journal.overrides(fresh.id)
    assert unused.state is OverrideState.OPEN


async def test_a_run_that_waits_goes_on_at_once(begin: Begin) -> None:
    def slow(scene: Scene) -> None:
        scene.world.health["b"] = [Progress.PROGRESSING] * 60

    waits = policy(
        concurrency={"total": 1}, override={"people": ["leads"], "guardrails": ["concurrency"]}
    )
    target = "${{ labels.name }}"
    scene = await begin(runbook(setting(target, 1, id="s")), fire=False, policy=waits, prepare=slow)
    await scene.fire(name="b")
    await scene.fire(name="c")
    await scene.advance(seconds=4)
    first, second = await scene.daemon.runs()
    assert (first.state, second.state) == (RunState.APPLYING, RunState.PENDING)
    done = await control(scene, waits).grant(
        second.id, "concurrency", actor="api:alice", reason="it is another team's", via="api"
    )
    assert done.outcome is GrantOutcome.GRANTED
    await scene.daemon.settle()
    assert scene.world.get("c") == 1
    second = (await scene.daemon.runs())[-1]
    assert second.state is RunState.SUCCEEDED
    assert "overridden by api:alice" in (await scene.daemon.view(second.id)).verdicts[0].reason


async def test_it_expires(begin: Begin) -> None:
    scene, run = await refused(begin)
    scene.daemon.policy = policy(mode="approve", cooldown="1h", override=BINDING.override)
    await grant(scene, run)
    fresh = (await scene.daemon.runs())[-1]
    assert fresh.state is RunState.AWAITING_APPROVAL
    await scene.advance(minutes=16)
    await scene.daemon.decide(fresh.id)
    fresh = (await scene.daemon.runs())[-1]
    assert fresh.state is RunState.SUPPRESSED
    assert fresh.message.startswith("cooldown: ")
    assert scene.world.get("a") == 0


async def test_an_approval_is_still_asked_for(begin: Begin) -> None:
    scene, run = await refused(begin)
    scene.daemon.policy = policy(mode="approve", cooldown="1h", override=BINDING.override)
    await grant(scene, run)
    fresh = (await scene.daemon.runs())[-1]
    assert fresh.state is RunState.AWAITING_APPROVAL
    await scene.daemon.decide(fresh.id)
    assert (await scene.daemon.runs())[-1].state is RunState.SUCCEEDED


async def test_only_named_people_with_a_reason(begin: Begin) -> None:
    scene, run = await refused(begin)
    with pytest.raises(NotAuthorised, match="the policy names leads for overrides"):
        await grant(scene, run, actor="slack:U2")
    with pytest.raises(NotAuthorised, match="names nobody"):
        await control(scene, policy()).grant(
            run.id, "cooldown", actor="slack:U1", reason="why", via="slack"
        )
    with pytest.raises(Rejected, match="say why"):
        await grant(scene, run, reason="  ")
    kinds = [record.entry.kind for record in await scene.daemon.audit(run.id)]
    assert kinds.count("override.not_authorised") == 2
    assert await grant(scene, run, actor="api:alice") is GrantOutcome.STARTED


@pytest.mark.parametrize("guardrail", sorted(NEVER_OVERRIDDEN))
async def test_some_guardrails_are_never_overridden(begin: Begin, guardrail: str) -> None:
    scene, run = await refused(begin)
    with pytest.raises(Rejected, match=f"{guardrail} is never overridden"):
        await control(scene).grant(run.id, guardrail, actor="slack:U1", reason="why", via="slack")


async def test_what_is_over_or_unknown(begin: Begin) -> None:
    scene, run = await refused(begin)
    await scene.clear()
    assert await grant(scene, run) is GrantOutcome.OVER
    unknown = await control(scene).grant(
        "nobody", "cooldown", actor="slack:U1", reason="why", via="slack"
    )
    assert unknown.outcome is GrantOutcome.UNKNOWN
    first = (await scene.daemon.runs())[0]
    assert await grant(scene, first) is GrantOutcome.NOT_REFUSED


async def test_a_runbook_that_is_gone_is_not_started_again(begin: Begin) -> None:
    scene, run = await refused(begin)
    await scene.daemon.load(runbook(SET_A, name="another"))
    assert await grant(scene, run) is GrantOutcome.NOT_REFUSED


async def test_expiry_is_put_on_record_by_housekeeping(begin: Begin) -> None:
    scene, run = await refused(begin)
    scene.daemon.policy = policy(mode="observe", cooldown="1h", override=BINDING.override)
    await grant(scene, run)
    fresh = (await scene.daemon.runs())[-1]
    assert fresh.state is RunState.OBSERVED
    at = scene.daemon.clock.now() + timedelta(minutes=15)
    assert await scene.daemon.journal.expire_overrides(at=at) == 1
