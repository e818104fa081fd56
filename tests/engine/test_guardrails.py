"""Each guardrail allows, waits, holds or refuses as it says, with figure, limit and what lifts it;
and no sequence of changes gets more through than the rates allow."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.engine import guardrails
from remediator.engine.guardrails import NO_HISTORY, Question
from remediator.model.history import Control, History, PastChange
from remediator.model.limits import Limits, MaxImpact, Mode
from remediator.model.plans import Change, Impact, Plan, Target
from remediator.model.policy import Bounds, Policy, Protected, Rates, Scope
from remediator.model.quantities import Rate, Share
from remediator.model.signals import Signal
from remediator.model.verdicts import Ruling, heaviest

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = Target("kubernetes", "Deployment", "shop", "api", "uid-1", {"team": "shop"})


def plan(**impact: Any) -> Plan:
    return Plan(
        action="kubernetes.scale",
        target=TARGET,
        changes=(Change("spec.replicas", 4, 6),),
        impact=replace(Impact(pods=2, of_pods=4, replicas=6), **impact),
        summary="replicas 4 → 6",
    )


def ask(**more: object) -> Question:
    values: dict[str, object] = {
        "plan": plan(),
        "run_id": "run-1",
        "sequence": 0,
        "runbook": "scale-out",
        "mode": Mode.AUTO,
        "limits": Limits(),
        "policy": Policy(mode=Mode.AUTO),
        "history": NO_HISTORY,
        "signal": Signal.FIRING,
        "approved": False,
        "manual": False,
        "now": NOW,
    }
    values.update(more)
    return Question(**values)  # type: ignore[arg-type]  # the test chooses any field


def changed(minutes_ago: float, *, run: str = "old", runbook: str = "scale-out") -> PastChange:
    at = NOW - timedelta(minutes=minutes_ago)
    return PastChange(run, 0, runbook, TARGET.key, 2, at)


def history(*changes: PastChange, controls: tuple[Control, ...] = (), held_by: str = "") -> History:
    return History(
        changes=changes, controls=controls, locks={TARGET.key: held_by} if held_by else {}
    )


def test_a_harmless_plan_in_auto_passes_every_guardrail() -> None:
    verdicts = guardrails.judge(ask())
    assert [v.ruling for v in verdicts] == [Ruling.ALLOW] * len(guardrails.GUARDRAILS)


@pytest.mark.parametrize(
    ("question", "rule", "ruling", "figures"),
    [
        (
            ask(policy=Policy(mode=Mode.AUTO, scope=Scope(scopes=("pay-*",)))),
            "scope",
            Ruling.REFUSE,
            ["'shop'", "pay-*", "policy.scope.scopes"],
        ),
        (
            ask(policy=Policy(mode=Mode.AUTO, scope=Scope(kinds=()))),
            "scope",
            Ruling.REFUSE,
            ["'Deployment'", "none"],
        ),
        (
            ask(policy=Policy(mode=Mode.AUTO, protected=Protected(scopes=("sh*",)))),
            "protected",
            Ruling.REFUSE,
            ["'shop'", "policy.protected.scopes"],
        ),
        (
            ask(policy=Policy(mode=Mode.AUTO, protected=Protected(labels={"team": "shop"}))),
            "protected",
            Ruling.REFUSE,
            ["team=shop", "remove the label team"],
        ),
        (ask(signal=Signal.RESOLVED), "still_firing", Ruling.REFUSE, ["no longer fires"]),
        (ask(signal=Signal.UNKNOWN), "still_firing", Ruling.WAIT, ["nobody knows"]),
        (
            ask(policy=Policy(mode=Mode.AUTO, bounds=Bounds(max_replicas=5))),
            "bounds",
            Ruling.REFUSE,
            ["6 replicas", "1 to 5"],
        ),
        (
            ask(limits=Limits(max_impact=MaxImpact(pods=1))),
            "impact",
            Ruling.REFUSE,
            ["2 pods", "runbook scale-out", "allows 1"],
        ),
        (
            ask(limits=Limits(max_impact=MaxImpact(share=Share.parse("25%")))),
            "impact",
            Ruling.REFUSE,
            ["50%", "25%"],
        ),
        (
            ask(plan=plan(of_pods=0), limits=Limits(max_impact=MaxImpact(share=Share(0.5)))),
            "impact",
            Ruling.REFUSE,
            ["100%", "50%"],
        ),
        (
            ask(plan=plan(nodes=2)),
            "impact",
            Ruling.REFUSE,
            ["2 nodes", "policy", "allows 1"],
        ),
        (
            ask(history=history(changed(4, runbook="other"))),
            "cooldown",
            Ruling.REFUSE,
            ["4m ago", "policy", "5m", "12:01:00 UTC"],
        ),
        (
            ask(history=history(changed(14)), limits=Limits(cooldown="15m")),
            "cooldown",
            Ruling.REFUSE,
            ["14m ago", "15m", "12:01:00 UTC"],
        ),
        (
            ask(
                history=history(changed(59, run="a"), changed(40, run="b"), changed(20, run="c")),
                limits=Limits(rate=("3/1h",)),
            ),
            "rate",
            Ruling.REFUSE,
            ["3 changes in 1h", "3/1h", "12:01:00 UTC"],
        ),
        (
            ask(
                history=history(changed(30, runbook="x"), changed(20, runbook="y")),
                policy=Policy(mode=Mode.AUTO, rate=Rates(total=(Rate(2, timedelta(hours=1)),))),
            ),
            "rate",
            Ruling.REFUSE,
            ["the policy allows 2/1h in total"],
        ),
        (ask(history=history(held_by="run-9")), "one_run_per_target", Ruling.WAIT, ["run-9"]),
        (ask(mode=Mode.APPROVE), "mode", Ruling.HOLD, ["an approval of this plan"]),
        (ask(policy=Policy(mode=Mode.APPROVE)), "mode", Ruling.HOLD, ["approve"]),
        (ask(mode=Mode.OBSERVE), "mode", Ruling.REFUSE, ["observe"]),
    ],
)
def test_one_guardrail_trips_and_says_why(
    question: Question, rule: str, ruling: Ruling, figures: list[str]
) -> None:
    tripped = [v for v in guardrails.judge(question) if v.ruling is not Ruling.ALLOW]
    assert [(v.rule, v.ruling) for v in tripped] == [(rule, ruling)]
    for figure in figures:
        assert figure in str(tripped[0])
    assert tripped[0].lifted_by


@pytest.mark.parametrize(
    ("scope", "trips"),
    [
        ("*", True),
        ("scope:shop", True),
        ("scope:sh*", True),
        ("scope:pay", False),
        ("runbook:scale-out", True),
        ("runbook:restart", False),
    ],
)
def test_the_kill_switch_covers_its_scope_and_no_other(scope: str, trips: bool) -> None:
    control = Control(scope, "api:alice", "deploy freeze", NOW, NOW + timedelta(hours=1))
    verdict = guardrails.kill_switch(ask(history=history(controls=(control,))))
    assert (verdict.ruling is Ruling.REFUSE) is trips
    if trips:
        assert "api:alice" in verdict.reason
        assert "deploy freeze" in verdict.reason
        assert "13:00 UTC" in verdict.reason


def test_an_approval_lifts_the_mode_and_nothing_else() -> None:
    assert heaviest(guardrails.judge(ask(mode=Mode.APPROVE, approved=True))) is Ruling.ALLOW
    tight = Policy(mode=Mode.APPROVE, bounds=Bounds(max_replicas=5))
    refused = guardrails.judge(ask(policy=tight, approved=True))
    assert heaviest(refused) is Ruling.REFUSE


def test_the_cooldown_is_between_runs_and_the_rate_counts_the_own_run_too() -> None:
    own = PastChange("run-1", 1, "scale-out", TARGET.key, 2, NOW - timedelta(minutes=1))
    question = ask(history=history(own), limits=Limits(rate=("1/1h",)))
    assert guardrails.cooldown(question).ruling is Ruling.ALLOW
    assert guardrails.rate(question).ruling is Ruling.REFUSE


def test_another_attempt_of_the_same_step_is_the_same_change() -> None:
    own = PastChange("run-1", 0, "scale-out", TARGET.key, 2, NOW - timedelta(minutes=1))
    question = ask(history=history(own), limits=Limits(rate=("1/1h",)))
    assert guardrails.rate(question).ruling is Ruling.ALLOW


def test_a_manual_run_needs_no_firing_alert() -> None:
    assert guardrails.still_firing(ask(signal=None, manual=True)).ruling is Ruling.ALLOW


@settings(deadline=None)  # a slow machine is no finding
@given(
    limits=st.lists(
        st.builds(Rate, st.integers(0, 5), st.timedeltas(timedelta(seconds=1), timedelta(hours=2))),
        min_size=1,
        max_size=3,
    ),
    gaps_s=st.lists(st.integers(0, 1800), min_size=1, max_size=60),
)
def test_no_sequence_gets_more_through_than_any_window_allows(
    limits: list[Rate], gaps_s: list[int]
) -> None:
    policy = Policy(mode=Mode.AUTO, cooldown="0s", rate=Rates(per_runbook=(), total=tuple(limits)))
    done: list[PastChange] = []
    now = NOW
    for number, gap in enumerate(gaps_s):
        now += timedelta(seconds=gap)
        question = ask(
            policy=policy, run_id=f"r{number}", now=now, history=History(tuple(done), (), {})
        )
        if heaviest(guardrails.judge(question)) is Ruling.ALLOW:
            done.append(PastChange(f"r{number}", 0, "scale-out", TARGET.key, 1, now))
    for limit in limits:
        for change in done:
            inside = [c for c in done if change.at <= c.at < change.at + limit.per]
            assert len(inside) <= limit.count


def test_the_look_back_reaches_as_far_as_the_longest_limit() -> None:
    limits = Limits(cooldown="2h", rate=("7/1d",))
    assert guardrails.look_back(limits, Policy(), NOW).changes == NOW - timedelta(days=1)
    quiet = Policy(cooldown="0s", rate=Rates(per_runbook=(), total=()))
    assert guardrails.look_back(Limits(), quiet, NOW).changes is None
