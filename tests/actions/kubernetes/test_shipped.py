"""Proves that no limit of a shipped runbook, nor of the shipped policy, makes it useless.

Every step that changes something is planned on workloads of one, three and ten pods, and judged by
the guardrails on how much it touches.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from remediator.engine import guardrails
from remediator.engine.guardrails import NO_HISTORY, Question
from remediator.model.limits import Mode
from remediator.model.verdicts import Ruling
from remediator.plugin import registry
from remediator.plugin.action import Action, Probe
from remediator.runbook import policy_file, store
from remediator.runbook.expressions import Template
from remediator.runbook.runbook import Runbook, render
from tests.actions.contract import Bench, params_of
from tests.servers.kubernetes import ControlPlane

from .worlds import daemon_set, deployment, held, start, stateful_set

ROOT = Path(__file__).resolve().parents[3]
OPERATIONS = registry.load(("remediator.actions.kubernetes",), third_party=False).operations


RUNBOOKS = store.load_folder([ROOT / "runbooks"], registry.load(third_party=False)).runbooks
# What parameters are made of; labels are another matter, since names of what there is are put in.
CONTEXT: dict[str, Any] = {
    "alert": {
        "labels": {},
        "annotations": {},
        "status": "firing",
        "starts_at": "2026-01-05T10:00:00Z",
        "generator_url": "",
        "fingerprint": "1",
    },
    "group": {"labels": {}, "common_labels": {}, "common_annotations": {}, "receiver": ""},
}


def _changes(runbook: Runbook, names: Mapping[str, str]) -> Iterator[tuple[Action[Any], Any]]:
    """Yield each action with its parameters, for the workloads that there are."""
    now = datetime.now(UTC)
    found = {"result": {"value": 12.0}, "plan": None, "ok": True, "skipped": False}
    steps = {step.id: found for step in runbook.steps if isinstance(step.operation, Probe)}
    for step in runbook.steps:
        operation = OPERATIONS.get(step.operation.name)
        if isinstance(operation, Action) and not _of_its_own(step.parameters):
            values = runbook.scope(CONTEXT, run={}, now=now, steps=steps, at=step).values
            yield (
                operation,
                {
                    key: names[key] if key in names else render(value, values)
                    for key, value in step.parameters.items()
                },
            )


def _of_its_own(parameters: Mapping[str, Any]) -> bool:
    """Whether it is about one workload that is known beforehand; its limits are made for that."""
    named = [parameters.get(kind) for kind in ("deployment", "statefulset", "daemonset")]
    return any(
        name.startswith("params")
        for one in named
        if isinstance(one, Template)
        for name in one.names
    )


@pytest.mark.parametrize("pods", [1, 3, 10])
async def test_a_shipped_runbook_can_be_used(
    control_plane: ControlPlane, namespace: str, bench: Bench, pods: int
) -> None:
    for image in ("app:v1", "app:v2"):
        start(control_plane, deployment("api", namespace, replicas=pods, image=image))
        start(control_plane, stateful_set("db", namespace, replicas=pods, image=image))
        start(control_plane, daemon_set("agent", namespace, image=image))
    names = {
        "namespace": namespace,
        "deployment": "api",
        "statefulset": "db",
        "daemonset": "agent",
        "pod": held(control_plane, "pod", namespace, app="api")[0]["metadata"]["name"],
    }
    policy = policy_file.load(ROOT / "config/policy.yaml").policy
    judged = set()
    for runbook in RUNBOOKS:
        for action, params in _changes(runbook, names):
            plan = await action.plan(params_of(action, params), bench)
            question = Question(
                plan=plan,
                run_id="run",
                sequence=0,
                runbook=runbook.name,
                mode=Mode.APPROVE,
                limits=runbook.limits,
                policy=policy,
                history=NO_HISTORY,
                signal=None,
                approved=True,
                manual=False,
                now=datetime.now(UTC),
            )
            refused = [v for v in guardrails.judge(question) if v.ruling is not Ruling.ALLOW]
            assert refused == [], f"{runbook.name}, {plan}: {plan.impact}"
            judged.add(action.name)
    assert judged == {name for name, found in OPERATIONS.items() if isinstance(found, Action)}
