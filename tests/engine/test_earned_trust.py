"""Where the policy demands it, a runbook goes no further than it has earned, whatever its file
says; an approval suffices, nothing is read where nobody demands it, and the way back is never
blocked."""

from datetime import timedelta
from typing import Any

import pytest

from remediator.engine import guardrails, track
from remediator.engine.guardrails import NO_HISTORY, Question
from remediator.engine.housekeeping import kept_from
from remediator.model.approvals import Answer
from remediator.model.evidence import NO_EVIDENCE, Evidence
from remediator.model.limits import Limits, Mode
from remediator.model.plans import Progress
from remediator.model.policy import Policy
from remediator.model.promotion import Track
from remediator.model.runs import RunState
from remediator.model.verdicts import Ruling, Verdict
from remediator.plugin.action import Temporary
from tests.engine.conftest import Begin, Scene, policy
from tests.engine.world import runbook, setting
from tests.journal.factories import T0, plan

SET = setting("a", "${{ int(labels.to) }}", id="a")  # type: ignore[arg-type] # an expression
BARS = {
    "required": True,
    "to_approve": {"observed": 2, "within": "10d"},
    "to_auto": {"approved": 2, "success": "50%", "denied": 0, "within": "10d"},
}
DEMANDED = policy(trust=BARS)
SEEN = Evidence(observed=2)
PROVEN = Evidence(asked=2, approved=2, helped=2)


def verdict(
    mode: Mode, shown: Evidence | None, *, binding: Policy = DEMANDED, **more: Any
) -> Verdict:
    given: dict[str, Any] = {"approved": False, **more}
    question = Question(
        plan=plan(),
        run_id="r-1",
        sequence=0,
        runbook="repair",
        mode=mode,
        limits=Limits(),
        policy=binding,
        history=NO_HISTORY,
        signal=None,
        manual=False,
        now=T0,
        track=None if shown is None else Track(shown, shown),
        **given,
    )
    return next(one for one in guardrails.judge(question) if one.rule == "trust")


@pytest.mark.parametrize(
    ("mode", "shown", "ruling"),
    [
        (Mode.OBSERVE, NO_EVIDENCE, Ruling.ALLOW),
        (Mode.APPROVE, NO_EVIDENCE, Ruling.REFUSE),
        (Mode.APPROVE, None, Ruling.REFUSE),
        (Mode.APPROVE, SEEN, Ruling.ALLOW),
        (Mode.AUTO, NO_EVIDENCE, Ruling.REFUSE),
        (Mode.AUTO, SEEN, Ruling.HOLD),
        (Mode.AUTO, PROVEN, Ruling.ALLOW),
    ],
)
def test_the_guardrail(mode: Mode, shown: Evidence | None, ruling: Ruling) -> None:
    assert verdict(mode, shown).ruling is ruling


def test_an_approval_suffices_and_nobody_who_does_not_demand_it_is_held() -> None:
    assert verdict(Mode.AUTO, NO_EVIDENCE, approved=True).ruling is Ruling.ALLOW
    assert verdict(Mode.AUTO, None, binding=policy()).ruling is Ruling.ALLOW


def test_the_verdict_names_figure_limit_and_what_lifts_it() -> None:
    held = verdict(Mode.AUTO, Evidence(asked=1, approved=1, helped=1, observed=1))
    assert held.reason == (
        "runbook repair has not earned the mode auto: 1 of 2 approved runs within 10d"
    )
    assert (held.by, held.figure, held.limit) == ("policy", "approve", "auto")
    assert "an approval of this plan" in held.lifted_by
    ceiling = policy(mode="approve", trust=BARS)
    assert verdict(Mode.AUTO, SEEN, binding=ceiling).ruling is Ruling.ALLOW  # it asks anyway


async def one(scene: Scene, to: int, *, answer: Answer | None = None) -> RunState:
    """Let the alert fire and clear once; returns how the run ended."""
    await scene.fire(to=str(to))
    run = (await scene.daemon.runs())[-1]
    if answer is not None:
        assert run.state is RunState.AWAITING_APPROVAL
        await scene.daemon.decide(run.id, answer)
    await scene.clear(to=str(to))
    await scene.advance(minutes=1)
    run = (await scene.daemon.runs())[-1]
    assert run.state.ended
    return run.state


async def test_from_nothing_to_acting_by_itself(begin: Begin) -> None:
    scene = await begin(runbook(SET), fire=False, policy=DEMANDED)
    assert [await one(scene, n) for n in (1, 2)] == [RunState.OBSERVED] * 2
    for n in (3, 4):
        assert await one(scene, n, answer=Answer.APPROVE) is RunState.SUCCEEDED
    assert await one(scene, 5) is RunState.SUCCEEDED
    assert scene.world.get("a") == 5
    # A deny is remembered as long as the bar looks back; then what it did of itself has faded too.
    await scene.daemon.load(runbook(SET, mode="approve"))
    assert await one(scene, 6, answer=Answer.DENY) is RunState.DENIED
    await scene.daemon.load(runbook(SET))
    await scene.fire(to="7")
    assert (await scene.daemon.runs())[-1].state is RunState.AWAITING_APPROVAL
    await scene.clear(to="7")
    await scene.advance(days=11)
    assert await one(scene, 8) is RunState.OBSERVED


async def test_what_does_something_else_has_shown_nothing(begin: Begin) -> None:
    scene = await begin(runbook(SET, mode="observe"), fire=False, policy=DEMANDED)
    for n in (1, 2):
        await one(scene, n)

    def substance() -> str:
        return scene.daemon.library.by_name["repair"].substance

    await scene.daemon.load(runbook(SET, mode="observe", on_failure={"escalate": []}))
    before = substance()
    await scene.daemon.load(
        runbook(
            SET, owner="others", guardrails={"cooldown": "1s"}, on_failure={"escalate": "pager"}
        )
    )
    assert substance() == before
    await scene.fire(to="3")
    assert (await scene.daemon.runs())[-1].state is RunState.AWAITING_APPROVAL
    await scene.clear(to="3")
    await scene.daemon.load(runbook(SET, setting("b", 1)))
    assert substance() != before
    assert await one(scene, 4) is RunState.OBSERVED


async def test_trust_is_read_again_for_a_run_that_is_taken_up(begin: Begin) -> None:
    scene = await begin(
        runbook({**SET, "retry": {"attempts": 3, "backoff": "10s"}}), fire=False, policy=DEMANDED
    )
    for n in (1, 2):
        await one(scene, n)
    for n in (3, 4):
        await one(scene, n, answer=Answer.APPROVE)
    scene.world.trouble["apply"].append(Temporary("not now"))
    await scene.fire(to="5")
    await scene.daemon.restart()
    await scene.advance(minutes=1)
    assert (await scene.daemon.runs())[-1].state is RunState.SUCCEEDED


async def test_nothing_is_read_where_nobody_demands_it(begin: Begin) -> None:
    scene = await begin(runbook(SET), fire=False)
    runbook_ = scene.daemon.library.by_name["repair"]
    assert await track.shown(scene.daemon.ports, runbook_) is None
    scene.daemon.policy = DEMANDED
    assert await track.shown(scene.daemon.ports, runbook_) == Track(NO_EVIDENCE, NO_EVIDENCE)


async def test_a_policy_that_forbids_everything_blocks_neither_undo_nor_escalation(
    begin: Begin,
) -> None:
    def ill(scene: Scene) -> None:
        scene.world.health["a"] = [Progress.PROGRESSING] * 5

    scene = await begin(
        runbook(setting("a", 1), verify={"resolved_within": "1m"}), policy=policy(), prepare=ill
    )
    await scene.advance(seconds=2)
    assert scene.world.get("a") == 1
    # In the middle of the change everything is taken away that a policy can take away.
    scene.daemon.policy = Policy.model_validate(
        {
            "mode": "observe",
            "scope": {"systems": [], "scopes": [], "kinds": []},
            "cooldown": "30d",
            "rate": {"per_runbook": ["0/1d"], "total": ["0/1d"]},
            "max_impact": {"pods": 0, "share": "0%", "nodes": 0},
            "trust": BARS,
            "rules": [{"name": "no", "match": ['action=~".*"'], "refuse": "nothing at all"}],
        }
    )
    await scene.daemon.pauses.pause("*", by="alice", reason="stop", for_=None)
    await scene.advance(minutes=5)
    assert await scene.state() is RunState.ROLLED_BACK
    assert scene.world.get("a") == 0
    assert scene.pager.told, "a person was called"


def test_retention_keeps_what_the_bars_look_back_on() -> None:
    week = timedelta(days=7)
    assert kept_from(T0, week, (), policy()) == T0 - week
    assert kept_from(T0, week, (), DEMANDED) == T0 - timedelta(days=10)
