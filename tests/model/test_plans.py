"""A plan's digest covers what people approve and not what drifts; a plan survives the journal."""

import json
from dataclasses import replace
from datetime import timedelta

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
