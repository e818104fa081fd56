"""Proves that no limit of a shipped runbook, nor of the shipped policy, makes it useless.

Every step that changes something is planned on workloads of one, three and ten pods, and judged by
the guardrails on how much it touches.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from remediator.engine import guardrails
from remediator.engine.guardrails import NO_HISTORY, Question
from remediator.model.limits import Limits, Mode
from remediator.model.verdicts import Ruling
from remediator.plugin import registry
from remediator.plugin.action import Action
from remediator.runbook import policy_file, store
from tests.actions.contract import Bench, params_of
from tests.servers.kubernetes import ControlPlane

from .worlds import daemon_set, deployment, held, start, stateful_set

ROOT = Path(__file__).resolve().parents[3]
OPERATIONS = registry.load(("remediator.actions.kubernetes",), third_party=False).operations


def _read(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text())


def _changes(text: Mapping[str, Any]) -> Iterator[tuple[Action[Any], dict[str, Any]]]:
    for step in text["steps"]:
        operation = OPERATIONS.get(step["action"])
        if isinstance(operation, Action):
            yield operation, step["with"]


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
    for path in store.files([ROOT / "runbooks"]):
        text = _read(path)
        limits = Limits.model_validate(text.get("guardrails") or {})
        for action, written in _changes(text):
            params = {key: names.get(key, value) for key, value in written.items()}
            plan = await action.plan(params_of(action, params), bench)
            question = Question(
                plan=plan,
                run_id="run",
                sequence=0,
                runbook=text["name"],
                mode=Mode.APPROVE,
                limits=limits,
                policy=policy,
                history=NO_HISTORY,
                signal=None,
                approved=True,
                manual=False,
                now=datetime.now(UTC),
            )
            refused = [v for v in guardrails.judge(question) if v.ruling is not Ruling.ALLOW]
            assert refused == [], f"{text['name']}, {plan}: {plan.impact}"
            judged.add(action.name)
    assert judged == {name for name, found in OPERATIONS.items() if isinstance(found, Action)}
