"""A plan's digest covers what people approve and not what drifts; a plan survives the journal."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from remediator.model.plans import Change, Impact, Plan, Target, WayBack

PLAN = Plan(
    action="kubernetes.scale",
    target=Target("kubernetes", "Deployment", "shop", "api", "uid-1", {"app": "api"}),
    changes=(Change("spec.replicas", 4, 6),),
    impact=Impact(pods=2, of_pods=4, replicas=6),
    summary="replicas 4 → 6",
    way_back=WayBack("replicas 6 → 4", {"replicas": 4}),
    details={"resourceVersion": "17"},
    lasts=timedelta(hours=1),
)


def test_the_digest_ignores_what_drifts_by_itself() -> None:
    drifted = replace(
        PLAN,
        details={"resourceVersion": "18"},
        target=replace(PLAN.target, labels={"app": "api", "touched": "yes"}),
    )
    assert drifted.digest == PLAN.digest


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAN, changes=(Change("spec.replicas", 5, 6),)),
        replace(PLAN, target=replace(PLAN.target, uid="uid-2")),
        replace(PLAN, impact=replace(PLAN.impact, pods=3)),
        replace(PLAN, action="kubernetes.rollout_restart"),
        replace(PLAN, lasts=timedelta(hours=2)),
    ],
)
def test_the_digest_covers_what_people_approve(other: Plan) -> None:
    assert other.digest != PLAN.digest


def test_a_plan_survives_the_journal() -> None:
    again = Plan.from_json(json.loads(json.dumps(PLAN.to_json())))
    assert again == PLAN
    assert again.digest == PLAN.digest


def test_the_inverse_swaps_before_and_after() -> None:
    back = PLAN.inverse()
    assert back.changes == (Change("spec.replicas", 6, 4),)
    assert back.details == {"replicas": 4}
    assert back.summary == "replicas 6 → 4"


def test_without_a_way_back_there_is_no_inverse() -> None:
    with pytest.raises(ValueError, match="no way back: a restart"):
        replace(PLAN, way_back=None, no_way_back="a restart stays").inverse()


def test_people_read_target_change_and_impact() -> None:
    assert str(PLAN) == "deployment shop/api: replicas 4 → 6"
    assert str(PLAN.changes[0]) == "spec.replicas: 4 → 6"
    assert str(PLAN.impact) == "2 pods of 4 (50%)"


def test_an_unknown_size_counts_as_all_of_it() -> None:
    assert Impact(pods=1).share == 1.0
    assert Impact(pods=0).share == 0.0
    assert Impact(pods=1, down=1).share == 1.0


def test_the_share_is_what_is_down_at_once() -> None:
    assert Impact(pods=2, of_pods=4).share == 0.5
    rolling = Impact(pods=10, of_pods=10, down=2)
    assert rolling.share == 0.2
    assert str(rolling) == "10 pods, 2 of 10 down at once (20%)"
    out = Impact(pods=5, of_pods=10, down=0)
    assert (out.share, str(out)) == (0.0, "5 pods, 0 of 10 down at once (0%)")
    assert str(Impact(pods=2, of_pods=4, down=2)) == "2 pods of 4 (50%)"


def test_a_plan_with_all_that_guardrails_ask_for_is_read_back_and_older_daemons_read_it() -> None:
    target = Target("aws", "Group", "prod", "web", "u", {"a": "b"}, {"c": "d"}, "123", "eu-west-1")
    impact = Impact(
        pods=1, part_of="k", of_nodes=4, instances=3, cost_per_hour=Decimal("1.50"), nodes=1
    )
    plan = Plan("aws.scale", target, (Change("x", 1, 2),), impact, "x")
    written = json.loads(json.dumps(plan.to_json()))
    assert Plan.from_json(written) == plan
    # A daemon of the version before reads these two whole, and knows no other keys.
    assert set(written["target"]) == {"system", "kind", "scope", "name", "uid", "labels"}
    assert set(written["impact"]) == {"pods", "of_pods", "nodes", "replicas", "note", "down"}
    plain = Plan("x", Target("s", "K", "n", "x"), (Change("x", 1, 2),), Impact(pods=1), "x")
    assert not {"target_more", "impact_more"} & plain.to_json().keys()
    # Money and machines are part of what people approve; where the target is, is not.
    moved = replace(plan, target=replace(target, region="us-east-1", annotations={}))
    assert moved.digest == plan.digest
    dearer = replace(plan, impact=replace(impact, cost_per_hour=Decimal("1.60")))
    assert dearer.digest != plan.digest
    same = replace(plan, impact=replace(impact, cost_per_hour=Decimal("1.5")))
    assert same.digest == plan.digest
