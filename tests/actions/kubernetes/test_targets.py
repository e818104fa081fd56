"""What the guardrails learn from an object's own words: labels, annotations, money; and of which
workload a pod is one."""

from decimal import Decimal
from typing import Any

import pytest

from remediator.actions.kubernetes import targets
from remediator.actions.kubernetes.delete_pod import _plan as plan_to_delete
from remediator.actions.kubernetes.scale import _plan as plan_to_scale
from remediator.actions.kubernetes.workload import Workload
from remediator.clients.kubernetes.resources import DEPLOYMENTS


def deployment(**annotations: str) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "shop",
            "name": "api",
            "uid": "u-1",
            "labels": {"tier": "web"},
            "annotations": annotations,
        },
        "spec": {"replicas": 4, "template": {"spec": {}}},
        "status": {},
    }


def test_annotations_come_along_but_for_documents_that_tools_keep_there() -> None:
    raw = deployment(**{"remediator.dev/protected": "true", "last-applied": "x" * 1001})
    target = targets.target_of("Deployment", raw)
    assert target.annotations == {"remediator.dev/protected": "true"}
    assert target.labels == {"tier": "web"}
    assert target.key == "kubernetes:shop/Deployment/api"


@pytest.mark.parametrize(
    ("written", "wanted", "cost"),
    [("0.12", 6, "0.24"), ("0.12", 3, "-0.12"), ("1", 4, "0"), ("a lot", 6, None), ("-1", 6, None)],
)
def test_the_cost_of_a_scale_is_what_its_workload_says(
    written: str, wanted: int, cost: str | None
) -> None:
    raw = deployment(**{targets.COST: written})
    found = targets.added_cost(raw, wanted - 4)
    assert found == (None if cost is None else Decimal(cost))
    assert (targets.cost_note(raw) != "") is (cost is None)
    assert targets.added_cost(deployment(), 2) is None
    assert targets.cost_note(deployment()) == ""


def test_a_plan_to_scale_shows_its_cost_and_the_digest_covers_it() -> None:
    def plan(price: str | None) -> Any:
        raw = deployment(**({targets.COST: price} if price else {}))
        return plan_to_scale(Workload(DEPLOYMENTS, raw), 6)

    assert "+0.24 an hour" in str(plan("0.12").impact)
    assert plan("0.12").digest != plan("0.13").digest
    assert plan(None).digest == plan("0").digest  # as it was before plans knew of money
    assert plan("0.12").inverse().impact.cost_per_hour == Decimal("-0.24")
    assert "can't be read" in str(plan("cheap").impact)


@pytest.mark.parametrize(
    ("kind", "owner", "workload"),
    [
        ("ReplicaSet", "api-5d9f", "kubernetes:shop/Deployment/api"),
        ("ReplicaSet", "by-hand", "kubernetes:shop/ReplicaSet/by-hand"),
        ("StatefulSet", "db", "kubernetes:shop/StatefulSet/db"),
        (None, "", ""),
    ],
)
def test_a_pod_is_part_of_its_workload(kind: str | None, owner: str, workload: str) -> None:
    metadata: dict[str, Any] = {
        "namespace": "shop",
        "name": "p",
        "uid": "u",
        "labels": {"pod-template-hash": "5d9f"},
    }
    if kind:
        reference = {"kind": kind, "name": owner, "uid": "o", "controller": True}
        metadata["ownerReferences"] = [reference]
    pod = {"metadata": metadata, "spec": {}, "status": {"phase": "Running"}}
    plan = plan_to_delete("kubernetes.delete_pod", pod, [], (), [])
    assert plan.impact.part_of == workload
