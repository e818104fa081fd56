"""Budgets, money, bounds, storms, flapping, concurrency and windows: figures, words, edges."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from remediator.engine import guardrails
from remediator.model.history import GoingOn, History
from remediator.model.limits import MaxImpact
from remediator.model.plans import Impact, Target
from remediator.model.policy import NEVER_OVERRIDDEN, OVERRIDABLE
from remediator.model.quantities import Share
from remediator.model.verdicts import Ruling
from tests.engine.asking import NOW, TARGET, ask, changed, history, plan, policy, told

POD = Target("kubernetes", "Pod", "shop", "api-1")


def test_a_budget_adds_up_all_changes_of_all_runbooks_and_this_one() -> None:
    spent = history(changed(50, pods=10, runbook="x"), changed(10, pods=17, runbook="y"))
    budget = policy(budget={"pods": ["30/1h"]})
    assert guardrails.budget(ask(policy=budget, history=spent, plan=plan(pods=3))).ruling is (
        Ruling.ALLOW
    )
    refused = guardrails.budget(ask(policy=budget, history=spent, plan=plan(pods=4)))
    assert refused.ruling is Ruling.REFUSE
    assert "4 pods on top of 27 in 1h; the policy allows 30/1h" in refused.reason
    assert "waiting from 2026-03-01 12:10:00 UTC on" in refused.lifted_by
    assert "policy.budget.pods" in refused.lifted_by
    # What touches nothing spends nothing, even when nothing is left.
    full = history(changed(10, pods=30))
    nothing = guardrails.budget(ask(policy=budget, history=full, plan=plan(pods=0)))
    assert nothing.ruling is Ruling.ALLOW


def test_a_budget_of_nodes_and_an_attempt_at_the_same_step_that_is_the_same_change() -> None:
    budget = policy(budget={"nodes": ["2/1d"]})
    own = history(changed(5, nodes=1, run_id="run-1"), changed(60 * 23, nodes=1))
    one_more = ask(policy=budget, history=own, plan=plan(nodes=1))
    assert guardrails.budget(one_more).ruling is Ruling.ALLOW
    other_step = ask(policy=budget, history=own, plan=plan(nodes=1), sequence=1)
    assert "1 nodes on top of 2 in 1d" in guardrails.budget(other_step).reason


def test_a_share_is_of_the_workload_that_the_pods_belong_to() -> None:
    budget = policy(budget={"share": ["50%/1h"]})
    # Three pods of ten were deleted one by one; each is a target of its own.
    before = history(
        *(
            changed(
                n, pods=1, down=1, target_key=f"kubernetes:shop/Pod/api-{n}", part_of=TARGET.key
            )
            for n in (5, 10, 15, 20)
        ),
        changed(7, pods=9, down=9, target_key="kubernetes:shop/Deployment/web"),
        changed(70, pods=9, down=9),
    )
    impact: dict[str, Any] = {"pods": 1, "down": 1, "of_pods": 10, "part_of": TARGET.key}
    fifth = ask(policy=budget, history=before, plan=plan(POD, **impact))
    assert guardrails.budget(fifth).ruling is Ruling.ALLOW
    sixth = ask(policy=budget, history=before, plan=plan(POD, **{**impact, "pods": 2, "down": 2}))
    refused = guardrails.budget(sixth)
    assert f"60% of {TARGET.key} would have been down within 1h" in refused.reason
    assert (refused.figure, refused.limit) == ("6 of 10", "50%/1h")
    # A rolling restart takes few down at once, and the workload itself is the whole.
    restart = ask(policy=budget, history=before, plan=plan(pods=10, down=1, of_pods=10))
    assert guardrails.budget(restart).ruling is Ruling.ALLOW
    unknown = ask(policy=budget, plan=plan(pods=1, down=1, of_pods=0))
    assert guardrails.budget(unknown).figure == "1 of 0"  # a size that nobody knows is all of it


def test_the_share_of_nodes_has_the_nodes_as_its_denominator() -> None:
    limit = policy(max_impact=MaxImpact(node_share=Share(0.25)).model_dump())
    assert guardrails.impact(ask(policy=limit, plan=plan(nodes=1, of_nodes=4))).ruling is (
        Ruling.ALLOW
    )
    refused = guardrails.impact(ask(policy=limit, plan=plan(nodes=1, of_nodes=3)))
    assert "33.33% of the nodes would be out of service; the policy allows 25%" in refused.reason
    assert Impact(nodes=1).node_share == 1.0


@pytest.mark.parametrize(
    ("cost", "spent", "ruling", "words"),
    [
        ("0.50", [], Ruling.ALLOW, ""),
        ("0.51", [], Ruling.REFUSE, "adds 0.51 an hour; the policy allows 0.50 for one change"),
        ("-9", [], Ruling.ALLOW, ""),
        ("0", ["0.90"], Ruling.ALLOW, ""),
        ("0.10", ["0.90", "-5", None], Ruling.ALLOW, ""),
        ("0.11", ["0.90"], Ruling.REFUSE, "0.11 an hour on top of 0.90 that was added in 1d"),
    ],
)
def test_money_is_limited_by_the_change_and_by_the_window(
    cost: str, spent: list[str | None], ruling: Ruling, words: str
) -> None:
    limit = policy(cost={"per_change": "0.50", "budget": ["1.00/1d"]})
    before = history(
        *(changed(n, cost=Decimal(one) if one else None) for n, one in enumerate(spent, 1))
    )
    found = guardrails.cost(
        ask(policy=limit, history=before, plan=plan(cost_per_hour=Decimal(cost)))
    )
    assert found.ruling is ruling
    assert words in found.reason


@pytest.mark.parametrize("unknown", ["allow", "hold", "refuse"])
def test_a_plan_without_an_estimate_is_held_where_money_is_limited(unknown: str) -> None:
    limit = policy(cost={"per_change": "0.50", "unknown": unknown})
    found = guardrails.cost(ask(policy=limit))
    assert found.ruling.value == unknown
    if unknown != "allow":
        assert "nobody knows what it costs, and the policy limits money" in found.reason
        assert "policy.cost.unknown" in found.lifted_by
    if unknown == "hold":
        assert guardrails.cost(ask(policy=limit, approved=True)).ruling is Ruling.ALLOW
    default = policy(cost={"per_change": "0.50"})
    assert guardrails.cost(ask(policy=default)).ruling is Ruling.HOLD
    # What alters no count costs nothing more, and without a limit nobody asks.
    assert guardrails.cost(ask(policy=default, plan=plan(replicas=None))).ruling is Ruling.ALLOW
    assert guardrails.cost(ask()).ruling is Ruling.ALLOW


def test_bounds_name_both_ends_and_what_is_counted() -> None:
    limit = policy(bounds={"min_instances": 2, "max_replicas": 10})
    assert "1 instances is outside 2 to any" in told(
        guardrails.bounds(ask(policy=limit, plan=plan(instances=1)))
    )
    assert "11 replicas is outside 1 to 10" in told(
        guardrails.bounds(ask(policy=limit, plan=plan(replicas=11)))
    )
    assert guardrails.bounds(ask(policy=limit, plan=plan(replicas=10))).ruling is Ruling.ALLOW


def test_a_storm_holds_what_goes_by_itself_and_a_person_lifts_it() -> None:
    limit = policy(storm={"opened": "50/5m"})
    calm = ask(policy=limit, history=history(opened=50))
    assert guardrails.storm(calm).ruling is Ruling.ALLOW
    storm = ask(policy=limit, history=history(opened=51))
    held = guardrails.storm(storm)
    assert held.ruling is Ruling.HOLD
    assert "51 incidents were opened in 5m; above 50" in held.reason
    assert "an approval of this plan" in held.lifted_by
    approved = ask(policy=limit, history=history(opened=51), approved=True)
    assert guardrails.storm(approved).ruling is Ruling.ALLOW


def test_an_alert_that_was_treated_too_often_is_not_treated_again() -> None:
    limit = policy(flapping={"treated": "3/1h"})

    def at(*minutes_ago: float) -> History:
        return history(treated=tuple(NOW - timedelta(minutes=m) for m in minutes_ago))

    assert guardrails.flapping(ask(policy=limit, history=at(5, 59))).ruling is Ruling.ALLOW
    assert guardrails.flapping(ask(policy=limit, history=at(5, 59, 60))).ruling is Ruling.ALLOW
    refused = guardrails.flapping(ask(policy=limit, history=at(5, 20, 50)))
    assert refused.ruling is Ruling.REFUSE
    assert "treated 3 times in 1h and came back; the policy allows 3/1h" in refused.reason
    assert refused.lifted_by == "waiting until 2026-03-01 12:10:00 UTC"


def test_concurrency_counts_runs_and_waits() -> None:
    going = (GoingOn("a", "scale-out"), GoingOn("b", "restart", frozenset({"pay"})))
    limit = policy(concurrency={"total": 2})
    waiting = guardrails.concurrency(ask(policy=limit, history=history(going_on=going)))
    assert waiting.ruling is Ruling.WAIT
    assert "2 runs are changing something; the policy allows 2 at once" in waiting.reason
    assert waiting.lifted_by == "the end of run a, b"
    own = policy(concurrency={"per_runbook": 1})
    assert "1 runs are changing something; the policy allows 1 of this runbook at once" in told(
        guardrails.concurrency(ask(policy=own, history=history(going_on=going)))
    )
    rule = {"name": "pay", "match": 'scope="shop"', "concurrency": {"total": 2}}
    assert guardrails.concurrency(
        ask(policy=policy(rule), history=history(going_on=going))
    ).ruling is (Ruling.ALLOW)


def test_a_freeze_says_which_window_and_until_when() -> None:
    night = {
        "name": "weekend",
        "start": "0 18 * * fri",
        "lasts": "62h",
        "timezone": "Europe/Berlin",
        "reason": "nobody is in the office",
    }
    saturday = datetime.fromisoformat("2026-02-28T12:00:00+00:00")
    frozen = guardrails.freeze(ask(policy=policy(freeze=[night]), now=saturday))
    assert frozen.ruling is Ruling.REFUSE
    assert frozen.reason == (
        "changes are frozen by the policy (weekend) until 2026-03-02 07:00:00 UTC: "
        "nobody is in the office"
    )
    assert frozen.lifted_by == "waiting until 2026-03-02 07:00:00 UTC"
    held = guardrails.freeze(ask(policy=policy(freeze=[{**night, "then": "hold"}]), now=saturday))
    assert held.ruling is Ruling.HOLD
    assert "an approval of this plan" in held.lifted_by
    monday = datetime.fromisoformat("2026-03-02T07:00:00+00:00")
    assert guardrails.freeze(ask(policy=policy(freeze=[night]), now=monday)).ruling is Ruling.ALLOW


def test_every_guardrail_is_either_for_nobody_to_lift_or_for_those_whom_the_policy_names() -> None:
    names = {verdict.rule for verdict in guardrails.judge(ask())}
    assert names == NEVER_OVERRIDDEN | OVERRIDABLE
    assert not NEVER_OVERRIDDEN & OVERRIDABLE


def test_protected_and_allowed_by_every_part_of_a_target() -> None:
    cloud = Target(
        "aws", "Group", "prod", "web", annotations={"keep": "yes"}, account="1", region="r"
    )
    for key, value in (
        ("kinds", ["Gro*"]),
        ("names", ["web"]),
        ("accounts", ["1"]),
        ("regions", ["r"]),
        ("scopes", ["prod"]),
        ("annotations", {"keep": "yes"}),
    ):
        limit = policy(protected={key: value})
        found = guardrails.protected(ask(policy=limit, plan=plan(cloud)))
        assert found.ruling is Ruling.REFUSE, key
        # An object without an account or a region is in none that is protected.
        assert guardrails.protected(ask(policy=limit)).ruling is Ruling.ALLOW, key
    for key in ("systems", "kinds", "names", "accounts", "regions", "scopes"):
        limit = policy(scope={key: ["nowhere"]})
        found = guardrails.scope(ask(policy=limit, plan=plan(cloud)))
        assert f"policy.scope.{key}" in found.lifted_by
    only_cloud = policy(scope={"accounts": ["1"]})
    assert guardrails.scope(ask(policy=only_cloud)).ruling is Ruling.REFUSE
    both = policy(scope={"accounts": ["", "1"]})
    assert guardrails.scope(ask(policy=both)).ruling is Ruling.ALLOW
