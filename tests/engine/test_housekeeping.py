"""Proves that retention never deletes what a limit still counts, nor what keeps a run from starting
twice, and that a retention too short to be safe is refused."""

from datetime import timedelta

import pytest

from remediator import settings
from remediator.engine.housekeeping import Housekeeper
from remediator.journal import verify
from remediator.model.policy import Policy, Rates
from remediator.model.quantities import Rate
from remediator.model.runs import RunState
from tests.engine.conftest import FREE, Begin, Scene, policy
from tests.engine.world import runbook, setting

SET_A = setting("a", "${{ int(labels.to) }}", id="a")  # type: ignore[arg-type] # an expression
RATE = Rate(1, timedelta(days=30))


async def _nothing(seq: int, digest: str) -> None:
    """Sign no heads."""


async def _prune(scene: Scene, policy: Policy) -> None:
    daemon = scene.daemon
    await Housekeeper(
        daemon.journal,
        daemon.clock,
        anchor=_nothing,
        anchor_every=timedelta(minutes=1),
        retention=timedelta(days=7),
        library=daemon.library,
        policy_now=lambda: policy,
    ).prune()


@pytest.mark.parametrize("whose", ["runbook", "policy"])
async def test_what_a_rate_still_counts_is_kept(begin: Begin, whose: str) -> None:
    limits = {"rate": [str(RATE)]} if whose == "runbook" else {}
    binding = FREE if whose == "runbook" else policy(rate=Rates(per_runbook=(), total=(RATE,)))
    scene = await begin(runbook(SET_A, guardrails=limits), fire=False, policy=binding)
    await scene.fire(to="1")
    await scene.clear(to="1")
    await scene.advance(days=20)
    await _prune(scene, binding)
    await scene.fire(to="2")
    runs = await scene.daemon.runs()
    assert [run.state for run in runs] == [RunState.SUCCEEDED, RunState.SUPPRESSED]
    await scene.advance(days=11)
    await _prune(scene, binding)
    assert [run.state for run in await scene.daemon.runs()] == [RunState.SUPPRESSED]


async def test_audit_records_go_when_asked_and_a_head_is_signed_at_once(begin: Begin) -> None:
    scene = await begin(runbook(SET_A), fire=False)
    daemon, signed = scene.daemon, list[int]()

    async def anchor(seq: int, digest: str) -> None:
        signed.append(seq)

    def keeper(audit_retention: timedelta | None) -> Housekeeper:
        return Housekeeper(
            daemon.journal,
            daemon.clock,
            anchor=anchor,
            anchor_every=timedelta(minutes=1),
            retention=timedelta(days=7),
            library=daemon.library,
            policy_now=lambda: FREE,
            audit_retention=audit_retention,
        )

    await scene.fire(to="1")
    await scene.clear(to="1")
    await scene.advance(days=20)
    whole = await daemon.journal.audit()
    await keeper(None).prune()
    assert await daemon.journal.audit() == whole
    assert signed == []
    await keeper(timedelta(days=10)).prune()
    left = await daemon.journal.audit()
    assert left[0].seq > 1
    assert verify.verify(left, expected_head=await daemon.journal.audit_head()).ok
    assert signed == [left[-1].seq]


async def test_an_alert_that_fires_longer_than_the_retention_gets_no_second_run(
    begin: Begin,
) -> None:
    scene = await begin(runbook(SET_A), fire=False)
    await scene.fire(to="1")
    run = await scene.run()
    assert run.state is RunState.SUCCEEDED
    await scene.advance(days=20)
    await _prune(scene, FREE)
    await scene.fire(to="1")
    assert [one.id for one in await scene.daemon.runs()] == [run.id]
    assert scene.world.made == [("a", 0, 1)]


@pytest.mark.parametrize("given", ["0s", "1s", "6d"])
def test_a_retention_that_is_too_short_is_refused(given: str) -> None:
    with pytest.raises(settings.SettingsError, match=r"^settings: retention: must be 7d or longer"):
        settings.load(None, retention=given)
    assert settings.load(None, retention="7d").retention == timedelta(days=7)
    with pytest.raises(settings.SettingsError, match=r"audit.retention: must be 7d or longer"):
        settings.load(None, audit={"retention": given})
    assert settings.load(None).audit.retention is None
